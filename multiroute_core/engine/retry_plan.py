"""Retry and fallback plan: decides the next step of a request. Pure: only `RequestExecution` waits.

Each candidate is tried once in ranked order, without waiting while untried ones remain. When all have failed, those
with a retryable error are retried after a backoff, each up to `max_retries` times. A rejected route is waited for if
its time is known or another request is probing it. If no route can be tried, the one that recovers soonest is probed
early, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiroute_core.errors import ContextOverflowError, RouteError
from multiroute_core.resilience.admission import Rejection
from multiroute_core.resilience.backoff import backoff
from multiroute_core.route import Route


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start an attempt on this route now.

    Attributes:
        early: Request an early probe from its circuit breaker.
        is_retry: This request has tried the route before, so the retry budget must pay for it.
    """

    route: Route
    early: bool = False
    is_retry: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, then call `next` again.

    Attributes:
        seconds: How long.
        for_permit: Whether the call waits for a route to admit it; otherwise it backs off after a failure.
    """

    seconds: float
    for_permit: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt is possible.

    Attributes:
        late: The deadline is the reason.
        seconds: Until a route accepts requests again, if one will.
    """

    late: bool = False
    seconds: float | None = None


Step = StartAttempt | Wait | GiveUp

POLL_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""Poll intervals in seconds while another request probes or occupies a route; the last one repeats."""

CLOCK_SECONDS = 1e-6
"""How much earlier than it should an event loop's timer may fire: it counts in steps of its clock."""

SHORTEST_SECONDS = 0.001
"""Minimum sleep in seconds; a shorter one would busy-loop."""

TIMED_REASONS = ("rate_limit", "limit")
"""Reasons of a rejection that ends at a known time, without a probe."""


FAR_BELOW = 3
"""Token estimates are wrong by less than this factor."""


class RetryPlan:
    """The attempts of one request.

    `RequestExecution` calls `next`, executes the step, and reports the result of a `StartAttempt`: `failed`, `reject`,
    `retry_denied`, `lost_race` or `retry_uncounted`.

    Args:
        routes: In ranked order.
        max_retries: How often each may be retried.
        windows: The context windows in tokens by route name, None if unknown.
        tokens: The estimated tokens of the request.
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
        self.rejections: dict[str, Rejection] = {}
        self._windows = windows or {}
        self._tokens = tokens
        self._failed: dict[str, RouteError] = {}
        self._attempts: dict[str, int] = {}
        self._queue = list(self.routes)
        self._early: Route | None = None
        self._probed = self._stale = False
        self._polls = 0
        self._round = 0

    def next(self, left: float, random: float) -> Step:
        """Return the next step.

        Args:
            left: Seconds until the deadline.
            random: A random number from 0 to 1, for the jitter.
        """
        if left <= CLOCK_SECONDS:
            return GiveUp(late=True)
        if self._queue:
            route = self._queue.pop(0)
            early = route is self._early
            self._early = None
            return StartAttempt(route, early, route.name in self._attempts)
        candidates = [r for r in self.routes if self._may_succeed(r)]
        ready = [r for r in candidates if r.name not in self.rejections]
        return self._retry(candidates, ready, left, random) if ready else self._wait(candidates, left)

    def next_hedge_candidate(self) -> Route | None:
        """Return a route for a hedged attempt: the next one that is untried and not a backup."""
        return next((r for r in self._queue if not r.backup and r.name not in self._attempts), None)

    def take(self, route: Route) -> None:
        """The hedge candidate `route` is being tried."""
        self._queue.remove(route)

    def failed(self, route: Route, error: RouteError) -> None:
        """The attempt on `route` failed."""
        self._attempts[route.name] = self._attempts.get(route.name, 0) + 1
        self._failed[route.name] = error
        self._stale = True
        self.rejections.pop(route.name, None)
        if isinstance(error, ContextOverflowError):
            window = self._windows.get(route.name)
            self._queue = [r for r in self._queue if not self._too_small(self._windows.get(r.name), window)]

    def lost_race(self, route: Route) -> None:
        """The attempt on `route` lost the race. It may be tried again if the winner's stream breaks."""
        self._attempts[route.name] = self._attempts.get(route.name, 0) + 1
        self._queue.insert(0, route)

    def retry_uncounted(self, route: Route) -> None:
        """`route` rejected an unsupported parameter; trying it again without that is not counted as a retry."""
        self._stale = True
        self._queue.insert(0, route)

    def reject(self, route: Route, rejection: Rejection) -> None:
        """`route` rejected admission; no attempt was made."""
        self.rejections[route.name] = rejection

    def retry_denied(self) -> None:
        """The retry budget denied a retry: no further retries."""
        self.max_retries = 0
        self._queue = [r for r in self._queue if r.name not in self._attempts]

    def _may_succeed(self, route: Route) -> bool:
        """Whether an attempt on `route`, now or later, may succeed."""
        if (error := self._failed.get(route.name)) is None:
            return route.name in self.rejections
        return error.retryable and self._attempts[route.name] <= self.max_retries

    def _retry(self, candidates: list[Route], ready: list[Route], left: float, random: float) -> Step:
        self._round += 1
        names = {r.name for r in candidates}
        # Retry-After is a lower bound; the earliest one among the ready routes decides.
        pause = max(min(self._failed[r.name].retry_after or 0.0 for r in ready), backoff(self._round, random))
        pause = min(
            (pause, *(s.seconds for name, s in self.rejections.items() if s.reason in TIMED_REASONS and name in names))
        )
        if pause >= left:
            return GiveUp(late=True, seconds=pause)
        self._queue = candidates
        return Wait(max(SHORTEST_SECONDS, pause))

    def _wait(self, candidates: list[Route], left: float) -> Step:
        """No route can be tried now."""
        if self._stale:  # the rejections may be outdated: another attempt ran since
            self._stale = False
            self._queue = candidates
            return self.next(left, 0.0)
        rejections = {r.name: self.rejections[r.name] for r in candidates}
        open_routes = [r for r in candidates if rejections[r.name].reason == "open"]
        # a busy route is healthy and soon has a free permit
        busy = any(s.reason == "busy" for s in rejections.values())
        if open_routes and not busy and not self._probed and not self._polls:
            self._early = min(open_routes, key=lambda r: rejections[r.name].seconds)
            self._probed = True
            self._queue = [self._early]
            return self.next(left, 0.0)
        pauses = [s.seconds for s in rejections.values() if s.reason in TIMED_REASONS]
        if any(s.reason in ("probing", "busy") for s in rejections.values()):
            pauses.append(POLL_SECONDS[min(self._polls, len(POLL_SECONDS) - 1)])
            self._polls += 1
            if min(pauses) >= left:
                self._queue = candidates
                return Wait(left, for_permit=True)
        if not pauses or min(pauses) >= left:
            return GiveUp(seconds=min((s.seconds for s in self.rejections.values()), default=None))
        self._queue = candidates
        return Wait(max(SHORTEST_SECONDS, min(pauses)), for_permit=True)

    def _too_small(self, window: int | None, other: int | None) -> bool:
        """Whether a request that overflows the window `other` also overflows `window`.

        A request far smaller than both shows only that the known size of the other window is wrong.
        """
        return window is not None and other is not None and window <= other and window < FAR_BELOW * self._tokens
