"""Encodes a conversation for Anthropic's Messages API: the system text, and alternating turns of content blocks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, cast

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Modality,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    join,
    modality_of,
)
from multiroute_core.parsing import media_types
from multiroute_core.providers.ids import tool_call_id

THINKING = ("thinking", "redacted_thinking")
UNMARKABLE = (*THINKING, "mcp_tool_listing", "fallback")
"""Blocks without `cache_control`, according to their types in the SDK (2.14)."""
_SHOWN = ("image", "document")

Block = dict[str, Any]


class Turn(TypedDict):
    """A turn under construction."""

    role: str
    content: list[Block]


class Turns:
    """Builds the turns of one request. Blocks with a cache breakpoint are appended to `marks` in order.

    Args:
        model: The requested model; reasoning is sent back only to the model that wrote it.
        marks: Earlier blocks that already have a breakpoint.
    """

    def __init__(self, model: str, marks: list[Block]) -> None:
        self._model = model
        self._marks = marks

    def system(self, messages: Iterable[Message]) -> list[Block]:
        """Return the texts of the system messages, wherever they occur."""
        blocks: list[Block] = []
        for message in messages:
            if message.role == "system":
                text = join(message.parts)
                parts = [part for part in message.parts if isinstance(part, Text | CachePoint)]
                has_cache_point = any(isinstance(part, CachePoint) for part in parts)
                blocks += self._blocks(parts if has_cache_point else [Text(text)], blocks)
        return blocks

    def conversation(self, messages: Iterable[Message]) -> list[Turn]:
        """Return the turns of all other messages.

        Adjacent messages of one role form one turn. Tool results come first in their turn, directly after the calls, as
        the API rejects them anywhere else. Images that another model generated move to the next user turn.
        """
        turns: list[Turn] = []
        media_blocks: list[Block] = []
        for message in messages:
            role = "assistant" if message.role == "assistant" else "user"
            blocks = self._blocks(message.parts, turns[-1]["content"] if turns else [])
            if role == "assistant":
                media_blocks += [block for block in blocks if block["type"] in _SHOWN]
                blocks = [block for block in blocks if block["type"] not in _SHOWN]
            elif blocks:
                blocks = [*media_blocks, *blocks]
                media_blocks = []
            if blocks and turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            elif blocks:
                turns.append({"role": role, "content": blocks})
        _pair(turns)
        return _without_space_at_end(turns)

    def _blocks(self, parts: Iterable[Part], before: list[Block]) -> list[Block]:
        """Return the blocks of a message's parts; a cache point marks the preceding block, which may be in `before`."""
        blocks: list[Block] = []
        for part in parts:
            if isinstance(part, CachePoint):
                mark([*before, *blocks], self._marks, part)
                continue
            block = self._block(part)
            if block is None:
                continue
            blocks.append(block)
            if "cache_control" in block:
                self._marks.append(block)
            if isinstance(part, ToolCallResponse) and part.error and part.raw is None:
                blocks += _shown_apart(block)
        return blocks

    def _block(self, part: Part) -> Block | None:
        """Return the part as a block; None if the API or this model does not support it."""
        raw = getattr(part, "raw", None)
        if raw is not None and raw.api == "anthropic":
            return self._own(part, raw)
        match part:
            case Text():
                return {"type": "text", "text": part.text} if part.text.strip() else None  # the API rejects blank text
            case InvalidToolCall() if part.is_nameable:
                return self._block(part.to_tool_call())
            case ToolCall():
                call_id = tool_call_id(part.id)
                return {"type": "tool_use", "id": call_id, "name": part.name, "input": dict(part.arguments)}
            case ToolCallResponse():
                return self._answer(part)
            case Blob():
                return _with_extras(_blob(part), part)
            case Uri():
                return _with_extras(_referred(part.modality, {"type": "url", "url": part.uri}), part)
            case File() if part.provider == "anthropic":
                return _with_extras(_referred(part.modality, {"type": "file", "file_id": part.file_id}), part)
            case _:
                return None

    def _own(self, part: Part, raw: Raw) -> Block | None:
        """Return the provider's original block, changed only where the API would reject it."""
        body = dict(raw.body)
        match part:
            case Text():
                return body if part.text.strip() else None
            case Reasoning():
                return body if raw.model in (None, self._model) else None
            case ToolCall():
                return body | {"id": tool_call_id(part.id)}
            case ToolCallResponse():
                if isinstance(content := body.get("content"), list):
                    body["content"] = [dict(block) for block in cast("list[Block]", content)]
                return body | {"tool_use_id": tool_call_id(part.id)}
            case _:
                return body

    def _answer(self, part: ToolCallResponse) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": tool_call_id(part.id)}
        if content := self._blocks(part.parts, []):
            block["content"] = plain(content)
        if part.error:
            block["is_error"] = True
        return block


