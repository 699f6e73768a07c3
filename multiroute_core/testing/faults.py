"""Fault schedules: the behaviour of a route's n-th call at a given time, seeded and deterministic.

Times are multiples of `QUANTUM`: with real resolution, two events would never coincide, and bugs that need a
coincidence would never be found.

Example:
    >>> schedule = Schedule({"first": [FaultPeriod(10.0, 40.0, Hang())]})
    >>> schedule.behaviour("first", at=12.0, number=0)
    Hang(opened=False)
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from multiroute_core.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextOverflowError,
    InvalidResponseError,
    NotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    ServerError,
)
from multiroute_core.route import Route
from multiroute_core.testing.behaviours import (
    Answer,
    Behaviour,
    DropConnection,
    Fail,
    Hang,
    IncomingCall,
    SlowStream,
    rate_limited,
)
from multiroute_core.testing.scripted import scripted_route
from multiroute_core.types import Usage

QUANTUM = 0.05
"""The time resolution, in seconds."""

Mix: TypeAlias = Sequence[tuple[float, Behaviour]]
"""Behaviours with their weights."""


@dataclass(frozen=True, slots=True)
class FaultPeriod:
    """A period with a different behaviour.

    Attributes:
        since: The start (inclusive), in seconds.
        until: The end (exclusive), in seconds.
        behaviour: The behaviour in this period.
        share: The share of calls that it affects, 0 to 1.
    """

    since: float
    until: float
    behaviour: Behaviour
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The behaviour of each route over time.

    Attributes:
        periods: The periods per route name; the first of overlapping ones applies.
        usual: The behaviours at other times; one mix for all routes, or one per route.
        until: The time from which every route responds successfully; None for never.
        seed: The seed for choices between behaviours.
    """

    periods: Mapping[str, Sequence[FaultPeriod]] = field(default_factory=dict[str, Sequence[FaultPeriod]])
    usual: Mix | Mapping[str, Mix] = ((1.0, Answer()),)
    until: float | None = None
    seed: int = 0

    def behaviour(self, route: str, at: float, number: int) -> Behaviour:
        """Returns the behaviour of `route` for call `number` at time `at`."""
        usual = self.usual[route] if isinstance(self.usual, Mapping) else self.usual
        if self.until is not None and at >= self.until:
            return next((b for _, b in usual if isinstance(b, Answer)), Answer())
        first, second = _chances(self.seed, route, number)
        for period in self.periods.get(route, ()):
            if period.since <= at < period.until and first < period.share:
                return period.behaviour
        left = second * sum(weight for weight, _ in usual)
        for weight, behaviour in usual:
            left -= weight
            if left < 0:
                return behaviour
        return usual[-1][1]

    def script(self, call: IncomingCall) -> Behaviour:
        """Returns the behaviour of a call; a script for `scripted_route`."""
        return self.behaviour(call.route, call.at, call.number)

    def route(self, name: str, **options: Any) -> Route:
        """Creates a scripted route that follows this schedule.

        Args:
            name: The route's name.
            **options: Options of `scripted_route`.
        """
        return scripted_route(name, self.script, **options)


def outage(since: float, until: float, behaviour: Behaviour | None = None) -> FaultPeriod:
    """Returns a period in which a route fails, by default with server errors."""
    return FaultPeriod(since, until, behaviour or Fail(ServerError))


