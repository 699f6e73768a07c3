"""Gemini through `google-generativeai`, the SDK before `google-genai`; its support ended in November 2025.

It speaks REST through `requests`: blocking, with no async world, no limit to the time of a whole body and no way to let
go of a call. So every call and every step of a stream runs in a thread of its own, and who stops waiting hangs up.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import msgspec

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import body, classify, history, models
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import decode, json_array, older
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.providers.response_guard import ResponseTooLargeError, check_length, check_redirect
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import CONNECT_TIMEOUT, Deadline, current
from multiroute_core.runtime.io import END, IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.types import Delta, Request


class LegacyProvider:
    """Gemini, or a server that speaks its wire at `base_url` (without `/v1beta`), through the older SDK.

    It knows no seed and no thinking: it gives thoughts as plain text, loses their signatures, and counts them only in
    the total.

    Args:
        api_key: The key.
        base_url: None is Google's own, or `GOOGLE_GEMINI_BASE_URL`.
    """

    def __init__(self, api_key: str, base_url: str | None) -> None:
        _import("google.generativeai")
        self._api = _import("google.ai.generativelanguage")  # its lower half, which has no global state
        self._json = _import("google.protobuf.json_format")
        self._timeout = _import("google.api_core.timeout").ConstantTimeout
        address = base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL")
        self.api_key = api_key
        self.account = history.account_of(address or "https://generativelanguage.googleapis.com", api_key)
        self._options = _import("google.api_core.client_options").ClientOptions(api_key=api_key, api_endpoint=address)
        self._clients = Clients(self._client, self._client, close=_close, aclose=_close)

    def api(self, route: Route) -> Api:
        """The API that the route speaks."""
        return "google"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """The body of `generateContent`."""
        return older.encode(request, route.model, models.lookup("google", route.model), stream=stream)

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
        line = _Line(limit)
        try:
            return await io.thread(limit, self._generate, line, encoded)
        except BaseException:
            line.hang_up()
            raise

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Ask for a stream of events, each a dict. It is sent with the first `next`."""
        line = _Line(limit, stream=True)
        return _Source(io, line, self._events(line, encoded))

    def close(self) -> None:
        """Close the client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the client."""
        self._clients.close()

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
        _line.set(line)  # the thread has a context of its own
        request = self._api.GenerateContentRequest(model=encoded.path.rpartition(":")[0])
        bare = self._api.GenerateContentRequest.pb(request)
        self._json.ParseDict(encoded.body, bare, ignore_unknown_fields=True)
        timeout = self._timeout((CONNECT_TIMEOUT, line.seconds))
        with reading("google", lambda: line.status):
            ask = getattr(self._clients.blocking(), method)
            return ask(request, retry=None, timeout=timeout, metadata=tuple(encoded.headers.items()))  # REST's headers

    def _client(self) -> Any:
        """A client for this key alone, unlike that of the SDK's `configure`, on which one can hang up.

        For that it reaches for the private session under the REST transport. Where there is none, the client still
        works, and what is not waited for any more ends with the server.
        """
        client = self._api.GenerativeServiceClient(transport="rest", client_options=self._options)
        session: Any = getattr(client.transport, "_session", None)
        if session is not None:
            session.mount("https://", _adapter_class()())
            session.mount("http://", _adapter_class()())
            session._max_refresh_attempts = 0  # noqa: SLF001  (it would send a 401 twice more, to refresh a key)
        return client


class _Line:
    """The connection of one call, for hanging up from outside the thread that reads it."""

    def __init__(self, limit: Deadline, *, stream: bool = False) -> None:
        self._limit = limit
        self._stream = stream
        self._reply: Any = None
        self.dropped = False

    @property
    def seconds(self) -> float | None:
        """How long the socket may be silent."""
        left = self._limit.remaining()
        return max(left, 0.001) if math.isfinite(left) else None

    @property
    def max_bytes(self) -> int | None:
        """The size that the reply's body may have."""
        return self._limit.max_bytes

    @property
    def status(self) -> int | None:
        """The reply's HTTP status, when it has come."""
        return getattr(self._reply, "status", None)

    @property
    def headers(self) -> Any:
        """The reply's headers, when they have come."""
        return getattr(self._reply, "headers", {})

    def take(self, reply: Any) -> None:
        """The reply's head has come. Called by the thread that will read the body."""
        self._reply = reply
        self._limit.replied = True
        if self.dropped:
            reply.close()
            raise ConnectionError("nobody waits for the answer any more")
        socket = getattr(getattr(reply, "connection", None), "sock", None)
        if self._stream and socket is not None:
            socket.settimeout(None)  # the limit moves with every chunk, so who waits keeps it

    def hang_up(self) -> None:
        """Wake the thread that reads, which then closes the connection. To close it under that thread may block."""
        self.dropped = True
        with contextlib.suppress(Exception):  # the reply is whole, or not there yet; or urllib3 is older than 2.3
            self._reply.shutdown()

    def close(self) -> None:
        """Close the connection, which no thread reads now; a whole reply has given it back before."""
        self.dropped = True
        if self._reply is not None:
            self._reply.close()


_line: ContextVar[_Line | None] = ContextVar("multiroute_line", default=None)


class _Source:
    """A stream of events for both worlds; each step is a thread's."""

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
        event = await self._step(Deadline())  # without a limit: the event loop cuts in
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
        if not self._busy:  # asked again: the step may have ended just now
            self._line.close()

    async def aclose(self) -> None:
        self.close()


@functools.cache
def _adapter_class() -> Callable[[], Any]:
    base: Any = _import("requests.adapters").HTTPAdapter

    class Adapter(base):
        """Tells a call's line of its reply, before the body is read."""

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
    """Count what is read of a reply; urllib3 decompresses in steps of what is asked for, 10 KiB at most."""
    check_length(response.headers, max_bytes)
    if max_bytes is None:
        return
    read = response.iter_content
    left = max_bytes

    def iter_content(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  (its own signature)
        nonlocal left
        for piece in read(chunk_size, decode_unicode):
            left -= len(piece)
            if left < 0:
                raise ResponseTooLargeError(max_bytes)
            yield piece

    response.iter_content = iter_content


def _make_readable(response: Any) -> None:
    """Let the SDK read what a gateway makes of Google's answers. It reads a stream as text, and all else as bytes."""
    read = response.iter_content

    def iter_content(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  (its own signature)
        if decode_unicode:
            response.encoding = "utf-8"
        pieces = iter(read(chunk_size, decode_unicode))
        return json_array.to_array(pieces) if decode_unicode else json_array.without_bom(pieces)

    response.iter_content = iter_content


def _import(name: str) -> Any:
    with warnings.catch_warnings():  # what the route's author knows; other warnings are shown
        warnings.filterwarnings("ignore", r"\s*All support for the `google.generativeai` package", FutureWarning)
        warnings.filterwarnings("ignore", "You are using a Python version", FutureWarning)
        return importlib.import_module(name)


def _close(client: Any) -> None:
    client.transport.close()
