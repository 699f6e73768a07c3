"""Charging: what one attempt costs, or what budgets are charged for it where its cost is unknown. Pure.

the provider's own counts → its cost
a count is missing, zero where it cannot be, or the answer was cut → an estimate of the tokens, and of their cost
no price for that address → an estimate by the model's list price
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiroute_core.pricing import Pricing
from multiroute_core.route import Route
from multiroute_core.types import Usage


@dataclass(frozen=True, slots=True)
class Charge:
    """What an attempt is charged.

    Attributes:
        cost: In USD; None for unknown.
        estimate: The tokens that it likely took, where the provider's counts are incomplete.
        estimated_cost: What it likely cost, in USD, where `cost` is unknown; None where there is no price either.
        source: Where the price comes from.
    """

    cost: float | None = None
    estimate: Usage | None = None
    estimated_cost: float | None = None
    source: str | None = None


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
    """The charge of one attempt.

    Args:
        pricing: The prices.
        route: The route that was asked.
        model: The model that answered, or else the route's.
        usage: What the provider counted; None where it did not say.
        prompt: The request's tokens, estimated.
        written: The answer's tokens, estimated, where `usage` does not tell all; None where it does, or where nothing
            was answered.
        cut: Whether the answer was cut: then the provider's count of it is of its beginning.
    """
    estimate = None if output_tokens is None else _complete(usage, prompt, output_tokens, cut=cut)
    if estimate is None or estimate == usage:
        cost = pricing.cost_on(route, usage, model=model)
        if cost is not None or usage is None:
            return _to_charge(cost)
        return _estimate_charge(pricing, route, model, usage, None)
    stated = _drop_estimates(usage, estimate)
    cost = pricing.cost_on(route, stated, model=model)
    if cost == 0.0 and stated is not None and pricing.cost_on(route, estimate, model=model):
        return _estimate_charge(pricing, route, model, estimate, estimate)  # a stated zero never wins against a price
    if cost is not None:  # free of charge, or the provider states its cost
        return _to_charge(cost)
    cost = None if usage is None else pricing.cost_on(route, usage, model=model)
    if cost is not None and cost == pricing.cost_on(route, estimate, model=model):
        return _to_charge(cost)  # what is not counted is not charged either
    return _estimate_charge(pricing, route, model, estimate, estimate)


def _complete(usage: Usage | None, prompt: int, output_tokens: int, *, cut: bool) -> Usage:
    """`usage` with estimates where counts are missing."""
    if usage is None:
        return Usage(prompt, output_tokens)
    output = usage.output_tokens or 0
    if not output or (cut and output < output_tokens):
        output = output_tokens
    return replace(usage, input_tokens=usage.input_tokens or prompt, output_tokens=output)


def _drop_estimates(usage: Usage | None, estimate: Usage) -> Usage | None:
    """`usage` without the counts that had to be estimated."""
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
    if cost is None:  # parts that contradict each other have no price; the plain counts have
        cost = pricing.estimate_on(route, Usage(usage.input_tokens or 0, usage.output_tokens or 0), model=model)
    if cost is None:
        return Charge(estimate=estimate)
    return Charge(None, estimate, float(cost), getattr(cost, "source", None))
