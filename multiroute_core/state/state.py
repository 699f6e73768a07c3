"""State protocol: shared routing state; async, so that it may be remote; the memory state never suspends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multiroute_core.resilience.admission import Outcome, Permit, Rejection
from multiroute_core.route import Route
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.runtime.io import IO


class State(Protocol):
    """The health and limits of the routes of a router, or of a fleet of them. Routes are identified by their names.

    `io` is the call's I/O, and `now` the moment on its clock, in seconds.
    """

    def know(self, routes: Sequence[Route]) -> None:
        """Register routes; those of the same rate limit group share its limits."""
        ...

    async def begin_request(self, io: IO, now: float) -> None:
        """Start a request: deposit its share for retries and hedges."""
        ...

    async def afford(self, io: IO, now: float, *, hedge: bool = False) -> bool:
        """Withdraw one attempt beyond the first ones from the retry budget; return whether the balance sufficed."""
        ...

    async def admit(
        self, io: IO, route: Route, now: float, *, tokens: int = 0, early: bool = False, reserve: float = 0.0
    ) -> Permit | Rejection:
        """Return a permit for `route`, or a rejection.

        Args:
            io: The call's I/O.
            route: The route.
            now: The moment on its clock.
            tokens: The expected tokens of the call, input and output; reserved until it is settled.
            early: Admit a probe before the route's break ends.
            reserve: The share of each limit that must be left afterwards, 0 to 1, for calls of a higher priority.
        """
        ...

    async def confirm(self, io: IO, route: Route, now: float, permit: Permit) -> Permit:
        """Confirm a probe that received its first token: the breaker closes. Returns the permit that replaces it."""
        ...

    async def settle(self, io: IO, route: Route, now: float, permit: Permit, outcome: Outcome) -> None:
        """Settle a permit; must be safe inside a finalizer."""
        ...

    async def standing(self, io: IO, route: Route, now: float) -> RouteHealth:
        """Return the route's health."""
        ...

    async def hedge_after(self, io: IO, route: Route, share: float, *, stream: bool) -> float | None:
        """Return the seconds within which all but a `share` (0 to 1) of a route's answers begin; None if unknown."""
        ...
