"""Load balancing: how each strategy ranks candidates; the package docstring describes them. Pure.

How this works: `STRATEGIES` is the only list of strategies. A strategy returns its sort criteria; those of
`multiroute_core.routing.affinity` are stronger than any of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import Options, OrderFunction
from multiroute_core.pricing import CostOn
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.routing import expected_usage
from multiroute_core.routing.affinity import SortCriterion, preferences
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.types import Request

EXPLORE = 0.05
"""The share of requests with which `"fastest"` explores routes that it would not choose."""

NEARLY = 1.25
"""The factor by which the latency of a warm route may exceed that of the fastest one."""

_T = TypeVar("_T")

logger = logging.getLogger("multiroute_core")

_UNKNOWN = RouteHealth()


@dataclass(frozen=True, slots=True)
class LiveStats:
    """Live data for the ranking of a request.

    Attributes:
        facts: The capabilities by route name.
        standings: The health by route name; a missing route has not been used yet.
        cost_on: Returns the cost of a usage on a route.
        tokens: The estimated tokens of the request.
        random: Random numbers from 0 to 1.
        stream: Whether the call streams: its latency is that of first tokens, otherwise that of whole responses.
    """

    facts: Mapping[str, RouteCapabilities]
    standings: Mapping[str, RouteHealth]
    cost_on: CostOn
    random: Callable[[], float]
    tokens: int
    stream: bool = False

    def standing(self, route: Route) -> RouteHealth:
        """Return the health of a route."""
        return self.standings.get(route.name, _UNKNOWN)

    def speed(self, route: Route) -> float | None:
        """Return the typical recent latency of a route in seconds; None if unknown."""
        standing = self.standing(route)
        return standing.time_to_first_token if self.stream else standing.latency

    def expected_cost(self, request: Request, route: Route, read: int) -> float | None:
        """Return the expected cost of `request` on a route, in USD; None if unknown.

        Args:
            request: The request.
            route: The route.
            read: How many input tokens come from the route's prompt cache.
        """
        return self.cost_on(route, expected_usage.usage(request, self.facts[route.name].api, self.tokens, read))


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates in ranked order.

    Attributes:
        routes: The routes to try.
        steps: The sort criteria, each stronger than the ones before.
        excluded: The reasons for excluded candidates by route name.
    """

    routes: list[Route]
    steps: Sequence[SortCriterion]
    excluded: Mapping[str, str] = field(default_factory=dict[str, str])

    def reasons(self, route: Route) -> tuple[str, ...]:
        """Return the reasons for the rank of a route."""
        if (reason := self.excluded.get(route.name)) is not None:
            return (reason,)
        return tuple(explanation for step in reversed(self.steps) if (explanation := step.explain(route)))


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to rank candidates.

    Attributes:
        criteria: Returns the sort criteria for a request, each stronger than the ones before.
        needs_live_stats: Whether it uses route health; if not, it is not fetched.
    """

    criteria: Callable[[RankingInput], Sequence[SortCriterion]]
    needs_live_stats: bool


def needs_live_stats(options: Options) -> bool:
    """Whether the strategy uses route health; a custom function gets it."""
    name = options.strategy
    if name is None:
        return False
    return STRATEGIES[name].needs_live_stats if isinstance(name, str) else True


def rank_routes(request: Request, routes: Sequence[Route], options: Options, live: LiveStats) -> list[Route]:
    """Return the routes to try, in ranked order; the package docstring describes the strategies.

    Raises:
        ConfigurationError: a custom strategy did not return candidates.
    """
    plain = options.strategy in (None, "priority") and options.fallback is not False
    # fast path for most requests: no criterion applies
    if plain and not preferences(request, routes, options, live.facts):
        return list(routes)
    if len(routes) == 1 and not callable(options.strategy):
        return list(routes)
    return ranking(request, routes, options, live).routes


def ranking(request: Request, routes: Sequence[Route], options: Options, live: LiveStats) -> Ranking:
    """Rank the routes as `rank_routes` does, with the reasons."""
    candidates = list(routes)
    order = options.strategy or "priority"
    preferred = preferences(request, candidates, options, live.facts)
    exclusions: dict[str, str] = {}
    if callable(order):
        candidates, own = _apply_order(order, request, routes, live.standings)
        exclusions = {r.name: "the strategy function excludes it" for r in routes if r not in candidates}
    else:
        own = STRATEGIES[order].criteria(RankingInput(request, tuple(candidates), live, preferred))
    steps = (*own, *preferred)
    for step in steps:
        if step.key is not None:
            candidates.sort(key=step.key)
    if options.fallback is False:
        exclusions |= {r.name: "fallback=False uses only the first route" for r in candidates[1:]}
        candidates = candidates[:1]
    return Ranking(candidates, steps, exclusions)


@dataclass(frozen=True, slots=True)
class RankingInput:
    """The input of a strategy.

    Attributes:
        request: The request.
        routes: The candidates in the given order.
        live: Live data about them.
        preferred: The criteria that outrank the strategy.
    """

    request: Request
    routes: tuple[Route, ...]
    live: LiveStats
    preferred: Sequence[SortCriterion]

    def shut(self, route: Route) -> bool:
        """Whether the route is unavailable now."""
        return self.live.standing(route).retry_in > 0

    def best(self) -> list[Route]:
        """Return the available routes that no stronger criterion places behind another."""
        ready = [r for r in self.routes if not self.shut(r)]
        ranks = [tuple(step.key(r) for step in reversed(self.preferred) if step.key) for r in ready]
        return [r for r, rank in zip(ready, ranks, strict=True) if rank == min(ranks)]

    def warm(self) -> set[str]:
        """Return the names of the healthy warm routes."""
        warm = expected_usage.read_again(self.request, self.routes, self.live.facts)
        return {r.name for r in self.routes if r.name in warm and self.live.standing(r).breaker == "closed"}

    def behind(self) -> SortCriterion:
        """Return the criterion that places unavailable routes behind the others."""
        return SortCriterion(
            self.shut,
            lambda r: (
                f"its circuit breaker stays open for {self.live.standing(r).retry_in:.3g} s" if self.shut(r) else ""
            ),
        )


def _priority(case: RankingInput) -> Sequence[SortCriterion]:
    return (SortCriterion(None, lambda r: f"number {case.routes.index(r) + 1} in the configured order"),)


def _weighted(case: RankingInput) -> Sequence[SortCriterion]:
    total = sum(r.weight for r in case.routes)
    # Exponential variates: a route has the smallest one with the probability of its share of the weights.
    variates = {r.name: -math.log(max(case.live.random(), 1e-300)) / r.weight for r in case.routes}
    warm = case.warm()
    return (
        SortCriterion(lambda r: variates[r.name], lambda r: f"drawn with weight {r.weight:g} of {total:g}"),
        SortCriterion(lambda r: r.name not in warm, lambda r: WARM if r.name in warm else ""),
        case.behind(),
    )


def _least_busy(case: RankingInput) -> Sequence[SortCriterion]:
    limits = {r.name: case.live.standing(r).limit for r in case.routes}
    has_limits = all(limits.values())
    warm = case.warm()

    def key(route: Route) -> tuple[bool, float, bool]:
        limit = limits[route.name]
        busy = case.live.standing(route).in_flight
        size = limit if has_limits and limit else route.weight
        full = limit is not None and busy + 1 > limit
        is_warm = route.name in warm
        return full, max(0, busy - is_warm) / size, not is_warm

    def explain(route: Route) -> str:
        limit = limits[route.name]
        busy = case.live.standing(route).in_flight
        size = f"a limit of {limit:.3g}" if has_limits and limit else f"a weight of {route.weight:g}"
        return f"{busy} in flight, for {size}" + (f"; {WARM}" if route.name in warm else "")

    return SortCriterion(key, explain), case.behind()


def _fastest(case: RankingInput) -> Sequence[SortCriterion]:
    speeds = {r.name: case.live.speed(r) for r in case.routes}
    pool = case.best()
    unknown = [r for r in pool if speeds[r.name] is None]
    measured = [(speed, place, r) for place, r in enumerate(pool) if (speed := speeds[r.name]) is not None]
    warm = case.warm()
    first = None
    because = ""
    if pool and case.live.random() < EXPLORE:
        first = _draw(unknown or pool, case.live.random)
        because = "drawn for a measurement"
    elif measured:
        one = _draw(measured, case.live.random)
        others = [other for other in measured if other is not one] or [one]
        best = min(one, _draw(others, case.live.random), key=lambda candidate: candidate[:2])
        near = [candidate for candidate in measured if candidate[2].name in warm and candidate[0] <= best[0] * NEARLY]
        first = min(near, default=best, key=lambda candidate: candidate[:2])[2]
        because = WARM if near else "the faster of two drawn routes"

    def key(route: Route) -> tuple[bool, float]:
        return route is not first, math.inf if (speed := speeds[route.name]) is None else speed

    def explain(route: Route) -> str:
        speed = speeds[route.name]
        what = "first tokens" if case.live.stream else "answers"
        reason = "not measured yet" if speed is None else f"{what} come after {speed:.3g} s"
        return f"{reason}; {because}" if route is first else reason

    return SortCriterion(key, explain), case.behind()


def _cheapest(case: RankingInput) -> Sequence[SortCriterion]:
    live = case.live
    read = expected_usage.read_again(case.request, case.routes, live.facts)
    costs = {r.name: live.expected_cost(case.request, r, read.get(r.name, 0)) for r in case.routes}

    def explain(route: Route) -> str:
        if (cost := costs[route.name]) is None:
            return "its price is unknown"
        cache_note = (
            f", {read[route.name]:,} of {live.tokens:,} tokens from its prompt cache" if route.name in read else ""
        )
        return f"expected to cost ${cost:.3g}{cache_note}"

    return (SortCriterion(lambda r: math.inf if (cost := costs[r.name]) is None else cost, explain),)


WARM = "its prompt cache contains the beginning of the conversation"

STRATEGIES: dict[str, Strategy] = {
    "priority": Strategy(_priority, needs_live_stats=False),
    "weighted": Strategy(_weighted, needs_live_stats=True),
    "least_busy": Strategy(_least_busy, needs_live_stats=True),
    "fastest": Strategy(_fastest, needs_live_stats=True),
    "cheapest": Strategy(_cheapest, needs_live_stats=False),
}
"""The strategies by name; a new one is one entry. `multiroute_core.options` validates names by it."""


def _apply_order(
    order: OrderFunction, request: Request, routes: Sequence[Route], standings: Mapping[str, RouteHealth]
) -> tuple[list[Route], Sequence[SortCriterion]]:
    """Apply a custom strategy function."""
    name = getattr(order, "__name__", type(order).__name__)
    health_by_route = MappingProxyType({r.name: standings.get(r.name, _UNKNOWN) for r in routes})
    try:
        answer = order(request, tuple(routes), health_by_route)
        ordering = list(cast("Iterable[Any]", answer)) if isinstance(answer, Iterable) else None
    except Exception:
        logger.exception("The strategy function %r failed; the routes are used in the configured order.", name)
        return list(routes), (
            SortCriterion(None, lambda _: f"in the configured order: the strategy function {name!r} failed"),
        )
    if isinstance(answer, Coroutine):
        # otherwise Python warns later, elsewhere, that it was never awaited
        cast("Coroutine[Any, Any, Any]", answer).close()
    if not ordering or any(r not in routes for r in ordering) or len({r.name for r in ordering}) < len(ordering):
        raise ConfigurationError(
            f"The strategy function {name!r} returned {answer!r:.200}; "
            "expected one or more of the candidates, each once."
        )
    return ordering, (SortCriterion(None, lambda _: f"as the strategy function {name!r} returned"),)


def _draw(among: Sequence[_T], random: Callable[[], float]) -> _T:
    return among[min(int(random() * len(among)), len(among) - 1)]
