"""Circuit breaker log: why each route's breaker is open, since when, and one warning each time that one opens.

A state records breaker changes here, possibly under a lock. Nothing is written then: a log handler may be slow, or may
use the router. Notices go into a queue, and `emit` writes them when the lock is free.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from multiroute_core.resilience.circuit_breaker import Breaker
from multiroute_core.resilience.failure import Failure
from multiroute_core.route import Route
from multiroute_core.state.advice import describe_opening, describe_recovery

logger = logging.getLogger("multiroute_core")


class Opening(NamedTuple):
    """A breaker that opens.

    Attributes:
        route: The route's name.
        seconds: How long it is open.
        generation: The breaker's new generation.
        new: Whether it was closed before; otherwise a probe failed.
    """

    route: str
    seconds: float
    generation: int
    new: bool


class Explanation(NamedTuple):
    """Why a route is unavailable; see `RouteHealth`."""

    reason: str | None
    last_error: str | None
    since: float | None


@dataclass(frozen=True, slots=True)
class _Incident:
    """The failures of one route.

    Attributes:
        failure: The last failure that counted; it stays when the route recovers.
        opened_at: When its breaker opened, on the state's clock; None while it is closed.
        generation: Of the breaker that opened.
        warned: The codes of the failures with a logged warning since then.
    """

    failure: Failure | None = None
    opened_at: float | None = None
    generation: int = 0
    warned: frozenset[str] = frozenset()


_NOTHING = _Incident()


def find_opening(name: str, before: Breaker, after: Breaker, now: float) -> Opening | None:
    """Return the opening between two states of a breaker; None if there is none."""
    if after.opened_until is None or after.opened_until == before.opened_until:
        return None
    return Opening(name, after.opened_until - now, after.generation, before.opened_until is None)


class BreakerLog:
    """The failures of the routes, as seen by this process.

    Args:
        wall: The time in seconds since 1970.

    Attributes:
        notices: The pending log records: a level, and a function that builds the message.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.notices: deque[tuple[int, Callable[[], str]]] = deque()
        self._wall = wall
        self._incidents: dict[str, _Incident] = {}

    def record_failure(self, name: str, failure: Failure) -> None:
        """Record a failed attempt that leaves the breaker closed."""
        incident = self._incidents.get(name, _NOTHING)
        self._incidents[name] = replace(incident, failure=failure)

    def record_openings(self, route: Route, openings: Sequence[Opening], failure: Failure | None, now: float) -> None:
        """Record a failed attempt on `route` that opens these breakers.

        All that were closed share one warning. A probe that fails again causes one only for a new permanent failure,
        such as a rejected key after timeouts.
        """
        code = "" if failure is None else failure.code
        loud: list[Opening] = []
        for opening in openings:
            incident = self._incidents.get(opening.route, _NOTHING)
            new = opening.new or incident.opened_at is None
            warned = frozenset[str]() if new else incident.warned
            if opening.new or (code in PERMANENT_CODES and code not in warned):
                loud.append(opening)
                warned |= {code}
            self._incidents[opening.route] = _Incident(
                failure or (None if new else incident.failure),
                now if new else incident.opened_at,
                opening.generation,
                warned,
            )
        level, announcements = (logging.WARNING, loud) if loud else (logging.INFO, openings)
        names = [opening.route for opening in announcements]
        seconds = max((opening.seconds for opening in announcements), default=0.0)
        new = any(opening.new for opening in announcements)
        self.notices.append((level, partial(describe_opening, names, route, failure, seconds, new=new)))

    def record_recovery(self, name: str, now: float, generation: int | None = None) -> None:
        """Record that the breaker closed.

        Args:
            name: The route's name.
            now: The moment on the state's clock.
            generation: Of the closed breaker; one that is not newer than the one that opened is ignored. None means the
                newest.
        """
        incident = self._incidents.get(name, _NOTHING)
        if incident.opened_at is None or (generation is not None and generation <= incident.generation):
            return
        self._incidents[name] = _Incident(incident.failure)
        self.notices.append((logging.INFO, partial(describe_recovery, name, now - incident.opened_at)))

    def forget(self, name: str) -> None:
        """Forget the failures of a route that now leads somewhere else."""
        self._incidents.pop(name, None)

    def is_open(self, name: str) -> bool:
        """Whether the breaker has opened, as far as the log knows."""
        return self._incidents.get(name, _NOTHING).opened_at is not None

    def explain(self, name: str, now: float, why: str | None) -> Explanation:
        """Explain why a route is unavailable.

        Args:
            name: The route's name.
            now: The moment on the state's clock.
            why: `"open"` if its breaker is open or half open, or another reason for its unavailability, such as
                `"rate_limit"`; None if it is available.
        """
        incident = self._incidents.get(name, _NOTHING)
        last_error = None if incident.failure is None else str(incident.failure)
        if why != "open" or incident.opened_at is None:  # otherwise another process opened it
            return Explanation(why, last_error, None)
        reason = "open" if incident.failure is None else incident.failure.code
        return Explanation(reason, last_error, self._wall() - (now - incident.opened_at))

    def emit(self) -> None:
        """Write the pending log records; never call it under a lock."""
        while self.notices:
            try:
                level, describe = self.notices.popleft()
            except IndexError:  # another thread writes it
                return
            if logger.isEnabledFor(level):
                with contextlib.suppress(Exception):  # a failing log filter must not fail a call
                    logger.log(level, "%s", describe())


PERMANENT_CODES = frozenset({"authentication", "not_found", "quota_exhausted"})
"""Failures that need a manual fix: a rejected key, model or credit."""
