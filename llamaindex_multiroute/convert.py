"""Message conversion between LlamaIndex and MultiRoute, without changing the input."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ContentBlock, MessageRole, TextBlock

from llamaindex_multiroute.blocks import block_of, call_of, part_of
from multiroute_core import ConfigurationError, InvalidToolCall, Message, Text, ToolCall, ToolCallResponse, parsing
from multiroute_core.messages import CachePoint, Part, Role, join
from multiroute_core.parsing import message_json
from multiroute_core.providers.ids import tool_call_id

ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
"""All LlamaIndex roles; provider-specific ones map to their generic equivalents."""

KEPT = "multiroute"
"""Key in `additional_kwargs` for a response's exact parts, so that its provider gets them back unchanged."""


def messages_in(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Convert LlamaIndex messages to MultiRoute's.

    Calls without a unique id get a generated one, always the same for the same conversation; their results get it too.

    Raises:
        ConfigurationError: a block is empty or its type is unknown.
    """
    pairs = _Pairs()
    return tuple(_message(message, pairs) for message in messages)


def messages_out(messages: Iterable[Message]) -> list[ChatMessage]:
    """Convert MultiRoute messages to LlamaIndex's; each tool result becomes a message of its own."""
    chat_messages: list[ChatMessage] = []
    for message in messages:
        if message.role == "tool":
            chat_messages += [_tool_message(part) for part in message.parts if isinstance(part, ToolCallResponse)]
        else:
            own = {} if message.name is None else {"name": message.name}
            blocks = blocks_out(message.parts)
            chat_messages.append(ChatMessage(role=MessageRole(message.role), blocks=blocks, additional_kwargs=own))
    return chat_messages


def blocks_out(parts: Iterable[Part]) -> list[ContentBlock]:
    """Convert parts to blocks; parts without a LlamaIndex block are omitted."""
    return [block for part in parts if (block := block_of(part)) is not None]


def to_additional_kwargs(parts: Sequence[Part]) -> dict[str, Any]:
    """The exact parts of a message for `additional_kwargs`, if its blocks cannot represent them without loss."""
    if all(getattr(part, "raw", None) is None and not isinstance(part, InvalidToolCall) for part in parts):
        return {}
    return {KEPT: {"parts": message_json.to_json(parts)}}


def _message(message: ChatMessage, pairs: _Pairs) -> Message:
    role = ROLES[message.role]
    if role == "tool":
        answer = pairs.answer(_response(message))
        return Message(role, (answer,) if (point := _cache_point(message)) is None else (answer, point))
    parts = _recalled(message) if role == "assistant" else None
    if parts is None:
        parts = [part_of(block) for block in message.blocks]
        if role == "assistant" and not any(isinstance(part, ToolCall | InvalidToolCall) for part in parts):
            parts += _legacy_calls(message)
    parts = [part for part in parts if not (type(part) is Text and not part.text and len(parts) > 1)]
    name = message.additional_kwargs.get("name") if message.additional_kwargs else None
    if (point := _cache_point(message)) is not None:
        parts = [*parts, point]
    if any(isinstance(part, ToolCall | InvalidToolCall) for part in parts):
        pairs.turn()
        parts = [pairs.call(part) if isinstance(part, ToolCall | InvalidToolCall) else part for part in parts]
    return Message(role, parts, name if isinstance(name, str) and name else None)


def _cache_point(message: ChatMessage) -> CachePoint | None:
    """The cache point of a message, read from where LlamaIndex's Anthropic class reads it."""
    own = message.additional_kwargs
    return parsing.blocks.cache_point({"cache_control": own["cache_control"]}) if "cache_control" in own else None


def _recalled(message: ChatMessage) -> Sequence[Part] | None:
    """The stored parts of a response; None if the message no longer matches them, since edits take precedence."""
    try:
        parts = message_json.from_json(message.additional_kwargs[KEPT]["parts"])
    except (KeyError, TypeError, AttributeError):
        return None  # no stored parts, or another library's data
    block_parts = [part_of(block) for block in message.blocks]
    if join(parts) != join(block_parts) or _calls(parts) != _calls(block_parts):
        return None
    return parts


def _calls(parts: Iterable[Part]) -> list[tuple[str, str, Mapping[str, Any] | str]]:
    return [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall | InvalidToolCall)]


