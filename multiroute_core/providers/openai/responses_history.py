"""Encodes a conversation as input items of the Responses API, without server-side state: `store` is false.

So no item refers to a stored message by ID, and reasoning is sent back complete and encrypted to the model that
produced it. Items that follow reasoning that cannot be sent back are tied to it by their ID, so they are sent without
the ID or dropped.
"""

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
)
from multiroute_core.providers.body import array, mapping, word
from multiroute_core.providers.ids import tool_call_id
from multiroute_core.providers.openai import content, custom
from multiroute_core.providers.openai.turns import outcome, turns, written_arguments

WIRE: Final = "openai.responses"


def history(messages: Iterable[Message], model: str, provider: str) -> list[dict[str, Any]]:
    """Return the input items for `model`."""
    items: list[dict[str, Any]] = []
    for turn in turns(messages):
        items += _build_assistant_items(turn.parts, model, provider)
        inputs = _custom_calls(turn.parts)
        items += [_build_tool_output(answer, provider, custom=answer.id in inputs) for answer in turn.answers]
        media = [part for part in turn.parts if isinstance(part, Blob | Uri | File)]
        items += _build_user_items(media, provider)  # the assistant cannot send media, so the user does
        for message in turn.messages:
            if message.role == "system":
                items.append({"role": "system", "content": message.text})
            else:
                items += _build_user_items(message.parts, provider)
    return items


def _build_assistant_items(parts: Iterable[Part], model: str, provider: str) -> list[dict[str, Any]]:
    """Build the assistant's items. Reasoning is held back until an item follows it; otherwise the API rejects it."""
    items: list[dict[str, Any]] = []
    thoughts: list[dict[str, Any]] = []
    severed = False
    for part in parts:
        item: dict[str, Any] | None = None
        match part:
            case Text() if part.text and not (items and _holds_refusal(items[-1], part)):
                item = _message(part, model, severed=severed)
                if items and not thoughts and _continues(items[-1], item):
                    items[-1]["content"] += part.text
                    continue
            case ToolCall():
                item = _call(part, model, severed=severed)
            case InvalidToolCall() if part.is_nameable:
                arguments = written_arguments(part, provider)
                call_id = tool_call_id(part.id)
                item = {"type": "function_call", "call_id": call_id, "name": part.name, "arguments": arguments}
            case VendorPart(raw=Raw(api="openai.responses", body=body)) if not severed:
                item = dict(body)
            case Reasoning(raw=Raw(api="openai.responses", body=body) as raw):
                severed = raw.model not in (None, model) or not body.get("encrypted_content")
                if not severed:
                    thoughts.append(dict(body))
            case _:
                pass
        if item is not None:
            items += (*thoughts, item)
            thoughts.clear()
    return items


def _message(text: Text, model: str, *, severed: bool) -> dict[str, Any]:
    """Build an assistant message; one with citations or a phase is sent back unchanged if its text is unchanged.

    For current models, `phase` marks commentary.
    """
    raw = text.raw
    body: Mapping[str, Any] = raw.body if raw is not None and raw.api == WIRE else {}
    is_own = raw is not None and raw.model in (None, model) and not severed
    if is_own and body.get("type") == "message" and (body.get("refusal") or text_of(body)) == text.text:
        return {name: value for name, value in body.items() if name != "refusal"}
    message: dict[str, Any] = {"role": "assistant", "content": text.text}
    return message | {"phase": phase} if (phase := body.get("phase")) else message


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text of a message item, without its refusals."""
    return "".join(word(content.get("text")) or "" for content in map(mapping, array(item.get("content"))))


def refusal_of(item: Mapping[str, Any]) -> str:
    """Return the refusal in a message item."""
    return "".join(word(content.get("refusal")) or "" for content in map(mapping, array(item.get("content"))))


def _holds_refusal(item: Mapping[str, Any], text: Text) -> bool:
    """Return whether the preceding text's item, which is sent back unchanged, already contains this refusal."""
    is_refusal = text.raw is not None and text.raw.api == WIRE and text.raw.body.get("type") == "refusal"
    return is_refusal and refusal_of(item) == text.text


def _continues(last: dict[str, Any], item: dict[str, Any]) -> bool:
    return last.get("role") == "assistant" and last.get("phase") == item.get("phase") and "type" not in last


def _call(call: ToolCall, model: str, *, severed: bool) -> dict[str, Any]:
    call_id = tool_call_id(call.id)
    if call.raw is not None and call.raw.api == WIRE and call.raw.body.get("type") in CALLS:
        item = {**call.raw.body, "call_id": call_id}
        if severed or call.raw.model not in (None, model):
            item.pop("id", None)
        return item
    if custom.is_custom(call):
        return {"type": "custom_tool_call", "call_id": call_id, "name": call.name, "input": custom.input_of(call)}
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"type": "function_call", "call_id": call_id, "name": call.name, "arguments": arguments}


CALLS = ("function_call", "custom_tool_call")
"""Items that call a tool of the caller."""


def _custom_calls(parts: Iterable[Part]) -> frozenset[str]:
    """Return the IDs of custom tool calls, whose results have their own type."""
    calls = {part.id for part in parts if isinstance(part, ToolCall) and custom.is_custom(part)}
    items = (part.raw.body for part in parts if isinstance(part, VendorPart) and part.raw.api == WIRE)
    return frozenset({*calls, *(str(item.get("call_id")) for item in items if item.get("type") == "custom_tool_call")})


def _build_tool_output(answer: ToolCallResponse, provider: str, *, custom: bool) -> dict[str, Any]:
    if answer.raw is not None and answer.raw.api == WIRE and "type" in answer.raw.body:
        return dict(answer.raw.body)
    text = outcome(answer)
    media = [
        block for part in answer.parts if not isinstance(part, Text) and (block := content.responses(part, provider))
    ]
    output = [*([{"type": "input_text", "text": text}] if text else []), *media] if media else text
    kind = "custom_tool_call_output" if custom else "function_call_output"
    return {"type": kind, "call_id": tool_call_id(answer.id), "output": output}


def _build_user_items(parts: Iterable[Part], provider: str) -> list[dict[str, Any]]:
    """Build the user's items: one message, preceded by items that are not part of a message."""
    items: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, VendorPart):
            if part.raw.api == WIRE:
                inner = str(part.raw.body.get("type")).startswith("input_")
                (blocks if inner else items).append(dict(part.raw.body))
        elif (one := content.responses(part, provider)) is not None:
            blocks.append(one)
    if not blocks:
        return items
    if all(one.keys() == {"type", "text"} for one in blocks):
        return [*items, {"role": "user", "content": "".join(one["text"] for one in blocks)}]
    return [*items, {"role": "user", "content": [one for one in blocks if one.get("text") != ""]}]
