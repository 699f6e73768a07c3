"""Server-sent events (SSE): an incremental decoder, bytes in and events out. Pure.

The rules are those of the HTML Living Standard, section 9.2
(https://html.spec.whatwg.org/multipage/server-sent-events.html,
read 2026-11-28): UTF-8 with at most one leading BOM; lines end with CR, LF or CRLF; a blank line dispatches the event;
an event without data is discarded. Four deviations match what providers send:

- a last event without its blank line counts, while the standard discards it;
- llama.cpp's field `error: {json}` (https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md, read
  2026-11-28) is an event named `error`; a bare JSON line, without `data:`, is an event named `bare`;
- `data:` lines that are each a JSON value are events of their own, since some servers end an event with one line end
  (rexxars/eventsource-parser#31, 2026-05-13; songquanpeng/one-api#277, 2023-07-15);
- an event named `error` counts even without data.

`StreamReader` also handles bodies that are not a stream: a JSON body, an HTML page, plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from multiroute_core._util.json_text import NO_JSON, decode_json

BOM = b"\xef\xbb\xbf"
ERROR = b"error"
BARE = b"bare"
"""Name of an event without a field name, which a server writes for a failure, or a stream of JSON lines."""

_END = b"[DONE]"

_FIELD = re.compile(rb"(?:\A|[\r\n])(?:(?:data|event|id|retry)[ \t]*(?:[:\r\n]|\Z)|:)")
_SAMPLE = 2_000
"""Bytes kept of a body that is not an event stream, for the error message."""


class ServerSentEvent(NamedTuple):
    """One event.

    Attributes:
        name: Its `event:` field; empty if missing.
        data: Its `data:` lines, joined with LF.
    """

    name: bytes
    data: bytes


class SSEDecoder:
    """Decodes the chunks of one body, cut anywhere, into events."""

    __slots__ = ("_after_cr", "_bare", "_begun", "_data", "_line", "_name")

    def __init__(self) -> None:
        self._begun = False  # whether the position of a BOM has passed
        self._after_cr = False
        self._line: list[bytes] = []  # the chunks of an incomplete line
        self._name = b""
        self._data: list[bytes] = []
        self._bare = False  # whether the data are JSON lines without a field name

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Returns the events that `piece` completes."""
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        if b"\n" not in piece and b"\r" not in piece:
            if piece:
                self._line.append(piece)
            return []
        if self._line:
            piece = b"".join((*self._line, piece))
            self._line.clear()
        if not self._begun:
            self._begun = True
            piece = piece.removeprefix(BOM)
        lines = piece.splitlines()  # bytes.splitlines splits only at CR, LF and CRLF
        if piece.endswith(b"\r"):
            self._after_cr = True
        elif not piece.endswith(b"\n"):
            self._line.append(lines.pop())
        return self._read(lines)

    def end(self) -> list[ServerSentEvent]:
        """Returns the event that the end of the body completes, if any; it may be truncated."""
        line = b"".join(self._line)
        self._line.clear()
        if not self._begun:
            self._begun = True
            line = line.removeprefix(BOM)
        return self._read([line, b""] if line else [b""])

    def _read(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        data = self._data
        for line in lines:
            if not line:
                self._dispatch(events)
            elif line.startswith(b"data:") and not self._bare:
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:") and not self._bare:
                self._name = line[7:] if line.startswith(b"event: ") else line[6:]
            else:
                self._read_rare(line, events)
        return events

    def _read_rare(self, line: bytes, events: list[ServerSentEvent]) -> None:
        """Handle a line that is neither blank nor a usual `data:` or `event:`."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if self._bare and field not in (b"data", b"event", ERROR):
            self._data.append(line)
            return
        if self._bare or field == ERROR:
            self._dispatch(events)
        if field in (b"data", ERROR):
            self._data.append(value)
            self._name = ERROR if field == ERROR else self._name
        elif field == b"event":
            self._name = value
        elif self._name == ERROR and field not in (b"", b"id", b"retry"):
            self._data.append(line)
        elif line.startswith((b"{", b"[")):
            if len(self._data) == 1 and not _is_json(self._data[0]):  # written into an unfinished event
                self._data.append(line)
                return
            self._dispatch(events)
            self._bare = True
            self._data.append(line)

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        """Dispatch the current event."""
        name = self._name
        data = self._data
        if not data and not name:
            return
        if self._bare:
            self._bare = False
            name = BARE
        value = data[0] if len(data) == 1 else b"\n".join(data)
        if len(data) > 1 and _are_values(data):
            events += [ServerSentEvent(name, line) for line in data if line.strip()]
        elif value or name == ERROR:
            # What `ServerSentEvent(name, value)` does, without its Python function: this runs for every chunk.
            events.append(tuple.__new__(ServerSentEvent, (name, value)))  # pyright: ignore[reportUnknownMemberType]
        self._name = b""
        data.clear()


class StreamReader:
    """Reads a body that should be an event stream, but may be something else.

    Attributes:
        feed: Accepts the next chunk; returns the events that it completes.
        body: The complete body if it is JSON, otherwise None.
        text: The beginning of the body if it is neither JSON nor an event stream, such as an HTML page.
    """

    __slots__ = ("_decoder", "_head", "_pieces", "body", "feed", "text")

    def __init__(self) -> None:
        self.feed: Callable[[bytes], list[ServerSentEvent]] = self._look
        self.body: bytes | None = None
        self.text: bytes | None = None
        self._decoder = SSEDecoder()
        self._head = b""
        self._pieces: list[bytes] = []

    def end(self) -> list[ServerSentEvent]:
        """Returns the last events, which may be truncated. Afterwards `body` and `text` hold any other content."""
        events: list[ServerSentEvent] = []
        if self.feed == self._keep:
            body = b"".join(self._pieces)
            if body.startswith(b"<"):
                self.text = body[:_SAMPLE]
            elif _is_json(body) or not (events := self._decode_events(body)):
                self.body = body
        else:
            events = self._decoder.end()
            if self.feed == self._begin and not events and not _FIELD.search(self._head):
                self.text = self._head
        self._pieces.clear()
        return events

    def _decode_events(self, body: bytes) -> list[ServerSentEvent]:
        """Return the events of a body that begins as JSON; none if it is only truncated JSON."""
        events = [*self._decoder.feed(body), *self._decoder.end()]
        has_content = any(name != BARE or b'"error"' in data or _is_json(data) for name, data in events)
        return events if has_content else []

    def _look(self, piece: bytes) -> list[ServerSentEvent]:
        """Detect the format from the beginning of the body; skip leading whitespace."""
        head = self._head + piece
        if len(head) < len(BOM) and BOM.startswith(head):
            self._head = head
            return []
        head = head.removeprefix(BOM).lstrip()
        self._head = b""
        if not head:
            self._head = b" "  # prevents skipping a second BOM
            return []
        if head.startswith((b"{", b"[", b"<")):
            self.feed = self._keep
        else:
            self.feed = self._begin
        return self.feed(head)

    def _keep(self, piece: bytes) -> list[ServerSentEvent]:
        self._pieces.append(piece)
        return []

    def _begin(self, piece: bytes) -> list[ServerSentEvent]:
        """Keep the bytes until the first event, since the body may not be an event stream."""
        self._head = (self._head + piece)[:_SAMPLE] if len(self._head) < _SAMPLE else self._head
        events = self._decoder.feed(piece)
        if events:
            self.feed = self._decoder.feed
            self._head = b""
        return events


def _are_values(lines: list[bytes]) -> bool:
    """Whether each line is a JSON object or the end marker, so that the lines are not one value."""
    return all(
        not line.strip() or line.startswith(_END) or (line.startswith(b"{") and _is_json(line)) for line in lines
    )


def _is_json(body: bytes) -> bool:
    try:
        decode_json(body)
    except NO_JSON:
        return False
    return True
