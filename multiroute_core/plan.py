"""What to try next, and when. Pure: it answers, and only the flow waits.

Every candidate is asked once, in order; nobody waits for a route while another has not been asked. When all have failed
and some may do better a moment later, they are asked again after a pause, up to `max_retries` times. When all are shut,
the one that recovers soonest is probed before its time by one caller, and the others wait for what it learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multiroute_core.errors import RouteError
from multiroute_core.route import Route
from multiroute_core.rules.breaker import Shut
from multiroute_core.rules.retry import backoff


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this route now; `early` asks its breaker for a probe before its time."""

    route: Route
    early: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, then ask for the next step."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more can be tried.

    Attributes:
        late: It is the deadline that forbids more.
        seconds: Until a route opens again, where one will.
    """

    late: bool = False
    seconds: float | None = None


Step = Ask | Pause | Stop

POLL_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""How often those who wait for another caller's probe look whether it is back; the last one repeats."""


class Plan:
    """The tries of one request.

    The flow asks for the `next` step, does what it says, and reports what became of an `Ask`: `failed` or `shut`.
    """

    def __init__(self, routes: Sequence[Route], max_retries: int) -> None:
        self.routes = tuple(routes)
        self.max_retries = max_retries
        self.closed: dict[str, Shut] = {}
        self._failed: dict[str, RouteError] = {}
        self._queue = list(self.routes)
        self._early = False
        self._asked = False
        self._polls = 0
        self._round = 0

    def next(self, left: float, random: float) -> Step:
        """The next step.

        Args:
            left: Seconds until the deadline.
            random: A random number from 0 to 1, for the jitter.
        """
        if left <= 0:
            return Stop(late=True)
        if self._queue:
            return Ask(self._queue.pop(0), self._early)
        return self._retry(left, random) if self._failed else self._all_shut(left)

    def failed(self, route: Route, error: RouteError) -> None:
        """`route` was asked and failed."""
        self._asked = True
        self._failed[route.name] = error
        self.closed.pop(route.name, None)

    def shut(self, route: Route, shut: Shut) -> None:
        """`route` was not asked: its breaker does not let anyone through."""
        self.closed[route.name] = shut

    def _all_shut(self, left: float) -> Step:
        shut = self.closed
        soonest = min(s.seconds for s in shut.values())
        opened = [r for r in self.routes if shut[r.name].why == "open"]
        if opened and not self._early and not self._polls:
            self._early = True
            self._queue = [min(opened, key=lambda r: shut[r.name].seconds)]
            return self.next(left, 0.0)
        self._early = False
        if any(s.why == "probing" for s in shut.values()):
            pause = POLL_SECONDS[min(self._polls, len(POLL_SECONDS) - 1)]
            self._polls += 1
            self._queue = list(self.routes)
            return Pause(min(pause, left))
        doors = [s.seconds for s in shut.values() if s.why == "rate_limit"]
        if doors and min(doors) < left:
            self._queue = list(self.routes)
            return Pause(min(doors))
        return Stop(seconds=soonest)

    def _retry(self, left: float, random: float) -> Step:
        hopeful = {name for name, error in self._failed.items() if error.retryable}
        soonest = min((s.seconds for s in self.closed.values()), default=None)
        if not hopeful or not self._asked or self._round >= self.max_retries:
            return Stop(seconds=soonest)
        self._round += 1
        self._asked = False
        # Retry-After is a floor; the first of the hopeful routes to allow it decides.
        floor = min(self._failed[name].retry_after or 0.0 for name in hopeful)
        pause = max(floor, backoff(self._round, random))
        if pause >= left:
            return Stop(late=True, seconds=pause)
        self._queue = [r for r in self.routes if r.name in hopeful or r.name in self.closed]
        return Pause(pause)
