"""Providers on 127.0.0.1 for `benchmarks.failover`, and what can befall them: OpenAI's chat wire over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks import loopback
from multiroute_core.testing import Drop, Received, ReplayServer, Reply

HEALTHY_SECONDS = 0.2
"""What a healthy provider takes to answer."""

PIECES = 60
CUT = 20
"""How many pieces of a stream come before it is cut."""

DRIPS = 50
"""How many blanks come where nothing else does; those without a limit over the whole would read them for ever."""

OVERLAP = 4
"""How many pieces of what was said a model says again when it is asked to go on."""

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}

PARTS = [f"{piece.strip()} {number} " for number, piece in enumerate(loopback.pieces(PIECES))]
"""No two places of the text are alike, so that it shows where somebody goes on."""

TEXT = "".join(PARTS)
BEFORE_THE_CUT = "".join(PARTS[:CUT])

Behaviour = Callable[[Received], Reply]


def answer(received: Received) -> Reply:
    """The whole text; or its rest, to those who show what they have of it already."""
    time.sleep(HEALTHY_SECONDS)
    told = json.loads(received.body)
    shown = any(BEFORE_THE_CUT.strip() in _said(message["content"]) for message in told["messages"])
    parts = PARTS[CUT - OVERLAP :] if shown else PARTS
    if told.get("stream"):
        return Reply(200, SSE, [*_events(parts), b"data: [DONE]\n\n"], stream=True)
    return Reply(200, JSON, json.dumps(loopback.openai_answer("".join(parts))).encode())


def dead(_: Received) -> Reply:
    """An error at once."""
    return _error(500, "The server had an error while processing your request.", "server_error")


def slowly_dead(received: Received) -> Reply:
    """An error after a moment, so that those who ask at once do so before the first of them knows."""
    time.sleep(HEALTHY_SECONDS)
    return dead(received)


def limited(_: Received) -> Reply:
    """A rate limit."""
    return _error(429, "Rate limit reached.", "requests", {"retry-after": "5"})


def limited_once() -> Behaviour:
    """A rate limit for the first to ask, an answer for the others."""
    first = threading.Lock()
    return lambda received: limited(received) if first.acquire(blocking=False) else answer(received)


def silent(_: Received) -> Reply:
    """Nothing, for as long as anybody cares to wait."""
    time.sleep(60)
    raise Drop


def dripping(_: Received) -> Reply:
    """An answer that has begun, and whose body then comes a blank at a time: no read from the socket waits for long."""

    def body() -> Iterator[bytes]:
        for _ in range(DRIPS):
            yield b" "
            time.sleep(0.2)

    return Reply(200, JSON, body(), stream=True)


def cut(_: Received) -> Reply:
    """A stream whose connection drops in the middle."""

    def body() -> Iterator[bytes]:
        yield from _events(PARTS)[: CUT + 1]  # the first one is the role
        raise Drop

    return Reply(200, SSE, body(), stream=True)


def ends_early(_: Received) -> Reply:
    """The same with a proper end of the body: only what a stream should end with is missing."""
    return Reply(200, SSE, _events(PARTS)[: CUT + 1], stream=True)


@dataclass
class Providers:
    """Two of them, the first one in trouble where a probe says so, the second one well where it does not.

    Attributes:
        first: The server that is asked first.
        second: The other one.
    """

    first: ReplayServer
    second: ReplayServer

    @classmethod
    def of(cls, first: Behaviour, second: Behaviour = answer) -> Self:
        """Two servers that behave so."""
        return cls(ReplayServer(first), ReplayServer(second))

    @property
    def urls(self) -> list[str]:
        """Their addresses."""
        return [self.first.url, self.second.url]

    @property
    def hits(self) -> int:
        """How often the first one was asked."""
        return len(self.first.requests)

    def __enter__(self) -> Self:
        self.first.__enter__()
        self.second.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.first.__exit__(kind, error, trace)
        self.second.__exit__(kind, error, trace)


def _events(parts: list[str]) -> list[bytes]:
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in loopback.openai_events(parts)]


def _error(status: int, message: str, kind: str, headers: dict[str, str] | None = None) -> Reply:
    body = {"error": {"message": message, "type": kind, "code": None, "param": None}}
    return Reply(status, {**JSON, **(headers or {})}, json.dumps(body).encode())


def _said(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)
