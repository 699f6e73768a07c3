"""Finish reasons: normalize the values with which servers and frameworks report why an answer ended.

Each API's codec looks up its own provider's values first and falls back to this module: compatible servers write the
usual values in other letter cases and under other names, and some values report a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from multiroute_core.types import FinishReason

_NAMES: Mapping[FinishReason, str] = {
    "stop": "stop stopped stop_sequence stop_token stop_word stop_words stop_str eos eos_token end end_turn "
    "end_of_text endoftext complete completed done finish finished success normal",
    "length": "length max_length model_length max_tokens max_token max_new_tokens max_output_tokens token_limit "
    "token_limit_reached error_limit model_context_window_exceeded continuation",
    "tool_call": "tool_call tool_calls tool_use function_call function_calls",
    "content_filter": "content_filter content_filtered content_filter_error safety recitation blocklist "
    "prohibited_content spii model_armor image_safety image_prohibited_content image_recitation escalation sensitive "
    "moderation guardrail_intervened error_toxic blocked",
    "refusal": "refusal refused",
    "pause": "pause pause_turn",
}
"""Mistral reports `model_length`, Cohere `COMPLETE`, `ERROR_TOXIC` and `ERROR_LIMIT`, Zhipu `sensitive`, Bedrock
`guardrail_intervened`.
"""

WORDS: Mapping[str, FinishReason] = {word: reason for reason, words in _NAMES.items() for word in words.split()}

_COMPACT: Mapping[str, FinishReason] = {word.replace("_", ""): reason for word, reason in WORDS.items()}
"""The same words as servers of other languages write them: `endturn` (zeitlings/ayai-gpt-nexus#2, 2024-07-05)."""

_PARTS: Iterable[tuple[str, FinishReason]] = (
    # A substring of the value. Gemini's compatible API prefixes its own reason: `content_filter: PROHIBITED_CONTENT`.
    ("content_filter", "content_filter"),
    ("content_policy", "content_filter"),
    ("safety", "content_filter"),
    ("prohibited", "content_filter"),
    ("moderation", "content_filter"),
    ("sensitive", "content_filter"),
    ("guardrail", "content_filter"),
    ("censor", "content_filter"),
    ("recitation", "content_filter"),
    ("refusal", "refusal"),
    ("max_length", "length"),
    ("max_tokens", "length"),
    ("max_output", "length"),
    ("max_completion", "length"),
    ("token_limit", "length"),
    ("context_length", "length"),
    ("context_window", "length"),
)

UNSAID = frozenset({"", "null", "none", "undefined", "unspecified"})
"""Values that some servers send while an answer has not ended, or if they do not report a reason."""

SAYING_NOTHING = frozenset({"other", "language", "no_image", "image_other"})
"""Gemini's reasons that are a failure if the answer is empty, and a normal end if it has content."""

MALFORMED = 0
"""Marks a failure without an HTTP status: the model's own output is unusable."""

_FAILURES: Iterable[tuple[str, int]] = (
    # A substring of the value, and the equivalent HTTP status. Gemini's values:
    # https://ai.google.dev/api/generate-content#FinishReason (2026-11-28); Bedrock's `malformed_model_output` and
    # `malformed_tool_use`: its StopReason.
    ("malformed", MALFORMED),
    ("unexpected_tool_call", MALFORMED),
    ("too_many_tool_calls", MALFORMED),
    ("missing_thought_signature", MALFORMED),
    ("pup_limited_disabled", 403),
    ("insufficient_system_resource", 503),  # DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
    ("overload", 503),
    *((f"{what}capacity", 503) for what in ("no_", "at_", "over_", "over", "insufficient_")),
    ("capacity_exceeded", 503),
    ("capacity_exhausted", 503),
    ("capacity_error", 503),
    ("preempt", 503),
    ("evicted", 503),
    ("unavailable", 503),
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("throttl", 429),
    *((f"insufficient_{what}", 402) for what in ("quota", "balance", "credit", "fund", "user_quota")),
    ("resource_exhausted", 429),
    ("timeout", 504),
    ("timed_out", 504),
    ("disconnect", 502),
    ("network", 502),  # Zhipu: https://docs.bigmodel.cn/api-reference (finish_reason network_error)
    ("error", 500),  # OpenRouter: https://openrouter.ai/docs/api/reference/errors
    ("failed", 500),
    ("failure", 500),
    ("exception", 500),
    ("abort", 500),  # vLLM and SGLang; this client did not disconnect, so the server aborted
    ("cancel", 500),
    ("interrupted", 500),
    ("out_of_memory", 500),
    ("crash", 500),
    ("expired", 500),
    ("queued", 500),  # Responses: not started, or not finished
    ("in_progress", 500),
)


_HARMLESS = re.compile(r"(?:^|_)(?:no|not|non|without|free|warning|tolerant|recovered)(?:_|$)")
"""Parts of a value that take back what would report a failure."""


def normal_word(reason: Any) -> str:
    """Returns a finish reason as a lower-case word; empty if no reason is given.

    Enums include their class (`FinishReason.STOP`), and SGLang's reasons are objects with a `type`.
    """
    if isinstance(reason, dict):
        reason = cast("dict[str, Any]", reason).get("type")
    reason = getattr(reason, "name", reason)
    if not isinstance(reason, str):
        return ""
    word = reason.strip().rpartition(".")[2].lower().replace("-", "_").replace(" ", "_").removeprefix("finish_reason_")
    return "" if word in UNSAID else word


def finish_reason(word: str) -> FinishReason | None:
    """Returns the finish reason for a word of `normal_word`; None if unknown."""
    reason = WORDS.get(word) or _COMPACT.get(word)
    return reason or next((reason for part, reason in _PARTS if part in word), None)


def failure_status(word: str) -> int | None:
    """Returns the equivalent HTTP status if a word of `normal_word` reports a failed answer.

    `MALFORMED` if the model's output is unusable; None if it is not a failure.
    """
    if not word or word in WORDS or _HARMLESS.search(word) or finish_reason(word) is not None:
        return None
    return next((status for part, status in _FAILURES if part in word), None)
