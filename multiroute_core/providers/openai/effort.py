"""Maps reasoning options to OpenAI's reasoning effort, limited to the levels that a model supports."""

from __future__ import annotations

from collections.abc import Sequence

from multiroute_core.providers.models import Model
from multiroute_core.tools import EFFORTS, ReasoningOptions

_TOKENS = ((0, "none"), (1_024, "minimal"), (4_096, "low"), (16_384, "medium"), (32_768, "high"))
"""Largest token budget of each effort."""


def effort(reasoning: ReasoningOptions | None, traits: Model, dropped: list[str], without: str = "") -> str | None:
    """Return the effort to send, the nearest that the model and the API support; None for none.

    Args:
        reasoning: The requested reasoning options.
        traits: Known properties of the model.
        dropped: Gets the reason if the model does not support it.
        without: An effort that the API does not support, though the model does.
    """
    if reasoning is None or (reasoning.effort is None and reasoning.budget_tokens is None):
        return None
    if traits.reasoning != "effort":
        dropped.append("reasoning: the model does not support an effort")
        return None
    level: str | None = reasoning.effort
    if level is None:
        level = next((name for most, name in _TOKENS if (reasoning.budget_tokens or 0) <= most), "xhigh")
    return _nearest(level, [name for name in traits.efforts if name != without])


def _nearest(level: str, levels: Sequence[str]) -> str:
    """Return the effort of `levels` nearest to `level`; the higher one on a tie."""
    ranks: Sequence[str] = EFFORTS
    place = ranks.index(level)
    return min(levels, key=lambda name: (abs(ranks.index(name) - place), -ranks.index(name)))
