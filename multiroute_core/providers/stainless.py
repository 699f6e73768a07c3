"""Stainless SDK transport: the low-level `post` method that `openai` and `anthropic` share.

The SDK handles authentication, connection pool, transport, headers and error classes, but builds no typed models:
`post` is public API, behaves the same in all supported versions, and costs half of the typed `create`. Most calls send
a copy of a request that it has built before (`prepared_requests`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from multiroute_core._util.redaction import split_credentials
from multiroute_core.providers import http
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.event_stream import Events
from multiroute_core.providers.prepared_requests import (
    SdkClient,
    SdkTraits,
    encode_compactly,
    is_untouched,
    template_key,
)
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO


class StainlessTransport:
    """Sends requests through one SDK with one set of credentials.

    Args:
        sdk: The module `openai` or `anthropic`.
        blocking: Its sync client class.
        native: Its async client class.
        settings: `api_key`, `base_url` and other arguments of both client classes.
        proxies: Whether to use the environment's proxies; a proxy cannot reach this machine's loopback.
        idle: Idle timeout of connections in seconds. It must be less than the server's: a request fails if the server
            closes the connection at the same moment.
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
        credentials: tuple[str, str] | None = None
        if settings.get("base_url"):
            base_url, credentials = split_credentials(settings["base_url"])
            settings = {**settings, "base_url": base_url}
        self._complete = {"cast_to": library.Response}
        self._streamed = {
            native: {"cast_to": object, "stream": True, "stream_cls": stream_class[object]}
            for native, stream_class in ((False, sdk.Stream), (True, sdk.AsyncStream))
        }
        # The SDKs allow 1,000 connections. A call that waits for one would seem to wait for the provider, and its
        # timeout would open the circuit breaker; `max_concurrency` of a route limits its calls. They keep 100 idle
        # ones: with more calls in flight than that, each answer would cost a connection.
        limits = library.Limits(max_connections=None, max_keepalive_connections=1000, keepalive_expiry=idle)
        self._address = ""

        def build_client(client: type, http_class: type) -> SdkClient:
            http_client = http.client(http_class, trust_env=proxies, limits=limits, auth=credentials)
            sdk_client = client(max_retries=0, http_client=http_client, **settings)
            self._address = str(sdk_client.base_url).rstrip("/")
            _ = (
                sdk_client.default_headers
            )  # the SDK detects the platform once, under a lock that a fork would leave held
            prepares = isinstance(settings.get("api_key"), str) and is_untouched(
                sdk_client, ("post", "request"), package=sdk.__name__, loggers=(sdk.__name__,)
            )
            traits = _traits(sdk, library, sdk_client)
            return SdkClient(traits, library, sdk_client, http_client, prepares=prepares)

        self._clients = Clients(
            lambda: build_client(blocking, sdk.DefaultHttpxClient),
            lambda: build_client(native, sdk.DefaultAsyncHttpxClient),
            close=lambda client: client.sdk.close(),
            aclose=lambda client: client.sdk.close(),
        )

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete answer."""
        response = await self._send(io, limit, encoded, self._complete, stream=False)
        return Reply(response.content, response.headers)

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Request a stream of events, each a JSON value."""
        return Events(await self._send(io, limit, encoded, self._streamed[io.native], stream=True), native=io.native)

    async def get(self, io: IO, limit: Deadline, path: str) -> Reply:
        """Request a resource, such as the list of models, with the credentials of the calls."""
        client: SdkClient = await self._clients.native() if io.native else self._clients.blocking()
        response = await io.wait(limit, lambda: client.sdk.get(self._address + path, **self._complete))
        return Reply(response.content, response.headers)

    async def _send(self, io: IO, limit: Deadline, encoded: Encoded, kind: Mapping[str, Any], *, stream: bool) -> Any:
        """Returns the HTTP response, with an unread body if it is a stream.

        `kind` are the arguments of the SDK's call that say whether it returns a complete answer or a stream.
        """
        client: SdkClient = await self._clients.native() if io.native else self._clients.blocking()
        key = template_key(encoded, stream=stream)
        if (request := client.prepare(key, encoded)) is not None:
            send = client.asend if io.native else client.send
            return await io.wait(limit, send, request, stream=stream)
        reply = await io.wait(limit, self._post(client.sdk, encoded, kind))
        response = reply.response if stream else reply
        client.learn(key, response)
        return response

    def _post(self, client: Any, encoded: Encoded, kind: Mapping[str, Any]) -> Callable[[], Any]:
        """Returns the SDK's call."""

        def post() -> Any:  # no arguments: a traceback may show local variables
            return client.post(
                self._address + encoded.path,  # a full URL; joining costs the SDK 50 µs
                body=encoded.body,
                options=_options(encoded) if encoded.headers or encoded.query else {},
                **kind,
            )

        return post

    def close(self) -> None:
        """Close the sync client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, and the sync client."""
        await self._clients.aclose()
        self._clients.close()


def _traits(sdk: ModuleType, library: ModuleType, client: Any) -> SdkTraits:
    """Returns how a client of the SDK encodes bodies and reports failures."""

    def to_transport_error(error: Exception, request: Any) -> Exception:
        is_timeout = isinstance(error, library.TimeoutException)
        return (sdk.APITimeoutError if is_timeout else sdk.APIConnectionError)(request=request)

    def raise_status_error(response: Any) -> NoReturn:
        build = getattr(client, "_make_status_error_from_response", None)
        if build is not None:
            raise build(response)
        message = f"Error code: {response.status_code}"
        raise sdk.APIStatusError(message, response=response, body=response.text)

    return SdkTraits(encode_compactly, range(200, 300), to_transport_error, raise_status_error)


def _options(encoded: Encoded) -> dict[str, Any]:
    """Returns the SDK's request options."""
    options: dict[str, Any] = {}
    if encoded.headers:
        options["headers"] = dict(encoded.headers)
    if encoded.query:
        options["params"] = dict(encoded.query)
    return options
