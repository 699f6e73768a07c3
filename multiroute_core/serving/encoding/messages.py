"""Messages: complete responses and streams in Anthropic's format.

https://platform.claude.com/docs/en/api/messages and https://platform.claude.com/docs/en/build-with-claude/streaming
(2026-11-30). A block that Anthropic itself has sent keeps its form, so that signatures survive.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import InvalidToolCall, Part, Reasoning, Text, ToolCall, VendorPart
from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.encoding.frames import CallPieces, images, named, summarize
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, FinishReason, Response, Usage

_FINISH: dict[FinishReason | None, str] = {
    "length": "max_tokens",
    "tool_call": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}
"""Anthropic's words for finish reasons; every other one is `end_turn`."""


def write(response: Response, call: ServedCall) -> JSON:
    """Return the body of a complete response."""
    content = [block for part in response.parts if (block := _block(part)) is not None]
    return {
        **_message(call, response.model),
        "content": content,
        **_end(response),
        "usage": write_usage(response.usage),
        "multiroute": summarize(response),
    }


def _end(response: Response) -> JSON:
    """Return why the response ended, with the stop sequence where the provider reports it, as Anthropic and vLLM do."""
    reason = _FINISH.get(response.finish_reason, "end_turn")
    raw = response.raw or {}
    match raw:
        case {"stop_reason": "stop_sequence", "stop_sequence": str(sequence)} if reason == "end_turn":
            return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
        case {"choices": [{"finish_reason": "stop", "stop_reason": str(sequence)}, *_]} if reason == "end_turn":
            return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
        case _:
            return {"stop_reason": reason, "stop_sequence": None}


def write_usage(usage: Usage | None) -> JSON:
    """Return the token counts; those of the prompt cache are not part of `input_tokens` in this API."""
    usage = usage or Usage()
    read = usage.cache_read_tokens or 0
    written = usage.cache_write_tokens or 0
    return {
        "input_tokens": max((usage.input_tokens or 0) - read - written, 0),
        "output_tokens": usage.output_tokens or 0,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }


def _message(call: ServedCall, model: str) -> JSON:
    return {
        "id": f"msg_{call.id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _raw(part: Any) -> Mapping[str, Any] | None:
    """Return a part as Anthropic has sent it; None for a part of another provider."""
    raw = getattr(part, "raw", None)
    return raw.body if raw is not None and raw.api == "anthropic" else None


def _block(part: Part) -> JSON | None:
    """Return a part as a content block; None if it has nothing that this API can carry."""
    raw = _raw(part)
    match part:
        case Text():
            return (dict(raw) if raw else {"type": "text", "text": part.text}) if part.text else None
        case Reasoning():
            if raw is not None:
                return dict(raw)
            return {"type": "thinking", "thinking": part.text, "signature": ""} if part.text else None
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": dict(part.arguments)}
        case InvalidToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": dict(part.to_tool_call().arguments)}
        case VendorPart() if raw is not None:
            return dict(raw)
        case _:
            return _image(part)


def _image(part: Part) -> JSON | None:
    """Return an image that the model made; the API has no such block of its own, so it is that of a request."""
    if not (pictures := images((part,))):
        return None
    source = {
        "type": "base64",
        "media_type": pictures[0].mime_type,
        "data": base64.b64encode(pictures[0].data).decode(),
    }
    return {"type": "image", "source": source}


class MessagesWriter:
    """Writes a stream as Anthropic's events. Blocks of tool calls stay open to the end; their pieces may alternate."""

    def __init__(self, call: ServedCall) -> None:
        self._call = call
        self._calls = CallPieces()
        self._begun = False
        self._blocks = 0
        self._open: tuple[str, int] | None = None
        self._signed = False  # the open block has its signature or its citations, and takes nothing more
        self._tools: dict[int, int] = {}

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk."""
        frames: list[bytes] = []
        if not self._begun:
            self._begun = True
            # LangChain's JavaScript client adds the output tokens of this event and the last one, and reads the
            # prompt's tokens here only.
            usage = write_usage(chunk.interim_usage) | {"output_tokens": 0}
            message = {**_message(self._call, self._call.model), "usage": usage}
            frames.append(named("message_start", {"type": "message_start", "message": message}))
        for part in chunk.parts:
            frames += self._part(part)
        if (response := chunk.response) is not None:
            frames += self._end(response)
        return b"".join(frames)

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the error event."""
        return named("error", failure.to_anthropic())

    def _part(self, part: Part) -> list[bytes]:
        if isinstance(part, Text | Reasoning):
            return self._text(part)
        if (piece := self._calls.of(part)) is not None:
            frames: list[bytes] = []
            if piece.index not in self._tools:
                frames += self._close()
                block: JSON = {"type": "tool_use", "id": piece.id or "", "name": piece.name or "", "input": {}}
                self._tools[piece.index] = self._blocks
                frames.append(self._start(block))
            if piece.arguments:
                change = {"type": "input_json_delta", "partial_json": piece.arguments}
                frames.append(self._delta(self._tools[piece.index], change))
            return frames
        whole = _block(part)
        if whole is None:
            return []
        frames = self._close()
        index = self._blocks
        return [*frames, self._start(whole), self._stop(index)]

    def _text(self, part: Text | Reasoning) -> list[bytes]:
        kind = "text" if isinstance(part, Text) else "thinking"
        raw = _raw(part)
        frames: list[bytes] = []
        if kind == "thinking" and raw is not None and raw.get("type") == "redacted_thinking":
            frames = self._close()
            index = self._blocks
            return [*frames, self._start(dict(raw)), self._stop(index)]
        if part.text:
            if self._open is None or self._open[0] != kind or self._signed:
                frames += self._close()
                self._open = (kind, self._blocks)
                empty = {"text": ""} if kind == "text" else {"thinking": "", "signature": ""}
                frames.append(self._start({"type": kind, **empty}))
            frames.append(self._delta(self._open[1], {"type": f"{kind}_delta", kind: part.text}))
        if kind == "text" and raw is not None:  # it ends the block
            if self._open is not None and self._open[0] == "text":
                changes = ({"type": "citations_delta", "citation": one} for one in raw.get("citations") or ())
                frames += [self._delta(self._open[1], change) for change in changes]
            self._signed = True
        if kind == "thinking" and raw is not None and isinstance(signature := raw.get("signature"), str):
            if self._open is None or self._open[0] != "thinking":
                frames += self._close()
                self._open = (kind, self._blocks)
                frames.append(self._start({"type": kind, "thinking": "", "signature": ""}))
            frames.append(self._delta(self._open[1], {"type": "signature_delta", "signature": signature}))
            self._signed = True
        return frames

    def _end(self, response: Response) -> list[bytes]:
        frames = [*self._close(), *(self._stop(index) for index in self._tools.values())]
        end = {"type": "message_delta", "delta": _end(response), "usage": write_usage(response.usage)}
        frames.append(named("message_delta", end | {"multiroute": summarize(response)}))
        return [*frames, named("message_stop", {"type": "message_stop"})]

    def _start(self, block: JSON) -> bytes:
        event = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        self._blocks += 1
        return named("content_block_start", event)

    def _delta(self, index: int, change: JSON) -> bytes:
        return named("content_block_delta", {"type": "content_block_delta", "index": index, "delta": change})

    def _stop(self, index: int) -> bytes:
        return named("content_block_stop", {"type": "content_block_stop", "index": index})

    def _close(self) -> list[bytes]:
        """End the open block of text or reasoning."""
        block = self._open
        self._open = None
        self._signed = False
        return [] if block is None else [self._stop(block[1])]
