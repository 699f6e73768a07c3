"""Capabilities of a router as a LangChain model profile: what all its models support, and the smallest limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import ModelProfile

from multiroute_core.providers.models import Model


def profile(models: Sequence[Model]) -> ModelProfile:
    """The capabilities that all of `models` support; limits that are unknown for all models are omitted."""
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
"""Input modalities, and LangChain's capability names for them."""
