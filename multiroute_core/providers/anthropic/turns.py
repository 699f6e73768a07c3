"""A conversation as Anthropic's Messages API takes it: the system text apart, then turns of blocks that alternate."""

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
_UNMARKABLE = (*THINKING, "mcp_tool_listing", "fallback")
"""Blocks that take no `cache_control`: their types in the SDK (2.14) have none."""
_SHOWN = ("image", "document")

Block = dict[str, Any]


class Turn(TypedDict):
    """A turn while it is made."""

    role: str
    content: list[Block]


class Turns:
    """Makes the turns of one request. What is marked for the vendor's cache is kept in `marks`, in its order.

    Args:
        model: The model that is asked: reasoning goes back to no other.
        marks: Blocks that are marked already and stand before.
    """

    def __init__(self, model: str, marks: list[Block]) -> None:
        self._model = model
        self._marks = marks

    def system(self, messages: Iterable[Message]) -> list[Block]:
        """The texts of the system messages, wherever they stand."""
        blocks: list[Block] = []
        for message in messages:
            if message.role == "system":
                text = join(message.parts)
                parts = [part for part in message.parts if isinstance(part, Text | CachePoint)]
                has_cache_point = any(isinstance(part, CachePoint) for part in parts)
                blocks += self._blocks(parts if has_cache_point else [Text(text)], blocks)
        return blocks

    def conversation(self, messages: Iterable[Message]) -> list[Turn]:
        """The turns of all other messages.

        Neighbours of one role are one turn. The answers of tools come first in theirs, directly after the calls: the
        API refuses them anywhere else. Pictures that another model made in its answer go to the user's next turn.
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
        """The blocks of a message's parts; a mark is set on the block before it, which may be one of `before`."""
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
        """The part as a block; None for what the API, or this model, does not take."""
        raw = getattr(part, "raw", None)
        if raw is not None and raw.api == "anthropic":
            return self._own(part, raw)
        match part:
            case Text():
                return {"type": "text", "text": part.text} if part.text.strip() else None  # it refuses mere space
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
        """What the vendor wrote, unchanged but for what would make it refuse it."""
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
    """What is no text in a tool's answer that is an error, taken out of it: the API takes texts alone there."""
    content: str | list[Block] = answer.get("content") or ""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
    texts = [block for block in blocks if block["type"] == "text"]
    answer["content"] = plain(texts) or "The tool failed."  # nor may it be empty
    return [block for block in blocks if block["type"] != "text"]


def mark(blocks: list[Block], marks: list[Block], point: CachePoint) -> None:
    """Mark the last of `blocks` that can be marked; thoughts cannot."""
    block = next((block for block in reversed(blocks) if block.get("type") not in _UNMARKABLE), None)
    if block is not None and "cache_control" not in block:
        block["cache_control"] = {"type": "ephemeral"} if point.ttl == "5m" else {"type": "ephemeral", "ttl": point.ttl}
        marks.append(block)


def plain(blocks: list[Block]) -> str | list[Block]:
    """Blocks that are one text and no more as that text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _with_extras(block: Block, part: Blob | Uri | File) -> Block:
    """The block with the citations, title and context given beside it; the API takes them on documents alone."""
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
    """Put the answers of tools at the head of their turns, and see that no id stands for two calls.

    Some vendors number the calls of each answer anew, and the API wants an id to be the only one of a conversation. An
    answer to no call of the turn before is told as it is.
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
                content = block.get("content") or "The tool answered nothing."
                others += [{"type": "text", "text": content}] if isinstance(content, str) else content
        turn["content"] = answers + others


def _without_space_at_end(turns: list[Turn]) -> list[Turn]:
    """Turns whose last one, if the model is to go on with it, ends in no white space, which the API refuses."""
    if turns and turns[-1]["role"] == "assistant" and turns[-1]["content"][-1]["type"] == "text":
        last = turns[-1]["content"][-1]
        last["text"] = last["text"].rstrip()
    return turns
