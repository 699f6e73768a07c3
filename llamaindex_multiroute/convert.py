"""LlamaIndex's messages to MultiRoute's, and responses back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock

from multiroute_core import ConfigurationError, Message, Response, Text
from multiroute_core.messages import Role

ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.CHATBOT: "assistant",
}


def messages_in(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """LlamaIndex's messages as MultiRoute's; they are read, never changed.

    Raises:
        ConfigurationError: a role or a block is of a kind that is not carried yet.
    """
    return tuple(Message(_role(message), _texts(message)) for message in messages)


def response_out(response: Response) -> ChatResponse:
    """A whole answer; tokens and what it took stand beside the message, which goes into the memory and back out."""
    return chunk_out(response.text, None, response)


def chunk_out(text: str, delta: str | None, response: Response | None) -> ChatResponse:
    """The answer so far: `text` is cumulative, `delta` is what is new, `response` comes with the last one."""
    message = ChatMessage(role=MessageRole.ASSISTANT, content=text)
    if response is None:
        return ChatResponse(message=message, delta=delta)
    return ChatResponse(message=message, delta=delta, raw=_raw(response), additional_kwargs=_metadata(response))


def _role(message: ChatMessage) -> Role:
    if (role := ROLES.get(message.role)) is None:
        raise ConfigurationError(f"A {message.role.value} message is not carried yet; give system, user and assistant.")
    return role


def _texts(message: ChatMessage) -> list[Text]:
    found: list[Text] = []
    for block in message.blocks:
        if not isinstance(block, TextBlock):
            raise ConfigurationError(f"A {type(block).__name__} in a {message.role.value} message is not carried yet.")
        found.append(Text(block.text))
    return found


def _counted(response: Response) -> dict[str, int]:
    """Tokens as LlamaIndex counts them: ints only, or nothing where the vendor said nothing."""
    usage = response.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _raw(response: Response) -> dict[str, Any]:
    """The vendor's body where there is one, with the usage in the form that token counters look for."""
    raw = dict(response.raw or {"model": response.model})
    if counted := _counted(response):
        raw["usage"] = counted
    return raw


def _metadata(response: Response) -> dict[str, Any]:
    return {
        **_counted(response),
        "model": response.model,
        "provider": response.provider,
        "route": response.route,
        "finish_reason": response.finish_reason,
        "cost": response.cost,
        "attempts": [attempt.summary() for attempt in response.attempts],
    }
