"""What a router can do, as LangChain's profile: what each of its models can, and the smallest of their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import ModelProfile

from multiroute_core.providers.models import Model


def profile(models: Sequence[Model]) -> ModelProfile:
    """What may be relied on, whichever of `models` answers; a limit that none of them knows is left out."""
    capabilities: dict[str, Any] = {
        "text_inputs": True,
        "text_outputs": True,
        "tool_calling": all(model.tools for model in models),
        "tool_choice": all(model.tools and model.forced_tool for model in models),
        "structured_output": all(model.json_schema for model in models),
        "reasoning_output": all(model.reasoning != "none" for model in models),
        "temperature": all(model.sampling != "none" for model in models),
    }
    for kind, names in INPUTS.items():
        capabilities |= dict.fromkeys(names, all(kind in model.inputs for model in models))
    for name, field in (("max_input_tokens", "window"), ("max_output_tokens", "max_output")):
        limits = [limit for model in models if (limit := getattr(model, field)) is not None]
        if limits:
            capabilities[name] = min(limits)
    return ModelProfile(**capabilities)


INPUTS = {
    "image": ("image_inputs", "image_url_inputs", "image_tool_message"),
    "document": ("pdf_inputs", "pdf_tool_message"),
    "audio": ("audio_inputs",),
    "video": ("video_inputs",),
}
"""Kinds of content, and LangChain's names for whether they may be shown."""
