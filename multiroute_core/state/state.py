"""The seam of shared state: async in form, so that it may live elsewhere; the memory state never suspends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multiroute_core.resilience.admission import Outcome, Permit, Rejection
from multiroute_core.route import Route
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.runtime.io import IO


class State(Protocol):
    """What the routes of a router, or of a fleet of them, know about themselves. Routes go by their names.

    `io` is what the call may await with, and `now` the moment on its clock, in seconds.
    """

    def know(self, routes: Sequence[Route]) -> None:
        """These routes will be asked; those with the same quota share its limits."""
        ...

    async def begin_request(self, io: IO, now: float) -> None:
        """A request begins: its share for retries and hedges is put aside."""
        ...

    async def afford(self, io: IO, now: float, *, hedge: bool = False) -> bool:
        """Whether one more try may be made besides the first ones; it is paid for."""
        ...

    async def admit(
        self, io: IO, route: Route, now: float, *, tokens: int = 0, early: bool = False
    ) -> Permit | Rejection:
        """A permit to ask `route`, or why there is none.

        Args:
            tokens: What the call is expected to take, input and output; reserved until it is settled.
            early: Let a probe through before the route's break is over.
        """
        ...

    async def confirm(self, io: IO, route: Route, now: float, permit: Permit) -> Permit:
        """A probe has a first token: the route is well. Gives the permit to settle with in its place."""
        ...

    async def settle(self, io: IO, route: Route, now: float, permit: Permit, outcome: Outcome) -> None:
        """Give a permit back; must be safe inside a finalizer."""
        ...

    async def standing(self, io: IO, route: Route, now: float) -> RouteHealth:
        """How the route is doing."""
        ...

    async def hedge_after(self, io: IO, route: Route, share: float, *, stream: bool) -> float | None:
        """Seconds within which all but a `share` (0 to 1) of a route's answers begin; None where too few are known."""
        ...
