"""Encodes a conversation as Chat Completions messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from multiroute_core.messages import (
    Blob,
    File,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
    join,
)
from multiroute_core.providers.dropped_content import sendable_name
from multiroute_core.providers.ids import tool_call_id
from multiroute_core.providers.openai import content, custom
from multiroute_core.providers.openai.message_fields import merge_fields
from multiroute_core.providers.openai.turns import outcome, turns, written_arguments

WIRE: Final = "openai.chat"


def history(messages: Iterable[Message], model: str, provider: str) -> list[dict[str, Any]]:
    """Return the messages for `model`. Text-only content is a string, as many servers accept nothing else."""
    wire_messages: list[dict[str, Any]] = []
    for turn in turns(messages):
        if assistant_message := _build_assistant_message(turn.parts, model, provider):
            wire_messages.append(assistant_message if turn.name is None else {**assistant_message, "name": turn.name})
        pictures: list[dict[str, Any]] = []
        wire_messages += [_build_tool_message(answer, provider, pictures) for answer in turn.answers]
        # Tools and the assistant may send only text, so their media go into a user message.
        pictures += _build_media(turn.parts, provider)
        if pictures:
            wire_messages.append({"role": "user", "content": pictures})
        for message in turn.messages:
            if message.role == "system":
                wire_messages.append({"role": "system", "content": message.text, **_build_name(message)})
            elif (user_content := _build_user_content(message.parts, provider)) is not None:
                wire_messages.append({"role": "user", "content": user_content, **_build_name(message)})
    return wire_messages


def _build_name(message: Message) -> dict[str, Any]:
    """Return the participant's name, if the API accepts it."""
    return {} if message.name is None or (name := sendable_name(message)) is None else {"name": name}


def _build_assistant_message(parts: Iterable[Part], model: str, provider: str) -> dict[str, Any] | None:
    """Build an assistant message; None if nothing in it can be sent."""
    texts: list[Text] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[Mapping[str, Any]] = []
    for part in parts:
        match part:
            case Text():
                texts.append(part)
            case ToolCall():
                calls.append(_call(part))
            case InvalidToolCall() if part.is_nameable:
                function = {"name": part.name, "arguments": written_arguments(part, provider)}
                calls.append({"id": tool_call_id(part.id), "type": "function", "function": function})
            case VendorPart(raw=Raw(api="openai.chat", body=body)) if "id" in body:  # a call of a custom tool
                calls.append(dict(body))
            case Reasoning(raw=Raw(api="openai.chat", body=body, model=None | str() as thinker)):
                if thinker in (None, model):
                    thoughts.append(body)
            case _:
                pass
    text = join(texts)
    if not text and not calls:
        return None
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if thoughts:
        message |= merge_fields(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    call_id = tool_call_id(call.id)
    if call.raw is not None and call.raw.api == WIRE and ("function" in call.raw.body or "custom" in call.raw.body):
        return {**call.raw.body, "id": call_id}
    if custom.is_custom(call):
        return {"id": call_id, "type": "custom", "custom": {"name": call.name, "input": custom.input_of(call)}}
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}


def _build_tool_message(answer: ToolCallResponse, provider: str, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Build a tool message; its media are added to `pictures`."""
    blocks = _build_media(answer.parts, provider)
    words = [one["text"] for one in blocks if one["type"] == "text"]
    if media_blocks := [one for one in blocks if one["type"] != "text"]:
        pictures += [{"type": "text", "text": f"What the tool {answer.name or answer.id} shows:"}, *media_blocks]
    text = "\n".join(text for text in (outcome(answer), *words) if text)
    if not text and media_blocks:
        text = "The answer is shown in the next message of the user."
    return {"role": "tool", "tool_call_id": tool_call_id(answer.id), "content": text}


def _build_media(parts: Iterable[Part], provider: str) -> list[dict[str, Any]]:
    """Return the media, except the assistant's own recordings, whose transcript is in its text."""
    media = (part for part in parts if isinstance(part, Blob | Uri | File) and not _is_own_audio(part.raw))
    return [block for part in media if (block := content.chat(part, provider)) is not None]


def _is_own_audio(raw: Raw | None) -> bool:
    return raw is not None and raw.api == WIRE and "audio" in raw.body


def _build_user_content(parts: Iterable[Part], provider: str) -> str | list[dict[str, Any]] | None:
    """Build the content of a user message; None if nothing in it can be sent."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, VendorPart):
            if part.raw.api == WIRE:
                blocks.append(dict(part.raw.body))
        elif (one := content.chat(part, provider)) is not None:
            blocks.append(one)
    if not blocks:
        return None
    if all(one.keys() == {"type", "text"} for one in blocks):
        return "".join(one["text"] for one in blocks)
    return [one for one in blocks if one.get("text") != ""]
