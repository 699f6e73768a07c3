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
