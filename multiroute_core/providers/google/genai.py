"""Gemini provider on `google-genai`, via its low-level API: exact JSON, at a tenth of the typed call's cost.

Most calls send a copy of a request that the SDK has built before (`prepared_requests`), and read its stream themselves
(`stream_events`).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from multiroute_core._util.json_text import decode_json
from multiroute_core._util.redaction import split_credentials
from multiroute_core.errors import NotFoundError
from multiroute_core.providers import http, models
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import encode, sse_normalizer
from multiroute_core.providers.google.base import GeminiProvider
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.google.stream_events import read_events
from multiroute_core.providers.google.typed_calls import TypedCalls
from multiroute_core.providers.prepared_requests import SdkClient, SdkTraits, is_untouched, template_key
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.providers.token_counts import to_google_count
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

    def encode_count(self, request: Request, route: Route) -> Encoded:
        """Encode the body of `countTokens`."""
        return to_google_count(self.encode(request, route, stream=False))

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete response."""
        client: SdkClient = await self._clients.native() if io.native else self._clients.blocking()
        key = template_key(encoded, stream=False)
        if (request := client.prepare(key, encoded)) is not None:
            with reading("google.genai"):
                response = await io.wait(limit, client.asend if io.native else client.send, request, stream=False)
            return Reply(_text_of(self._library, response), response.headers)
        calls = _calls(client.sdk)
        replies: list[Any] = []

        def post() -> Any:  # takes no arguments, as a traceback may show local variables
            with _recording(replies):
                return calls.request("post", _path(encoded), encoded.body, *_options(encoded))

        async def post_natively() -> Any:
            with _recording(replies):
                return await calls.async_request("post", _path(encoded), encoded.body, *_options(encoded))

        with reading("google.genai"):
            reply = await io.wait(limit, post_natively if io.native else post)
        _learn(client, key, replies)
        return Reply(reply.body or "", reply.headers or {})

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Open a stream of events, each a dict. Through the SDK, the request is sent on the first `next`."""
        client: SdkClient = await self._clients.native() if io.native else self._clients.blocking()
        if (request := client.prepare(template_key(encoded, stream=True), encoded)) is None:
            return _native(client, encoded, limit) if io.native else _blocking(client, encoded)
        with reading("google.genai"):
            response = await io.wait(limit, client.asend if io.native else client.send, request, stream=True)
        return read_events(self._sdk, response, native=io.native)

    async def get(self, io: IO, limit: Deadline, path: str) -> Reply:
        """Request a resource, such as the list of models, with the credentials of the calls."""
        client: SdkClient = await self._clients.native() if io.native else self._clients.blocking()
        calls = _calls(client.sdk)
        if isinstance(calls, TypedCalls):
            raise NotFoundError("This version of google-genai has no call that returns raw JSON.")
        request = calls.async_request if io.native else calls.request
        with reading("google.genai"):
            reply = await io.wait(limit, lambda: request("get", path.lstrip("/"), {}))
        return Reply(reply.body or "", reply.headers or {})

    def _client(self, *, native: bool) -> SdkClient:
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
            limits=library.Limits(max_connections=None, max_keepalive_connections=1000),  # as in `stainless`
            follow_redirects=True,
            auth=self._credentials,
        )
        recorder = (_recorder_async if native else _recorder)(library)
        http_client.event_hooks["response"].append(recorder)
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
        client = self._sdk.Client(api_key=self.api_key, vertexai=False, http_options=options)
        prepares = self._credentials is None and _is_preparable(client)
        errors: Any = importlib.import_module("google.genai.errors").APIError
        traits = SdkTraits(_encode, range(200, 201), _keep_transport_error, errors.raise_for_response)
        return SdkClient(traits, library, client, http_client, prepares=prepares, hooks=[recorder])


def _is_preparable(client: Any) -> bool:
    """Whether the low-level calls of the SDK's client send plain requests; its replay mode, for one, does not."""
    api = _calls(client)
    return type(api).__module__ == "google.genai._api_client" and is_untouched(
        api, _SENDING_METHODS, package="google", loggers=("google_genai._api_client", "google.genai")
    )


