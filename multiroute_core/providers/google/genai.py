"""Gemini provider on `google-genai`, via its low-level API: exact JSON, at a tenth of the typed call's cost."""

from __future__ import annotations

import contextlib
import importlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias
from urllib.parse import urlencode

from multiroute_core._util.json_text import decode_json
from multiroute_core._util.redaction import split_credentials
from multiroute_core.errors import ConfigurationError
from multiroute_core.providers import http, models
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import encode, sse_normalizer
from multiroute_core.providers.google.base import GeminiProvider
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT, Deadline, current
from multiroute_core.runtime.io import IO
from multiroute_core.types import Request

API_VERSION = "v1beta"
"""Set on every client: SDKs from 3.0 on default to `v1`, which lacks some models and fields."""


class GenaiProvider(GeminiProvider):
    """Gemini, or a server with a compatible API at `base_url` (without `/v1beta`).

    Args:
        api_key: The API key.
        base_url: None for Google's endpoint.
    """

    def __init__(self, api_key: str, base_url: str | None) -> None:
        self._sdk = importlib.import_module("google.genai")
        self._library = _http_library(self._sdk)
        self._credentials = None
        super().__init__(api_key, base_url)
        if base_url:  # a password in the URL must not be logged
            base_url, self._credentials = split_credentials(base_url)
        self._base_url = base_url
        self._clients = Clients(
            lambda: self._client(native=False),
            lambda: self._client(native=True),
            close=lambda client: client.http.close(),
            aclose=lambda client: client.http.aclose(),
        )

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the body of `generateContent`."""
        traits = models.lookup("google", route.model)
        return encode.encode(request, route.model, traits, stream=stream, account=self.account)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete response."""
        calls = _calls((await self._clients.native() if io.native else self._clients.blocking()).sdk)
        ask = calls.async_request if io.native else calls.request

        def post() -> Any:  # takes no arguments, as a traceback may show local variables
            return ask("post", _path(encoded), encoded.body, *_options(encoded))

        with reading("google.genai"):
            reply = await io.wait(limit, post)
        return Reply(reply.body or "", reply.headers or {})

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Open a stream of events, each a dict. The request is sent on the first `next`."""
        calls = _calls((await self._clients.native() if io.native else self._clients.blocking()).sdk)
        return _native(calls, encoded, limit) if io.native else _blocking(calls, encoded)

    def _client(self, *, native: bool) -> _Client:
        """Create an SDK client on an HTTP client of ours, which enforces the deadline.

        Without an async HTTP client the SDK would use aiohttp if it is installed, with other errors, limits and
        retries. The SDK creates every HTTP client that it is not given, so it gets both kinds, one of them unused. It
        also gets an SSL context for the clients it does not create; otherwise it spends 20 ms on each of three.
        """
        library = self._library
        unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        http_client = http.client(
            _timed(library.AsyncClient if native else library.Client),
            timeout=library.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=library.Limits(max_connections=1000, max_keepalive_connections=1000),  # as in `stainless`
            follow_redirects=True,
            auth=self._credentials,
        )
        http_client.event_hooks["response"].append((_recorder_async if native else _recorder)(library))
        other = (library.Client if native else library.AsyncClient)(verify=unused)
        options = {
            "api_version": API_VERSION,
            "base_url": self._base_url,
            "httpx_client": other if native else http_client,
            "httpx_async_client": http_client if native else other,
            "client_args": {"verify": unused},
            "async_client_args": {"verify": unused, "ssl": unused},
        }
        # Explicit, as GOOGLE_GENAI_USE_VERTEXAI would otherwise turn this into a Vertex client.
        return _Client(self._sdk.Client(api_key=self.api_key, vertexai=False, http_options=options), http_client)


@dataclass(frozen=True, slots=True)
class _Client:
    """A client of the SDK, and its HTTP client, which the SDK does not close."""

    sdk: Any
    http: Any


def _http_library(sdk: ModuleType) -> ModuleType:
    """Return the HTTP library that this SDK version prefers, or the installed alternative."""
    newer = int(sdk.__version__.partition(".")[0]) >= 3
    try:
        return importlib.import_module("httpx2" if newer else "httpx")
    except ModuleNotFoundError:
        return importlib.import_module("httpx" if newer else "httpx2")


def _timed(base: Any) -> type:
    """Return an HTTP client class that ignores per-request timeouts: the SDK sets one on each request, usually none."""

    class Timed(base):
        def build_request(self, *args: Any, timeout: Any = None, **rest: Any) -> Any:
            request: Any = base.build_request(self, *args, **rest)
            return request

    return Timed


def _calls(client: Any) -> Any:
    """Return the four low-level calls of `client`, the only private API that is used.

    The SDK has no public call that returns raw JSON, and its typed calls drop unknown parts. These four have had the
    same signature from 1.52 to 3.4, which the tests check. If they are missing, the typed calls are used instead.
    """
    api = getattr(client, "_api_client", None)
    names = ("request", "request_streamed", "async_request", "async_request_streamed")
    return api if all(callable(getattr(api, name, None)) for name in names) else _Typed(client)


def _path(encoded: Encoded) -> str:
    """Return the path with the query appended, as the SDK has no separate parameter for it."""
    if not encoded.query:
        return encoded.path
    return f"{encoded.path}{'&' if '?' in encoded.path else '?'}{urlencode(encoded.query)}"


def _options(encoded: Encoded) -> tuple[dict[str, Any], ...]:
    """Return the SDK's `http_options` of one request, if any."""
    return ({"headers": dict(encoded.headers)},) if encoded.headers else ()


