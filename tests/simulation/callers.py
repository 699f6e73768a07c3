"""The callers of a world: what each asks for, and whether it waits for the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from multiroute_core.errors import MultiRouteError, StreamInterruptedError
from multiroute_core.events import RequestEnded
from multiroute_core.messages import Part, Text, ToolCall, ToolCallDelta, join
from multiroute_core.testing.faults import QUANTUM
from multiroute_core.types import Attempt, Chunk, Response

STRATEGIES: tuple[Any, ...] = (
    "priority",
    "weighted",
    "least_busy",
    "fastest",
    "cheapest",
    lambda _, routes, __: routes[::-1],
)

LONG = (320, 1000)
"""The words of prompts that not every route takes."""


@dataclass(slots=True, eq=False)
class Caller:
    """Somebody who asks once, and what came of it.

    Attributes:
        leaves: How it walks away: not at all, by `"cancel"` after some seconds, or by `"close"` or `"drop"` of its
            stream after some chunks.
        patience: Those seconds, or those chunks.
        options: What it asks for besides.
        words: The words of its prompt besides its name.
        personal_data: What of its prompt is personal; empty for nothing.
        end: `"success"`, the kind of the error, or the way in which it left.
        heard: The chunks, and when they came.
        started: How often the router said that its request began.
        candidates: Whom the router would ask.
        told: What the router said when it ended.
    """

    name: str
    at: float
    stream: bool
    deadline: float
    leaves: str = ""
    patience: float = 0.0
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    words: int = 0
    personal_data: str = ""
    began: float = 0.0
    ended: float = 0.0
    end: str = ""
    heard: list[tuple[float, Chunk]] = field(default_factory=list[tuple[float, Chunk]])
    response: Response | None = None
    error: MultiRouteError | None = None
    started: int = 0
    candidates: tuple[str, ...] = ()
    told: list[RequestEnded] = field(default_factory=list[RequestEnded])

    @property
    def prompt(self) -> str:
        """What it says; its name is the first word."""
        return self.name + " word" * self.words + (self.personal_data and f" {self.personal_data}")

    @property
    def on_stream_error(self) -> str:
        """What it wants when its stream breaks."""
        return self.options.get("on_stream_error", "raise")

    @property
    def left(self) -> bool:
        """Whether it walked away."""
        return self.end in ("cancel", "close", "drop")

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What the router says that it tried."""
        return self.told[-1].attempts if self.told else ()

    @property
    def voices(self) -> list[list[Part]]:
        """What it heard, a list for each time that somebody began anew."""
        voices: list[list[Part]] = [[]]
        for _, chunk in self.heard:
            if chunk.restarted:
                voices.append([])
            voices[-1] += chunk.parts
        return voices

    @property
    def partial(self) -> Response | None:
        """What a stream that broke had said, by its error."""
        return self.error.partial if isinstance(self.error, StreamInterruptedError) else None


def crowd(dice: random.Random, users: int, seconds: float) -> list[Caller]:
    """Some come by themselves, and some together."""
    grain = dice.choice((QUANTUM, QUANTUM, 1.0))  # all moments, or few
    bursts = [_moment(dice, seconds, grain) for _ in range(3)]
    together = dice.choice((0.0, 0.2, 0.6))
    orders = dice.choice((STRATEGIES[:1], STRATEGIES[:1], STRATEGIES))
    mended = dice.choice((("raise",), ("raise", "restart", "continue")))
    declined: tuple[tuple[str, ...], ...] = dice.choice((((),), ((), ("refusal",), ("refusal", "content_filter"))))
    lengths = dice.choice(((0,), (0, 0, 0, *LONG)))

    def caller(number: int) -> Caller:
        at = dice.choice(bursts) if dice.random() < together else _moment(dice, seconds, grain)
        one = Caller(f"u{number}", at, dice.random() < 0.6, dice.choice((1.0, 2.0, 5.0, 30.0, 30.0)))
        one.options = {
            "deadline": one.deadline,
            "strategy": dice.choice(orders),
            "on_stream_error": dice.choice(mended),
            "fallback_on": dice.choice(declined),
        }
        one.words = dice.choice(lengths)
        luck = dice.random()
        if luck < 0.1:
            one.leaves, one.patience = "cancel", dice.randrange(60) * QUANTUM
        elif luck < 0.2 and one.stream:
            one.leaves, one.patience = dice.choice(("close", "drop")), dice.choice((1, 1, 2, 3))
        return one

    return [caller(number) for number in range(users)]


def spelled(parts: Sequence[Part]) -> str:
    """Parts in one string, the same for an answer and for its pieces."""
    return "".join(_spelling(part) for part in parts)


def text_of(parts: Sequence[Part]) -> str:
    """The text alone."""
    return join([part for part in parts if isinstance(part, Text)])


def _spelling(part: Part) -> str:
    if isinstance(part, ToolCallDelta):
        return f"<{part.id} {part.name}>{part.arguments}" if part.id else part.arguments
    if isinstance(part, ToolCall):
        where: Callable[[str], Any] = part.arguments.get
        return f'<{part.id} {part.name}>{{"where": "{where("where")}"}}'
    return join((part,))


def _moment(dice: random.Random, seconds: float, grain: float) -> float:
    return round(dice.randrange(round(seconds / grain)) * grain, 9)
