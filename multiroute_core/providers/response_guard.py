"""Response guard: bounds the size of every reply, and keeps redirects from leaking the key and the prompt.

How this works: an HTTP client calls a hook with the head of every reply, before it reads the body or follows a
redirect. The hook rejects redirects to another origin, and replaces the body with a stream that counts the bytes read.
It decompresses a compressed body itself, a few bytes at a time: otherwise one chunk of a decompression bomb would
expand to gigabytes before it can be counted.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from multiroute_core.providers.provider import UNREADABLE, UnreadableReply, WireError
from multiroute_core.runtime.deadline import MAX_RESPONSE_BYTES, Deadline, current

ACCEPTED_ENCODINGS = "gzip, deflate"
"""The accepted encodings: only those with a bounded compression ratio, of 1,032 to 1."""

REDIRECTS = (301, 302, 303, 307, 308)
MOVED = "cross_origin_redirect"
"""The error type of a redirect to another origin."""

PORTS = {"http": 80, "https": 443}

_STEPS = {"gzip": 4096, "deflate": 4096}
"""Compressed bytes per decompression step; 64 for other encodings, which have much higher ratios."""


class ResponseTooLargeError(UnreadableReply):
    """A reply whose body is larger than `max_response_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        message = f"The response is larger than max_response_bytes={max_bytes}; reading was stopped."
        super().__init__(message, {"error": {"type": UNREADABLE, "message": message}})


class CrossOriginRedirectError(WireError):
    """A redirect to another scheme, host or port."""

    def __init__(self, status: int, origin: str) -> None:
        message = (
            f"The server redirects (HTTP {status}) to another origin, {origin}. The redirect is not followed, "
            "because it would send the key and the prompt there; if it is correct, set it as base_url."
        )
        super().__init__(message, {"error": {"type": MOVED, "message": message}})


def check_redirect(status: int, address: str, location: str | None) -> None:
    """Reject a redirect to another origin: clients forward most headers, and with 307 and 308 the body.

    The origin is that of RFC 6454: scheme, host and port.

    Args:
        status: The HTTP status.
        address: The requested URL.
        location: The response header `Location`.

    Raises:
        CrossOriginRedirectError: If `location` has another origin.
    """
    if status not in REDIRECTS or location is None:
        return
    try:
        here = _origin(address)
        there = _origin(urljoin(address, location))
    except ValueError:  # the HTTP client reports the invalid URL
        return
    if here != there:
        raise CrossOriginRedirectError(status, "{}://{}:{}".format(*there))


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or PORTS.get(scheme)


def check_length(length: str | None, max_bytes: int | None) -> None:
    """Reject a body whose `Content-Length` is too large.

    Raises:
        ResponseTooLargeError: If it exceeds `max_bytes`.
    """
    if length and max_bytes is not None and length.isascii() and length.isdigit() and len(length) > 7:
        size = int(length[:20])
        if size > max_bytes:
            raise ResponseTooLargeError(max_bytes)


class ResponseGuard:
    """The response hooks for the clients of one HTTP library.

    They also detect a provider that keeps a non-streaming request alive without an answer: some servers send blank
    lines between the headers and the `{` or `[` that begins the JSON, or the `data:` or `event:` that begins a stream.
    This still counts as waiting for the first token.

    Args:
        library: httpx or httpx2.
    """

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        self._body, self._slices = _stream_classes(library)

    def blocking(self, response: Any) -> None:
        """Response hook of a sync client."""
        headers = response.headers
        if 300 <= response.status_code < 400:
            check_redirect(response.status_code, str(response.url), headers.get("location"))
        if "content-encoding" in headers:
            source, length = self._decompressed(response), None
        else:
            source, length = response.stream, headers.get("content-length")
        response.stream = self.bound(source, response.stream, length)

    def bound(self, source: Any, inner: Any, length: str | None) -> Any:
        """Return a body that obeys the limits of the current deadline.

        Args:
            source: Where the bytes come from: the body, or a response that decompresses it.
            inner: The body as it comes from the server, which is closed at the end.
            length: The header `Content-Length` of a body that is not compressed.

        Raises:
            ResponseTooLargeError: If `length` is too large.
        """
        limit = current.get()
        max_bytes = MAX_RESPONSE_BYTES if limit is None else limit.max_bytes
        check_length(length, max_bytes)
        after = None
        if limit is not None:
            limit.replied = True
            if limit.body_within is not None:
                after = _watch_beginning(limit)
        return self._body(source, inner, max_bytes, limit, after)

    async def native(self, response: Any) -> None:
        """Response hook of an async client."""
        self.blocking(response)

    def _decompressed(self, response: Any) -> Any:
        """Returns the body, decompressed by the library in small steps, and marks `response` as uncompressed."""
        values = response.headers.get_list("content-encoding", split_commas=True)
        encodings = [name for value in values if (name := value.strip().lower()) not in ("", "identity")]
        if len(encodings) > 1:
            message = f"The response is compressed more than once: {', '.join(encodings)[:100]}."
            raise UnreadableReply(message, {"error": {"type": UNREADABLE, "message": message}})
        step = _STEPS.get(next(iter(encodings), ""), 64)
        inner = self._library.Response(200, headers=response.headers, stream=self._slices(response.stream, step))
        del response.headers["content-encoding"]
        return inner


def _watch_beginning(limit: Deadline) -> tuple[str, float, float] | None:
    """Limit a non-streaming reply's first meaningful byte to the timeout of the first token.

    Returns the arguments that restore the current deadline afterwards, or None if it is earlier anyway.
    """
    within = limit.body_within or 0.0
    until = limit.clock() + within
    if until >= limit.until:
        return None
    after = (limit.phase, limit.until, limit.allowed)
    limit.set("the first token of the answer", until, within)
    return after


def _stream_classes(library: ModuleType) -> tuple[type, type]:
    """Returns the stream classes that replace a reply's body."""

    class Body(library.SyncByteStream, library.AsyncByteStream):
        """A body that counts its bytes. Not a generator, because an unfinished generator is closed late."""

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
            # A weak reference: a response and its stream reference each other, and would keep the deadline and its call
            # alive.
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
            if self._left < 0:
                self._inner.close()  # an SDK that reads the body of an error does not close it
                raise ResponseTooLargeError(self._max_bytes)
            if self._after is not None:
                self._look(piece)
            return piece

        def __aiter__(self) -> Any:
            decompressed = self._source is not self._inner
            self._pieces = self._source.aiter_bytes() if decompressed else aiter(self._source)
            return self

        async def __anext__(self) -> bytes:
            piece = await anext(self._pieces)
            self._left -= len(piece)
            if self._left < 0:
                await self.aclose()
                raise ResponseTooLargeError(self._max_bytes)
            if self._after is not None:
                self._look(piece)
            return piece

        def _look(self, piece: bytes) -> None:
            if self._after is not None and piece.lstrip()[:1] in (b"{", b"[", b"d", b"e"):
                limit = None if self._limit is None else self._limit()
                if limit is not None:
                    limit.set(*self._after)
                self._after = None

        def close(self) -> None:
            self._inner.close()

        async def aclose(self) -> None:
            await self._inner.aclose()
            if self._source is not self._inner and self._pieces is not None:
                with contextlib.suppress(RuntimeError):  # another task is reading it
                    await self._pieces.aclose()

    class Slices(library.SyncByteStream, library.AsyncByteStream):
        """A body in chunks of a few bytes."""

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
    """Returns the hooks for the clients of `library`; cached."""
    return ResponseGuard(importlib.import_module(library))
