"""Maps reasoning options to Anthropic's extended thinking: an effort level or a token budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiroute_core.providers.anthropic.turns import THINKING, Turn
from multiroute_core.providers.models import Model
from multiroute_core.tools import EFFORTS, Effort, ReasoningOptions
from multiroute_core.types import Request

LEAST = 1_024
"""The smallest thinking budget that the API accepts; it must also be below `max_tokens`."""
BUDGETS: Mapping[Effort, int] = {
    "minimal": LEAST,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}
"""Token budget of each effort level."""


@dataclass(frozen=True, slots=True)
class Thought:
    """The thinking fields of a request body.

    Attributes:
        thinking: The value of `thinking`.
        effort: The value of `output_config.effort`.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        """Whether thinking is enabled; if so, the API accepts neither a temperature nor a forced tool."""
        return self.thinking is not None and self.thinking["type"] in ("enabled", "adaptive")


def encode(
    request: Request,
    traits: Model,
    turns: Sequence[Turn],
    max_tokens: int,
    dropped: list[str],
    *,
    tool_forced: bool,
) -> Thought:
    """Return the thinking fields for a request.

    Args:
        turns: The conversation so far, encoded.
        tool_forced: Whether a tool call is forced to get structured output. Thinking is then off.
    """
    reasoning = request.reasoning
    if reasoning is None:
        return Thought()
    if traits.reasoning == "effort":
        return _by_effort(reasoning, traits, dropped)
    why = ""
    if reasoning.effort == "none" or (reasoning.effort is None and reasoning.budget_tokens is None):
        return Thought()  # these models think only on request
    if traits.reasoning == "none":
        why = "the model does not support it"
    elif tool_forced:
        why = "not together with a tool that replaces the output schema"
    elif max_tokens <= LEAST:
        why = f"max_tokens is too small; it needs at least {LEAST} tokens"
    elif _in_open_loop(turns):
        why = "the earlier steps of this turn have no reasoning of the model itself"
    if why:
        dropped.append(f"reasoning: {why}")
        return Thought()
    if reasoning.budget_tokens is not None:
        budget = min(reasoning.budget_tokens, max_tokens - 1)
    else:
        budget = min(BUDGETS[reasoning.effort or "medium"], max_tokens // 2)  # leave room for the response
    return Thought({"type": "enabled", "budget_tokens": max(LEAST, budget)})


def _by_effort(reasoning: ReasoningOptions, traits: Model, dropped: list[str]) -> Thought:
    if reasoning.effort == "none" and "none" in traits.efforts:
        return Thought({"type": traits.no_thinking})
    display = {"display": "summarized"} if reasoning.summary else {}
    target = reasoning.effort
    if target is None and reasoning.budget_tokens is not None:
        target = next((effort for effort, tokens in BUDGETS.items() if tokens >= reasoning.budget_tokens), "max")
    if target == "none":
        dropped.append("reasoning: the model always reasons; its lowest effort is used")
    efforts = [effort for effort in traits.efforts if effort != "none"]
    effort = min(efforts, key=lambda one: abs(_rank(one) - _rank(target))) if target else None
    return Thought({"type": "adaptive", **display}, effort)


def _rank(effort: str) -> int:
    return [str(one) for one in EFFORTS].index(effort)


def _in_open_loop(turns: Sequence[Turn]) -> bool:
    """Return whether the last turn contains tool results and the calls before them came without thinking blocks.

    With a budget, the API requires each step of such a tool loop to begin with its thinking blocks. A step from
    another provider or model has none.
    """
    if len(turns) < 2 or turns[-1]["role"] != "user" or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in THINKING
