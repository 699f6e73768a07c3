"""Costs and token counts that providers and gateways state outside the usual usage object: other fields, headers.

How this works: `usage.cost` and its like are read with the usage (`stated_cost`). `reported_usage` reads the cost and
the counts that a gateway adds to the body, and `with_headers` those that only the response's headers have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from multiroute_core.providers.body import amount, count, mapping, word
from multiroute_core.types import Delta, Usage

COSTS = (
    "cost",
    "estimated_cost",
    "total_cost",
    "cost_usd",
    "cost_usd_total",
    "cost_in_usd",
    "total_cost_usd",
    "costUsd",
    "response_cost",
)
"""Fields with the cost of a response in USD. OpenRouter's `cost` is in credits, each worth one USD; with the user's own
provider key it is only OpenRouter's share: https://openrouter.ai/docs/use-cases/usage-accounting (2026-11-28).
Perplexity's is an object with a `total_cost`: https://docs.perplexity.ai/guides/pricing. DeepInfra reports
`estimated_cost`.
"""

TOTALS = ("total_cost", "total", "cost", "amount")
"""Fields with the sum, where a cost is an object."""

CURRENCIES = ("currency", "cost_currency", "costCurrency")
"""Fields with the currency of a cost. NanoGPT also charges in others: https://docs.nano-gpt.com/migrate-from-openrouter
("`usage.cost` can be missing, and it isn't always in USD", 2026-11-30).
"""

TICKS_PER_USD = 1e10
"""The unit of xAI's `cost_in_usd_ticks`: https://docs.x.ai/developers/cost-tracking (2026-11-28)."""

HEADER_COST = "x-litellm-response-cost"
"""LiteLLM proxy: https://docs.litellm.ai/docs/proxy/cost_tracking. It is 0 for a model without a known price."""

HEADER_COUNTS = (
    # https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-runtime-metrics.html; input excludes the cache
    (
        "x-amzn-bedrock-input-token-count",
        "x-amzn-bedrock-output-token-count",
        "x-amzn-bedrock-cache-read-input-token-count",
        "x-amzn-bedrock-cache-write-input-token-count",
    ),
    ("x-prompt-tokens", "x-generated-tokens", "", ""),  # huggingface/text-generation-inference, router/src/server.rs
)
"""Headers with the input, the output, and the cache reads and writes beside the input."""


def stated_cost(counts: Mapping[str, Any]) -> float | None:
    """Return the cost of a response in USD as reported by the provider."""
    if not _is_usd(counts):
        return None
    for name in COSTS:
        raw_cost = counts.get(name)
        if isinstance(raw_cost, dict):
            cost = _total(mapping(raw_cost))
        else:
            cost = None if raw_cost is None else amount(raw_cost)
        if cost is None:
            continue
        if counts.get("is_byok") is True:
            upstream = amount(mapping(counts.get("cost_details")).get("upstream_inference_cost"))
            return None if upstream is None else cost + upstream
        return cost
    ticks = amount(counts.get("cost_in_usd_ticks"))
    return None if ticks is None else ticks / TICKS_PER_USD


def reported_usage(*places: Mapping[str, Any]) -> Usage | None:
    """Return the cost, and any token counts beside it, that a gateway states in a body, choice or message.

    Vercel's AI Gateway (https://vercel.com/docs/ai-gateway/capabilities/usage, 2026-11-30), NanoGPT, Eden AI, AIMLAPI.

    Args:
        places: The body, the choice, the message or the delta.
    """
    for place in places:
        gateway = mapping(mapping(place.get("provider_metadata") or place.get("providerMetadata")).get("gateway"))
        cost = amount(gateway.get("cost")) or amount(gateway.get("marketCost"))  # with a key of one's own, `cost` is 0
        if cost:
            return Usage(stated_cost=cost)
        pricing = mapping(place.get("x_nanogpt_pricing"))
        if pricing:
            cost = _total(pricing)
            counts = (count(pricing.get("inputTokens")), count(pricing.get("outputTokens")))
            if cost is not None or counts != (None, None):
                return Usage(*counts, stated_cost=cost)
        if "cost" in place and (cost := stated_cost({"cost": place["cost"]})):
            return Usage(stated_cost=cost)
        if cost := amount(mapping(mapping(place.get("meta")).get("usage")).get("usd_spent")):
            return Usage(stated_cost=cost)
    return None


def with_headers(delta: Delta, headers: Mapping[str, str]) -> Delta:
    """Return a complete response's delta, with the cost and the counts that only the headers have.

    Args:
        delta: The response.
        headers: Its headers.
    """
    usage = delta.usage
    if usage is None or not usage.input_tokens or not usage.output_tokens:
        usage = _fill_counts(usage, headers)
    if (usage is None or usage.stated_cost is None) and (cost := header_cost(headers)) is not None:
        usage = replace(usage or Usage(), stated_cost=cost)
    return delta if usage is delta.usage else replace(delta, usage=usage)


def header_cost(headers: Mapping[str, str]) -> float | None:
    """Return the cost reported in a header; None without one, or for the 0 of a model without a known price."""
    return amount(word(headers.get(HEADER_COST))) or None


def _fill_counts(usage: Usage | None, headers: Mapping[str, str]) -> Usage | None:
    """Return `usage` with the counts of the headers in place of missing ones."""
    for names in HEADER_COUNTS:
        fresh, output, read, write = (count(headers.get(name)) if name else None for name in names)
        if fresh is None and output is None:
            continue
        usage = usage or Usage()
        if not usage.input_tokens and fresh is not None:
            total = fresh + (read or 0) + (write or 0)
            usage = replace(usage, input_tokens=total, cache_read_tokens=read, cache_write_tokens=write)
        return usage if usage.output_tokens else replace(usage, output_tokens=output)
    return usage


def _total(parts: Mapping[str, Any]) -> float | None:
    """Return the sum of a cost that is an object; None if it is not in USD."""
    in_usd = amount(parts.get("costUsd"))
    if in_usd is not None or not _is_usd(parts):
        return in_usd
    return next((cost for name in TOTALS if (cost := amount(parts.get(name))) is not None), None)


def _is_usd(place: Mapping[str, Any]) -> bool:
    """Return whether amounts are in USD, as they are unless a currency is stated."""
    for name in CURRENCIES:
        if name in place:
            currency = place[name]
            return currency is None or (isinstance(currency, str) and currency.upper() in ("USD", "US$", "$", ""))
    return True
