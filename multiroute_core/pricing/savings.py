"""Prompt cache savings: what a provider's prompt cache saved, compared with input that is not cached. Pure."""

from __future__ import annotations

from dataclasses import replace

from multiroute_core.pricing import Pricing
from multiroute_core.route import Route
from multiroute_core.types import Usage


def find_prompt_cache_saving(pricing: Pricing, route: Route, model: str, usage: Usage | None) -> float | None:
    """Return the net saving in USD: the price of the same tokens without a cache, minus their price with it.

    Cache reads cost less than plain input, cache writes may cost more, so the saving may be negative. The cost that a
    provider states is not split by kinds of tokens, so both prices are computed from the price list.

    Args:
        pricing: The prices.
        route: The route that responded.
        model: The model that responded.
        usage: The provider's counts; None if not reported.

    Returns:
        0.0 if nothing was read from a cache or written to it; None if the usage or a price is unknown.

    Example:
        >>> usage = Usage(10_000, 100, cache_read_tokens=9_000)
        >>> find_prompt_cache_saving(prices, route, "claude-sonnet-4-5", usage)  # doctest: +SKIP
        0.0243
    """
    if usage is None:
        return None
    if not has_cached_tokens(usage):
        return None if usage.input_tokens is None else 0.0
    stated = replace(usage, stated_cost=None)
    cost = pricing.cost_on(route, stated, model=model)
    plain_cost = pricing.cost_on(route, _without_cache(stated), model=model)
    return None if cost is None or plain_cost is None else float(plain_cost) - float(cost)


def has_cached_tokens(usage: Usage) -> bool:
    """Return whether tokens were read from a provider's prompt cache or written to it."""
    if usage.cache_read_tokens or usage.cache_write_tokens:
        return True
    return bool(usage.other_models) and any(has_cached_tokens(other) for _, other in usage.other_models)


def _without_cache(usage: Usage) -> Usage:
    """Return the usage as if all input were neither read from a cache nor written to it."""
    return replace(
        usage,
        cache_read_tokens=None,
        cache_write_tokens=None,
        cache_write_1h_tokens=None,
        cache_read_audio_tokens=None,
        stated_cost=None,
        other_models=tuple((name, _without_cache(other)) for name, other in usage.other_models),
    )
