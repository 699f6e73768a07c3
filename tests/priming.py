"""Prepared requests from the first call on, so that tests which make one call go through them too."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from multiroute_core.providers.prepared_requests import RequestTemplate, SdkClient, template_key
from multiroute_core.providers.provider import Encoded


class CapturedError(Exception):
    """Ends a call whose request is known."""


def prime(patch: pytest.MonkeyPatch) -> None:
    """Make every client of an SDK prepare its requests before the first one is sent."""
    prepare = SdkClient.prepare

    def prepare_at_once(client: SdkClient, key: Any, encoded: Encoded) -> Any:
        if client._prepares and key not in client._templates:
            client.keep(key, RequestTemplate(client._library, capture(client, key, encoded)))
        return prepare(client, key, encoded)

    patch.setattr(SdkClient, "prepare", prepare_at_once)


def capture(client: SdkClient, key: Any, encoded: Encoded) -> Any:
    """Return the request that the SDK would send."""
    is_stream = bool(key[1])
    assert key == template_key(encoded, stream=is_stream)
    requests: list[Any] = []

    def handle(request: Any) -> Any:
        requests.append(request)
        raise CapturedError

    async def handle_async(request: Any) -> Any:
        return handle(request)

    library = client._library
    is_async = isinstance(client.http, library.AsyncClient)
    http_class = library.AsyncClient if is_async else library.Client
    transport = library.MockTransport(handle_async if is_async else handle)
    http = http_class(transport=transport, headers={"Accept-Encoding": client.http.headers["accept-encoding"]})
    http.timeout = client.http.timeout
    sdk = client.sdk.copy(http_client=http)
    options: dict[str, Any] = {}
    if encoded.headers:
        options["headers"] = dict(encoded.headers)
    if encoded.query:
        options["params"] = dict(encoded.query)
    how: dict[str, Any] = {"cast_to": library.Response}
    if is_stream:
        stream_class = client._module.AsyncStream if is_async else client._module.Stream
        how = {"cast_to": object, "stream": True, "stream_cls": stream_class[object]}
    post: Callable[..., Any] = sdk.post

    async def send_async() -> None:
        await post(str(sdk.base_url).rstrip("/") + encoded.path, body={}, options=options, **how)

    def send() -> None:
        with contextlib.suppress(Exception):
            if is_async:
                asyncio.run(send_async())
            else:
                post(str(sdk.base_url).rstrip("/") + encoded.path, body={}, options=options, **how)

    thread = threading.Thread(target=send)  # the caller's event loop is running
    thread.start()
    thread.join()
    assert len(requests) == 1
    return requests[0]
