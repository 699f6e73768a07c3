"""The routes of a world: what they cost, what they take, how they fail, and what they say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from multiroute_core.engine.continuation import INSTRUCTION
from multiroute_core.messages import Text, ToolCall
from multiroute_core.providers.models import Model
from multiroute_core.route import Route
from multiroute_core.testing.behaviours import Answer, Behaviour, EnforceContextWindow, IncomingCall, Step
from multiroute_core.testing.faults import Schedule, random_schedule
from multiroute_core.testing.scripted import PROVIDER, scripted_route
from multiroute_core.types import Delta

PIECES = tuple("{route}#{number}:" + f"{place} " for place in range(4))
"""No two answers share a word, so that whoever hears one knows who spoke."""

CALL = ToolCall("{route}#{number}", "look", {"where": "{route}#{number}"})


@dataclass(frozen=True, slots=True)
class Repeating:
    """Take up the last words of the one before, and go on with something else, as models do that are told to go on."""

    behaviour: Behaviour
    words: int

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        said = incoming.request.messages[-2].text.split(" ")
        again = " ".join(said[-1 - self.words :]) if self.words < len(said) else ""
        for step in self.behaviour.steps(incoming):
            event = step.event
            if again and isinstance(event, Delta) and event.parts:
                yield Step(step.after, Delta((Text(again),)))
                yield Step(0.0, event)
                again = ""
            else:
                yield step


def terrain(dice: random.Random, seed: int, seconds: float) -> tuple[tuple[Route, ...], Schedule, tuple[str, ...]]:
    """Routes, what happens to them, and which of them are sound."""
    names = "abcd"[: dice.choice((1, 2, 3, 3, 4))]
    sound = (names[-1],) if dice.random() < 0.4 else ()
    answer = Answer(PIECES[: dice.randint(1, 4)], tool_calls=(CALL,) if dice.random() < 0.2 else ())
    trouble = dice.choice((0.02, 0.2, 0.6))
    schedule = random_schedule(seed, names, seconds=seconds, trouble=trouble, sound=sound, answer=answer)
    limited, windowed = dice.random() < 0.4, dice.random() < 0.4
    backup = len(names) > 1 and dice.random() < 0.3
    quota = "account" if limited and dice.random() < 0.5 else None
    shared = {**_limits(dice), "rate_limit_group": quota}
    tagged = _names_of_tagged(random.Random(f"tags {seed}"), names, sound)
    routes: list[Route] = []
    for name in names:
        more: dict[str, Any] = {
            "weight": dice.choice((1.0, 2.0, 5.0)),
            "prices": {"input": dice.choice((0.0, 1.0, 3.0)), "output": dice.choice((2.0, 5.0))},
            "backup": backup and name == names[-1],
            "tags": ["eu"] if name in tagged else [],
        }
        window = None
        if name not in sound:
            if limited:
                more |= _limits(dice) if quota is None or name not in "ab" else shared
                shared = {"rate_limit_group": quota}  # one of them says for both what they take
            window = dice.choice((None, 300, 800)) if windowed else None
        # A window may be known, known too large, or found out by asking.
        told = None if window is None else dice.choice((None, window, 4 * window))
        more["model"] = Model(PROVIDER, "*", window=told)
        routes.append(scripted_route(name, _script(schedule, window, dice.choice((0, 1, 2))), **more))
    return tuple(routes), schedule, sound


def _names_of_tagged(dice: random.Random, names: str, sound: tuple[str, ...]) -> set[str]:
    """The routes that may see personal data: at least one, and those that never fail."""
    return {dice.choice(names), *sound, *(name for name in names if dice.random() < 0.3)}


def _limits(dice: random.Random) -> dict[str, Any]:
    return {
        "rpm": dice.choice((None, 30.0, 120.0)),
        "tpm": dice.choice((None, 10_000.0, 40_000.0)),
        "max_concurrency": dice.choice((None, 1, 3, 10)),
    }


def _script(schedule: Schedule, window: int | None, repeats: int):
    def behaviour(asked: IncomingCall) -> Behaviour:
        found = schedule.script(asked)
        if asked.request.messages[-1].text == INSTRUCTION and repeats:
            found = Repeating(found, repeats)
        return found if window is None else EnforceContextWindow(window, found)

    return behaviour
