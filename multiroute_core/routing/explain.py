"""Routing explanation: for each route its position and the reasons, or why it is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from multiroute_core.display.blocks import Bar, Cell, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import decimal_places, usd
from multiroute_core.options import Options
from multiroute_core.route import Route
from multiroute_core.routing import expected_usage
from multiroute_core.routing.candidates import Candidates
from multiroute_core.routing.health import mark_breaker
from multiroute_core.routing.strategies import LiveStats, ranking
from multiroute_core.types import Request


@dataclass(frozen=True, slots=True)
class ExplainedRoute:
    """One route in the explanation of a request.

    Attributes:
        route: Its name.
        candidate: Whether it may answer.
        position: Its position in the fallback order, from 1; None if it is never used.
        reasons: The reasons: sentences without their full stops, the strongest first.
        expected_cost: The expected cost of this request, in USD; None if unknown.
        cached_tokens: The tokens of the request that are likely in its prompt cache.
        latency: The recent latency of a response, or of the first token of a stream; None if unknown.
        breaker: The state of its circuit breaker: `"closed"` (in use), `"open"` (skipped) or `"half_open"` (next call
            probes).
        retry_in: Seconds until it accepts requests; 0 means now.
        in_flight: Its calls in flight.
        window: The context window in tokens; None if unknown.
    """

    route: str
    candidate: bool
    position: int | None
    reasons: tuple[str, ...]
    expected_cost: float | None
    cached_tokens: int
    latency: float | None
    breaker: Literal["closed", "open", "half_open"]
    retry_in: float
    in_flight: int
    window: int | None


@dataclass(frozen=True, slots=True)
class Explanation(Displayable):
    """Where a request would be routed, and why; no request is sent. Prints as a table, also in notebooks.

    If the strategy is random, this is one draw.

    Attributes:
        request_tokens: The estimated tokens of the request.
        strategy: The strategy's name.
        rows: One per route: first the ranked ones in that order, then the others in the given order.
        problem: Why no route may answer; None if some route may.
    """

    request_tokens: int
    strategy: str
    rows: tuple[ExplainedRoute, ...]
    problem: str | None = None

    def _display(self) -> list[Table]:
        costs = [row.expected_cost for row in self.rows]
        differ = len(set(costs)) > 1  # bars of equal length say nothing
        dearest = max((cost for cost in costs if cost), default=0.0) if differ else 0.0
        places = decimal_places(costs)
        rows = [_cells(row, dearest, places) for row in self.rows]
        faded = [row.position is None for row in self.rows]
        return [Table(_TITLES, rows, _TEXT_COLUMNS, faded, self._heading(), optional=("", "?", "0"))]

    def _heading(self) -> str:
        if self.problem is not None:
            return self.problem
        route_count = sum(row.position is not None for row in self.rows)
        routes = f"{route_count} of {len(self.rows)} routes"
        return f"About {self.request_tokens:,} tokens; {routes}, strategy {self.strategy}."


_TITLES = ("", "route", "cost", "", "latency", "breaker", "in flight", "context window", "reason")
_TEXT_COLUMNS = (1, 3, 5, 8)


def explain(
    request: Request, routes: Sequence[Route], candidates: Candidates, options: Options, live: LiveStats
) -> Explanation:
    """Explain the routing of a call.

    Args:
        request: The request.
        routes: In the given order.
        candidates: Those that may answer.
        options: The caller's options.
        live: Health, prices and capabilities of the routes.

    Raises:
        ConfigurationError: a custom strategy did not return candidates.
    """
    order = options.strategy or "priority"
    ranked = ranking(request, candidates.routes, options, live) if candidates.routes else None
    passed = {
        r.name: why
        for r in routes
        if (why := _passed_over(r, live, candidates.tokens + expected_usage.answer(request)))
    }
    ask_order = sorted(ranked.routes, key=lambda r: r.name in passed) if ranked is not None else []
    places = {route.name: place for place, route in enumerate(ask_order, 1)}
    read = expected_usage.read_again(request, routes, live.facts)

    def row(route: Route) -> ExplainedRoute:
        excluded = candidates.excluded.get(route.name)
        standing = live.standing(route)
        cached = read.get(route.name, 0)
        reasons = (excluded,) if excluded is not None else ranked.reasons(route) if ranked is not None else ()
        if route.name in places and route.name in passed:
            reasons = (passed[route.name], *reasons)
        return ExplainedRoute(
            route=route.name,
            candidate=excluded is None,
            position=places.get(route.name),
            reasons=reasons,
            expected_cost=live.expected_cost(request, route, cached),
            cached_tokens=cached,
            latency=live.speed(route),
            breaker=standing.breaker,
            retry_in=standing.retry_in,
            in_flight=standing.in_flight,
            window=live.facts[route.name].window,
        )

    remaining = [route for route in routes if route.name not in places]
    name = order if isinstance(order, str) else getattr(order, "__name__", type(order).__name__)
    return Explanation(candidates.tokens, name, tuple(map(row, (*ask_order, *remaining))), candidates.problem)


def _passed_over(route: Route, live: LiveStats, size: int) -> str:
    """Return why a route is skipped at its turn and tried after the others; empty if it is not."""
    standing = live.standing(route)
    limit = standing.limit
    if standing.retry_in > 0:
        return f"skipped for now: its circuit breaker stays open for {standing.retry_in:.3g} s"
    if limit is not None and standing.in_flight + 1 > limit:
        return f"skipped for now: its concurrency limit is {limit:.3g}"
    if standing.tokens_left is not None and standing.tokens_left < min(size, route.tpm or size):
        return f"skipped for now: about {size:,} tokens exceed its rate limit"
    return ""


def _cells(row: ExplainedRoute, dearest: float, places: int) -> tuple[Cell, ...]:
    breaker = mark_breaker(row.breaker, row.retry_in)
    return (
        "–" if row.position is None else str(row.position),
        row.route,
        usd(row.expected_cost, places),
        Bar(0.0, row.expected_cost / dearest) if row.expected_cost and dearest else "",
        "?" if row.latency is None else f"{row.latency:.3g} s",
        replace(breaker, text=f"{breaker.text} for {row.retry_in:.3g} s") if row.retry_in > 0 else breaker,
        str(row.in_flight),
        "?" if row.window is None else f"{row.window:,}",
        "; ".join(row.reasons),
    )
