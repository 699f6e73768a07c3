"""What to try next, and when. Pure: it answers, and only the flow waits.

Every candidate is asked once, in order; nobody waits for a route while another has not been asked. When all have failed
and some may do better a moment later, those are asked again after a pause, each up to `max_retries` times. Whoever was
shut is waited for where its time is known, or another caller is about to find out. When nobody can be asked, the route
that recovers soonest is probed before its time, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiroute_core.errors import ContextOverflowError, RouteError
from multiroute_core.resilience.admission import Rejection
from multiroute_core.resilience.backoff import backoff
from multiroute_core.route import Route


@dataclass(frozen=True, slots=True)
class AskRoute:
    """Ask this route now.

    Attributes:
        early: Ask its breaker for a probe before its time.
        again: This request has asked it before, so that it is to be paid for.
    """

    route: Route
    early: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, then ask for the next step."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nothing more can be tried.

    Attributes:
        late: It is the deadline that forbids more.
        seconds: Until a route opens again, where one will.
    """

    late: bool = False
    seconds: float | None = None


Step = AskRoute | Wait | GiveUp

POLL_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""How often those who wait for other callers look whether one is back; the last one repeats."""


SHORTEST_SECONDS = 0.001
"""A pause that no clock can tell from none would be made again and again."""

DOORS = ("rate_limit", "limit")
"""Why a route may be shut until a moment that is known, when it takes calls again without any probe."""


FAR_BELOW = 3
"""Estimates of tokens err, but not by so much."""


class RetryPlan:
    """The tries of one request.

    The flow asks for the `next` step, does what it says, and reports what became of an `Ask`: `failed`, `shut` or
    `unpaid`.

    Args:
        routes: In the order in which they are asked.
        max_retries: How often each may be asked again.
        windows: The tokens that fit into each route, by their names, where they are known.
        tokens: How many the request has, estimated.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        max_retries: int,
        windows: Mapping[str, int | None] | None = None,
        tokens: int = 0,
    ) -> None:
        self.routes = tuple(routes)
        self.max_retries = max_retries
        self.closed: dict[str, Rejection] = {}
        self._windows = windows or {}
        self._tokens = tokens
        self._failed: dict[str, RouteError] = {}
        self._tries: dict[str, int] = {}
        self._queue = list(self.routes)
        self._early: Route | None = None
        self._probed = self._stale = False
        self._polls = 0
        self._round = 0

    def next(self, left: float, random: float) -> Step:
        """The next step.

        Args:
            left: Seconds until the deadline.
            random: A random number from 0 to 1, for the jitter.
        """
        if left <= 0:
            return GiveUp(late=True)
        if self._queue:
            route = self._queue.pop(0)
            early = route is self._early
            self._early = None
            return AskRoute(route, early, route.name in self._tries)
        hopeful = [r for r in self.routes if self._hopeful(r)]
        ready = [r for r in hopeful if r.name not in self.closed]
        return self._retry(hopeful, ready, left, random) if ready else self._wait(hopeful, left)

    def next_hedge_candidate(self) -> Route | None:
        """A route that could be asked beside one that is slow: the next that has not been asked and is no backup."""
        return next((r for r in self._queue if not r.backup and r.name not in self._tries), None)

    def take(self, route: Route) -> None:
        """The spare `route` is being asked."""
        self._queue.remove(route)

    def failed(self, route: Route, error: RouteError) -> None:
        """`route` was asked and failed."""
        self._tries[route.name] = self._tries.get(route.name, 0) + 1
        self._failed[route.name] = error
        self._stale = True
        self.closed.pop(route.name, None)
        if isinstance(error, ContextOverflowError):
            window = self._windows.get(route.name)
            self._queue = [r for r in self._queue if not self._too_small(self._windows.get(r.name), window)]

    def lost_race(self, route: Route) -> None:
        """`route` was asked, and another one began to answer sooner: if that one breaks off, it may be asked again."""
        self._tries[route.name] = self._tries.get(route.name, 0) + 1
        self._queue.insert(0, route)

    def again(self, route: Route) -> None:
        """`route` refused something that it can be asked without: it is asked so next, and that counts as no retry."""
        self._stale = True
        self._queue.insert(0, route)

    def shut(self, route: Route, shut: Rejection) -> None:
        """`route` was not asked: it does not let anyone through."""
        self.closed[route.name] = shut

    def retry_denied(self) -> None:
        """A route was not asked again, since too much is being asked again already."""
        self.max_retries = 0
        self._queue = [r for r in self._queue if r.name not in self._tries]

    def _hopeful(self, route: Route) -> bool:
        """Whether asking it, now or later, may help."""
        if (error := self._failed.get(route.name)) is None:
            return route.name in self.closed
        return error.retryable and self._tries[route.name] <= self.max_retries

    def _retry(self, hopeful: list[Route], ready: list[Route], left: float, random: float) -> Step:
        self._round += 1
        names = {r.name for r in hopeful}
        # Retry-After is a floor; the first of those that can be asked to allow it decides.
        pause = max(min(self._failed[r.name].retry_after or 0.0 for r in ready), backoff(self._round, random))
        pause = min((pause, *(s.seconds for name, s in self.closed.items() if s.why in DOORS and name in names)))
        if pause >= left:
            return GiveUp(late=True, seconds=pause)
        self._queue = hopeful
        return Wait(max(SHORTEST_SECONDS, pause))

    def _wait(self, hopeful: list[Route], left: float) -> Step:
        """Nobody can be asked now."""
        if self._stale:  # they were shut before another one was tried, which took its time
            self._stale = False
            self._queue = hopeful
            return self.next(left, 0.0)
        shut = {r.name: self.closed[r.name] for r in hopeful}
        open_routes = [r for r in hopeful if shut[r.name].why == "open"]
        busy = any(s.why == "busy" for s in shut.values())  # that one is well, and soon has a place
        if open_routes and not busy and not self._probed and not self._polls:
            self._early = min(open_routes, key=lambda r: shut[r.name].seconds)
            self._probed = True
            self._queue = [self._early]
            return self.next(left, 0.0)
        pauses = [s.seconds for s in shut.values() if s.why in DOORS]
        if any(s.why in ("probing", "busy") for s in shut.values()):
            pauses.append(POLL_SECONDS[min(self._polls, len(POLL_SECONDS) - 1)])
            self._polls += 1
            if min(pauses) >= left:
                return Wait(left)
        if not pauses or min(pauses) >= left:
            return GiveUp(seconds=min((s.seconds for s in self.closed.values()), default=None))
        self._queue = hopeful
        return Wait(max(SHORTEST_SECONDS, min(pauses)))

    def _too_small(self, window: int | None, other: int | None) -> bool:
        """Whether what overflows the `other` window overflows this one.

        A request that is far below both tells that what is known of the other one is wrong, and nothing else.
        """
        return window is not None and other is not None and window <= other and window < FAR_BELOW * self._tokens
