"""Stream continuation: another route resumes a response whose stream broke, or the same route a paused turn. Pure.

How this works:

* After a break, `Continuation.request` appends the text so far as an assistant message and `INSTRUCTION` as a user
  message. It is an instruction and not a prefilled response, because newer models reject a prefill.
* A model that continues often repeats the last words. `Overlap` holds back the beginning of the new text until it is
  known how much of it repeats the end of the old text, and drops that.
* `Continuation.response` joins the parts and sums usage and cost over all attempts.
* `PausedTurn` resends the history with the response so far, for a provider that paused its own turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import MultiRouteError, StreamInterruptedError
from multiroute_core.messages import Message, Part, Reasoning, Text, assemble, join
from multiroute_core.parsing import token_count
from multiroute_core.types import Attempt, Request, Response, Usage

INSTRUCTION = (
    "Your answer was cut off. Go on exactly where it ends: repeat nothing of it, begin in the middle of a word if it "
    "ends there, and do not speak of the break."
)

SURE = 8
"""An overlap of this many characters is not a coincidence."""

LIKELY = 3
"""At a word boundary, this many are enough."""


def continuable(parts: Iterable[Part], request: Request) -> bool:
    """Whether another model can resume here: after text, but not within a tool call or a structured output."""
    kinds = {type(part) for part in parts}
    return Text in kinds and kinds <= {Text, Reasoning} and request.output_schema is None


class Continuation:
    """A response that several routes produce, one after the other.

    Attributes:
        parts: What the caller has received so far.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._broken_attempts: list[Attempt] = []
        self._overlap: Overlap | None = None

    def add_break(self, parts: Iterable[Part], attempt: Attempt) -> None:
        """Record a broken attempt. The parts of attempts after the first were already added by `add_parts`."""
        if self._overlap is None:
            self.parts.extend(parts)
        self._broken_attempts.append(attempt)
        self._overlap = Overlap(join(self.parts))

    def request(self, request: Request) -> Request:
        """Return the request for the next route."""
        text = join(self.parts)
        left = None if request.max_tokens is None else max(1, request.max_tokens - token_count.of_text(text))
        more = (Message("assistant", text), Message("user", INSTRUCTION))
        return replace(request, messages=(*request.messages, *more), max_tokens=left)

    def add_parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return and record what is new in `parts`."""
        if self._overlap is None or self._overlap.over:
            new = parts
        else:
            new = tuple(left for part in parts if (left := self._new(self._overlap, part)) is not None)
        self.parts.extend(new)
        return new

    def flush(self) -> tuple[Part, ...]:
        """Return the text that was held back, at the end of the last attempt."""
        text = "" if self._overlap is None else self._overlap.end()
        new = (Text(text),) if text else ()
        self.parts.extend(new)
        return new

    def response(self, last: Response) -> Response:
        """Return the whole response with the finish reason of `last`; usage and cost are summed over all attempts."""
        usages = [last.usage, *(s.usage for s in self._broken_attempts)]
        costs = [last.cost, *(s.cost for s in self._broken_attempts)]
        savings = [last.prompt_cache_saving, *(s.prompt_cache_saving for s in self._broken_attempts)]
        return replace(
            last,
            parts=assemble(self.parts),
            usage=_sum(usages),
            cost=_add(costs),
            prompt_cache_saving=_add(savings),
        )

    @staticmethod
    def _new(overlap: Overlap, part: Part) -> Part | None:
        if not isinstance(part, Text):
            return part
        text = overlap.feed(part.text)
        return replace(part, text=text) if text else None


class PausedTurn:
    """A turn that the provider paused (Anthropic's `pause_turn`), and its resumption.

    Anthropic pauses a turn in which its own tools run for long; resending the history with the response so far resumes
    it: https://docs.claude.com/en/docs/build-with-claude/handling-stop-reasons (read 2026-11-28).

    Args:
        first: The response at the first pause.
    """

    def __init__(self, first: Response) -> None:
        self.paused = first
        self.count = 1

    def pause(self, response: Response) -> None:
        """The turn is paused once more; `response` holds the whole turn so far."""
        self.paused = response
        self.count = self.count + 1

    def request(self, request: Request) -> Request:
        """Return the request that resumes the turn."""
        return replace(request, messages=(*request.messages, Message("assistant", self.paused.parts)))

    def merge_response(self, last: Response) -> Response:
        """Return the turn up to `last`; usage and cost are summed over all its requests."""
        before = self.paused
        return replace(
            last,
            parts=(*before.parts, *last.parts),
            usage=_sum([before.usage, last.usage]),
            cost=_add([before.cost, last.cost]),
            prompt_cache_saving=_add([before.prompt_cache_saving, last.prompt_cache_saving]),
        )


def _add(amounts: Sequence[float | None]) -> float | None:
    """Return the sum of amounts in USD; None if one of them is unknown."""
    known_amounts = [amount for amount in amounts if amount is not None]
    return sum(known_amounts) if len(known_amounts) == len(amounts) else None


def to_final_error(
    error: MultiRouteError, interruption: StreamInterruptedError | None, attempts: tuple[Attempt, ...]
) -> MultiRouteError:
    """Return the error that ends a request: the stream interruption, with the partial response, if there is one.

    Args:
        error: Why no route could take over.
        interruption: The interruption of a stream whose chunks were given out.
        attempts: All attempts of the request.
    """
    if interruption is None:
        return error
    if interruption.partial is not None:
        interruption.partial = replace(interruption.partial, attempts=attempts)
    interruption.add_note(f"No other route could take over: {error}")
    return interruption


class Overlap:
    """Finds how much of the end of `previous` the new text repeats at its beginning.

    Attributes:
        over: Whether that is decided; all later text is new.
    """

    def __init__(self, previous: str) -> None:
        self.over = False
        self._previous = previous
        self._pending = ""
        self._places: list[int] | None = None
        self._repeated = 0

    def feed(self, text: str) -> str:
        """Return the text that is known to be new."""
        if self.over:
            return text
        self._pending += text
        buffer = self._pending
        previous = self._previous
        if not buffer:
            return ""
        if self._places is None:
            self._places = [place for place in range(len(previous)) if previous[place] == buffer[0]]
        going_on: list[int] = []
        for place in self._places:
            left = len(previous) - place
            if left > len(buffer):
                if previous.startswith(buffer, place):
                    going_on.append(place)
            elif buffer.startswith(previous[place:]) and self._counts(place):
                self._repeated = max(self._repeated, left)
        self._places = going_on
        return "" if going_on else self.end()

    def end(self) -> str:
        """Return the new text that was held back, at the end of the response."""
        self.over = True
        new = self._pending[self._repeated :]
        self._pending = ""
        return new

    def _counts(self, place: int) -> bool:
        """Whether the text from `place` on is too long to match by chance."""
        previous = self._previous
        alone = place == 0 or not (previous[place - 1].isalnum() and previous[place].isalnum())
        return len(previous) - place >= (LIKELY if alone else SURE)


def _sum(usages: list[Usage | None]) -> Usage | None:
    """Sum all tokens; a count that one usage lacks is None in the sum."""
    known_usages = [usage for usage in usages if usage is not None]
    if len(known_usages) < len(usages):
        return None
    sums: dict[str, Any] = {}
    for field in fields(Usage):
        values = [getattr(usage, field.name) for usage in known_usages]
        if field.name in ("service_tier", "speed", "inference_geo"):
            sums[field.name] = values[0] if len(set(values)) == 1 else None
        elif field.name == "other_models":
            sums[field.name] = tuple(other for others in values for other in others)
        else:
            sums[field.name] = None if None in values else sum(values)
    return Usage(**sums)
