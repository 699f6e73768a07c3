"""Gemini provider on `google-generativeai`, the predecessor of `google-genai`; its support ended in November 2025.

The SDK sends REST through `requests`, which blocks: no async API, no total timeout for a response body, no
cancellation. So each call and each step of a stream runs in its own thread, and an abandoned call shuts down its
socket.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import warnings
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import msgspec

from multiroute_core.providers import models
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import json_array, older
from multiroute_core.providers.google.base import GeminiProvider
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.providers.response_guard import ResponseTooLargeError, check_length, check_redirect
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT, Deadline, current
from multiroute_core.runtime.io import END, IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.types import Request


class LegacyProvider(GeminiProvider):
    """Gemini, or a server with a compatible API at `base_url` (without `/v1beta`), through the older SDK.

    The SDK supports neither a seed nor thinking: it returns thoughts as plain text, loses their signatures, and counts
    them only in the total.

    Args:
        api_key: The API key.
        base_url: None for Google's endpoint.
    """

    def __init__(self, api_key: str, base_url: str | None) -> None:
        _import("google.generativeai")
        self._api = _import("google.ai.generativelanguage")  # the lower layer, which has no global state
        self._json = _import("google.protobuf.json_format")
        self._timeout = _import("google.api_core.timeout").ConstantTimeout
        super().__init__(api_key, base_url)
        self._options = _import("google.api_core.client_options").ClientOptions(api_key=api_key, api_endpoint=base_url)
        self._clients = Clients(self._client, self._client, close=_close, aclose=_close)

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the body of `generateContent`."""
        return older.encode(request, route.model, models.lookup("google", route.model), stream=stream)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete response."""
        line = _Line(limit)
        try:
            return await io.thread(limit, self._generate, line, encoded)
        except BaseException:
            line.hang_up()
            raise

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Open a stream of events, each a dict. The request is sent on the first `next`."""
        line = _Line(limit, stream=True)
        return _Source(io, line, self._events(line, encoded))

    async def get(self, io: IO, limit: Deadline, path: str) -> Reply:
        """Request a model, or the list of models, with the credentials of the calls."""
        line = _Line(limit)
        try:
            return await io.thread(limit, self._get, line, path)
        except BaseException:
            line.hang_up()
            raise

    def _get(self, line: _Line, path: str) -> Reply:
        client: Any = self._api.ModelServiceClient(transport="rest", client_options=self._options)
        timeout = self._timeout((CONNECT_TIMEOUT, line.seconds))
        try:
            with reading("google", lambda: line.status):
                if (name := path.lstrip("/")).startswith("models/"):
                    return Reply(msgspec.json.encode(self._model(client.get_model(name=name, timeout=timeout))), {})
                pages = client.list_models(self._api.ListModelsRequest(page_size=1000), timeout=timeout)
                return Reply(msgspec.json.encode({"models": [self._model(model) for model in pages]}), {})
        finally:
            client.transport.close()

    def _model(self, model: Any) -> dict[str, Any]:
        return self._json.MessageToDict(self._api.Model.pb(model))

    def _generate(self, line: _Line, encoded: Encoded) -> Reply:
        message = self._ask("generate_content", line, encoded)
        return Reply(msgspec.json.encode(self._to_reply(message)), line.headers)

    def _events(self, line: _Line, encoded: Encoded) -> Generator[Any, None, None]:
        with reading("google", lambda: line.status):
            for message in self._ask("stream_generate_content", line, encoded):
                yield self._to_reply(message)

    def _to_reply(self, message: Any) -> dict[str, Any]:
        return older.reply(self._json.MessageToDict(self._api.GenerateContentResponse.pb(message)))

    def _ask(self, method: str, line: _Line, encoded: Encoded) -> Any:
        _line.set(line)  # the thread has its own context
        request = self._api.GenerateContentRequest(model=encoded.path.rpartition(":")[0])
        bare = self._api.GenerateContentRequest.pb(request)
        self._json.ParseDict(encoded.body, bare, ignore_unknown_fields=True)
        timeout = self._timeout((CONNECT_TIMEOUT, line.seconds))
        with reading("google", lambda: line.status):
            ask = getattr(self._clients.blocking(), method)
            return ask(request, retry=None, timeout=timeout, metadata=tuple(encoded.headers.items()))  # HTTP headers

    def _client(self) -> Any:
        """Create a client for this key alone, unlike the SDK's `configure`, with connections that can be shut down.

        This uses the private session of the REST transport. If it is missing, the client still works, but an abandoned
        call runs until the server ends it.
        """
        client = self._api.GenerativeServiceClient(transport="rest", client_options=self._options)
        session: Any = getattr(client.transport, "_session", None)
        if session is not None:
            session.mount("https://", _adapter_class()())
            session.mount("http://", _adapter_class()())
            session._max_refresh_attempts = 0  # noqa: SLF001  (it would send a 401 twice more, to refresh a key)
        return client


