"""Gauges of a router: circuit breakers, calls in flight, and what is left of rate limits, budgets and limits.

Budgets and limits of tenants are one series each, the least of all tenants: a tenant in a label would be personal data,
and their number has no bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

BREAKER_STATES = ("closed", "half_open", "open")


class MeteredRouter(Protocol):
    """What gauges are read from; `Router` has it."""

    def health(self) -> Any:
        """Return the health of the routes: `routes` maps their names to it."""
        ...

    def budgets(self) -> Iterable[Any]:
        """Return the status of each budget and scope value."""
        ...

    def limit_statuses(self) -> Iterable[Any]:
        """Return the status of each limit and scope value."""
        ...


@dataclass(frozen=True, slots=True)
class GaugeKind:
    """A kind of gauge.

    Attributes:
        name: Its name in OpenTelemetry.
        unit: Its unit.
        help: What it shows.
        combine: How the values of several processes become one.
    """

    name: str
    unit: str
    help: str
    combine: Literal["sum", "max", "min"]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One value of a gauge.

    Attributes:
        kind: Its kind.
        labels: Its labels by their names in OpenTelemetry.
        value: The value.
    """

    kind: GaugeKind
    labels: Mapping[str, str]
    value: float


BREAKER = GaugeKind(
    "multiroute.route.breaker",
    "1",
    "Whether the circuit breaker of the route is in this state (1) or not (0).",
    "max",
)
IN_FLIGHT = GaugeKind(
    "multiroute.route.in_flight", "{call}", "Calls in flight on the rate limit group of the route.", "sum"
)
REQUESTS_LEFT = GaugeKind(
    "multiroute.route.requests_left", "{request}", "Requests that the rate limits of the route admit now.", "min"
)
TOKENS_LEFT = GaugeKind(
    "multiroute.route.tokens_left", "{token}", "Tokens that the rate limits of the route admit now.", "min"
)
BUDGET_REMAINING = GaugeKind(
    "multiroute.budget.remaining", "1", "What is left of the budget, in its unit: the least of its scope values.", "min"
)
LIMIT_REQUESTS_LEFT = GaugeKind(
    "multiroute.limit.requests_left",
    "{request}",
    "Requests that the limit admits now: the least of its callers.",
    "min",
)
LIMIT_TOKENS_LEFT = GaugeKind(
    "multiroute.limit.tokens_left", "{token}", "Tokens that the limit admits now: the least of its callers.", "min"
)
LIMIT_IN_FLIGHT = GaugeKind("multiroute.limit.in_flight", "{call}", "Calls in flight that the limit counts.", "sum")

GAUGES = (
    BREAKER,
    IN_FLIGHT,
    REQUESTS_LEFT,
    TOKENS_LEFT,
    BUDGET_REMAINING,
    LIMIT_REQUESTS_LEFT,
    LIMIT_TOKENS_LEFT,
    LIMIT_IN_FLIGHT,
)


def read_gauges(router: MeteredRouter) -> Iterator[Gauge]:
    """Yield the gauges of a router. With a state on Redis this asks Redis."""
    for name, health in router.health().routes.items():
        route = {"multiroute.route": name}
        for state in BREAKER_STATES:
            yield Gauge(BREAKER, route | {"multiroute.breaker.state": state}, float(health.breaker == state))
        yield Gauge(IN_FLIGHT, route, health.in_flight)
        if health.requests_left is not None:
            yield Gauge(REQUESTS_LEFT, route, health.requests_left)
        if health.tokens_left is not None:
            yield Gauge(TOKENS_LEFT, route, health.tokens_left)
    least: dict[tuple[GaugeKind, str, str], float] = {}
    for status in router.budgets():
        _lower(least, (BUDGET_REMAINING, status.budget, status.unit), status.remaining)
    in_flight: dict[str, int] = {}
    for status in router.limit_statuses():
        in_flight[status.limit] = in_flight.get(status.limit, 0) + status.in_flight
        _lower(least, (LIMIT_REQUESTS_LEFT, status.limit, ""), status.requests_left)
        _lower(least, (LIMIT_TOKENS_LEFT, status.limit, ""), status.tokens_left)
    for (kind, name, unit), value in least.items():
        if kind is BUDGET_REMAINING:
            yield Gauge(kind, {"multiroute.budget": name, "multiroute.budget.unit": unit}, value)
        else:
            yield Gauge(kind, {"multiroute.limit": name}, value)
    for name, calls in in_flight.items():
        yield Gauge(LIMIT_IN_FLIGHT, {"multiroute.limit": name}, calls)


def _lower(
    least: dict[tuple[GaugeKind, str, str], float], key: tuple[GaugeKind, str, str], value: float | None
) -> None:
    if value is not None:
        least[key] = min(value, least.get(key, value))
