"""The form of an answer, how long to think, and what one vendor takes besides, in every spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.tools import OutputSchema, ReasoningOptions


def output_schema(given: Any) -> OutputSchema | None:
    """The form of the answer; None where any is right."""
    return given


def reasoning(given: Any) -> ReasoningOptions | None:
    """How long to think; None leaves it to the model."""
    return given


def vendor_options(given: Any) -> Mapping[str, Mapping[str, Any]]:
    """What one vendor takes besides."""
    return given
