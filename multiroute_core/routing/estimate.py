"""What a request will likely cost, and what it may cost, before it is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiroute_core._util import table
from multiroute_core.pricing import CostOn
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.routing import expected_usage
from multiroute_core.routing.candidates import Candidates
from multiroute_core.types import Request


@dataclass(frozen=True, slots=True)
class RouteEstimate:
    """One route.

    Attributes:
        route: Its name.
        input_tokens: What it will read, about.
        output_tokens: What it will write, likely.
        cost: Likely, in USD; None for unknown.
        most_output_tokens: What it may write: `max_tokens`, or 1,024 where that is not given.
        most_cost: What that would cost, in USD: so much a budget sets aside.
    """

    route: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    most_output_tokens: int
    most_cost: float | None


class Estimate(tuple[RouteEstimate, ...]):
    """One for each route that may answer, as they are listed. It prints as a table, in notebooks too."""

    __slots__ = ()

    @property
    def cost(self) -> float | None:
        """What the first route will likely cost, in USD; None for unknown."""
        return self[0].cost if self else None

    def __str__(self) -> str:
        return table.text(_TITLES, self._rows(), (0,))

    def _repr_html_(self) -> str:
        return table.html(_TITLES, self._rows(), (0,))

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


_TITLES = ("route", "tokens in", "out", "cost", "at most out", "at most")


def estimate(
    request: Request, candidates: Candidates, facts: Mapping[str, RouteCapabilities], cost_on: CostOn
) -> Estimate:
    """What `request` would cost on each of the routes that may answer."""
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
