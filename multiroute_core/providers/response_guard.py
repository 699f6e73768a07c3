"""Response guard: bounds the size of every reply, and keeps redirects from leaking the key and the prompt.

How this works: an HTTP client calls a hook with the head of every reply, before it reads the body or follows a
redirect. The hook refuses redirects to another origin, and puts a stream of its own in the place of the body, which
counts what is read. A compressed body is decompressed there, a few bytes at a time: one piece of a decompression bomb
would otherwise become gigabytes before anybody can count them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from multiroute_core.providers.provider import UNREADABLE, UnreadableReply, WireError
from multiroute_core.runtime.deadline import MAX_RESPONSE_BYTES, Deadline, current

ACCEPTED_ENCODINGS = "gzip, deflate"
"""The encodings that are asked for: those whose decompression is bounded, by 1,032 to 1."""

REDIRECTS = (301, 302, 303, 307, 308)
MOVED = "cross_origin_redirect"
"""The type of the error of a redirect to another origin."""

PORTS = {"http": 80, "https": 443}

_STEPS = {"gzip": 4096, "deflate": 4096}
"""Compressed bytes that are decompressed at once; 64 for other encodings, which compress by far more."""


class ResponseTooLargeError(UnreadableReply):
    """A reply whose body is larger than `max_response_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        message = f"The reply is larger than max_response_bytes={max_bytes}; reading it was stopped."
        super().__init__(message, {"error": {"type": UNREADABLE, "message": message}})


class CrossOriginRedirectError(WireError):
    """A redirect to another scheme, host or port."""

    def __init__(self, status: int, origin: str) -> None:
        message = (
            f"The server redirects (HTTP {status}) to another origin, {origin}. That is not followed, because the key "
            "and the prompt would go there; if it is right, give it as base_url."
        )
        super().__init__(message, {"error": {"type": MOVED, "message": message}})


def check_redirect(status: int, address: str, location: str | None) -> None:
    """Refuse a redirect to another origin: clients send most headers, and with 307 and 308 the body, along.

    The origin is that of RFC 6454: scheme, host and port.

    Args:
        status: The HTTP status.
        address: The URL that was asked.
        location: The reply's header `Location`.

    Raises:
        CrossOriginRedirectError: `location` is of another origin.
    """
    if status not in REDIRECTS or location is None:
        return
    try:
        here = _origin(address)
        there = _origin(urljoin(address, location))
    except ValueError:  # the HTTP client says what is wrong with it
        return
    if here != there:
        raise CrossOriginRedirectError(status, "{}://{}:{}".format(*there))


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or PORTS.get(scheme)


def check_length(headers: Mapping[str, str], max_bytes: int | None) -> None:
    """Refuse a body that says itself that it is too large.

    Raises:
        ResponseTooLargeError: it is.
    """
    length = headers.get("content-length")
    if length and max_bytes is not None and length.isascii() and length.isdigit() and len(length) > 7:
        size = int(length[:20])
        if size > max_bytes:
            raise ResponseTooLargeError(max_bytes)


class ResponseGuard:
    """The response hooks for the clients of one HTTP library.

    They also leave a provider which answers a plain request with a heartbeat and no answer: between a plain reply's
    headers and the `{` or `[` that begins its JSON, some servers send blank lines to keep the connection alive. That
    counts as waiting for the first token, not as an answer on its way.

    Args:
        library: httpx or httpx2.
    """

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        self._body, self._slices = _stream_classes(library)

    def blocking(self, response: Any) -> None:
        """The hook of a sync client."""
        limit = current.get()
        headers = response.headers
        if 300 <= response.status_code < 400:
            check_redirect(response.status_code, str(response.url), headers.get("location"))
        max_bytes = MAX_RESPONSE_BYTES if limit is None else limit.max_bytes
        source = response.stream
        if "content-encoding" in headers:
            source = self._decompressed(response)
        else:
            check_length(headers, max_bytes)
        after = None
        if limit is not None:
            limit.replied = True
            if limit.body_within is not None:
                after = _watch_beginning(limit)
        response.stream = self._body(source, response.stream, max_bytes, limit, after)

    async def native(self, response: Any) -> None:
        """The hook of an async client."""
        self.blocking(response)

    def _decompressed(self, response: Any) -> Any:
        """The body as it is decompressed by the library, in steps; `response` then has one that is not compressed."""
        values = response.headers.get_list("content-encoding", split_commas=True)
        encodings = [name for value in values if (name := value.strip().lower()) not in ("", "identity")]
        if len(encodings) > 1:
            message = f"The reply is compressed more than once: {', '.join(encodings)[:100]}."
            raise UnreadableReply(message, {"error": {"type": UNREADABLE, "message": message}})
        step = _STEPS.get(next(iter(encodings), ""), 64)
        inner = self._library.Response(200, headers=response.headers, stream=self._slices(response.stream, step))
        del response.headers["content-encoding"]
        return inner


def _watch_beginning(limit: Deadline) -> tuple[str, float, float] | None:
    """Let a plain reply's first meaningful byte come as soon as a first token; the limit that holds after it."""
    within = limit.body_within or 0.0
    until = limit.clock() + within
    if until >= limit.until:
        return None
    after = (limit.phase, limit.until, limit.allowed)
    limit.set("the first token of the answer", until, within)
    return after


def _stream_classes(library: ModuleType) -> tuple[type, type]:
    """The streams that take the place of a reply's body."""

    class Body(library.SyncByteStream, library.AsyncByteStream):
        """A body whose bytes are counted. It is no generator: a generator that is left halfway is closed late."""

        def __init__(
            self,
            source: Any,
            inner: Any,
            max_bytes: int | None,
            limit: Deadline | None,
            after: tuple[str, float, float] | None,
        ) -> None:
            self._source = source
            self._inner = inner
            self._max_bytes = self._left = sys.maxsize if max_bytes is None else max_bytes
            # Not the limit itself: a response and its stream hold each other, and with it they would keep a call.
            self._limit = None if limit is None else weakref.ref(limit)
            self._after = after
            self._pieces: Any = None

        def __iter__(self) -> Any:
            decompressed = self._source is not self._inner
            self._pieces = self._source.iter_bytes() if decompressed else iter(self._source)
            return self

        def __next__(self) -> bytes:
            piece = next(self._pieces)
            self._left -= len(piece)
            if self._left < 0 or self._after is not None:
                self._look(piece)
            return piece

        def __aiter__(self) -> Any:
            decompressed = self._source is not self._inner
            self._pieces = self._source.aiter_bytes() if decompressed else aiter(self._source)
            return self

        async def __anext__(self) -> bytes:
            piece = await anext(self._pieces)
            self._left -= len(piece)
            if self._left < 0 or self._after is not None:
                self._look(piece)
            return piece

        def _look(self, piece: bytes) -> None:
            if self._left < 0:
                raise ResponseTooLargeError(self._max_bytes)
            if self._after is not None and piece.lstrip()[:1] in (b"{", b"["):
                limit = None if self._limit is None else self._limit()
                if limit is not None:
                    limit.set(*self._after)
                self._after = None

        def close(self) -> None:
            self._inner.close()

        async def aclose(self) -> None:
            await self._inner.aclose()
            if self._source is not self._inner and self._pieces is not None:
                with contextlib.suppress(RuntimeError):  # another task reads it in this moment
                    await self._pieces.aclose()

    class Slices(library.SyncByteStream, library.AsyncByteStream):
        """A body in pieces of a few bytes."""

        def __init__(self, inner: Any, size: int) -> None:
            self._inner = inner
            self._size = size

        def __iter__(self) -> Iterator[bytes]:
            for piece in self._inner:
                for start in range(0, len(piece), self._size):
                    yield piece[start : start + self._size]

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._inner:
                for start in range(0, len(piece), self._size):
                    yield piece[start : start + self._size]

    return Body, Slices


@functools.cache
def response_guard(library: str) -> ResponseGuard:
    """The hooks for the clients of `library`, made once."""
    return ResponseGuard(importlib.import_module(library))
