"""The seam of shared state: async in form, so that it may live elsewhere; the memory state never suspends."""

from __future__ import annotations

from typing import Protocol

from multiroute_core.rules.breaker import Breaker, Permit, Shut, Verdict


class State(Protocol):
    """What the routes of a router, or of a fleet of them, know about themselves. Routes go by their names."""

    async def admit(self, route: str, now: float, *, early: bool = False) -> Permit | Shut:
        """A permit to ask `route`, or why there is none."""
        ...

    async def settle(self, route: str, now: float, permit: Permit, verdict: Verdict, door: float | None = None) -> None:
        """Give a permit back; must be safe inside a finalizer."""
        ...

    async def breaker(self, route: str) -> Breaker:
        """The state of one route's breaker."""
        ...
