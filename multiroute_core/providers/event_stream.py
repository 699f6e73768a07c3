"""Event stream of an HTTP response: server-sent events (SSE) as JSON values, read without the SDK's own iterator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from multiroute_core.providers.body import to_text_error
from multiroute_core.providers.provider import Reply
from multiroute_core.providers.sse import ServerSentEvent, StreamReader
from multiroute_core.providers.stream_body import to_value


class ReadEvent(Protocol):
    """Returns an event's value; None for an empty event."""

    def __call__(self, event: ServerSentEvent, /, *, last: bool) -> Any:
        """Read `event`; `last` says whether the body ended in it, which may then be truncated."""
        ...


class Events:
    """The events of a stream, each a JSON value, up to the end of the body.

    The SDKs' own iterators stop at OpenAI's `[DONE]`, before the body's last bytes, so that every stream costs a
    connection, and over TLS a handshake. They also handle neither a BOM nor a named error event.

    An unreadable event raises an error, and iteration can continue with the next event.

    Args:
        response: The HTTP response, with an unread body.
        native: Whether it belongs to an async client.
        read_event: Returns the value of an event, as `to_value` does.
        split_body: Returns the events of a complete JSON body. By default it is one `Reply`.
    """

    __slots__ = ("_events", "_over", "_pieces", "_read_event", "_reader", "_response", "_split_body")

    def __init__(
        self,
        response: Any,
        *,
        native: bool,
        read_event: ReadEvent = to_value,
        split_body: Callable[[bytes], list[ServerSentEvent]] | None = None,
    ) -> None:
        self._response = response
        self._read_event = read_event
        self._split_body = split_body
        # Not `iter_bytes`: the response guard has decompressed the body.
        self._pieces: Any = response.aiter_raw() if native else response.iter_raw()
        self._reader = StreamReader()
        self._events: list[ServerSentEvent] = []  # in reverse order
        self._over = False

    @property
    def headers(self) -> Mapping[str, str]:
        """Returns the response headers."""
        return self._response.headers

    def __next__(self) -> Any:
        while True:
            while self._events:
                if (value := self._read_event(self._events.pop(), last=self._over)) is not None:
                    return value
            if self._over:
                raise StopIteration
            if (piece := next(self._pieces, None)) is None:
                if (body := self._end()) is not None:
                    return body
            else:
                self._events = self._reader.feed(piece)
                self._events.reverse()

    async def __anext__(self) -> Any:
        while True:
            while self._events:
                if (value := self._read_event(self._events.pop(), last=self._over)) is not None:
                    return value
            if self._over:
                raise StopAsyncIteration
            if (piece := await anext(self._pieces, None)) is None:
                if (body := self._end()) is not None:
                    return body
            else:
                self._events = self._reader.feed(piece)
                self._events.reverse()

    def _end(self) -> Reply | None:
        """Finish the body; returns it as a `Reply` if it is a complete JSON body instead of a stream."""
        self._over = True
        self._events = self._reader.end()
        body = self._reader.body
        if body is not None and self._split_body is not None:
            self._events = self._split_body(body)
            body = None
        self._events.reverse()
        if self._reader.text is not None:
            raise to_text_error(self._reader.text)
        return None if body is None else Reply(body, self._response.headers)

    def close(self) -> None:
        """Return the connection to the pool, or drop it if the body was not read completely."""
        # While the interpreter ends, httpx must not close it: it uses `datetime`, whose types CPython 3.13.0 has freed
        # by then (a segmentation fault, seen on 2026-12-01). The system closes the socket.
        if not sys.is_finalizing():
            self._response.close()
        self._pieces.close()

    async def aclose(self) -> None:
        """The async version of `close`."""
        await self._response.aclose()
        await self._pieces.aclose()