def _shown_apart(answer: Block) -> list[Block]:
    """Move non-text blocks out of an error result: the API accepts only text there."""
    content: str | list[Block] = answer.get("content") or ""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
    texts = [block for block in blocks if block["type"] == "text"]
    answer["content"] = plain(texts) or "The tool failed."  # empty content is rejected
    return [block for block in blocks if block["type"] != "text"]


def mark(blocks: list[Block], marks: list[Block], point: CachePoint) -> None:
    """Set a cache breakpoint on the last of `blocks` that supports one; thinking blocks do not."""
    block = next((block for block in reversed(blocks) if block.get("type") not in UNMARKABLE), None)
    if block is not None and "cache_control" not in block:
        block["cache_control"] = {"type": "ephemeral"} if point.ttl == "5m" else {"type": "ephemeral", "ttl": point.ttl}
        marks.append(block)


def plain(blocks: list[Block]) -> str | list[Block]:
    """Return a single plain text block as a string; other lists unchanged."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _with_extras(block: Block, part: Blob | Uri | File) -> Block:
    """Add citations, title and context from `extras`; the API accepts them only on documents."""
    extras = part.extras.get("anthropic") if part.extras and block["type"] == "document" else None
    return {**block, **extras} if extras else block


def _referred(modality: Modality, source: Mapping[str, Any]) -> Block:
    return {"type": "image" if modality == "image" else "document", "source": source}


def _blob(part: Blob) -> Block:
    text = media_types.text_of(part)
    if text is not None:
        block = _referred("document", {"type": "text", "media_type": "text/plain", "data": text})
    else:
        kind = media_types.type_of(part)
        encoded = base64.b64encode(part.data).decode()
        block = _referred(modality_of(kind), {"type": "base64", "media_type": kind, "data": encoded})
    return block | {"title": part.name} if part.name and block["type"] == "document" else block


def _pair(turns: list[Turn]) -> None:
    """Put tool results first in their turns and make call IDs unique.

    Some providers restart call IDs with each response, but the API requires IDs to be unique in a conversation. A
    result without a call in the preceding turn becomes plain content.
    """
    used: set[str] = set()
    calls: dict[str, list[str]] = {}
    for turn in turns:
        if turn["role"] == "assistant":
            calls = {}
            for block in turn["content"]:
                if block["type"] == "tool_use":
                    call_id = block["id"]
                    while block["id"] in used:
                        block["id"] += "_"
                    used.add(block["id"])
                    calls.setdefault(call_id, []).append(block["id"])
            continue
        answers: list[Block] = []
        others: list[Block] = []
        for block in turn["content"]:
            if block["type"] != "tool_result":
                others.append(block)
            elif waiting := calls.get(block["tool_use_id"]):
                block["tool_use_id"] = waiting.pop(0)
                answers.append(block)
            else:
                content = block.get("content") or "The tool returned nothing."
                others += [{"type": "text", "text": content}] if isinstance(content, str) else content
        turn["content"] = answers + others


def _without_space_at_end(turns: list[Turn]) -> list[Turn]:
    """Strip trailing whitespace from a final assistant turn (a prefill), as the API rejects it."""
    if turns and turns[-1]["role"] == "assistant" and turns[-1]["content"][-1]["type"] == "text":
        last = turns[-1]["content"][-1]
        last["text"] = last["text"].rstrip()
    return turns
