"""A scripted provider that speaks a dialect: the script says what, the dialect how, the vendor's decoder reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from multiroute_core.messages import Part, Wire
from multiroute_core.options import unknown
from multiroute_core.providers import body
from multiroute_core.providers.anthropic import decode as anthropic
from multiroute_core.providers.google import decode as google
from multiroute_core.providers.openai import chat_answer, responses_answer
from multiroute_core.providers.provider import Decoder, Encoded, Reply, WireError
from multiroute_core.providers.sse import StreamReader
from multiroute_core.providers.stream_body import to_value
from multiroute_core.route import Route
from multiroute_core.testing.behaviours import HEADERS, PING, Answer, Asked, Step
from multiroute_core.testing.dialects.catalogue import DIALECTS, REFUSALS, Dialect, failures_of
from multiroute_core.testing.dialects.writers import FAILURE, Writer
from multiroute_core.testing.scripted import Script, ScriptedProvider
from multiroute_core.types import Delta, FinishReason, Usage

_DECODERS: dict[Wire, Any] = {
    "openai.chat": chat_answer.ChatDecoder,
    "openai.responses": responses_answer.ResponsesDecoder,
    "anthropic": anthropic.MessagesDecoder,
    "google": google.GeminiDecoder,
}


_OK = Answer()
_THREE = Answer(("one ", "two ", "three"))


@dataclass(frozen=True, slots=True)
class Failure:
    """Fail as servers of a dialect do.

    Attributes:
        name: Which failure: one of `failures_of(dialect)`. Those of `FAILURES` come under HTTP 200, the others have a
            status of their own.
        answer: What is said of an answer before.
        after: How many of its pieces come before the failure, in a stream.
        usage: The tokens that the failed answer is counted; None where the server does not say.
    """

    name: str
    answer: Answer = _THREE
    after: int = 0
    usage: Usage | None = None

    def steps(self, asked: Asked) -> Iterator[Step]:
        """The beginning of an answer, and the failure."""
        if self.name in REFUSALS:
            status, kind, message = REFUSALS[self.name]
            error = {"type": kind, "code": kind, "message": message}
            yield Step(0.0, WireError(message, {"error": error}, status))
            return
        yield Step(0.0, HEADERS)
        for piece in self.answer.pieces(asked)[: self.after]:
            yield Step(0.0, Delta((piece,)))
        yield Step(0.0, Delta(finish_reason="other", usage=self.usage, raw={FAILURE: self.name}))


class DialectProvider(ScriptedProvider):
    """A scripted provider whose answers go over a wire.

    Args:
        dialect: Its name, one of `DIALECTS`.
        script: What it does with each call; see `ScriptedProvider`.
        **options: Those of `ScriptedProvider`.
    """

    def __init__(self, dialect: str, script: Script, **options: Any) -> None:
        if dialect not in DIALECTS:
            raise unknown("dialect", dialect, DIALECTS)
        super().__init__(script, **options)
        self.dialect: Dialect = DIALECTS[dialect]
        behaviours = cast("Sequence[Any]", script) if isinstance(script, Sequence) else (script,)
        for behaviour in behaviours:
            if isinstance(behaviour, Failure) and behaviour.name not in (known := failures_of(dialect)):
                raise unknown("failure", behaviour.name, known)

    def wire(self, route: Route) -> Wire:
        """The API that the dialect is one of."""
        return self.dialect.wire

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """What the vendor's decoder reads in the dialect's body."""
        content = Writer(self.dialect, encoded.model or "").whole(cast("Any", reply).delta)
        reply = Reply(content, {})
        match self.dialect.wire:
            case "anthropic":
                return anthropic.decode(reply, encoded)
            case "google":
                return google.decode(body.of(reply), encoded)
            case "openai.responses":
                return responses_answer.decode(body.of(reply), encoded)
            case _:
                return chat_answer.decode(body.of(reply), encoded)

    def decoder(self, encoded: Encoded) -> Any:
        """The vendor's decoder, behind the dialect's event stream."""
        return _DialectDecoder(self.dialect, encoded)


class _DialectDecoder:
    """Writes each delta as bytes of an event stream, and reads those."""

    def __init__(self, dialect: Dialect, encoded: Encoded) -> None:
        self._writer, self._reader = Writer(dialect, encoded.model or ""), StreamReader()
        self._decoder: Decoder = _DECODERS[dialect.wire](encoded)

    @property
    def complete(self) -> bool:
        """Whether the proper end was seen."""
        return self._decoder.complete

    def feed(self, event: Any) -> Delta | None:
        """What the vendor's decoder reads in the bytes for `event`."""
        if event is PING:
            return None
        parts: list[Part] = []
        finish: FinishReason | None = None
        usage: Usage | None = None
        model: str | None = None
        for sent in self._reader.feed(self._writer.frames(event)):
            delta = None if (value := to_value(sent)) is None else self._decoder.feed(value)
            if delta is not None:
                parts += delta.parts
                finish, usage, model = delta.finish_reason or finish, delta.usage or usage, delta.model or model
        return Delta(tuple(parts), finish, usage, model)


def dialect_route(
    dialect: str, script: Script = _OK, *, model: str | None = None, name: str | None = None, **options: Any
) -> Route:
    """A route to a scripted provider that speaks a dialect, without a socket.

    Args:
        dialect: One of `DIALECTS`.
        script: What it does with each call: behaviours such as `Answer` and `Cut`, and `Failure`; it answers by
            default.
        model: The model's name; that of the dialect by default.
        name: The route's name; that of the dialect by default.
        **options: Those of `Route`.

    Raises:
        ConfigurationError: there is no such dialect.
    """
    provider = DialectProvider(dialect, script)
    return Route(f"scripted:{model or dialect}", name=name or dialect, via=provider, **options)
