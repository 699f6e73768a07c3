"""Gemini through `google-genai`, by its low-level door: exact JSON in and out, at a tenth of the typed call's cost."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias
from urllib.parse import urlencode

from multiroute_core._util.json_text import decode_json
from multiroute_core._util.redaction import conceal, split_credentials
from multiroute_core.errors import ConfigurationError, RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import body, classify, history, http, models
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import decode, encode, sse_normalizer
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT, Deadline, current
from multiroute_core.runtime.io import IO
from multiroute_core.types import Delta, Request

API_VERSION = "v1beta"
"""Said on every client: SDKs from 3.0 on take `v1`, which knows neither every model nor every field."""


class GenaiProvider:
    """Gemini, or a server that speaks its wire at `base_url` (without `/v1beta`).

    Args:
        api_key: The key.
        base_url: None is Google's own, or `GOOGLE_GEMINI_BASE_URL`.
    """

    def __init__(self, api_key: str, base_url: str | None) -> None:
        self._sdk = importlib.import_module("google.genai")
        self._library = _http_library(self._sdk)
        self.api_key = api_key
        self._credentials = None
        base_url = base_url or conceal(os.environ.get("GOOGLE_GEMINI_BASE_URL") or None)
        self.account = history.account_of(base_url or "https://generativelanguage.googleapis.com", api_key)
        if base_url:  # a password in it goes into no log
            base_url, self._credentials = split_credentials(base_url)
        self._base_url = base_url
        self._clients = Clients(
            lambda: self._client(native=False),
            lambda: self._client(native=True),
            close=lambda client: client.http.close(),
            aclose=lambda client: client.http.aclose(),
        )

    def api(self, route: Route) -> Api:
        """The API that the route speaks."""
        return "google"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """The body of `generateContent`."""
        traits = models.lookup("google", route.model)
        return encode.encode(request, route.model, traits, stream=stream, account=self.account)

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """A whole answer."""
        return decode.decode(body.of(reply), encoded)

    def decoder(self, encoded: Encoded) -> Decoder:
        """A decoder for one stream."""
        return decode.GeminiDecoder(encoded)

    def classify(self, error: Exception) -> RouteError:
        """The error's class."""
        return classify.classify(error)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Ask for a whole answer."""
        calls = _calls((await self._clients.native() if io.native else self._clients.blocking()).sdk)
        ask = calls.async_request if io.native else calls.request

        def post() -> Any:  # a function without arguments: a traceback may show local variables
            return ask("post", _path(encoded), encoded.body, *_options(encoded))

        with reading("google.genai"):
            reply = await io.wait(limit, post)
        return Reply(reply.body or "", reply.headers or {})

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Ask for a stream of events, each a dict. It is sent with the first `next`."""
        calls = _calls((await self._clients.native() if io.native else self._clients.blocking()).sdk)
        return _native(calls, encoded, limit) if io.native else _blocking(calls, encoded)

    def close(self) -> None:
        """Close the sync client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, and the sync one."""
        await self._clients.aclose()
        self._clients.close()

    def _client(self, *, native: bool) -> _Client:
        """A client of the SDK, on an HTTP client of ours that obeys the time limit.

        Without one for async calls the SDK would take aiohttp where that is installed, whose errors, limits and retries
        are others. It makes whatever HTTP client it is not given, so it is given both kinds, of which one is not used;
        and an SSL context for those that it does not make, or it would spend 20 ms on each of three.
        """
        library = self._library
        unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        http_client = http.client(
            _timed(library.AsyncClient if native else library.Client),
            timeout=library.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=library.Limits(max_connections=1000, max_keepalive_connections=100),  # as the other vendors' SDKs do
            follow_redirects=True,
            auth=self._credentials,
        )
        normalize = functools.partial(sse_normalizer.normalize, library)
        http_client.event_hooks["response"].append(_noting(library) if native else normalize)
        other = (library.Client if native else library.AsyncClient)(verify=unused)
        options = {
            "api_version": API_VERSION,
            "base_url": self._base_url,
            "httpx_client": other if native else http_client,
            "httpx_async_client": http_client if native else other,
            "client_args": {"verify": unused},
            "async_client_args": {"verify": unused, "ssl": unused},
        }
        # vertexai is said, or GOOGLE_GENAI_USE_VERTEXAI would turn this into a client of Vertex.
        return _Client(self._sdk.Client(api_key=self.api_key, vertexai=False, http_options=options), http_client)


