"""How long to think, in OpenAI's words: one of the efforts that a model knows."""

from __future__ import annotations

from collections.abc import Sequence

from multiroute_core.providers.models import Model
from multiroute_core.tools import EFFORTS, ReasoningOptions

_TOKENS = ((0, "none"), (1_024, "minimal"), (4_096, "low"), (16_384, "medium"), (32_768, "high"))
"""The most tokens for which an effort is enough."""


def effort(reasoning: ReasoningOptions | None, traits: Model, dropped: list[str], without: str = "") -> str | None:
    """The effort to send, the nearest that the model and the API know; None for none.

    Args:
        asked: What the request says.
        traits: What is known of the model.
        dropped: Gets the reason where the model cannot be told.
        without: An effort that the API does not know, though the model does.
    """
    if reasoning is None or (reasoning.effort is None and reasoning.budget_tokens is None):
        return None
    if traits.reasoning != "effort":
        dropped.append("reasoning: the model cannot be told how long to think")
        return None
    level: str | None = reasoning.effort
    if level is None:
        level = next((name for most, name in _TOKENS if (reasoning.budget_tokens or 0) <= most), "xhigh")
    return _nearest(level, [name for name in traits.efforts if name != without])


def _nearest(level: str, levels: Sequence[str]) -> str:
    """The effort of `known` that is nearest to `wanted`; of two as near, the greater."""
    ranks: Sequence[str] = EFFORTS
    place = ranks.index(level)
    return min(levels, key=lambda name: (abs(ranks.index(name) - place), -ranks.index(name)))