def _blocking(calls: Any, encoded: Encoded) -> Generator[Any, None, None]:
    replies: list[Any] = []
    with reading("google.genai"):
        chunks = calls.request_streamed("post", _path(encoded), encoded.body, *_options(encoded))
        try:
            token = _replies.set(replies)
            try:
                chunk = next(chunks, None)
            finally:
                _replies.reset(token)
            while chunk is not None:
                yield decode_json(chunk.body)
                chunk = next(chunks, None)
        finally:
            for reply in replies:
                reply.close()  # drops the connection if the response is incomplete; the oldest SDKs do not
            chunks.close()


async def _native(calls: Any, encoded: Encoded, limit: Deadline) -> AsyncGenerator[Any, None]:
    replies: list[Any] = []
    with reading("google.genai"):
        chunks = None
        try:
            token = _replies.set(replies)
            limit_token = current.set(limit)
            try:
                chunks = await calls.async_request_streamed("post", _path(encoded), encoded.body, *_options(encoded))
                chunk = await anext(chunks, None)
            finally:
                _replies.reset(token)
                current.reset(limit_token)
            while chunk is not None:
                yield decode_json(chunk.body)
                chunk = await anext(chunks, None)
        finally:
            for reply in replies:
                await reply.aclose()
            # The SDK's generators are nested and form a reference cycle. Closing the outer one would leave the others
            # to the garbage collector, which closes them late and in any order; on a closed connection they end one
            # after the other.
            with contextlib.suppress(Exception):
                while chunks is not None and await anext(chunks, None) is not None:
                    pass


_replies: ContextVar[list[Any] | None] = ContextVar("multiroute_google_replies", default=None)


def _recorder(library: ModuleType) -> Callable[[Any], None]:
    def record(reply: Any) -> None:
        """Record an HTTP response for its stream: the SDK hides it and does not close it in time."""
        sse_normalizer.normalize(library, reply)
        if (replies := _replies.get()) is not None:
            replies.append(reply)

    return record


def _recorder_async(library: ModuleType) -> Callable[[Any], Awaitable[None]]:
    record = _recorder(library)

    async def record_async(reply: Any) -> None:
        record(reply)

    return record_async


_Options: TypeAlias = Mapping[str, Any] | None


class _Typed:
    """The same four calls on the typed API, with responses serialized back to JSON."""

    def __init__(self, client: Any) -> None:
        self._models = client.models
        self._native_models = client.aio.models

    def request(self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None) -> Any:
        return _as_reply(self._models.generate_content(**_typed(path, body, options)))

    def request_streamed(
        self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None
    ) -> Generator[Any, None, None]:
        for chunk in self._models.generate_content_stream(**_typed(path, body, options)):
            yield _as_reply(chunk)

    async def async_request(self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None) -> Any:
        return _as_reply(await self._native_models.generate_content(**_typed(path, body, options)))

    async def async_request_streamed(
        self, _method: str, path: str, body: Mapping[str, Any], options: _Options = None
    ) -> Any:
        chunks = await self._native_models.generate_content_stream(**_typed(path, body, options))

        async def replies() -> AsyncGenerator[Any, None]:
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield _as_reply(chunk)

        return replies()


def _typed(path: str, body: Mapping[str, Any], options: _Options) -> dict[str, Any]:
    """Return arguments for `generate_content` that make the SDK send `body`, exactly once.

    The body overrides the one that the SDK builds, which is empty except for a mandatory turn. So the SDK's types,
    which drop or reject what they do not know, never parse it.
    """
    config_class: Any = importlib.import_module("google.genai.types").GenerateContentConfig
    config: dict[str, Any] = {
        "httpOptions": {**(options or {}), "extraBody": body},
        "automaticFunctionCalling": {"disable": True},
    }
    if "automatic_continuation" in config_class.model_fields:  # since 3.0 the SDK continues by itself
        config["automaticContinuation"] = False
    path, _, query = path.partition("?")
    if query not in ("", "alt=sse"):
        raise ConfigurationError("This version of google-genai does not support extra_query; leave it out.")
    model, _, _ = path.rpartition(":")
    return {"model": model, "contents": "-", "config": config_class.model_validate(config)}


def _as_reply(response: Any) -> Any:
    http_response = response.sdk_http_response
    text = response.model_dump_json(by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    return SimpleNamespace(body=text, headers=http_response and http_response.headers)
