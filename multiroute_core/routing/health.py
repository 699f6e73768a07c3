"""Health report: the health of a router's routes, printable as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from multiroute_core.display.blocks import Bar, Mark, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.routing.route_health import RouteHealth


@dataclass(frozen=True, slots=True)
class Health(Displayable):
    """The health of every route at one moment. Prints as a table, also in notebooks.

    Attributes:
        routes: The health by route name, in the given order.
    """

    routes: Mapping[str, RouteHealth]

    def __getitem__(self, route: str) -> RouteHealth:
        return self.routes[route]

    def _display(self) -> list[Table]:
        slowest = max((standing.latency or 0.0 for standing in self.routes.values()), default=0.0)
        rows = [
            (
                name,
                mark_breaker(standing.breaker, standing.retry_in),
                f"{standing.retry_in:.3g} s" if standing.retry_in > 0 else "now",
                _reason(standing),
                f"{standing.in_flight}" + ("" if standing.limit is None else f" of {standing.limit:.3g}"),
                _format_number(standing.time_to_first_token, " s"),
                _format_number(standing.latency, " s"),
                Bar(0.0, standing.latency / slowest) if standing.latency and slowest else "",
                str(standing.samples),
                _format_number(standing.requests_left),
                _format_number(standing.tokens_left),
            )
            for name, standing in self.routes.items()
        ]
        faded = [standing.retry_in > 0 for standing in self.routes.values()]
        return [Table(_TITLES, rows, _TEXT_COLUMNS, faded, optional=("", "?"))]


_TITLES = (
    "route",
    "breaker",
    "available in",
    "reason",
    "in flight",
    "first token",
    "latency",
    "",
    "samples",
    "requests left",
    "tokens left",
)
_TEXT_COLUMNS = (0, 1, 2, 3, 7)


def mark_breaker(breaker: Literal["closed", "open", "half_open"], retry_in: float) -> Mark:
    """Return the state of a circuit breaker for a table.

    Args:
        breaker: The state.
        retry_in: Seconds until the route accepts requests.
    """
    if breaker == "closed":
        return Mark("●", "closed", "good" if retry_in <= 0 else "warning")
    if breaker == "half_open":
        return Mark("◐", "half open", "warning")
    return Mark("○", "open", "bad")


def _reason(standing: RouteHealth) -> str:
    """Return why a route is unavailable, with the HTTP status and the provider's code if they belong to that reason."""
    reason = standing.reason or ""
    error = standing.last_error or ""
    return error if reason and error.partition(" ")[0] == reason else reason


def _format_number(value: float | None, unit: str = "") -> str:
    return "?" if value is None else f"{value:,.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}"
