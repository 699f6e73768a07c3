"""Dialect provider: scripted responses, written in a dialect and read by the provider's real decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Api, Part
from multiroute_core.options import unknown
from multiroute_core.providers import body
from multiroute_core.providers.anthropic import decode as anthropic
from multiroute_core.providers.google import decode as google
from multiroute_core.providers.openai import chat_answer, responses_answer
from multiroute_core.providers.provider import Decoder, Encoded, Reply, WireError
from multiroute_core.providers.sse import StreamReader
from multiroute_core.providers.stream_body import to_value
from multiroute_core.route import Route
from multiroute_core.testing.behaviours import HEADERS, PING, Answer, IncomingCall, Step
from multiroute_core.testing.dialects.catalogue import DIALECTS, REFUSALS, Dialect, failures_of
from multiroute_core.testing.dialects.writers import FAILURE, Writer
from multiroute_core.testing.scripted import Script, ScriptedProvider
from multiroute_core.types import Delta, FinishReason, Usage

_DECODERS: dict[Api, Any] = {
    "openai.chat": chat_answer.ChatDecoder,
    "openai.responses": responses_answer.ResponsesDecoder,
    "anthropic": anthropic.MessagesDecoder,
    "google": google.GeminiDecoder,
}


_OK = Answer()
_THREE = Answer(("one ", "two ", "three"))


@dataclass(frozen=True, slots=True)
class Failure:
    """Fails as servers of a dialect do. The name is checked when a route or a server is created.

    Attributes:
        name: The failure: one of `failures_of(dialect)`. Those of `FAILURES` come under HTTP 200, the others with an
            error status such as 401.
        answer: The response that a stream starts before the failure; three words by default.
        after: Number of pieces of `answer` that a stream sends before the failure: 0 by default. A non-streamed
            response sends none, and a failure with an error status comes before any piece.
        usage: The token counts that the server reports for the failed response; None if it reports none.

    Example:
        >>> route = dialect_route("openrouter", Failure("choice_error", after=2))  # breaks after two words
    """

    name: str
    answer: Answer = _THREE
    after: int = 0
    usage: Usage | None = None

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """Yields the beginning of a response, then the failure."""
        if self.name in REFUSALS:
            status, kind, message = REFUSALS[self.name]
            error = {"type": kind, "code": kind, "message": message}
            yield Step(0.0, WireError(message, {"error": error}, status))
            return
        yield Step(0.0, HEADERS)
        for piece in self.answer.pieces(incoming)[: self.after]:
            yield Step(0.0, Delta((piece,)))
        yield Step(0.0, Delta(finish_reason="other", usage=self.usage, raw={FAILURE: self.name}))


def check_script(dialect: str, script: Any) -> None:
    """Checks the failures of a script before the first call.

    Raises:
        ConfigurationError: if the dialect has no such failure, or a string is given instead of a behaviour.
    """
    failures = failures_of(dialect)
    is_list = isinstance(script, Sequence) and not isinstance(script, str)
    behaviours = cast("Sequence[Any]", script if is_list else (script,))
    for behaviour in behaviours:
        if isinstance(behaviour, str):
            raise ConfigurationError(
                f"{behaviour!r} is a str; expected Failure({behaviour!r}) or Answer({behaviour!r})."
            )
        if isinstance(behaviour, Failure) and behaviour.name not in failures:
            raise unknown("failure", behaviour.name, failures)


class DialectProvider(ScriptedProvider):
    """A scripted provider whose responses are encoded in a dialect.

    Args:
        dialect: The name, one of `DIALECTS`.
        script: The behaviour for each call; see `ScriptedProvider`.
        **options: Options of `ScriptedProvider`.

    Raises:
        ConfigurationError: if the dialect does not exist or has no such failure.
    """

    def __init__(self, dialect: str, script: Script, **options: Any) -> None:
        if dialect not in DIALECTS:
            raise unknown("dialect", dialect, DIALECTS)
        super().__init__(script, **options)
        self.dialect: Dialect = DIALECTS[dialect]
        check_script(dialect, script)

    def api(self, route: Route) -> Api:
        """Returns the dialect's API."""
        return self.dialect.wire

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Writes the response in the dialect and decodes it with the provider's decoder."""
        content = Writer(self.dialect, encoded.model or "").write_body(cast("Any", reply).delta)
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
        """Returns the provider's decoder, fed by the dialect's event stream."""
        return _DialectDecoder(self.dialect, encoded)


class _DialectDecoder:
    """Writes each delta as bytes of an event stream, and decodes them."""

    def __init__(self, dialect: Dialect, encoded: Encoded) -> None:
        self._writer = Writer(dialect, encoded.model or "")
        self._reader = StreamReader()
        self._decoder: Decoder = _DECODERS[dialect.wire](encoded)

    @property
    def complete(self) -> bool:
        """Whether the stream ended properly."""
        return self._decoder.complete

    def feed(self, event: Any) -> Delta | None:
        """Returns what the provider's decoder reads from the bytes of `event`."""
        if event is PING:
            return None
        parts: list[Part] = []
        finish: FinishReason | None = None
        usage: Usage | None = None
        model: str | None = None
        for frame in self._reader.feed(self._writer.frames(event)):
            delta = None if (value := to_value(frame)) is None else self._decoder.feed(value)
            if delta is not None:
                parts += delta.parts
                finish = delta.finish_reason or finish
                usage = delta.usage or usage
                model = delta.model or model
        return Delta(tuple(parts), finish, usage, model)


def dialect_route(
    dialect: str, script: Script = _OK, *, model: str | None = None, name: str | None = None, **options: Any
) -> Route:
    """Creates a route to a scripted provider that speaks a dialect, without a socket.

    Args:
        dialect: One of `DIALECTS`.
        script: The behaviour for each call: a behaviour such as `Answer`, `DropConnection` or `Failure`, or a list of
            them, one per call, the last one repeated. By default it responds "ok".
        model: The model's name; the dialect's name by default. Such a model has no list price: set `prices` if costs or
            budgets in USD matter.
        name: The route's name; the dialect's name by default.
        **options: Options of `Route`.

    Raises:
        ConfigurationError: if the dialect does not exist, it has no such failure, or an option is not valid.

    Example:
        >>> dialect_route("xai", prices={"input": 3, "output": 15}).name
        'xai'
    """
    provider = DialectProvider(dialect, script)
    return Route(f"scripted:{model or dialect}", name=name or dialect, llm=provider, **options)
