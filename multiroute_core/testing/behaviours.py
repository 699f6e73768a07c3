"""Behaviours of a scripted provider for one call: respond, fail, hang, stream slowly, drop the connection.

A behaviour is a sequence of steps. Each has a delay and an event: the response headers, a heartbeat, a piece of the
response, or an error. A step with an infinite delay never comes.
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
"""The response headers: from here on a stream is open."""

PING = "ping"
"""A heartbeat without content."""


class IncomingCall(NamedTuple):
    """One call, as its provider receives it.

    Attributes:
        route: The route's name.
        number: The call's number within this provider, from 0.
        at: The time of arrival on the caller's clock, in seconds.
        request: The request.
        stream: Whether the response is to be streamed.
    """

    route: str
    number: int
    at: float
    request: Request
    stream: bool

    @property
    def text(self) -> str:
        """The text of the last message."""
        return self.request.messages[-1].text

    @property
    def tokens(self) -> int:
        """The prompt's tokens, estimated from its length."""
        return sum(len(message.text) for message in self.request.messages) // CHARACTERS_PER_TOKEN + 1


class Step(NamedTuple):
    """An event, and its delay after the previous step in seconds."""

    after: float
    event: str | Delta | Exception


class Behaviour(Protocol):
    """The reaction of a provider to one call."""

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields the steps, in order. A stream whose steps end without a `finish_reason` was cut off."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """Responds successfully. All times are in seconds.

    Attributes:
        text: The response; one piece, or several in order. `{route}`, `{number}` and `{asked}` (the last message's
            text) are substituted, also in tool calls.
        headers: Delay until the headers.
        first_token: Delay from the headers to the first piece.
        per_chunk: Delay between two pieces, and from the last one to the end.
        tool_calls: The tool calls, after the text.
        usage: The token counts; None estimates them from the length.
        finish_reason: The finish reason; None for the usual one. `"refusal"` and `"content_filter"` are valid too.
        pings: Number of heartbeats before the first piece, spread over `first_token`.
        goodbye: Delay from the end of the response to the end of its stream.
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
        """Yields headers, heartbeats, pieces and the end."""
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
        """Returns the parts of the stream."""
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
    """Fails before any content.

    Attributes:
        error: The class of the error, or a function that creates one.
        after: Delay until the error in seconds.
        retry_after: The retry delay that the provider requests, in seconds; used only if `error` is a class.
        opened: Whether the headers arrive before the error.
    """

    error: Callable[[], RouteError] | type[RouteError] = ServerError
    after: float = 0.0
    retry_after: float | None = None
    opened: bool = False

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields the error."""
        if self.opened:
            yield Step(0.0, HEADERS)
        yield Step(self.after, self.make_error())

    def make_error(self) -> RouteError:
        """Creates a new error: one that is raised twice would carry the state of the first time."""
        if isinstance(self.error, type):
            return self.error("As the script says.", retry_after=self.retry_after)
        return self.error()


def rate_limited(retry_after: float | None = None, after: float = 0.0) -> Fail:
    """Fails with a rate-limit error, with its retry delay."""
    return Fail(RateLimitError, after, retry_after)


@dataclass(frozen=True, slots=True)
class Hang:
    """Never responds.

    Attributes:
        opened: Whether the headers arrive first.
    """

    opened: bool = False

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields a step that never comes."""
        if self.opened:
            yield Step(0.0, HEADERS)
        yield Step(math.inf, PING)


@dataclass(frozen=True, slots=True)
class SlowStream:
    """Sends headers, and then only heartbeats, forever.

    Attributes:
        every: Seconds between two heartbeats.
    """

    every: float = 0.1

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields heartbeats."""
        yield Step(0.0, HEADERS)
        while True:
            yield Step(self.every, PING)


@dataclass(frozen=True, slots=True)
class DropConnection:
    """Starts a response and drops the connection.

    Attributes:
        after: Number of pieces before the drop.
        answer: The response.
        error: Creates the error to raise; None just closes the connection.
        stall: If True, the connection stays open without further data.
        usage: The token counts reported before the drop.
    """

    after: int = 1
    answer: Answer = Answer(("one ", "two ", "three"))
    error: Callable[[], Exception] | None = None
    stall: bool = False
    usage: Usage | None = None

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields the beginning of the response, then the drop."""
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
    """Rejects prompts that are too long, and passes the others to another behaviour.

    Attributes:
        tokens: The size of the context window.
        fitting: The behaviour for prompts that fit.
    """

    tokens: int
    fitting: Behaviour

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Returns the rejection, or the steps of the other behaviour."""
        if incoming.tokens > self.tokens:
            message = f"The prompt is too long: {incoming.tokens} tokens, and the context window is {self.tokens}."
            return iter((Step(0.0, ContextOverflowError(message, status=400)),))
        return self.fitting.steps(incoming)


def SlowAnswer(  # noqa: N802  (a behaviour, as the classes beside it)
    seconds: float, answer: Answer | None = None
) -> Answer:
    """Returns an answer with a slow first token."""
    return replace(answer or Answer(), first_token=seconds)


def _filled(text: str, incoming: IncomingCall) -> str:
    if "{" not in text:
        return text
    filled = text.replace("{route}", incoming.route).replace("{number}", str(incoming.number))
    return filled.replace("{asked}", incoming.text) if "{asked}" in filled else filled


def estimate_usage(incoming: IncomingCall, pieces: Sequence[Any]) -> Usage:
    """Estimates tokens from the length, precisely enough to distinguish answers."""
    output_tokens = sum(map(_count_characters, pieces)) // CHARACTERS_PER_TOKEN + 1
    return Usage(input_tokens=incoming.tokens, output_tokens=output_tokens)


def _count_characters(piece: Any) -> int:
    """Returns the length of a text, or of a piece of a tool call."""
    if isinstance(piece, ToolCallDelta):
        return len(piece.name or "") + len(piece.arguments)
    return len(getattr(piece, "text", ""))
