"""Finish reasons: the words with which servers and frameworks say why an answer ended, in normal form.

The wires look up their own vendor's words first. What they do not know comes here: compatible servers write the usual
words in other letter cases and under other names, and some words say that the answer failed.
"""

from __future__ import annotations

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
"""Mistral says `model_length`, Cohere `COMPLETE`, `ERROR_TOXIC` and `ERROR_LIMIT`, Zhipu `sensitive`, Bedrock
`guardrail_intervened`."""

WORDS: Mapping[str, FinishReason] = {word: reason for reason, words in _NAMES.items() for word in words.split()}

UNSAID = frozenset({"", "null", "none", "finish_reason_unspecified", "unspecified"})
"""What some servers write where an answer has not ended, or where they do not say why it did."""

SAYING_NOTHING = frozenset({"other", "language", "no_image", "image_other"})
"""Reasons of Gemini's with which an answer failed if it says nothing, and is an answer if it says something."""

MALFORMED = 0
"""Stands for a failure that has no HTTP status: the model's own output cannot be used."""

_FAILURES: Iterable[tuple[str, int]] = (
    # A part of the word, and the HTTP status that says the same. Gemini's words:
    # https://ai.google.dev/api/generate-content#FinishReason (2026-11-28); Bedrock's `malformed_model_output` and
    # `malformed_tool_use`: its StopReason.
    ("malformed", MALFORMED),
    ("unexpected_tool_call", MALFORMED),
    ("too_many_tool_calls", MALFORMED),
    ("missing_thought_signature", MALFORMED),
    ("pup_limited_disabled", 403),
    ("insufficient_system_resource", 503),  # DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
    ("overload", 503),
    ("unavailable", 503),
    ("rate_limit", 429),
    ("resource_exhausted", 429),
    ("timeout", 504),
    ("timed_out", 504),
    ("network", 502),  # Zhipu: https://docs.bigmodel.cn/api-reference (finish_reason network_error)
    ("error", 500),  # OpenRouter: https://openrouter.ai/docs/api/reference/errors
    ("fail", 500),
    ("exception", 500),
    ("abort", 500),  # vLLM and SGLang; who reads it did not hang up, so the server did it
    ("cancel", 500),
    ("interrupted", 500),
    ("queued", 500),  # Responses: not begun, or not ended
    ("in_progress", 500),
)


def normal_word(reason: Any) -> str:
    """A finish reason as a lower-case word; empty where nothing is said.

    Enums come with their class (`FinishReason.STOP`), and SGLang's reasons are objects with a `type`.
    """
    if isinstance(reason, dict):
        reason = cast("dict[str, Any]", reason).get("type")
    reason = getattr(reason, "name", reason)
    if not isinstance(reason, str):
        return ""
    word = reason.strip().rpartition(".")[2].lower().replace("-", "_").replace(" ", "_")
    return "" if word in UNSAID else word


def finish_reason(word: str) -> FinishReason | None:
    """The reason that a word of `normal_word` means; None for an unknown word."""
    return WORDS.get(word)


def failure_status(word: str) -> int | None:
    """The HTTP status that a word of `normal_word` stands for, if it says that the answer failed.

    `MALFORMED` where it is the model's output that cannot be used; None where nothing failed.
    """
    if not word or word in WORDS:
        return None
    return next((status for part, status in _FAILURES if part in word), None)
