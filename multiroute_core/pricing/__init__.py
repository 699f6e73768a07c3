"""Internal: pricing, what responses cost in USD."""

from __future__ import annotations

from typing import Protocol

from multiroute_core.route import Route
from multiroute_core.types import Usage


class CostOn(Protocol):
    """Returns the cost of a usage on a route, in USD; None if unknown."""

    def __call__(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """`model` is the model that responded, as reported by the provider; None for the route's."""
        ...


class Pricing(Protocol):
    """Prices tokens on a route: their cost, or an estimate if it is unknown."""

    def cost_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """Return the cost in USD; None if unknown, never an estimate.

        Args:
            route: The route that responded.
            usage: The tokens; if input or output is missing, the cost is unknown.
            model: The model that responded, as reported by the provider; None for the route's.
        """
        ...

    def estimate_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> float | None:
        """Return the cost as in `cost_on`, or its best estimate, for budgets; None if no price exists."""
        ...