def _legacy_calls(message: ChatMessage) -> list[Part]:
    """Calls in `additional_kwargs`, from before call blocks existed: a provider's objects, or their serialized form."""
    calls: list[Part] = []
    listed = message.additional_kwargs.get("tool_calls") or ()
    if not isinstance(listed, Iterable):
        raise ConfigurationError(f"The tool_calls of a message are a {type(listed).__name__}; expected a list.")
    for call in cast("Iterable[Any]", listed):
        function = _of(call, "function") or call
        name = _of(function, "name") or _of(call, "tool_name")
        arguments = next(
            (a for key in ("arguments", "args", "input", "tool_kwargs") if (a := _of(function, key))), None
        )
        call_id = next((i for key in ("call_id", "id", "tool_id") if (i := _of(call, key))), "")
        if name:
            calls.append(call_of(str(call_id), str(name), _arguments(arguments)))
    return calls


def _arguments(arguments: Any) -> Mapping[str, Any] | str | None:
    return cast("Mapping[str, Any]", arguments) if isinstance(arguments, str | Mapping) else None


def _of(source: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", source).get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _response(message: ChatMessage) -> ToolCallResponse:
    own = message.additional_kwargs
    parts = [part_of(block) for block in message.blocks if not (isinstance(block, TextBlock) and not block.text)]
    return ToolCallResponse(
        str(own.get("tool_call_id") or own.get("call_id") or ""),
        parts,
        error=own.get("is_error") is True,
        name=own.get("name") or own.get("tool_name"),
    )


def _tool_message(part: ToolCallResponse) -> ChatMessage:
    own: dict[str, Any] = {"tool_call_id": part.id}
    if part.name is not None:
        own["name"] = part.name
    if part.error:
        own["is_error"] = True
    return ChatMessage(role=MessageRole.TOOL, blocks=blocks_out(part.parts), additional_kwargs=own)


def _renamed(call: ToolCall | InvalidToolCall, call_id: str) -> ToolCall | InvalidToolCall:
    return replace(call, id=call_id) if isinstance(call, InvalidToolCall) else replace(call, id=call_id, raw=None)


class _Pairs:
    """Gives each call of a conversation a unique id, and each tool result the id of its call."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._open: list[tuple[str, ToolCall | InvalidToolCall]] = []

    def turn(self) -> None:
        """Start a new assistant turn: earlier calls without a result stay unanswered."""
        self._open.clear()

    def call(self, call: ToolCall | InvalidToolCall) -> ToolCall | InvalidToolCall:
        """Return the call with its own id, or with a generated one if the id is missing or already used."""
        original_id = call.id
        new_call = call
        tries = 0
        while not new_call.id or new_call.id in self._used:
            arguments = call.arguments if isinstance(call, InvalidToolCall) else dict(call.arguments)
            words = json.dumps([original_id, call.name, arguments, tries], sort_keys=True, default=str)
            new_call = _renamed(call, tool_call_id(words))
            tries = tries + 1
        self._used.add(new_call.id)
        self._open.append((original_id, new_call))
        return new_call

    def answer(self, answer: ToolCallResponse) -> ToolCallResponse:
        """Return the tool result with the id of its call: the first open call that it matches."""
        for place, (original_id, call) in enumerate(self._open):
            if answer.id == original_id or (not answer.id and answer.name in (None, call.name)):
                del self._open[place]
                return ToolCallResponse(call.id, answer.parts, error=answer.error, name=answer.name or call.name)
        return answer