@dataclass(frozen=True, slots=True)
class _Client:
    """A client of the SDK, and the HTTP client that it was given and does not close."""

    sdk: Any
    http: Any


def _http_library(sdk: ModuleType) -> ModuleType:
    """The HTTP library that this version of the SDK prefers, of those that are installed."""
    newer = int(sdk.__version__.partition(".")[0]) >= 3
    try:
        return importlib.import_module("httpx2" if newer else "httpx")
    except ModuleNotFoundError:
        return importlib.import_module("httpx" if newer else "httpx2")


def _timed(base: Any) -> type:
    """An HTTP client that keeps its own timeouts: the SDK gives every request a timeout, and as a rule none at all."""

    class Timed(base):
        def build_request(self, *args: Any, timeout: Any = None, **rest: Any) -> Any:
            request: Any = base.build_request(self, *args, **rest)
            return request

    return Timed


def _calls(client: Any) -> Any:
    """The four calls of `client`'s low-level API: our one private door.

    The SDK has no public call that gives JSON as it is, and its typed one drops parts that it does not know. These
    four have had the same signature from 1.52 to 3.4, and the tests hold that. Where they are missing, the typed call
    takes their place.
    """
    api = getattr(client, "_api_client", None)
    names = ("request", "request_streamed", "async_request", "async_request_streamed")
    return api if all(callable(getattr(api, name, None)) for name in names) else _Typed(client)


def _path(encoded: Encoded) -> str:
    """The path with the query, for which the SDK has no other place."""
    if not encoded.query:
        return encoded.path
    return f"{encoded.path}{'&' if '?' in encoded.path else '?'}{urlencode(encoded.query)}"


def _options(encoded: Encoded) -> tuple[dict[str, Any], ...]:
    """The SDK's `http_options` of one request, where there are some."""
    return ({"headers": dict(encoded.headers)},) if encoded.headers else ()


def _blocking(calls: Any, encoded: Encoded) -> Generator[Any, None, None]:
    with reading("google.genai"):
        chunks = calls.request_streamed("post", _path(encoded), encoded.body, *_options(encoded))
        try:
            for chunk in chunks:
                yield decode_json(chunk.body)
        finally:
            chunks.close()  # where the answer is not whole, this drops the connection


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
            # The SDK's generators stand nested in a circle of references. Closing the outer one would leave the others
            # to the garbage collector, which closes them late and in any order; on a dead connection they end by turns.
            with contextlib.suppress(Exception):
                while chunks is not None and await anext(chunks, None) is not None:
                    pass


_replies: ContextVar[list[Any] | None] = ContextVar("multiroute_google_replies", default=None)


def _noting(library: ModuleType) -> Callable[[Any], Awaitable[None]]:
    async def note(reply: Any) -> None:
        """Note an HTTP reply for the stream that asked for it: the SDK hides it, and does not close it in time."""
        sse_normalizer.normalize(library, reply)
        if (replies := _replies.get()) is not None:
            replies.append(reply)

    return note


_Options: TypeAlias = Mapping[str, Any] | None


class _Typed:
    """The same four calls by the typed API, whose answers are made JSON again."""

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
    """The arguments of `generate_content` that make the SDK send `body`, once.

    The body stands over the one that the SDK makes, which is empty but for a turn that it must have. So nothing is read
    by the SDK's types, that would drop what they do not know and refuse what they do not like.
    """
    config_class: Any = importlib.import_module("google.genai.types").GenerateContentConfig
    config: dict[str, Any] = {
        "httpOptions": {**(options or {}), "extraBody": body},
        "automaticFunctionCalling": {"disable": True},
    }
    if "automatic_continuation" in config_class.model_fields:  # from 3.0 on it would ask again by itself
        config["automaticContinuation"] = False
    path, _, query = path.partition("?")
    if query not in ("", "alt=sse"):
        raise ConfigurationError("This version of google-genai takes no extra_query; leave it out.")
    model, _, _ = path.rpartition(":")
    return {"model": model, "contents": "-", "config": config_class.model_validate(config)}


def _as_reply(response: Any) -> Any:
    http_response = response.sdk_http_response
    text = response.model_dump_json(by_alias=True, exclude_none=True, exclude={"sdk_http_response", "parsed"})
    return SimpleNamespace(body=text, headers=http_response and http_response.headers)
