"""Request log: a hook that keeps the last requests in this process's memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from multiroute_core.events import AttemptEnded, Event, RequestEnded, RequestStarted
from multiroute_core.messages import Part, Text, ToolCall, ToolCallResponse
from multiroute_core.options import invalid
from multiroute_core.request_log.record import RequestRecord, sum_cost
from multiroute_core.runtime import forks
from multiroute_core.types import Request, Response

MAX_OPEN = 1000
"""The maximum number of running requests; beyond it, the oldest is forgotten."""

MAX_MESSAGES = 50
"""The last messages of a prompt that are kept."""

MAX_CHARACTERS = 10_000
"""Characters of a message or an answer that are kept."""


class RequestLog:
    """A hook that keeps the last requests, for `Router.requests`: `Router(on_event=[RequestLog()])`.

    It keeps them in this process's memory only, and the oldest ones make room. Images and other media are not kept.

    Args:
        last: The number of requests that are kept.
        capture_content: Whether prompts and answers are kept as well. They are usually personal data, and everybody who
            has the router can read them. The last 50 messages of a prompt, and 10,000 characters of each, are kept.
        wall: Returns the time in seconds since 1970.

    Raises:
        ConfigurationError: `last` is not a positive number.

    Example:
        >>> router = Router(routes, on_event=[RequestLog(capture_content=True)])  # doctest: +SKIP
        >>> router.requests()[0]  # doctest: +SKIP
    """

    event_types = RequestStarted, AttemptEnded, RequestEnded

    def __init__(
        self, last: int = 200, *, capture_content: bool = False, wall: Callable[[], float] = time.time
    ) -> None:
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("last", last, "an integer of at least 1")
        if not isinstance(capture_content, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("capture_content", capture_content, "True or False")
        self._capture = capture_content
        self._wall = wall
        self._ended: deque[RequestRecord] = deque(maxlen=last)
        # A finalizer may send an event at any step: every step below is one operation of a dictionary or a deque.
        self._open: dict[str, RequestRecord] = {}
        forks.renew(self, _open=dict)

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        now = self._wall()
        if isinstance(event, RequestStarted):
            if len(self._open) >= MAX_OPEN:
                self._open.pop(next(iter(tuple(self._open)), ""), None)
            self._open[event.request_id] = RequestRecord(
                event.request_id,
                now,
                "running",
                stream=event.stream,
                tenant=event.tenant,
                task=event.task,
                labels=tuple(sorted(event.labels)),
                prompt=describe_request(event.request) if self._capture else None,
            )
        elif isinstance(event, AttemptEnded):
            if (record := self._open.get(event.request_id)) is not None:
                attempt = event.attempt
                self._open[event.request_id] = replace(
                    record,
                    route=attempt.route,
                    model=attempt.model,
                    attempts=(*record.attempts, attempt),
                    offsets=(*record.offsets, max(0.0, now - attempt.seconds - record.started_at)),
                )
        elif isinstance(event, RequestEnded):
            record = self._open.pop(event.request_id, None)
            if record is None:
                record = RequestRecord(event.request_id, now - event.seconds, "running", tenant=event.about.tenant)
            self._ended.append(self._end(record, event))

    def read(self) -> list[RequestRecord]:
        """Return the requests, the latest first, running ones included."""
        records = [*tuple(self._ended), *tuple(self._open.values())]
        return sorted(records, key=lambda record: record.started_at, reverse=True)

    def clear(self) -> None:
        """Forget all requests that have ended."""
        self._ended.clear()

    def _end(self, record: RequestRecord, event: RequestEnded) -> RequestRecord:
        response = event.response
        cached = response is not None and response.cached
        state = "cached" if cached else "success" if response is not None else "failed" if event.error else "cancelled"
        record = replace(
            record,
            state=state,
            seconds=event.seconds,
            cost=0.0 if cached else sum_cost(record.attempts),
            error=None if event.error is None else f"{type(event.error).__name__}: {event.error}",
            answer=describe_response(response) if self._capture and response is not None else None,
        )
        return record if response is None else replace(record, route=response.route, model=response.model)

    def __copy__(self) -> RequestLog:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RequestLog:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as its settings, without requests."""
        return _rebuild, (self._ended.maxlen, self._capture)

    def __repr__(self) -> str:
        return f"RequestLog({self._ended.maxlen}, capture_content={self._capture})"


def _rebuild(last: int, capture: bool) -> RequestLog:  # noqa: FBT001
    return RequestLog(last, capture_content=capture)


def describe_request(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the last messages as `(role, text)`."""
    return tuple((message.role, describe(message.parts)) for message in request.messages[-MAX_MESSAGES:])


def describe_response(response: Response) -> str:
    """Return the text of a response, with its tool calls."""
    return describe(response.parts)


def describe(parts: Iterable[Part]) -> str:
    """Return the text of parts, with tool calls, and the names of other parts."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, ToolCall):
            pieces.append(f"[calls {part.name}({part.arguments})]")
        elif isinstance(part, Text | ToolCallResponse):
            pieces.append(part.text)
        else:
            pieces.append(f"[{type(part).__name__}]")
    text = "\n".join(pieces)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
