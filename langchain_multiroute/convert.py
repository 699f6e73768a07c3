"""LangChain's messages to MultiRoute's, and responses back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    InputTokenDetails,
    OutputTokenDetails,
    SystemMessage,
    UsageMetadata,
)

from multiroute_core import Chunk, ConfigurationError, Message, Response, Text, Usage
from multiroute_core.messages import Role

PROVIDERS: Mapping[str, str] = {"google": "google_genai"}
"""LangChain's names of providers, where they differ; its own code chooses block translators by them."""

ROLES: Mapping[str, Role] = {"developer": "system", "human": "user", "ai": "assistant"}


def messages_in(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """LangChain's messages as MultiRoute's; they are read, never changed.

    Raises:
        ConfigurationError: a message or a block is of a kind that is not carried yet.
    """
    return tuple(Message(_role(message), _texts(message)) for message in messages)


def message_out(response: Response) -> AIMessage:
    """A whole answer."""
    return AIMessage(
        content=response.text,
        usage_metadata=_usage(response.usage),
        response_metadata=metadata(response),
    )


def chunk_out(chunk: Chunk) -> AIMessageChunk:
    """A piece of an answer. Names and usage stand on the last one only: merging would concatenate and sum them."""
    if (response := chunk.response) is None:
        return AIMessageChunk(content=chunk.text)
    return AIMessageChunk(
        content=chunk.text,
        usage_metadata=_usage(response.usage),
        response_metadata=metadata(response),
        chunk_position="last",
    )


def metadata(response: Response) -> dict[str, Any]:
    """Who answered, why it ended, and under `multiroute` what it took: route, cost in USD, attempts."""
    return {
        "model_name": response.model,
        "model_provider": PROVIDERS.get(response.provider, response.provider),
        "finish_reason": response.finish_reason,
        "multiroute": {
            "route": response.route,
            "cost": response.cost,
            "attempts": [attempt.summary() for attempt in response.attempts],
        },
    }


def _role(message: BaseMessage) -> Role:
    match message:
        case SystemMessage():
            return "system"
        case HumanMessage():
            return "user"
        case AIMessage():
            return "assistant"
        case ChatMessage():
            return cast("Role", ROLES.get(message.role, message.role))
        case _:
            raise ConfigurationError(
                f"A {type(message).__name__} is not carried yet; give system, human and AI messages."
            )


def _texts(message: BaseMessage) -> Sequence[Text]:
    content = message.content
    if isinstance(content, str):
        return (Text(content),)
    found: list[Text] = []
    for block in content:
        if isinstance(block, str):
            found.append(Text(block))
        elif block.get("type") == "text":
            found.append(Text(str(block.get("text", ""))))
        else:
            raise ConfigurationError(f"A {block.get('type')!r} block in a {message.type} message is not carried yet.")
    return found


def _usage(usage: Usage | None) -> UsageMetadata | None:
    """Tokens as LangChain counts them; an answer whose tokens are unknown has no usage at all."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    made = UsageMetadata(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )
    read: dict[str, int | None] = {
        "cache_read": usage.cache_read_tokens,
        "cache_creation": usage.cache_write_tokens,
        "audio": usage.input_audio_tokens,
    }
    written: dict[str, int | None] = {"reasoning": usage.reasoning_tokens, "audio": usage.output_audio_tokens}
    if known := {name: count for name, count in read.items() if count is not None}:
        made["input_token_details"] = cast("InputTokenDetails", known)
    if known := {name: count for name, count in written.items() if count is not None}:
        made["output_token_details"] = cast("OutputTokenDetails", known)
    return made
