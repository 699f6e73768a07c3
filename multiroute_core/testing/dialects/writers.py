"""Dialect serialization: neutral parts as the bodies and event streams that servers send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from multiroute_core.messages import Part, Reasoning, Text, ToolCall, ToolCallDelta, assemble
from multiroute_core.testing.dialects.catalogue import FAILURES, JSON, Dialect
from multiroute_core.types import Delta, Usage

CHAT_ENDS = {"tool_call": "tool_calls", "refusal": "stop", "pause": "stop", "other": "stop"}
ANTHROPIC_ENDS = {"stop": "end_turn", "length": "max_tokens", "tool_call": "tool_use", "pause": "pause_turn"}
GOOGLE_ENDS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}

FAILURE = "multiroute.failure"
"""The key that marks a delta as a failure."""


class Writer:
    """Writes one response in a dialect.

    Args:
        dialect: The dialect.
        model: The requested model.
    """

    def __init__(self, dialect: Dialect, model: str) -> None:
        self.dialect = dialect
        self.model = dialect.alias or model
        self._begun = False
        self._usage: Usage | None = None
        self._calls: list[ToolCallDelta] = []

    def write_body(self, delta: Delta) -> bytes:
        """Returns the body of a complete response, or of a failure."""
        usage = self._write_usage(delta.usage)
        if (failure := failure_in(delta)) is not None:
            return _dump(self._failed(failure, usage))
        return _dump(getattr(self, f"_whole_{_method(self.dialect)}")(delta, usage))

    def frames(self, delta: Delta) -> bytes:
        """Returns the next bytes of a stream."""
        self._usage = delta.usage or self._usage
        events: list[JSON | str] = []
        is_continuation = self._begun
        self._begun = True
        if (failure := failure_in(delta)) is not None:
            events.append(self._failed(failure, self._write_usage(delta.usage), stream=True))
        else:
            events += getattr(self, f"_events_{_method(self.dialect)}")(delta, is_continuation)
        frames = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
        if not self.dialect.control_lines:
            return frames.encode()
        prefix = ": ping\n\nretry: 3000\n\nid: 7\n\ndata:\n\n"
        return (prefix if is_continuation else f"\ufeff{prefix}").encode() + frames.encode()

    def _write_usage(self, usage: Usage | None) -> JSON | None:
        return None if usage is None or self.dialect.place == "nowhere" else self.dialect.count(usage)

    def _failed(self, name: str, usage: JSON | None, *, stream: bool = False) -> JSON:
        body = FAILURES[self.dialect.wire][name]
        if self.dialect.wire == "openai.responses" and "status" in body:
            response = {**self._response([], usage), **body}
            return {"type": f"response.{body['status']}", "response": response} if stream else response
        if usage is not None and self.dialect.wire != "anthropic":
            body = body | {"usageMetadata" if self.dialect.wire == "google" else "usage": usage}
        return (
            body if "error" in body or "detail" in body else {"model": self.model, "modelVersion": self.model, **body}
        )

    # Chat Completions

    def _whole_chat(self, delta: Delta, usage: JSON | None) -> JSON:
        parts = assemble(delta.parts)
        message: JSON = {"role": "assistant", "content": _text(parts), "reasoning_content": _reasoning(parts) or None}
        if calls := [part for part in parts if isinstance(part, ToolCall)]:
            message["tool_calls"] = [_chat_call(call) for call in calls]
        finish = None if self.dialect.done_ends else CHAT_ENDS.get(delta.finish_reason or "", delta.finish_reason)
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": self.model, "choices": [choice]}
        return body if usage is None else body | {"usage": usage}

    def _events_chat(self, delta: Delta, is_continuation: bool) -> list[JSON | str]:  # noqa: FBT001
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        so_far = self._write_usage(delta.usage or Usage(1, 1)) if self.dialect.growing else None
        events: list[JSON | str] = []
        for part in delta.parts:
            chunk = {**base, "choices": [{"index": 0, "delta": _chat_delta(part), "finish_reason": None}]}
            events.append(chunk if so_far is None else chunk | {"usage": so_far})
        if delta.finish_reason is None:
            return events
        choice: JSON = {
            "index": 0,
            "delta": {},
            "finish_reason": CHAT_ENDS.get(delta.finish_reason, delta.finish_reason),
        }
        usage = self._write_usage(self._usage)
        dialect = self.dialect
        end: JSON = {**base, "choices": [choice]}
        if usage is not None and dialect.place == "choice":
            choice["usage"] = usage
        elif usage is not None and dialect.place == "x_groq":
            end["x_groq"] = {"id": "req", "usage": usage}
        elif usage is not None and dialect.growing:
            end["usage"] = usage
        events += [] if dialect.done_ends else [end]
        if usage is not None and dialect.place == "usage" and not dialect.growing:
            events.append({**base, "choices": [], "usage": usage})
        if dialect.zeros_at_end:
            events.append({**base, "choices": [], "usage": dialect.count(Usage(0, 0))})
        return [*events, "[DONE]"]

    # Responses

    def _response(self, output: list[JSON], usage: JSON | None) -> JSON:
        body = {"id": "resp", "object": "response", "created_at": 1, "model": self.model, "status": "completed"}
        return {**body, "output": output, "error": None, "incomplete_details": None, "usage": usage}

    def _whole_responses(self, delta: Delta, usage: JSON | None) -> JSON:
        parts = assemble(delta.parts)
        output = list[JSON]()
        if text := _text(parts):
            content: list[JSON] = [{"type": "output_text", "text": text, "annotations": []}]
            output.append({"type": "message", "id": "msg", "role": "assistant", "content": content})
        output += [_item(part.id, part.name, _dumped(part)) for part in parts if isinstance(part, ToolCall)]
        body = self._response(output, usage)
        if delta.finish_reason == "length":
            body |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return body

    def _events_responses(self, delta: Delta, is_continuation: bool) -> list[JSON | str]:  # noqa: FBT001
        events: list[JSON | str] = [] if is_continuation else [{"type": "response.created", "response": {"id": "resp"}}]
        for part in delta.parts:
            match part:
                case Text():
                    events.append({"type": "response.output_text.delta", "output_index": 0, "delta": part.text})
                case ToolCallDelta(id=str() as call_id):
                    item = _item(call_id, part.name or "", "")
                    events.append({"type": "response.output_item.added", "output_index": 1 + part.index, "item": item})
                case ToolCallDelta():
                    place = {"output_index": 1 + part.index, "delta": part.arguments}
                    events.append({"type": "response.function_call_arguments.delta", **place})
                case _:
                    pass
        if delta.finish_reason is not None:
            body = self._whole_responses(Delta((), delta.finish_reason), self._write_usage(self._usage))
            events.append({"type": f"response.{body['status']}", "response": body})
        return events

    # Messages

    def _whole_anthropic(self, delta: Delta, usage: JSON | None) -> JSON:
        parts = assemble(delta.parts)
        content: list[JSON] = [{"type": "text", "text": text}] if (text := _text(parts)) else []
        content += [
            {"type": "tool_use", "id": part.id, "name": part.name, "input": dict(part.arguments)}
            for part in parts
            if isinstance(part, ToolCall)
        ]
        ends = {"stop_reason": ANTHROPIC_ENDS.get(delta.finish_reason or "", delta.finish_reason), "usage": usage}
        return {"id": "msg", "type": "message", "role": "assistant", "model": self.model, "content": content, **ends}

    def _events_anthropic(self, delta: Delta, is_continuation: bool) -> list[JSON | str]:  # noqa: FBT001
        events: list[JSON | str] = []
        if not is_continuation:
            usage = self._write_usage(delta.usage or Usage(0, 0))
            message: JSON = {"id": "msg", "type": "message", "role": "assistant", "model": self.model, "content": []}
            events.append({"type": "message_start", "message": message | ({"usage": usage} if usage else {})})
            events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        for part in delta.parts:
            match part:
                case Text():
                    change = {"type": "text_delta", "text": part.text}
                    events.append({"type": "content_block_delta", "index": 0, "delta": change})
                case ToolCallDelta(id=str()):
                    block: JSON = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
                    events.append({"type": "content_block_start", "index": 1 + part.index, "content_block": block})
                    self._calls.append(part)
                case ToolCallDelta():
                    change = {"type": "input_json_delta", "partial_json": part.arguments}
                    events.append({"type": "content_block_delta", "index": 1 + part.index, "delta": change})
                case _:
                    pass
        if delta.finish_reason is not None:
            events += [{"type": "content_block_stop", "index": n} for n in range(1 + len(self._calls))]
            usage = self._write_usage(self._usage)
            reason = ANTHROPIC_ENDS.get(delta.finish_reason, delta.finish_reason)
            end: JSON = {"type": "message_delta", "delta": {"stop_reason": reason}}
            events += [end if usage is None else end | {"usage": usage}, {"type": "message_stop"}]
        return events

    # Gemini

    def _whole_google(self, delta: Delta, usage: JSON | None) -> JSON:
        parts: list[JSON] = []
        for part in assemble(delta.parts):
            if isinstance(part, ToolCall):
                parts.append({"functionCall": {"id": part.id, "name": part.name, "args": dict(part.arguments)}})
            elif isinstance(part, Text | Reasoning) and part.text:
                parts.append({"text": part.text} | ({"thought": True} if isinstance(part, Reasoning) else {}))
        candidate: JSON = {"content": {"role": "model", "parts": parts}, "index": 0}
        if delta.finish_reason is not None:
            candidate["finishReason"] = GOOGLE_ENDS.get(delta.finish_reason, "STOP")
        body = {"candidates": [candidate], "modelVersion": self.model}
        return body if usage is None else body | {"usageMetadata": usage}

    def _events_google(self, delta: Delta, is_continuation: bool) -> list[JSON | str]:  # noqa: FBT001
        self._calls += [part for part in delta.parts if isinstance(part, ToolCallDelta)]
        parts = tuple(part for part in delta.parts if not isinstance(part, ToolCallDelta))
        if delta.finish_reason is None:  # tool calls are sent in one piece
            return [self._whole_google(Delta(parts), None)] if parts else []
        usage = self._write_usage(self._usage)
        return [self._whole_google(Delta((*parts, *self._calls), delta.finish_reason), usage)]


def failure_in(delta: Delta) -> str | None:
    """Returns the name of the failure that a delta represents; None for a response."""
    return None if delta.raw is None else delta.raw.get(FAILURE)


def _method(dialect: Dialect) -> str:
    return dialect.wire.removeprefix("openai.")


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def _reasoning(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Reasoning))


def _dumped(call: ToolCall) -> str:
    return json.dumps(dict(call.arguments))


def _chat_call(call: ToolCall) -> JSON:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _dumped(call)}}


def _chat_delta(part: Part) -> JSON:
    match part:
        case Text():
            return {"content": part.text}
        case Reasoning():
            return {"reasoning_content": part.text}
        case ToolCallDelta(id=str() as call_id):
            call: Any = {"index": part.index, "id": call_id, "type": "function"}
            return {"tool_calls": [call | {"function": {"name": part.name, "arguments": part.arguments}}]}
        case ToolCallDelta():
            return {"tool_calls": [{"index": part.index, "function": {"arguments": part.arguments}}]}
        case _:
            return {}


def _item(call_id: str, name: str, arguments: str) -> JSON:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}


def _dump(body: JSON) -> bytes:
    return json.dumps(body).encode()
