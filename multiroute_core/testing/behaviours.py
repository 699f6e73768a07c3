"""What a scripted provider may do when it is asked: answer, fail, hang, drip, break off.

A behaviour is a list of steps. Each says how long the provider takes for it, and what then comes: the reply's headers,
a heartbeat, a piece of the answer, an error, or nothing ever again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from multiroute_core.errors import ContextOverflowError, RateLimitError, RouteError, ServerError
from multiroute_core.messages import Part, Text, ToolCall, ToolCallDelta
from multiroute_core.types import Delta, FinishReason, Request, Usage

CHARACTERS_PER_TOKEN = 4

HEADERS = "headers"
"""The reply has begun: from here on a stream is open."""

PING = "ping"
"""A sign of life that says nothing."""


class IncomingCall(NamedTuple):
    """One call, as its provider sees it.

    Attributes:
        route: The route's name.
        number: Which call of this provider it is, from 0.
        at: When it came in, on the caller's clock, in seconds.
        request: What is asked.
        stream: Whether the answer is to be streamed.
    """

    route: str
    number: int
    at: float
    request: Request
    stream: bool

    @property
    def text(self) -> str:
        """The last message."""
        return self.request.messages[-1].text

    @property
    def tokens(self) -> int:
        """The prompt's tokens, by its length."""
        return sum(len(message.text) for message in self.request.messages) // CHARACTERS_PER_TOKEN + 1


class Step(NamedTuple):
    """What comes, and how many seconds after the step before."""

    after: float
    event: str | Delta | Exception


class Behaviour(Protocol):
    """What a provider does with one call."""

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """What happens, in order. A stream whose steps end without a `finish_reason` was cut."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer. All times are in seconds.

    Attributes:
        text: The answer; one piece, or pieces in order. `{route}`, `{number}` and `{asked}` are filled in, in tool
            calls too.
        headers: Until the reply begins.
        first_token: From there to the first piece.
        per_chunk: Between two pieces, and from the last one to the end.
        tool_calls: What the model wants to be called, after the text.
        usage: Its tokens; None counts them by length.
        finish_reason: Why it ends; None for the usual one. `"refusal"` and `"content_filter"` are answers too.
        pings: Heartbeats before the first piece; `first_token` is spread over them.
        goodbye: From the answer's end to that of its stream.
    """

    text: str | Sequence[str] = "ok"
    headers: float = 0.0
    first_token: float = 0.0
    per_chunk: float = 0.0
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    pings: int = 0
    goodbye: float = 0.0

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Headers, heartbeats, pieces, end."""
        pieces = self.pieces(incoming)
        yield Step(self.headers, HEADERS)
        wait = self.first_token / (self.pings + 1)
        for _ in range(self.pings):
            yield Step(wait, PING)
        for piece in pieces:
            yield Step(wait, Delta((piece,)))
            wait = self.per_chunk
        usage = self.usage or estimate_usage(incoming, pieces)
        reason = self.finish_reason or ("tool_call" if self.tool_calls else "stop")
        yield Step(wait, Delta(finish_reason=reason, usage=usage))
        if self.goodbye:
            yield Step(self.goodbye, PING)

    def pieces(self, incoming: IncomingCall) -> list[Part]:
        """The parts of a stream."""
        texts = [self.text] if isinstance(self.text, str) else self.text
        parts: list[Part] = [Text(_filled(text, incoming)) for text in texts if text]
        for index, call in enumerate(self.tool_calls):
            parts += [
                ToolCallDelta(index, _filled(call.id, incoming), call.name),
                ToolCallDelta(index, arguments=_filled(json.dumps(dict(call.arguments)), incoming)),
            ]
        return parts


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail before anything came.

    Attributes:
        error: The class of the error, or a function that makes one.
        after: Seconds until it comes.
        retry_after: Seconds for which the provider wants to be left alone; it goes into an error made from a class.
        opened: Whether the reply has begun: the error then comes inside it.
    """

    error: Callable[[], RouteError] | type[RouteError] = ServerError
    after: float = 0.0
    retry_after: float | None = None
    opened: bool = False

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """The error."""
        if self.opened:
            yield Step(0.0, HEADERS)
        yield Step(self.after, self.make_error())

    def make_error(self) -> RouteError:
        """A new error: one that is raised twice would carry the marks of the first time."""
        if isinstance(self.error, type):
            return self.error("As the script says.", retry_after=self.retry_after)
        return self.error()


def rate_limited(retry_after: float | None = None, after: float = 0.0) -> Fail:
    """Refuse for the rate limit, with the time to come back."""
    return Fail(RateLimitError, after, retry_after)


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing, for ever.

    Attributes:
        opened: Whether the reply has begun before.
    """

    opened: bool = False

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Nothing."""
        if self.opened:
            yield Step(0.0, HEADERS)
        yield Step(math.inf, PING)


@dataclass(frozen=True, slots=True)
class SlowStream:
    """Begin to reply, and keep the connection alive with heartbeats for ever.

    Attributes:
        every: Seconds between two of them.
    """

    every: float = 0.1

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Heartbeats."""
        yield Step(0.0, HEADERS)
        while True:
            yield Step(self.every, PING)


@dataclass(frozen=True, slots=True)
class DropConnection:
    """Begin an answer, and break off.

    Attributes:
        after: How many pieces come before.
        answer: What is being said.
        error: What is raised then; None is a connection that just closes.
        stall: True says nothing more, and does not close either.
        usage: The tokens that it still tells.
    """

    after: int = 1
    answer: Answer = Answer(("one ", "two ", "three"))
    error: Callable[[], Exception] | None = None
    stall: bool = False
    usage: Usage | None = None

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """The answer's beginning, and the break."""
        piece_count = 0
        for step in self.answer.steps(incoming):
            if isinstance(step.event, Delta):
                if piece_count == self.after or step.event.finish_reason:
                    break
                piece_count += 1
            yield step
        if self.usage is not None:
            yield Step(0.0, Delta(usage=self.usage))
        if self.stall:
            yield Step(math.inf, PING)
        elif self.error is not None:
            yield Step(self.answer.per_chunk, self.error())


@dataclass(frozen=True, slots=True)
class EnforceContextWindow:
    """Refuse prompts that are too long, and do something else with the others.

    Attributes:
        tokens: How many fit in.
        fitting: What happens with those that fit.
    """

    tokens: int
    fitting: Behaviour

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """The refusal, or what else happens."""
        if incoming.tokens > self.tokens:
            message = f"The prompt is too long: {incoming.tokens} tokens, and {self.tokens} fit in."
            return iter((Step(0.0, ContextOverflowError(message, status=400)),))
        return self.fitting.steps(incoming)


def SlowAnswer(  # noqa: N802  (a behaviour, as the classes beside it)
    seconds: float, answer: Answer | None = None
) -> Answer:
    """An answer whose first token takes its time."""
    return replace(answer or Answer(), first_token=seconds)


def _filled(text: str, incoming: IncomingCall) -> str:
    if "{" not in text:
        return text
    filled = text.replace("{route}", incoming.route).replace("{number}", str(incoming.number))
    return filled.replace("{asked}", incoming.text) if "{asked}" in filled else filled


def estimate_usage(incoming: IncomingCall, pieces: Sequence[Any]) -> Usage:
    """Tokens by length: enough to tell one answer's from another's."""
    output_tokens = sum(len(getattr(piece, "text", "")) for piece in pieces) // CHARACTERS_PER_TOKEN + 1
    return Usage(input_tokens=incoming.tokens, output_tokens=output_tokens)
