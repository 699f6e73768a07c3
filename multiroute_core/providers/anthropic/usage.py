"""Token usage of Anthropic's Messages API in normal form, including other models used for the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.body import array, count, mapping, tier, word
from multiroute_core.providers.openai.usage import read_usage as read_other_names
from multiroute_core.providers.stated_cost import stated_cost
from multiroute_core.types import Usage

METRICS = "amazon-bedrock-invocationMetrics"
_METRIC_NAMES = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_input_tokens",
    "cacheWriteInputTokenCount": "cache_creation_input_tokens",
}
"""Bedrock's counts at the end of a stream, in Anthropic's names: BerriAI/litellm#34373."""

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def read_usage(counts: Any, *, default_model: str | None = None) -> Usage | None:
    """Normalize token counts; Anthropic counts cache reads and writes separately from the input.

    With `usage.iterations`, the top-level counts are those of the responding model, without compactions and advisors
    (anthropic 2.14, `types/beta/beta_usage.py`; https://platform.claude.com/docs/en/build-with-claude/compaction and
    /docs/en/agents-and-tools/tool-use/advisor-tool, 2026-11-28), and without attempts of models that declined, which
    are billed at their own prices unless they wrote nothing (ccusage/ccusage#1552, BerriAI/litellm#39294).

    Args:
        counts: The `usage` object.
        default_model: The requested model, for iterations that do not name theirs.
    """
    counts = mapping(counts)
    if not counts:
        return None
    others: tuple[tuple[str, Usage], ...] = ()
    iterations = array(counts.get("iterations"))
    if iterations:
        counts, others = _with_iterations(counts, [mapping(each) for each in iterations], default_model)
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return read_other_names(counts)
    if "completion_tokens" in counts and count(counts["completion_tokens"]):  # after a start event with placeholders
        return read_other_names(counts)
    read = count(counts.get("cache_read_input_tokens"))
    write = count(counts.get("cache_creation_input_tokens"))
    fresh = count(counts.get("input_tokens"))
    output = count(counts.get("output_tokens"))
    creation = mapping(counts.get("cache_creation"))
    write_1h = count(creation.get("ephemeral_1h_input_tokens"))
    if not write and creation:  # some gateways report the parts without their sum
        write = ((count(creation.get("ephemeral_5m_input_tokens")) or 0) + (write_1h or 0)) or write
    beside = (read or 0) + (write or 0)
    if fresh is not None and beside and "total_tokens" in counts and beside <= fresh:
        total = count(counts["total_tokens"])
        beside = 0 if total == fresh + (output or 0) else beside  # as OpenAI counts
    return Usage(
        input_tokens=None if fresh is None else fresh + beside,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=count(mapping(counts.get("output_tokens_details")).get("thinking_tokens")),
        service_tier=tier(counts.get("service_tier")),
        web_searches=count(mapping(counts.get("server_tool_use")).get("web_search_requests")),
        speed=tier(counts.get("speed")),
        stated_cost=stated_cost(counts) if "cost" in counts or "cost_in_usd_ticks" in counts else None,
        other_models=others,
        inference_geo="us" if counts.get("inference_geo") == "us" else None,
    )


def last_counts(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of the last event of a stream, which has some on Bedrock.

    The cache is in its usage (BerriAI/litellm#36878), or in the metrics.
    """
    metrics = mapping(event.get(METRICS))
    counts = {name: metrics[metric] for metric, name in _METRIC_NAMES.items() if metric in metrics}
    return {**counts, **mapping(event.get("usage"))}


def serving_model(counts: Mapping[str, Any]) -> str | None:
    """Return the fallback model that took over after a model declined, which the counts belong to; None if none did."""
    for each in map(mapping, array(counts.get("iterations"))):
        if each.get("type") == "fallback_message":
            return word(each.get("model"))
    return None


def _with_iterations(
    counts: Mapping[str, Any], iterations: list[Mapping[str, Any]], default_model: str | None
) -> tuple[Mapping[str, Any], tuple[tuple[str, Usage], ...]]:
    """Return the counts including compactions of the same response, and the usage of other models."""
    totals: dict[str, Any] = dict(counts)
    others: dict[str, list[Mapping[str, Any]]] = {}
    serving = serving_model(counts)
    for each in iterations:
        kind = each.get("type")
        model = word(each.get("model"))
        if kind == "compaction":
            _add(totals, each)
        elif kind == "advisor_message" and model is not None:
            others.setdefault(model, []).append(each)
        elif kind == "message" and serving is not None and count(each.get("output_tokens")):
            attempt_model = model or default_model
            if attempt_model is not None and attempt_model != serving:
                others.setdefault(attempt_model, []).append(each)
    return totals, tuple((model, usage) for model, each in others.items() if (usage := _sum(each)) is not None)


def _sum(iterations: list[Mapping[str, Any]]) -> Usage | None:
    totals: dict[str, Any] = {}
    for each in iterations:
        _add(totals, each)
    return read_usage(totals)


def _add(totals: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add the counts of an iteration to the totals."""
    for name in _COUNTS:
        if (number := count(more.get(name))) is not None:
            totals[name] = (count(totals.get(name)) or 0) + number
    if (hour := count(mapping(more.get("cache_creation")).get("ephemeral_1h_input_tokens"))) is not None:
        creation = mapping(totals.get("cache_creation"))
        before = count(creation.get("ephemeral_1h_input_tokens")) or 0
        totals["cache_creation"] = {**creation, "ephemeral_1h_input_tokens": before + hour}
