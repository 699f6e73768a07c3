"""google-genai takes the comment lines of an event stream for JSON and breaks on them; so it does not get to see them.

Gemini sends none, but gateways do, to keep a connection alive.
"""

from __future__ import annotations

import functools
import re
from types import ModuleType
from typing import Any

_COMMENT = re.compile(rb"(?:(?<=\n)|(?<=\r)):[^\r\n]*")


class CommentFilter:
    """Takes the comments out of an event stream that comes in pieces, cut anywhere."""

    def __init__(self) -> None:
        self._last = b"\n"
        self._inside = False

    def feed(self, piece: bytes) -> bytes:
        """`piece` without its comments; the ends of their lines stay."""
        if not piece:
            return piece
        last, self._last = self._last, piece[-1:]
        if self._inside:
            end = re.search(rb"[\r\n]", piece)
            if end is None:
                return b""
            last, piece = b"", piece[end.start() :]
        self._inside = False
        if b":" not in piece:
            return piece
        whole = last + piece  # a comment may begin where the last piece ended
        for found in _COMMENT.finditer(whole):
            self._inside = found.end() == len(whole)
        return _COMMENT.sub(b"", whole)[len(last) :]


def strip(library: ModuleType, reply: Any) -> None:
    """Make an HTTP reply of `library` (httpx or httpx2) hide its comments, if it is an event stream."""
    headers = reply.headers
    if headers.get("content-type", "").startswith("text/event-stream") and "content-encoding" not in headers:
        reply.stream = _stripped(library)(reply.stream)


@functools.cache
def _stripped(library: ModuleType) -> type:
    class Stripped(library.SyncByteStream, library.AsyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner, self._filter = inner, CommentFilter()

        def __iter__(self) -> Any:
            return map(self._filter.feed, self._inner)

        async def __aiter__(self) -> Any:
            async for piece in self._inner:
                yield self._filter.feed(piece)

        def close(self) -> None:
            self._inner.close()

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Stripped
