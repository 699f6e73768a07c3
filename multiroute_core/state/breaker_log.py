"""Circuit breaker log: why each route's breaker is open, since when, and one warning each time that one opens.

A state tells the log what its breakers do, possibly under a lock. Nothing is written then: a log handler may be slow,
or may use the router. Notices go into a queue, and `emit` writes them when the lock is free.
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
        seconds: For how long.
        generation: Of the breaker from now on.
        new: Whether it was closed before; otherwise a probe failed.
    """

    route: str
    seconds: float
    generation: int
    new: bool


class Explanation(NamedTuple):
    """Why a route is not used now; see `Standing`."""

    reason: str | None
    last_error: str | None
    since: float | None


@dataclass(frozen=True, slots=True)
class _Incident:
    """What is known of one route.

    Attributes:
        failure: The last failure that counted; it stays when the route recovers.
        opened_at: When its breaker opened, on the state's clock; None while it is closed.
        generation: Of the breaker that opened.
        warned: The codes of the failures that the log has warned of since then.
    """

    failure: Failure | None = None
    opened_at: float | None = None
    generation: int = 0
    warned: frozenset[str] = frozenset()


_NOTHING = _Incident()


def find_opening(name: str, before: Breaker, after: Breaker, now: float) -> Opening | None:
    """The opening that lies between two states of a breaker; None for none."""
    if after.opened_until is None or after.opened_until == before.opened_until:
        return None
    return Opening(name, after.opened_until - now, after.generation, before.opened_until is None)


class BreakerLog:
    """What went wrong with the routes of this process.

    Args:
        wall: The time in seconds since 1970.

    Attributes:
        notices: What is to be written: a level, and what makes the message.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.notices: deque[tuple[int, Callable[[], str]]] = deque()
        self._wall = wall
        self._incidents: dict[str, _Incident] = {}

    def record_failure(self, name: str, failure: Failure) -> None:
        """An attempt failed, and the breaker stays closed."""
        incident = self._incidents.get(name, _NOTHING)
        self._incidents[name] = replace(incident, failure=failure)

    def record_openings(self, route: Route, openings: Sequence[Opening], failure: Failure | None, now: float) -> None:
        """An attempt on `route` failed, and these breakers open.

        There is one warning for all that were closed. A probe that fails again is worth one only if it tells something
        new that will last, such as a refused key after timeouts.
        """
        code = "" if failure is None else failure.code
        loud: list[Opening] = []
        for opening in openings:
            incident = self._incidents.get(opening.route, _NOTHING)
            new = opening.new or incident.opened_at is None
            warned = frozenset[str]() if new else incident.warned
            if opening.new or (code in LASTING_CODES and code not in warned):
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
        """The breaker is closed.

        Args:
            name: The route's name.
            now: The moment on the state's clock.
            generation: Of the closed breaker; an older one than that which opened says nothing. None is the newest.
        """
        incident = self._incidents.get(name, _NOTHING)
        if incident.opened_at is None or (generation is not None and generation <= incident.generation):
            return
        self._incidents[name] = _Incident(incident.failure)
        self.notices.append((logging.INFO, partial(describe_recovery, name, now - incident.opened_at)))

    def is_open(self, name: str) -> bool:
        """Whether the breaker has opened, as far as the log knows."""
        return self._incidents.get(name, _NOTHING).opened_at is not None

    def explain(self, name: str, now: float, why: str | None) -> Explanation:
        """Why a route is not used.

        Args:
            name: The route's name.
            now: The moment on the state's clock.
            why: `"open"` if its breaker is open or half open, or what else keeps it from being used, such as
                `"rate_limit"`; None for nothing.
        """
        incident = self._incidents.get(name, _NOTHING)
        last_error = None if incident.failure is None else str(incident.failure)
        if why != "open" or incident.opened_at is None:  # if it is open, another process opened it
            return Explanation(why, last_error, None)
        reason = "open" if incident.failure is None else incident.failure.code
        return Explanation(reason, last_error, self._wall() - (now - incident.opened_at))

    def emit(self) -> None:
        """Write what is to be written; never under a lock."""
        while self.notices:
            try:
                level, describe = self.notices.popleft()
            except IndexError:  # another thread writes it
                return
            if logger.isEnabledFor(level):
                with contextlib.suppress(Exception):  # a log filter that fails is no reason for a call to fail
                    logger.log(level, "%s", describe())


LASTING_CODES = frozenset({"authentication", "not_found", "quota_exhausted"})
"""Failures that somebody has to mend: a refused key, model or credit."""
