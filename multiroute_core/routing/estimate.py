"""Cost estimate of a request before it is sent: expected and maximum. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiroute_core.display.blocks import Bar, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import decimal_places, usd
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


class Estimate(Displayable, tuple[RouteEstimate, ...]):
    """One estimate per candidate, in the given order. Prints as a table, also in notebooks."""

    __slots__ = ()

    @property
    def cost(self) -> float | None:
        """The expected cost on the first route, in USD; None if unknown."""
        return self[0].cost if self else None

    def _display(self) -> list[Table]:
        costs = [cost for one in self for cost in (one.cost, one.most_cost)]
        highest = max((cost for cost in costs if cost), default=0.0)
        places = decimal_places(costs)
        rows = [
            (
                one.route,
                f"{one.input_tokens:,}",
                f"{one.output_tokens:,}",
                usd(one.cost, places),
                f"{one.most_output_tokens:,}",
                usd(one.most_cost, places),
                _bar(one, highest),
            )
            for one in self
        ]
        return [Table(_TITLES, rows, (0, 6), empty="No route can carry this request.", optional=("",))]


_TITLES = ("route", "input tokens", "output tokens", "cost", "max output tokens", "max cost", "")


def _bar(one: RouteEstimate, highest: float) -> Bar | str:
    """Return a bar up to the expected cost."""
    return Bar(0.0, one.cost / highest) if one.cost and highest else ""


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
