"""Charges: the cost of one attempt, or its estimate for budgets if the cost is unknown. Pure.

the provider's own counts → its cost
a count is missing, zero although it cannot be, or the response was cut → an estimate of the tokens and their cost
no price for the address → an estimate from the model's list price
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiroute_core.pricing import Pricing
from multiroute_core.pricing.savings import find_prompt_cache_saving
from multiroute_core.route import Route
from multiroute_core.types import Usage


@dataclass(frozen=True, slots=True)
class Charge:
    """The charge of an attempt.

    Attributes:
        cost: In USD; None if unknown.
        estimate: Estimated tokens, if the provider's counts are incomplete.
        estimated_cost: Estimated cost in USD, if `cost` is unknown; None if no price exists either.
        source: The source of the price.
        saving: What the provider's prompt cache saved in USD; None if unknown.
    """

    cost: float | None = None
    estimate: Usage | None = None
    estimated_cost: float | None = None
    source: str | None = None
    saving: float | None = None


def charge(
    pricing: Pricing,
    route: Route,
    model: str,
    usage: Usage | None,
    *,
    prompt: int,
    output_tokens: int | None,
    cut: bool,
) -> Charge:
    """Return the charge of one attempt.

    Args:
        pricing: The prices.
        route: The route of the attempt.
        model: The model that responded, or else the route's.
        usage: The provider's counts; None if not reported.
        prompt: Estimated tokens of the request.
        output_tokens: Estimated tokens of the response, if `usage` is incomplete; None if it is complete, or if there
            was no response.
        cut: Whether the response was cut; the provider's count then covers only its beginning.
    """
    cost = _charge(pricing, route, model, usage, prompt=prompt, output_tokens=output_tokens, cut=cut)
    saving = find_prompt_cache_saving(pricing, route, model, usage)
    return cost if saving is None else replace(cost, saving=saving)


def _charge(
    pricing: Pricing,
    route: Route,
    model: str,
    usage: Usage | None,
    *,
    prompt: int,
    output_tokens: int | None,
    cut: bool,
) -> Charge:
    estimate = None if output_tokens is None else _complete(usage, prompt, output_tokens, cut=cut)
    if estimate is None or estimate == usage:
        cost = pricing.cost_on(route, usage, model=model)
        if cost is not None or usage is None:
            return _to_charge(cost)
        return _estimate_charge(pricing, route, model, usage, None)
    stated = _drop_estimates(usage, estimate)
    cost = pricing.cost_on(route, stated, model=model)
    if cost == 0.0 and stated is not None and pricing.cost_on(route, estimate, model=model):
        return _estimate_charge(pricing, route, model, estimate, estimate)  # a reported zero never overrides a price
    if cost is not None:  # free of charge, or the provider reports its cost
        return _to_charge(cost)
    cost = None if usage is None else pricing.cost_on(route, usage, model=model)
    if cost is not None and cost == pricing.cost_on(route, estimate, model=model):
        return _to_charge(cost)  # the missing counts are not charged
    return _estimate_charge(pricing, route, model, estimate, estimate)


def _complete(usage: Usage | None, prompt: int, output_tokens: int, *, cut: bool) -> Usage:
    """Return `usage` with estimates for missing counts."""
    if usage is None:
        return Usage(prompt, output_tokens)
    output = usage.output_tokens or 0
    if not output or (cut and output < output_tokens):
        output = output_tokens
    return replace(usage, input_tokens=usage.input_tokens or prompt, output_tokens=output)


def _drop_estimates(usage: Usage | None, estimate: Usage) -> Usage | None:
    """Return `usage` without the counts that were estimated."""
    if usage is None:
        return None
    read = usage.input_tokens
    output_tokens = usage.output_tokens
    return replace(
        usage,
        input_tokens=read if read == estimate.input_tokens else None,
        output_tokens=output_tokens if output_tokens == estimate.output_tokens else None,
    )


def _to_charge(cost: float | None) -> Charge:
    return Charge() if cost is None else Charge(float(cost), source=getattr(cost, "source", None))


def _estimate_charge(pricing: Pricing, route: Route, model: str, usage: Usage, estimate: Usage | None) -> Charge:
    cost = pricing.estimate_on(route, usage, model=model)
    if cost is None:  # contradictory counts have no price, but their totals do
        cost = pricing.estimate_on(route, Usage(usage.input_tokens or 0, usage.output_tokens or 0), model=model)
    if cost is None:
        return Charge(estimate=estimate)
    return Charge(None, estimate, float(cost), getattr(cost, "source", None))
