"""SSE normalizer: rewrites any event stream into one that google-genai can parse.

The SDK parses every line except `data: ` as JSON and fails on comments, `retry:`, `id:`, a BOM, `[DONE]` and the like.
Gemini sends none of these, but gateways do, to keep a connection alive. The SDK also fails on errors that are not in
Google's format, so these are wrapped in that format, and `error_of` extracts them from the SDK's exception.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import msgspec

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.body import mapping, to_text_error
from multiroute_core.providers.in_band import has_error
from multiroute_core.providers.provider import DONE, UnreadableReply, WireError
from multiroute_core.providers.sse import BARE, ERROR, ServerSentEvent, StreamReader
from multiroute_core.providers.stream_body import error_body_of, to_value

_SEPARATORS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Characters that Python treats as line ends, and older SDK versions as event ends, with their JSON escapes."""

_INSIDE = 200
"""Code of an error that wraps another: errors inside a stream arrive under this HTTP status."""


class SSENormalizer:
    """Rewrites a body in arbitrary chunks to events of one `data: ` line each."""

    def __init__(self) -> None:
        self._reader = StreamReader()

    def feed(self, piece: bytes) -> bytes:
        """Return the events that `piece` completes."""
        return b"".join([to_frame(event) for event in self._reader.feed(piece)])

    def end(self) -> bytes:
        """Return the last events, including those of a JSON body, or an error for any other body."""
        frames = [to_frame(event, last=True) for event in self._reader.end()]
        if self._reader.text is not None:
            frames.append(_to_error_frame(to_text_error(self._reader.text)))
        if self._reader.body is not None:
            frames += _to_frames(self._reader.body)
        return b"".join(frames)


def to_frame(event: ServerSentEvent, *, last: bool = False) -> bytes:
    """Return the event in the SDK's format; empty if it has no content.

    Args:
        event: The name and data of the event.
        last: Whether the body ended in the event, which may then be truncated.
    """
    name, data = event
    if name not in (ERROR, BARE) and data.startswith(b"{") and b'"error"' not in data and not last:
        return _framed(data)  # the common case, parsed only by the SDK
    try:
        value = to_value(event, last=last)
    except WireError as error:
        return _to_error_frame(error)
    if value is None or value is DONE:
        return b""
    return _value_frame(value, data)


def _to_frames(body: bytes) -> list[bytes]:
    """Convert a JSON body: a response, an error, or a list of these, which is Gemini's other stream format."""
    try:
        value: Any = decode_json(body)
    except NO_JSON:
        # The SDK reports invalid JSON; it ends a line at each of the characters that `splitlines` knows.
        return [_framed(" ".join(body.decode("utf-8", "replace").splitlines()).encode())]
    return [_value_frame(one, None) for one in (cast("list[Any]", value) if isinstance(value, list) else [value])]


def _value_frame(value: Any, data: bytes | None) -> bytes:
    body = mapping(value)
    if "error" in body:
        if not has_error(body):  # the SDK cannot read an empty error
            value, data = {name: member for name, member in body.items() if name != "error"}, None
        elif not has_valid_code(body):
            return _error_frame(body)
    return _framed(msgspec.json.encode(value) if data is None else data)


def has_valid_code(body: Mapping[str, Any]) -> bool:
    """Whether the error of `body` has an HTTP status of an error, which the SDK needs to raise it."""
    code = mapping(body.get("error")).get("code")
    return isinstance(code, int) and 400 <= code <= 599


def _to_error_frame(error: WireError) -> bytes:
    body = mapping(error.body) or {"error": {"message": str(error)}}
    if isinstance(error, UnreadableReply):
        return _error_frame(body, unreadable=True)
    return _value_frame(body, None)


def _error_frame(body: Mapping[str, Any], *, unreadable: bool = False) -> bytes:
    """Wrap an error without a valid HTTP status in one that the SDK can raise."""
    error = {"code": _INSIDE, "unreadable": unreadable, "body": error_body_of(body)}
    return _framed(msgspec.json.encode({"error": error}))


def error_of(error: Exception) -> WireError | None:
    """Return the error wrapped in an SDK error; None if it is Google's own."""
    if getattr(error, "code", None) != _INSIDE:
        return None
    wrapper = mapping(mapping(getattr(error, "details", None)).get("error"))
    body = mapping(wrapper.get("body"))
    if wrapper.get("unreadable"):
        return UnreadableReply(str(mapping(body.get("error")).get("message")), body)
    return WireError("The provider reported an error inside the stream.", body) if body else None


def _framed(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:  # outside strings; inside them JSON escapes these
        data = data.replace(b"\n", b" ").replace(b"\r", b" ")
    if not data.isascii():
        for character, escaped in _SEPARATORS:
            data = data.replace(character, escaped)
    return b"data: " + data + b"\n\n"


def normalize(library: ModuleType, response: Any) -> None:
    """Normalize the event stream of a streamed HTTP response of `library` (httpx or httpx2)."""
    if response.status_code == 200 and "streamGenerateContent" in response.request.url.path:
        source = response.stream
        if "content-encoding" in response.headers:  # the normalizer's output is decompressed
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
