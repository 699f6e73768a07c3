"""Requests to the providers' endpoints that count the tokens of a prompt. Pure.

Each is made of the encoded request itself, so that what is counted is what would be sent. The endpoints reject or
ignore parameters that are not part of the prompt; only the others are sent.

* Anthropic: https://platform.claude.com/docs/en/api/messages/count_tokens (2026-11-30)
* Google: https://ai.google.dev/api/tokens (2026-11-30). google-genai's own `count_tokens` rejects a system instruction
  and tools for the Developer API, whose `generateContentRequest` takes both.
* OpenAI: https://developers.openai.com/api/reference/resources/responses/subresources/input_tokens (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from multiroute_core.providers import body
from multiroute_core.providers.provider import Encoded, Reply, UnreadableReply

_ANTHROPIC = frozenset(
    (
        *("messages", "model", "system", "tools", "tool_choice", "thinking", "cache_control", "output_config"),
        *("context_management", "mcp_servers", "speed"),
    )
)
_OPENAI = frozenset(
    (
        *("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls"),
        *("previous_response_id", "conversation", "truncation", "personality"),
    )
)


def to_anthropic_count(encoded: Encoded) -> Encoded:
    """Return the request of `POST /v1/messages/count_tokens` for one of `POST /v1/messages`."""
    return replace(encoded, path=f"{encoded.path}/count_tokens", body=_select(encoded, _ANTHROPIC))


def to_openai_count(encoded: Encoded) -> Encoded:
    """Return the request of `POST /responses/input_tokens` for one of `POST /responses`."""
    return replace(encoded, path=f"{encoded.path}/input_tokens", body=_select(encoded, _OPENAI))


def to_google_count(encoded: Encoded) -> Encoded:
    """Return the request of `countTokens` for one of `generateContent`."""
    model = encoded.path.rpartition(":")[0]
    return replace(
        encoded, path=f"{model}:countTokens", body={"generateContentRequest": {"model": model, **encoded.body}}
    )


def read_count(reply: Reply) -> int:
    """Return the number of tokens that a provider has counted.

    Raises:
        UnreadableReply: The reply does not contain it.
    """
    counts = body.of(reply)
    count = counts.get("input_tokens", counts.get("totalTokens"))
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UnreadableReply("The reply contains no number of tokens.")
    return count


def _select(encoded: Encoded, names: Collection[str]) -> dict[str, object]:
    return {name: value for name, value in encoded.body.items() if name in names}
