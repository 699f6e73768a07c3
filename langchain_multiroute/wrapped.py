"""What a chat model of LangChain's answered, as deltas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message, message_to_dict
from langchain_core.outputs import ChatGenerationChunk

from langchain_multiroute import history
from multiroute_core.messages import Part, Raw, Reasoning, Text, ToolCall, ToolCallDelta, VendorPart
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.whole import to_stream
from multiroute_core.types import Delta, FinishReason, Usage

INNER = "langchain"
"""Under which name `Response.raw` holds what the model said of its answer."""

OVER = object()
"""What comes after a model's last chunk: its streams have no end of their own that could be missed."""

ENDS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "refusal": "refusal",
}


def whole(message: AIMessage, encoded: Encoded) -> Delta:
    """A whole answer."""
    parts: list[Part] = []
    for part in history.parts(message):
        if isinstance(part, ToolCall) and part.name == encoded.output_tool:
            parts.append(Text(json.dumps(dict(part.arguments), ensure_ascii=False)))
        else:
            parts.append(part)
    if (kept := _kept(message, encoded)) is not None:
        parts.append(kept)
    return _ended(message, tuple(parts))


class Merging:
    """A decoder for a model's chunks. It keeps them, since only all of them make the message."""

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._encoded = encoded
        self._chunks: list[AIMessageChunk] = []
        self._calls: dict[Any, int] = {}
        self._names: dict[int, str] = {}

    def feed(self, event: Any) -> Delta | None:
        if event is OVER:
            return self._end()
        if not isinstance(event, ChatGenerationChunk):
            self.complete = True
            return to_stream(whole(event.message, self._encoded))
        chunk = event.message
        if not isinstance(chunk, AIMessageChunk):
            return None
        about = {**(event.generation_info or {}), **chunk.response_metadata}
        self._chunks.append(chunk.model_copy(update={"response_metadata": about}))
        parts = [part for part in history.parts(_without_calls(chunk)) if self._shown(part)]
        parts = [Reasoning(part.text) if isinstance(part, Reasoning) else part for part in parts]
        return Delta((*parts, *(self._call(call) for call in chunk.tool_call_chunks)))

    def _shown(self, part: Part) -> bool:
        return bool(part.text) if isinstance(part, Text | Reasoning) else not isinstance(part, VendorPart)

    def _call(self, call: Mapping[str, Any]) -> Part:
        key = call.get("index") if call.get("index") is not None else call.get("id")
        if key not in self._calls:
            self._calls[key] = len(self._calls)
        index = self._calls[key]
        self._names.setdefault(index, call.get("name") or "")
        if self._encoded.output_tool and self._names[index] == self._encoded.output_tool:
            return Text(call.get("args") or "")
        return ToolCallDelta(index, call.get("id"), call.get("name"), call.get("args") or "")

    def _end(self) -> Delta | None:
        if self.complete:
            return None
        self.complete = True
        if not self._chunks:
            return None
        first, *rest = self._chunks
        message = message_chunk_to_message(first + rest if rest else first)
        if not isinstance(message, AIMessage):
            return None
        kept = _kept(message, self._encoded)
        return _ended(message, (kept,) if kept is not None else ())


def _ended(message: AIMessage, parts: Sequence[Part]) -> Delta:
    about = message.response_metadata
    return Delta(
        tuple(parts),
        finish_reason=_finish(message),
        usage=_usage(message),
        model=about.get("model_name") or about.get("model"),
        raw={INNER: about},
    )


def _finish(message: AIMessage) -> FinishReason:
    about = message.response_metadata
    said = about.get("finish_reason") or about.get("stop_reason") or about.get("status") or "stop"
    found = ENDS.get(str(said).lower(), "other")
    return "tool_call" if message.tool_calls and found == "stop" else found


def _usage(message: AIMessage) -> Usage | None:
    if (told := message.usage_metadata) is None:
        return None
    read, written = told.get("input_token_details", {}), told.get("output_token_details", {})
    return Usage(
        input_tokens=told["input_tokens"],
        output_tokens=told["output_tokens"],
        cache_read_tokens=read.get("cache_read"),
        cache_write_tokens=read.get("cache_creation"),
        reasoning_tokens=written.get("reasoning"),
        input_audio_tokens=read.get("audio"),
        output_audio_tokens=written.get("audio"),
    )


def _kept(message: AIMessage, encoded: Encoded) -> VendorPart | None:
    """The message itself, for the same model; a plain one needs no keeping."""
    if isinstance(message.content, str) and not message.additional_kwargs:
        return None
    return VendorPart(Raw("langchain", message_to_dict(message), encoded.model))


def _without_calls(chunk: AIMessageChunk) -> AIMessage:
    return AIMessage(
        content=chunk.content,
        additional_kwargs={k: v for k, v in chunk.additional_kwargs.items() if k == "reasoning_content"},
        response_metadata=chunk.response_metadata,
    )
