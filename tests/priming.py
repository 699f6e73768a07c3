"""Prepared requests from the first call on, so that tests which make one call go through them too."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib
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


def _is_stainless(client: SdkClient) -> bool:
    return hasattr(client.sdk, "post")


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
    transport = library.MockTransport(handle_async if is_async else handle)
    build_call = _build_stainless_call if _is_stainless(client) else _build_gemini_call
    call = build_call(client, transport, encoded, is_async=is_async, is_stream=is_stream)

    async def send_async() -> None:
        answer = await call()
        if is_stream and hasattr(answer, "__anext__"):
            await anext(answer)

    def send() -> None:
        with contextlib.suppress(Exception):
            if is_async:
                asyncio.run(send_async())
            else:
                answer = call()
                if is_stream and hasattr(answer, "__next__"):
                    next(answer)

    thread = threading.Thread(target=send)  # the caller's event loop is running
    thread.start()
    thread.join()
    assert len(requests) == 1
    return requests[0]


def _build_http(client: SdkClient, http_class: Any, transport: Any) -> Any:
    headers = {"Accept-Encoding": client.http.headers["accept-encoding"]}
    http = http_class(transport=transport, headers=headers)
    http.timeout = client.http.timeout
    return http


def _build_stainless_call(
    client: SdkClient, transport: Any, encoded: Encoded, *, is_async: bool, is_stream: bool
) -> Callable[[], Any]:
    library = client._library
    module = importlib.import_module(type(client.sdk).__module__.partition(".")[0])
    http = _build_http(client, library.AsyncClient if is_async else library.Client, transport)
    sdk = client.sdk.copy(http_client=http)
    options: dict[str, Any] = {}
    if encoded.headers:
        options["headers"] = dict(encoded.headers)
    if encoded.query:
        options["params"] = dict(encoded.query)
    how: dict[str, Any] = {"cast_to": library.Response}
    if is_stream:
        stream_class = module.AsyncStream if is_async else module.Stream
        how = {"cast_to": object, "stream": True, "stream_cls": stream_class[object]}
    url = str(sdk.base_url).rstrip("/") + encoded.path
    return lambda: sdk.post(url, body={}, options=options, **how)


def _build_gemini_call(
    client: SdkClient, transport: Any, encoded: Encoded, *, is_async: bool, is_stream: bool
) -> Callable[[], Any]:
    from multiroute_core.providers.google import genai

    library = client._library
    api = copy.copy(client.sdk._api_client)
    http = _build_http(client, genai._timed(library.AsyncClient if is_async else library.Client), transport)
    setattr(api, "_async_httpx_client" if is_async else "_httpx_client", http)
    name = f"{'async_' if is_async else ''}request{'_streamed' if is_stream else ''}"
    body = {"contents": []}
    return lambda: getattr(api, name)("post", genai._path(encoded), body, *genai._options(encoded))