_LOW_LEVEL_CALLS = "request", "request_streamed", "async_request", "async_request_streamed"
_SENDING_METHODS = (
    *(*_LOW_LEVEL_CALLS, "_build_request"),
    *("_request", "_request_once", "_async_request", "_async_request_once"),
)
"""The methods that a request goes through; later versions may lack some, and then send all requests themselves."""

_encode_members = json.JSONEncoder().encode


def _encode(body: Mapping[str, Any]) -> str:
    """Encode a body as the SDK does, which leaves out members that begin with an underscore."""
    return _encode_members({name: value for name, value in body.items() if not name.startswith("_")})


def _keep_transport_error(error: Exception, _request: Any) -> Exception:
    return error


def _text_of(library: ModuleType, response: Any) -> str:
    """Return the body of a complete response, decoded as the SDK does it."""
    content_type = response.headers.get("content-type", "").lower()
    if "charset" in content_type and "utf-8" not in content_type:
        headers = {"Content-Type": content_type}
        response = library.Response(200, headers=headers, content=response.content)
        return response.text
    return response.content.decode("utf-8", "replace")


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
    return api if all(callable(getattr(api, name, None)) for name in _LOW_LEVEL_CALLS) else TypedCalls(client)


def _learn(client: SdkClient, key: Any, replies: list[Any]) -> None:
    """Prepare later requests from the SDK's own; a redirect leaves more than one reply."""
    if len(replies) == 1:
        client.learn(key, replies[0])


def _path(encoded: Encoded) -> str:
    """Return the path with the query appended, as the SDK has no separate parameter for it."""
    if not encoded.query:
        return encoded.path
    return f"{encoded.path}{'&' if '?' in encoded.path else '?'}{urlencode(encoded.query)}"


def _options(encoded: Encoded) -> tuple[dict[str, Any], ...]:
    """Return the SDK's `http_options` of one request, if any."""
    return ({"headers": dict(encoded.headers)},) if encoded.headers else ()


def _blocking(client: SdkClient, encoded: Encoded) -> Generator[Any, None, None]:
    calls = _calls(client.sdk)
    replies: list[Any] = []
    with reading("google.genai"):
        chunks = calls.request_streamed("post", _path(encoded), encoded.body, *_options(encoded))
        try:
            with _recording(replies):
                chunk = next(chunks, None)
            _learn(client, template_key(encoded, stream=True), replies)
            while chunk is not None:
                yield decode_json(chunk.body)
                chunk = next(chunks, None)
        finally:
            for reply in replies:
                reply.close()  # drops the connection if the response is incomplete; the oldest SDKs do not
            chunks.close()


async def _native(client: SdkClient, encoded: Encoded, limit: Deadline) -> AsyncGenerator[Any, None]:
    open_stream = _calls(client.sdk).async_request_streamed
    replies: list[Any] = []
    with reading("google.genai"):
        chunks = None
        try:
            limit_token = current.set(limit)
            try:
                with _recording(replies):
                    chunks = await open_stream("post", _path(encoded), encoded.body, *_options(encoded))
                    chunk = await anext(chunks, None)
            finally:
                current.reset(limit_token)
            _learn(client, template_key(encoded, stream=True), replies)
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


@contextlib.contextmanager
def _recording(replies: list[Any]) -> Generator[None, None, None]:
    """Context manager that collects the HTTP responses of the SDK's calls inside it."""
    token = _replies.set(replies)
    try:
        yield
    finally:
        _replies.reset(token)


def _recorder(library: ModuleType) -> Callable[[Any], None]:
    def record(reply: Any) -> None:
        """Record an HTTP response of the SDK, which hides it, and does not close that of a stream in time.

        The responses to prepared requests are not recorded: nothing but the SDK needs a normalized stream.
        """
        if (replies := _replies.get()) is not None:
            sse_normalizer.normalize(library, reply)
            replies.append(reply)

    return record


def _recorder_async(library: ModuleType) -> Callable[[Any], Awaitable[None]]:
    record = _recorder(library)

    async def record_async(reply: Any) -> None:
        record(reply)

    return record_async
