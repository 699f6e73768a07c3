"""Cost estimate of a request before it is sent: expected and maximum. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from multiroute_core._util.table import PrintableTable
from multiroute_core.pricing import CostOn
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.routing import expected_usage
from multiroute_core.routing.candidates import Candidates
from multiroute_core.types import Request


@dataclass(frozen=True, slots=True)
class RouteEstimate:
    """The estimate for one route.

    Attributes:
        route: Its name.
        input_tokens: The estimated input tokens.
        output_tokens: The expected output tokens.
        cost: The expected cost in USD; None if unknown.
        most_output_tokens: The maximum output tokens: `max_tokens`, or 1,024 by default.
        most_cost: The cost at that maximum, in USD, which a budget reserves; None if unknown.
    """

    route: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    most_output_tokens: int
    most_cost: float | None


class Estimate(PrintableTable, tuple[RouteEstimate, ...]):
    """One estimate per candidate, in the given order. Prints as a table, also in notebooks."""

    __slots__ = ()

    _TITLES: ClassVar = ("route", "input tokens", "output tokens", "cost", "max output tokens", "max cost")

    @property
    def cost(self) -> float | None:
        """The expected cost on the first route, in USD; None if unknown."""
        return self[0].cost if self else None

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                one.route,
                f"{one.input_tokens:,}",
                f"{one.output_tokens:,}",
                _usd(one.cost),
                f"{one.most_output_tokens:,}",
                _usd(one.most_cost),
            )
            for one in self
        ]


def estimate(
    request: Request, candidates: Candidates, facts: Mapping[str, RouteCapabilities], cost_on: CostOn
) -> Estimate:
    """Return the cost of `request` on each candidate."""
    read = expected_usage.read_again(request, candidates.routes, facts)
    estimates: list[RouteEstimate] = []
    for route in candidates.routes:
        wire = facts[route.name].api
        likely = expected_usage.usage(request, wire, candidates.tokens, read.get(route.name, 0))
        most = expected_usage.most(request, route, wire, candidates.tokens)
        estimates.append(
            RouteEstimate(
                route.name,
                likely.input_tokens or 0,
                likely.output_tokens or 0,
                cost_on(route, likely),
                most.output_tokens or 0,
                cost_on(route, most),
            )
        )
    return Estimate(estimates)


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else f"${amount:,.6f}"
