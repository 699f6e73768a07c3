"""Token usage in the names of any provider, as the models of the frameworks pass it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.anthropic import usage as anthropic
from multiroute_core.providers.google import usage as google
from multiroute_core.providers.openai import usage as openai
from multiroute_core.types import Usage

_GOOGLE = ("promptTokenCount", "candidatesTokenCount", "candidates_token_count", "cached_content_token_count")
_ANTHROPIC = ("cache_creation", "cache_creation_input_tokens", "server_tool_use", "iterations", "inference_geo")
_OPENAI = ("prompt_tokens", "total_tokens", "input_tokens_details", "input_token_details")


def read_any_usage(
    counts: Mapping[str, Any], service_tier: str | None = None, *, model: str | None = None
) -> Usage | None:
    """Normalize a usage object of any provider.

    Args:
        counts: The object.
        service_tier: The service tier of the response, if not the standard tier.
        model: The model, for counts that do not name theirs.
    """
    if any(name in counts for name in _GOOGLE):
        return google.read_usage(counts)
    is_anthropic = "input_tokens" in counts and any(name in counts for name in _ANTHROPIC)
    if is_anthropic and not any(counts.get(name) for name in _OPENAI):
        return anthropic.read_usage(counts, default_model=model)
    return openai.read_usage(counts, service_tier)