class _Line:
    """The connection of one call, which can be shut down from outside the thread that reads it."""

    def __init__(self, limit: Deadline, *, stream: bool = False) -> None:
        self._limit = limit
        self._stream = stream
        self._reply: Any = None
        self.dropped = False

    @property
    def seconds(self) -> float | None:
        """Socket timeout in seconds; None for no limit."""
        left = self._limit.remaining()
        return max(left, 0.001) if math.isfinite(left) else None

    @property
    def max_bytes(self) -> int | None:
        """Maximum size of the response body."""
        return self._limit.max_bytes

    @property
    def status(self) -> int | None:
        """HTTP status of the response, once received."""
        return getattr(self._reply, "status", None)

    @property
    def headers(self) -> Any:
        """Headers of the response, once received."""
        return getattr(self._reply, "headers", {})

    def take(self, reply: Any) -> None:
        """Register the response once its headers have arrived. Called by the thread that will read the body."""
        self._reply = reply
        self._limit.replied = True
        if self.dropped:
            reply.close()
            raise ConnectionError("the caller has stopped waiting for the answer")
        socket = getattr(getattr(reply, "connection", None), "sock", None)
        if self._stream and socket is not None:
            socket.settimeout(None)  # the deadline moves with each chunk, so the waiting side enforces it

    def hang_up(self) -> None:
        """Wake the reading thread, which then closes the connection. Closing it from another thread may block."""
        self.dropped = True
        with contextlib.suppress(Exception):  # the response is complete or not there yet, or urllib3 is older than 2.3
            self._reply.shutdown()

    def close(self) -> None:
        """Close the connection, which no thread is reading; a complete response has already released it."""
        self.dropped = True
        if self._reply is not None:
            self._reply.close()


_line: ContextVar[_Line | None] = ContextVar("multiroute_line", default=None)


class _Source:
    """A stream of events for sync and async code; each step runs in a thread."""

    def __init__(self, io: IO, line: _Line, events: Iterator[Any]) -> None:
        self._io = io
        self._line = line
        self._events = events
        self._busy = False

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> Any:
        event = run(self._step(current.get() or Deadline()))
        if event is END:
            raise StopIteration
        return event

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> Any:
        event = await self._step(Deadline())  # no limit: the event loop cancels the step
        if event is END:
            raise StopAsyncIteration
        return event

    async def _step(self, limit: Deadline) -> Any:
        self._busy = True
        return await self._io.thread(limit, self._read)

    def _read(self) -> Any:
        try:
            return next(self._events, END)
        finally:
            self._busy = False
            if self._line.dropped:
                self._line.close()

    def close(self) -> None:
        if self._busy:
            self._line.hang_up()
        if not self._busy:  # checked again, as the step may have just ended
            self._line.close()

    async def aclose(self) -> None:
        self.close()


@functools.cache
def _adapter_class() -> Callable[[], Any]:
    base: Any = _import("requests.adapters").HTTPAdapter

    class Adapter(base):
        """Registers each response with its `_Line` before the body is read."""

        def build_response(self, req: Any, resp: Any) -> Any:
            line = _line.get()
            if line is not None:
                line.take(resp)
                try:
                    check_redirect(resp.status, req.url, resp.headers.get("location"))
                except BaseException:
                    resp.close()
                    raise
            built: Any = base.build_response(self, req, resp)
            if line is not None:
                _limit_size(built, line.max_bytes)
                if built.status_code == 200:
                    _make_readable(built)
            return built

    return Adapter


def _limit_size(response: Any, max_bytes: int | None) -> None:
    """Enforce the size limit while reading; urllib3 decompresses in steps of the requested size, 10 KiB at most."""
    check_length(response.headers.get("content-length"), max_bytes)
    if max_bytes is None:
        return
    read = response.iter_content
    left = max_bytes

    def iter_content(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  (its own signature)
        nonlocal left
        for piece in read(chunk_size, decode_unicode):
            left -= len(piece)
            if left < 0:
                response.close()  # `requests` would leave the connection to the garbage collector
                raise ResponseTooLargeError(max_bytes)
            yield piece

    response.iter_content = iter_content


def _make_readable(response: Any) -> None:
    """Normalize gateway responses for the SDK, which reads a stream as text and everything else as bytes."""
    read = response.iter_content

    def iter_content(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  (its own signature)
        if decode_unicode:
            response.encoding = "utf-8"
        pieces = iter(read(chunk_size, decode_unicode))
        return json_array.to_array(pieces) if decode_unicode else json_array.without_bom(pieces)

    response.iter_content = iter_content


def _import(name: str) -> Any:
    with warnings.catch_warnings():  # known to the route's author; other warnings are shown
        warnings.filterwarnings("ignore", r"\s*All support for the `google.generativeai` package", FutureWarning)
        warnings.filterwarnings("ignore", "You are using a Python version", FutureWarning)
        return importlib.import_module(name)


def _close(client: Any) -> None:
    client.transport.close()