def random_schedule(
    seed: int,
    routes: Sequence[str],
    *,
    seconds: float = 60.0,
    trouble: float = 0.3,
    sound: Sequence[str] = (),
    answer: Answer | None = None,
) -> Schedule:
    """Creates a random schedule of all kinds of faults.

    It contains outages from seconds to half the time, and single faults in between.

    Args:
        seed: The same seed produces the same schedule.
        routes: The names of the routes.
        seconds: The period with faults; no faults occur afterwards.
        trouble: The share of faulty calls outside outages, 0 to 1.
        sound: Routes that never fail.
        answer: The successful response; its times are replaced by random ones.
    """
    dice = random.Random(f"{seed} {seconds} {trouble}")  # noqa: S311  (to be repeated, not to be secret)
    periods: dict[str, list[FaultPeriod]] = {}
    usual: dict[str, Mix] = {}
    for name in routes:
        good = [_random_answer(dice, answer or Answer()) for _ in range(3)]
        if name in sound:
            usual[name] = tuple((1.0, one) for one in good)
            periods[name] = []
            continue
        bad = [_fault(dice, good[0]) for _ in range(4)]
        usual[name] = (*(((1.0 - trouble) / 3, one) for one in good), *((trouble / 4, one) for one in bad))
        periods[name] = [_random_period(dice, seconds, good[0]) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    return Schedule(periods, usual, seconds, seed)


def quantised(seconds: float) -> float:
    """Rounds to the nearest multiple of the quantum."""
    return round(round(seconds / QUANTUM) * QUANTUM, 9)


FAULTS: tuple[Callable[[random.Random, Answer], Behaviour], ...] = (
    lambda dice, _: Fail(ServerError, dice.choice((0.0, 0.0, 0.1, 0.5))),
    lambda dice, _: Fail(OverloadedError, dice.choice((0.0, 0.1)), dice.choice((None, None, 1.0))),
    lambda dice, _: rate_limited(dice.choice((None, 0.0, 0.5, 1.0, 5.0, 30.0)), dice.choice((0.0, 0.1))),
    lambda dice, _: Fail(APIConnectionError, dice.choice((0.0, 0.5, 5.0))),
    lambda dice, _: Fail(InvalidResponseError, dice.choice((0.0, 0.3)), opened=dice.random() < 0.5),
    lambda dice, _: Fail(dice.choice((AuthenticationError, NotFoundError, QuotaExhaustedError))),
    lambda dice, _: Fail(dice.choice((BadRequestError, ContentFilterError, ContextOverflowError)), 0.1),
    lambda dice, _: Hang(opened=dice.random() < 0.5),
    lambda dice, _: SlowStream(dice.choice((0.1, 0.5))),
    lambda dice, good: replace(good, first_token=dice.choice((1.0, 2.0, 5.0)), pings=2),
    lambda dice, good: DropConnection(dice.choice((0, 1, 2)), good),
    lambda dice, good: DropConnection(
        dice.choice((1, 2)), good, error=lambda: ConnectionResetError("The peer has hung up.")
    ),
    lambda dice, good: DropConnection(dice.choice((1, 2)), good, stall=True),
    lambda dice, good: DropConnection(dice.choice((1, 2)), good, usage=Usage(dice.choice((5, 10)), 2)),
    lambda dice, good: replace(good, goodbye=dice.choice((0.5, 1.5, math.inf))),
    lambda dice, good: replace(good, finish_reason=dice.choice(("refusal", "content_filter", "length"))),
)
"""Factories for each kind of fault."""


def _fault(dice: random.Random, good: Answer) -> Behaviour:
    return dice.choice(FAULTS)(dice, good)


def _random_answer(dice: random.Random, answer: Answer) -> Answer:
    return replace(
        answer,
        headers=dice.choice((0.0, 0.0, 0.1)),
        first_token=dice.choice((0.0, 0.1, 0.1, 0.3, 0.6)),
        per_chunk=dice.choice((0.0, 0.0, 0.05, 0.1)),
        pings=dice.choice((0, 0, 1)),
    )


def _random_period(dice: random.Random, seconds: float, good: Answer) -> FaultPeriod:
    since = quantised(dice.uniform(0, seconds * 0.8))
    length = quantised(dice.choice((1.0, 5.0, seconds / 4, seconds / 2)))
    return FaultPeriod(since, since + length, _fault(dice, good), dice.choice((1.0, 1.0, 0.5)))


def _chances(seed: int, route: str, number: int) -> tuple[float, float]:
    """Returns two random numbers from 0 to 1 that depend only on the call."""
    digest = hashlib.blake2b(f"{seed} {route} {number}".encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8]) / math.ldexp(1, 64), int.from_bytes(digest[8:]) / math.ldexp(1, 64)
