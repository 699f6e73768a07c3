"""The low-level door of the SDKs that Stainless generates: `openai` and `anthropic` have the same one.

The SDK carries the call (authentication, pool, transport, headers, error classes), but builds no typed models: `post`
is open API, behaves the same over all the versions that we admit, and costs half of the typed `create`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator, Mapping
from types import ModuleType
from typing import Any

import msgspec

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
        idle: Seconds for which a connection waits for its next call. A server that hangs up at that very moment fails
            the call, so it must be less than the server allows.
    """

    def __init__(
        self,
        sdk: ModuleType,
        blocking: type,
        native: type,
        settings: Mapping[str, Any],
        *,
        proxies: bool = True,
        idle: float = 5.0,
    ) -> None:
        library = http.family(sdk.DefaultHttpxClient)
        self._response = library.Response
        # As many as the SDKs allow.
        limits = library.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=idle)
        self._address = ""
        self._streams = {False: sdk.Stream[object], True: sdk.AsyncStream[object]}

        def made(client: type, http_client: type) -> Any:
            made = client(
                max_retries=0, http_client=http.client(http_client, trust_env=proxies, limits=limits), **settings
            )
            self._address = str(made.base_url).rstrip("/")
            return made

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
            self._address + encoded.path,  # whole, or the SDK spends 50 µs on joining the two
            body=encoded.body,
            cast_to=self._response,
            options={"headers": dict(encoded.headers)} if encoded.headers else {},
        )
        return Reply(response.content, response.headers)

    async def open(self, io: IO, limit: Limit, encoded: Encoded) -> Any:
        """Ask for a stream of events, each a dict."""
        client = await self._clients.native() if io.native else self._clients.blocking()
        stream = await io.wait(
            limit,
            client.post,
            self._address + encoded.path,  # whole, or the SDK spends 50 µs on joining the two
            body=encoded.body,
            cast_to=object,
            stream=True,
            stream_cls=self._streams[io.native],
            options={"headers": dict(encoded.headers)} if encoded.headers else {},
        )
        if not hasattr(stream, "_iter_events"):
            return stream
        return Events(_native(stream) if io.native else _blocking(stream), stream)

    def close(self) -> None:
        """Close the sync client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, and the sync one."""
        await self._clients.aclose()
        self._clients.close()


class Events:
    """The events of a stream, each a dict, to the very end of the body.

    The SDKs' own iterators hang up at OpenAI's `[DONE]`, before the body's last bytes, so that every stream costs a
    connection, and over TLS a handshake. `_iter_events` is the private half of them that does not.
    """

    __slots__ = ("_events", "_stream")

    def __init__(self, events: Any, stream: Any) -> None:
        self._events, self._stream = events, stream

    @property
    def headers(self) -> Mapping[str, str]:
        """The reply's headers."""
        return self._stream.response.headers

    def __next__(self) -> Any:
        return next(self._events)

    def __anext__(self) -> Any:
        return anext(self._events)

    def close(self) -> None:
        """Give the connection back, or drop it where the body was not read to its end."""
        self._stream.close()
        self._events.close()

    async def aclose(self) -> None:
        """The same on an event loop."""
        await self._stream.close()
        await self._events.aclose()


def _blocking(stream: Any) -> Generator[Any, None, None]:
    with contextlib.closing(stream._iter_events()) as events:  # noqa: SLF001
        for event in events:
            if (data := event.data) and not data.startswith("[DONE]"):
                yield _decode(data)


async def _native(stream: Any) -> AsyncGenerator[Any, None]:
    async with contextlib.aclosing(stream._iter_events()) as events:  # noqa: SLF001
        async for event in events:
            if (data := event.data) and not data.startswith("[DONE]"):
                yield _decode(data)


_decode = msgspec.json.Decoder().decode
