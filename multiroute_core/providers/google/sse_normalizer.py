"""SSE normalizer: makes any event stream one that google-genai can read, before it gets to see it.

The SDK takes every line but `data: ` for JSON and breaks on comments, `retry:`, `id:`, a BOM, `[DONE]` and the like.
Gemini sends none of these, but gateways do, to keep a connection alive. Errors that Google would not write it takes for
Google's, and breaks on them too; so they are put into Google's form, and `error_of` gets them out of the SDK's error.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import msgspec

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.body import count, mapping
from multiroute_core.providers.provider import DONE, WireError
from multiroute_core.providers.sse import ERROR, ServerSentEvent, StreamReader
from multiroute_core.providers.stream_body import error_body_of, to_text_error, to_value

_SEPARATORS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Characters at which Python ends a line, and older versions of the SDK an event; as JSON may write them."""

_INSIDE = 200
"""The code of an error that holds another one: errors inside a stream come under this HTTP status."""


class SSENormalizer:
    """Puts a body that comes in pieces, cut anywhere, into events of one `data: ` line each and nothing else."""

    def __init__(self) -> None:
        self._reader = StreamReader()

    def feed(self, piece: bytes) -> bytes:
        """The events that `piece` completes."""
        return b"".join([to_frame(event) for event in self._reader.feed(piece)])

    def end(self) -> bytes:
        """The last events: also those of a JSON body, and the error that another body is."""
        frames = [to_frame(event, last=True) for event in self._reader.end()]
        if self._reader.text is not None:
            frames.append(_to_error_frame(to_text_error(self._reader.text)))
        if self._reader.body is not None:
            frames += _to_frames(self._reader.body)
        return b"".join(frames)


def to_frame(event: ServerSentEvent, *, last: bool = False) -> bytes:
    """The event as the SDK reads it; empty where it says nothing.

    Args:
        last: Whether the body ended in the event, which may be cut then.
    """
    name, data = event
    if name != ERROR and data.startswith(b"{") and b'"error"' not in data and not last:
        return _framed(data)  # the usual one, which only the SDK parses
    try:
        value = to_value(event, last=last)
    except WireError as error:
        return _to_error_frame(error)
    if value is None or value is DONE:
        return b""
    return _value_frame(value, data)


def _to_frames(body: bytes) -> list[bytes]:
    """A JSON body: an answer or an error, or a list of these, which is Gemini's other form of a stream."""
    try:
        value: Any = decode_json(body)
    except NO_JSON:
        return [_framed(body)]  # the SDK says that it is no JSON
    return [_value_frame(one, None) for one in (cast("list[Any]", value) if isinstance(value, list) else [value])]


def _value_frame(value: Any, data: bytes | None) -> bytes:
    body = mapping(value)
    if (error := body.get("error")) and not 400 <= (count(mapping(error).get("code")) or 0) <= 599:
        return _error_frame(body)
    return _framed(msgspec.json.encode(value) if data is None else data)


def _to_error_frame(error: WireError) -> bytes:
    return _value_frame(mapping(error.body) or {"error": {"message": str(error)}}, None)


def _error_frame(body: Mapping[str, Any]) -> bytes:
    """An error whose status Google would not write, inside of one that the SDK can raise."""
    return _framed(msgspec.json.encode({"error": {"code": _INSIDE, "body": error_body_of(body)}}))


def error_of(error: Exception) -> WireError | None:
    """The error that was put into the SDK's; None where that is Google's own."""
    if getattr(error, "code", None) != _INSIDE:
        return None
    body = mapping(mapping(mapping(getattr(error, "details", None)).get("error")).get("body"))
    return WireError("The provider reported an error inside the stream.", body) if body else None


def _framed(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:  # outside of strings, where JSON has them escaped
        data = data.replace(b"\n", b" ").replace(b"\r", b" ")
    if not data.isascii():
        for character, escaped in _SEPARATORS:
            data = data.replace(character, escaped)
    return b"data: " + data + b"\n\n"


def normalize(library: ModuleType, response: Any) -> None:
    """Make an HTTP response of `library` (httpx or httpx2) to a streamed request give a normalized event stream."""
    if response.status_code == 200 and "streamGenerateContent" in response.request.url.path:
        source = response.stream
        if "content-encoding" in response.headers:  # what comes out of the normalizer is decoded
            source = library.Response(200, headers=response.headers, stream=source)
            del response.headers["content-encoding"]
        response.stream = _normalized(library)(source, response.stream)


@functools.cache
def _normalized(library: ModuleType) -> type:
    class Normalized(library.SyncByteStream, library.AsyncByteStream):
        def __init__(self, source: Any, inner: Any) -> None:
            self._source = source
            self._inner = inner
            self._normalizer = SSENormalizer()

        def __iter__(self) -> Any:
            decoded = isinstance(self._source, library.Response)
            for piece in self._source.iter_bytes() if decoded else self._source:
                if normal := self._normalizer.feed(piece):
                    yield normal
            if normal := self._normalizer.end():
                yield normal

        async def __aiter__(self) -> Any:
            decoded = isinstance(self._source, library.Response)
            async for piece in self._source.aiter_bytes() if decoded else self._source:
                if normal := self._normalizer.feed(piece):
                    yield normal
            if normal := self._normalizer.end():
                yield normal

        def close(self) -> None:
            self._inner.close()

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Normalized
