"""What answers cost: prices, the ledger, budgets and alerts."""

from __future__ import annotations

from typing import Protocol

from multiroute_core.route import Route
from multiroute_core.types import Usage


class CostOn(Protocol):
    """What a usage costs on a route, in USD; None for unknown."""

    def __call__(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """`model` is the one that answered, as the vendor names it; None for the route's."""
        ...


class Pricing(Protocol):
    """Prices tokens on a route: what they cost, and what they likely cost where that is unknown."""

    def cost_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """The cost in USD; None for unknown, never an estimate.

        Args:
            route: The route that answers.
            usage: The tokens; a missing half makes the cost unknown.
            model: The model that answered, as the vendor names it; None for the route's.
        """
        ...

    def estimate_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """The cost as of `cost_on`, or the best estimate of it, for budgets; None where there is no price at all."""
        ...
