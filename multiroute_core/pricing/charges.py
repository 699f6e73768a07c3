"""Charges: the cost of one attempt, or its estimate for budgets if the cost is unknown. Pure.

the provider's own counts → its cost
a count is missing, zero although it cannot be, or the response was cut → an estimate of the tokens and their cost
no price for the address → an estimate from the model's list price
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiroute_core.pricing import Pricing
from multiroute_core.pricing.cost import STATED
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
    expected: Usage,
    *,
    cut: bool,
    is_partial: bool,
) -> Charge:
    """Return the charge of one attempt.

    Args:
        pricing: The prices.
        route: The route of the attempt.
        model: The model that responded, or else the route's.
        usage: The provider's counts; None if not reported.
        expected: Estimated input tokens, and the estimated output tokens if `usage` is incomplete. These are None if it
            is complete, or if there was no response.
        cut: Whether the response was cut; a cost stated before covers only its beginning.
        is_partial: Whether the provider's count covers only the beginning, as in a response that was cut.
    """
    cost = _charge(pricing, route, model, usage, expected, cut=cut, is_partial=is_partial)
    saving = find_prompt_cache_saving(pricing, route, model, usage)
    return cost if saving is None else replace(cost, saving=saving)


def _charge(
    pricing: Pricing, route: Route, model: str, usage: Usage | None, expected: Usage, *, cut: bool, is_partial: bool
) -> Charge:
    estimate = None if expected.output_tokens is None else _complete(usage, expected, is_partial=is_partial)
    if estimate is None or estimate == usage:
        cost = pricing.cost_on(route, usage, model=model)
        if cost is not None or usage is None:
            return _to_charge(cost)
        return _estimate_charge(pricing, route, model, usage, None)
    if cut and usage is not None and usage.stated_cost and estimate.output_tokens != usage.output_tokens:
        whole = replace(estimate, stated_cost=None)
        charge = _estimate_charge(pricing, route, model, whole, whole)
        if (charge.estimated_cost or 0.0) > usage.stated_cost:
            return charge
        return Charge(None, whole, usage.stated_cost, STATED)
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


def _complete(usage: Usage | None, expected: Usage, *, is_partial: bool) -> Usage:
    """Return `usage` with estimates for missing counts."""
    if usage is None:
        return expected
    output = usage.output_tokens or 0
    output_tokens = expected.output_tokens or 0
    if not output or (is_partial and output < output_tokens):
        output = output_tokens
    return replace(usage, input_tokens=usage.input_tokens or expected.input_tokens, output_tokens=output)


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
        cost = pricing.estimate_on(route, _to_totals(usage), model=model)
    if cost is None:
        return Charge(estimate=estimate)
    return Charge(None, estimate, float(cost), getattr(cost, "source", None))


def _to_totals(usage: Usage) -> Usage:
    """Return the totals of a usage, with those of other models as if they were the model's own."""
    others = [_to_totals(other) for _, other in usage.other_models]
    return Usage(
        (usage.input_tokens or 0) + sum(other.input_tokens or 0 for other in others),
        (usage.output_tokens or 0) + sum(other.output_tokens or 0 for other in others),
    )
