"""The low-level door of the SDKs that Stainless generates: `openai` and `anthropic` have the same one.

The SDK carries the call (authentication, pool, transport, headers, error classes), but builds no typed models: `post`
is open API, behaves the same over all the versions that we admit, and costs half of the typed `create`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from multiroute_core.drive.io import IO
from multiroute_core.drive.limit import Limit
from multiroute_core.providers import http
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.provider import Encoded, Reply


class StainlessDoor:
    """Calls through one SDK with one set of credentials.

    Args:
        sdk: The module `openai` or `anthropic`.
        blocking: Its sync client class.
        native: Its async client class.
        settings: `api_key`, `base_url` and what else both take.
        proxies: Whether the environment's proxies are asked; one cannot reach our own loopback.
    """

    def __init__(
        self, sdk: ModuleType, blocking: type, native: type, settings: Mapping[str, Any], *, proxies: bool = True
    ) -> None:
        self._response = http.family(sdk.DefaultHttpxClient).Response
        self._streams = {False: sdk.Stream[object], True: sdk.AsyncStream[object]}

        def made(client: type, http_client: type) -> Any:
            return client(max_retries=0, http_client=http.client(http_client, trust_env=proxies), **settings)

        self._clients = Clients(
            lambda: made(blocking, sdk.DefaultHttpxClient),
            lambda: made(native, sdk.DefaultAsyncHttpxClient),
            close=lambda client: client.close(),
            aclose=lambda client: client.close(),
        )

    async def call(self, io: IO, limit: Limit, encoded: Encoded) -> Reply:
        """Ask for a whole answer."""
        client = await self._clients.native() if io.native else self._clients.blocking()
        response = await io.wait(
            limit,
            client.post,
            encoded.path,
            body=encoded.body,
            cast_to=self._response,
            options={"headers": dict(encoded.headers)} if encoded.headers else {},
        )
        return Reply(response.content, response.headers)

    async def open(self, io: IO, limit: Limit, encoded: Encoded) -> Any:
        """Ask for a stream of events, each a dict."""
        client = await self._clients.native() if io.native else self._clients.blocking()
        return await io.wait(
            limit,
            client.post,
            encoded.path,
            body=encoded.body,
            cast_to=object,
            stream=True,
            stream_cls=self._streams[io.native],
            options={"headers": dict(encoded.headers)} if encoded.headers else {},
        )

    def close(self) -> None:
        """Close the sync client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, and the sync one."""
        await self._clients.aclose()
        self._clients.close()
