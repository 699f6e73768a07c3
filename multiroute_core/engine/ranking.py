"""Ranking of one call's candidates by its strategy and the live statistics of the routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from multiroute_core.engine.stage import CallContext
from multiroute_core.pricing import Pricing
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.routing.strategies import LiveStats, needs_live_stats, rank_routes
from multiroute_core.state.state import State


async def rank_candidates(
    context: CallContext,
    state: State,
    facts: Mapping[str, RouteCapabilities],
    pricing: Pricing,
    random: Callable[[], float],
) -> list[Route]:
    """Return the candidates of a call in ranked order.

    Args:
        context: The call.
        state: The health and limits of the routes.
        facts: The capabilities of the routes by route name.
        pricing: The token prices of a route.
        random: Random numbers from 0 to 1.
    """
    call = context.call
    options = call.options
    if context.reservation is not None and context.reservation.over_soft_budget:
        options = replace(options, strategy="cheapest")
    standings = {}
    if needs_live_stats(options):
        standings = {r.name: await state.standing(context.io, r, context.start_time) for r in call.routes}
    live = LiveStats(facts, standings, pricing.cost_on, random, call.tokens, call.stream)
    return rank_routes(call.request, call.routes, options, live)
