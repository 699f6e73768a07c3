"""Token usage of Gemini in normal form, by modality, and searches that are charged individually."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from multiroute_core.providers.body import array, count, mapping, tier, word
from multiroute_core.providers.openai.usage import read_usage as read_other_names
from multiroute_core.providers.stated_cost import stated_cost
from multiroute_core.types import Usage

AUDIO = ("AUDIO",)
IMAGES = ("IMAGE", "DOCUMENT")
"""Modalities priced as images; these include pages of documents."""

TRAFFIC_TIERS = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}
"""Service tiers on Vertex AI (google-genai 3.6, `types.TrafficType`)."""

_NAMES = frozenset(("totalTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount"))
_SNAKE = re.compile(r"_([a-z])")
_GENERATION = re.compile(r"gemini-(\d+)")


def read_usage(counts: Any, searches: int = 0) -> Usage | None:
    """Normalize token counts; prompt counts include cached tokens, candidate counts exclude thoughts.

    Args:
        counts: The `usageMetadata` object.
        searches: Number of charged searches.
    """
    counts = mapping(counts)
    if not counts:
        return None
    if not ("promptTokenCount" in counts or "candidatesTokenCount" in counts or _NAMES.intersection(counts)):
        if "prompt_token_count" in counts or "total_token_count" in counts:  # google-genai's own names
            return read_usage(_to_camel(counts), searches)
        return read_other_names(counts)  # of a gateway
    read = _sum(count(counts.get("promptTokenCount")), count(counts.get("toolUsePromptTokenCount")))
    thought = count(counts.get("thoughtsTokenCount"))
    candidates = count(counts.get("candidatesTokenCount"))
    output_tokens = _sum(candidates, thought)
    total = count(counts.get("totalTokenCount"))
    cached_tokens = count(counts.get("cachedContentTokenCount"))
    if cached_tokens and read is not None and cached_tokens > read:
        read += cached_tokens  # a gateway excludes them
    if total is not None and read is None and output_tokens is not None:
        read = max(0, total - output_tokens)
    elif total is not None and read is not None:
        if thought and candidates is not None and candidates >= thought and total == read + candidates:
            output_tokens = candidates  # a gateway counts the thoughts among the candidates
        # The older SDK does not report thoughts, but the total includes them.
        output_tokens = max(output_tokens or 0, total - read)
    prompt = (counts.get("promptTokensDetails"), counts.get("toolUsePromptTokensDetails"))
    answer = (counts.get("candidatesTokensDetails"),)
    cached = (counts.get("cacheTokensDetails"),)
    return Usage(
        input_tokens=read,
        output_tokens=output_tokens,
        cache_read_tokens=cached_tokens,
        reasoning_tokens=thought,
        input_audio_tokens=_of_modality(prompt, AUDIO),
        output_audio_tokens=_of_modality(answer, AUDIO),
        cache_read_audio_tokens=_of_modality(cached, AUDIO),
        input_image_tokens=_of_modality(prompt, IMAGES),
        output_image_tokens=_of_modality(answer, IMAGES),
        service_tier=_tier(counts) if "serviceTier" in counts or "trafficType" in counts else None,
        stated_cost=stated_cost(counts) if "cost" in counts else None,
        web_searches=searches or None,
    )


def _to_camel(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts in the names of google-genai's models in the names of the API."""

    def rename(value: Any) -> Any:
        if isinstance(value, list):
            return [rename(each) for each in array(value)]
        return _to_camel(mapping(value)) if isinstance(value, dict) else value

    return {_SNAKE.sub(lambda m: m[1].upper(), name): rename(value) for name, value in counts.items()}


def _tier(counts: Mapping[str, Any]) -> str | None:
    """Return the service tier, in which Gemini's API and Vertex AI differ."""
    name = tier(counts.get("serviceTier"))
    return name.lower() if name else TRAFFIC_TIERS.get(word(counts.get("trafficType")) or "")


def search_queries(candidate: Mapping[str, Any]) -> set[str]:
    """Return the queries that Gemini ran for a response; empty ones are not charged."""
    grounding = mapping(candidate.get("groundingMetadata"))
    queries = (*array(grounding.get("webSearchQueries")), *array(grounding.get("imageSearchQueries")))
    return {query for each in queries if (query := word(each))}


def charged_searches(queries: set[str], model: str | None) -> int:
    """Return the number of charged searches: each query since Gemini 3, one per grounded prompt before.

    https://ai.google.dev/gemini-api/docs/google-search and /docs/pricing (2026-11-28). The daily free quota depends on
    the account and is not subtracted.
    """
    generation = _GENERATION.search(model or "")
    if generation is not None and int(generation[1]) < 3:
        return min(1, len(queries))
    return len(queries)


def _sum(*counts: int | None) -> int | None:
    numbers = [number for number in counts if number is not None]
    return sum(numbers) if numbers else None


def _of_modality(details: Iterable[Any], modalities: tuple[str, ...]) -> int | None:
    """Sum the tokens of some modalities."""
    rows = [mapping(row) for each in details for row in array(each)]
    return _sum(*(count(row.get("tokenCount")) for row in rows if row.get("modality") in modalities))
