"""Decoder for responses of Anthropic's Messages API, complete or streamed, into neutral parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from multiroute_core._util.json_text import load_json
from multiroute_core.messages import (
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    VendorPart,
    tool_call,
)
from multiroute_core.providers import body, in_band
from multiroute_core.providers.anthropic.usage import METRICS, last_counts, read_usage, serving_model
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.finish import finish_reason, normal_word
from multiroute_core.providers.ids import tool_call_id
from multiroute_core.providers.openai.usage import with_reported
from multiroute_core.providers.provider import DONE, Encoded, Reply, WireError
from multiroute_core.types import Delta, FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "refusal",
    "pause_turn": "pause",
}


def decode(reply: Reply, encoded: Encoded) -> Delta:
    """Decode a complete message."""
    message = body.of(reply)
    usage = read_usage(message.get("usage"), default_model=encoded.model)
    model = word(message.get("model"))
    if "x_nanogpt_pricing" in message or "provider_metadata" in message:
        usage = with_reported(usage, message)
    content = message.get("content")
    if isinstance(content, str):  # as in a request
        content = [{"type": "text", "text": content}]
    is_error = ("error" in message and in_band.has_error(message)) or (
        "base_resp" in message and in_band.has_failed_base(message)
    )
    if is_error or message.get("type") == "error" or not isinstance(content, list):
        raise in_band.no_answer(message, "The answer has no content.", usage=usage, model=model)
    if (error := in_band.failed(message.get("stop_reason"), message, usage=usage, model=model)) is not None:
        raise error
    blocks = [block for one in array(content) if (block := mapping(one))]
    kinds = [block.get("type") for block in blocks]
    parts: list[Part] = []
    for at, block in enumerate(blocks):
        parts += _parts(block, encoded, f"{message.get('id')}_{at}", followed=kinds[at + 1 : at + 2] == ["text"])
    reason = word(message.get("stop_reason"))
    if parts and FINISH.get(reason or "") == "length":
        parts[-1] = reopen_call(parts[-1])
    if reason is None or reason == "tool_use":
        _check_content(parts, reason, message, usage, model)
    # A complete response without a known stop reason still counts as complete.
    return Delta(
        parts=tuple(parts),
        finish_reason=_finish(reason, parts, has_content=bool(parts)),
        usage=usage,
        model=model,
        raw=message,
    )


def _parts(block: Mapping[str, Any], encoded: Encoded, spare_id: str, *, followed: bool) -> list[Part]:
    """Return the neutral parts of a complete content block; an empty text yields none.

    Args:
        spare_id: ID for a call that has none.
        followed: Whether another text block comes next. In a stream, only `raw` separates two adjacent texts, so such
            a text carries `raw` here as well.
    """
    raw = Raw("anthropic", block, encoded.model, encoded.account)
    text = word(block.get("text"))
    match block.get("type"):
        case "text" | None:
            return [Text(text, raw if followed or block.get("citations") else None)] if text else []
        case "thinking" | "redacted_thinking":
            return [Reasoning(word(block.get("thinking")) or "", raw)]
        case "tool_use" if _is_form(block, encoded):
            return [Text(json.dumps(block.get("input") or {}, ensure_ascii=False))]
        case "tool_use":
            return [_call(block, tool_call_id(spare_id), raw)]
        case _:
            return [VendorPart(raw)]


def _is_form(block: Mapping[str, Any], encoded: Encoded) -> bool:
    """Return whether a tool call stands in for structured output."""
    return encoded.output_tool is not None and block.get("name") == encoded.output_tool


def _call(block: Mapping[str, Any], spare_id: str, raw: Raw) -> ToolCall | InvalidToolCall:
    call_id = word(block.get("id")) or spare_id
    name = word(block.get("name")) or ""
    arguments = block.get("input")
    if name and isinstance(arguments, dict):
        return ToolCall(call_id, name, cast("dict[str, Any]", arguments), raw)
    return tool_call(call_id, name, arguments if isinstance(arguments, str) else json.dumps(arguments or {}), raw)


def reopen_call(part: Part) -> Part:
    """Convert the last tool call of a response that hit its token limit to an incomplete call.

    The input may be cut off there, but the API closes the JSON, so the closing brace is removed.

    "If Claude's response is cut off because it hit the max_tokens limit, and the truncated response contains an
    incomplete tool use block, you'll need to retry the request with a higher max_tokens value":
    https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (2026-11-29).
    """
    if not isinstance(part, ToolCall):
        return part
    arguments = json.dumps(dict(part.arguments), ensure_ascii=False).removesuffix("}")
    return InvalidToolCall(part.id, part.name, arguments, "The answer ended before the call was complete.")


def _check_content(
    parts: Sequence[Part], reason: str | None, body: Mapping[str, Any], usage: Usage | None, model: str | None
) -> None:
    """Check that an answer that does not simply end has content.

    Raises:
        NoAnswer: If it ends for a tool call that is missing or has no name, or for no reason, and says nothing.
    """
    if all(isinstance(part, Reasoning) or (isinstance(part, _CALLS) and not part.name) for part in parts):
        raise (in_band.missing_call if reason else in_band.unended)(body, usage=usage, model=model)


_CALLS = (ToolCall, InvalidToolCall, ToolCallDelta)
_SILENT = ("text", "thinking", "redacted_thinking", "tool_use")
"""Kinds of blocks whose beginning alone says nothing."""


def _finish(reason: str | None, parts: list[Part], *, has_content: bool) -> FinishReason:
    """Return the normalized finish reason.

    A call that only stands in for structured output does not count as a tool call. A complete response without a
    reason gets the one that fits its content.
    """
    has_call = any(isinstance(part, ToolCall | InvalidToolCall | ToolCallDelta) for part in parts)
    if reason == "tool_use" and not has_call:
        return "stop"
    if has_content and not normal_word(reason):
        return "tool_call" if has_call else "stop"
    finish = FINISH.get(reason or "") or finish_reason(normal_word(reason)) or "other"
    return "tool_call" if has_call and finish == "stop" else finish


@dataclass(slots=True)
class _Block:
    """A content block while it streams; string fields arrive in fragments and are collected by field name."""

    start: Mapping[str, Any]
    kind: Any = field(init=False)
    pieces: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    citations: list[Any] = field(default_factory=list[Any])
    call: int | None = None
    has_closing_part: bool = False

    def __post_init__(self) -> None:
        self.kind = self.start.get("type") or "text"

    def assemble(self) -> dict[str, Any] | None:
        """Return the block as a complete response would contain it; None if its input is truncated JSON."""
        content = dict(self.start)
        for name, pieces in self.pieces.items():
            text = "".join(pieces)
            if name != "partial_json":
                content[name] = (word(content.get(name)) or "") + text
            elif text.strip():
                try:
                    content["input"] = load_json(text)
                except ValueError:
                    return None
        if self.citations:
            content["citations"] = [*array(content.get("citations")), *self.citations]
        return content


class MessagesDecoder:
    """Decodes the event stream of the Messages API into deltas.

    Input tokens are reported at the start, output tokens at the end.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._encoded = encoded
        self._message_id: str | None = None
        self._started = self._said = False
        self._speaks = False  # whether there is content besides thoughts and tool calls
        self._reason: str | None = None
        self._stop_details: Mapping[str, Any] = {}
        self._stop_sequence: Any = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._blocks: dict[int | None, _Block] = {}
        self._latest: _Block | None = None
        self._calls: list[Part] = []
        self._unsaid: ToolCallDelta | None = None

    def feed(self, event: Any) -> Delta | None:
        """Return the new content of one event."""
        if event is DONE:  # this API has its own end event
            return None
        payload = body.event(event)
        match payload.get("type"):
            case "content_block_delta":
                self._said = True
                parts = self._grown(payload)
                return Delta(tuple(parts)) if parts else None
            case "content_block_start":
                return _delta([*self._close_call(), *self._start_block(payload)])
            case "content_block_stop":
                block = self._blocks.pop(count(payload.get("index")), None)
                return _delta(self._ended(block)) if block else None
            case "message_start":
                if self._started:
                    raise WireError("The stream restarted in the middle.", payload)
                self._started = True
                message = mapping(payload.get("message"))
                if "error" in message and in_band.has_error(message):
                    raise self._error(message)
                self._message_id = word(message.get("id"))
                self._model = word(message.get("model"))
                self._usage = dict(mapping(message.get("usage")))
                return Delta(usage=self._read_usage(), model=self._model)
            case "message_delta":
                if "error" in payload and in_band.has_error(payload):
                    raise self._error(payload)
                delta = mapping(payload.get("delta"))
                if "error" in delta and in_band.has_error(delta):
                    raise self._error(delta)
                if not (self._said or self._calls) and (error := in_band.error_beside_nothing(payload)) is not None:
                    raise error
                counts = mapping(payload.get("usage") or delta.get("usage"))
                body.merge_counts(self._usage, counts)
                if not (self._said or self._calls) and count(counts.get("output_tokens")) == 0:
                    self._usage["output_tokens"] = 0  # no content: the count of the start event was a placeholder
                self._reason = word(delta.get("stop_reason")) or self._reason
                self._stop_details = mapping(delta.get("stop_details")) or self._stop_details
                self._stop_sequence = delta.get("stop_sequence") or self._stop_sequence
                self._model = serving_model(self._usage) or self._model
                return Delta(usage=self._read_usage(), model=self._model)
            case "message_stop":
                counted = "usage" in payload or METRICS in payload
                if counted:
                    body.merge_counts(self._usage, last_counts(payload))
                usage = self._read_usage()
                parts = [part for index in list(self._blocks) for part in self._ended(self._blocks.pop(index))]
                is_cut = FINISH.get(self._reason or "") == "length"
                if (error := in_band.failed(self._reason, payload, usage=usage, model=self._model)) is not None:
                    raise error
                if not normal_word(self._reason) and not (self._said or self._calls):
                    message = "The stream ended without a stop reason: the answer is incomplete."
                    raise WireError(message, payload, usage=usage, model=self._model)
                if self._reason == "tool_use" and not self._speaks:
                    _check_content(self._calls, self._reason, payload, usage, self._model)
                self.complete = True
                endings = {"stop_details": self._stop_details, "stop_sequence": self._stop_sequence}
                details = {name: value for name, value in endings.items() if value}
                raw = {"stop_reason": self._reason, **details} if details else None
                finish = _finish(self._reason, self._calls, has_content=True)
                parts += self._close_call(is_cut=is_cut)
                return Delta(tuple(parts), finish, usage if counted else None, raw=raw)
            case "error":
                raise self._error(payload)
            case _:
                if in_band.is_error_event(payload):  # an error of a gateway, in another provider's format
                    raise self._error(payload)
                return None

    def _read_usage(self) -> Usage | None:
        return read_usage(self._usage, default_model=self._encoded.model)

    def _error(self, payload: Mapping[str, Any]) -> WireError:
        message = "The provider reported an error inside the stream."
        if in_band.has_error(payload):
            return in_band.as_error(payload, message, usage=self._read_usage(), model=self._model)
        return in_band.no_answer(payload, message, usage=self._read_usage(), model=self._model)

    def _start_block(self, payload: Mapping[str, Any]) -> list[Part]:
        index = count(payload.get("index"))
        start = mapping(payload.get("content_block"))
        block = _Block(start)
        before = self._latest
        closing = [] if (unclosed := self._blocks.pop(index, None)) is None else self._ended(unclosed)
        self._blocks[index] = self._latest = block
        text = word(start.get("text"))
        self._speaks = self._speaks or bool(text) or block.kind not in _SILENT or _is_form(start, self._encoded)
        if block.kind == "text":
            border = (
                self._raw(before)
                if before is not None and before.kind == "text" and not before.has_closing_part
                else None
            )
            closing += [Text("", border)] if border is not None and border.body.get("text") else []
            return [*closing, Text(text)] if text else closing
        if block.kind == "thinking":
            return [*closing, Reasoning(thought)] if (thought := word(start.get("thinking"))) else closing
        if block.kind == "tool_use" and not _is_form(start, self._encoded):
            block.call = len(self._calls)
            call_id = word(start.get("id")) or tool_call_id(f"{self._message_id}_{index}")
            call = ToolCallDelta(block.call, call_id, word(start.get("name")))
            self._calls.append(call)
            return [*closing, *self._close_call(), call]
        return closing

    def _grown(self, payload: Mapping[str, Any]) -> list[Part]:
        delta = mapping(payload.get("delta"))
        index = count(payload.get("index"))
        block = self._blocks.get(index)
        if block is None:  # some servers do not send content_block_start
            block = self._blocks[index] = self._latest = _Block({"type": "text"})
        if delta.get("type") == "citations_delta":
            block.citations.append(delta.get("citation"))
            return []
        parts: list[Part] = []
        for name, value in delta.items():
            if name == "type" or not isinstance(value, str) or not value:
                continue
            block.pieces.setdefault(name, []).append(value)
            if name == "text" and block.kind == "text":
                self._speaks = True
                parts.append(Text(value))
            elif name == "thinking" and block.kind == "thinking":
                parts.append(Reasoning(value))
            elif name == "partial_json" and block.kind == "tool_use":
                parts.append(Text(value) if block.call is None else ToolCallDelta(block.call, arguments=value))
        return parts

    def _ended(self, block: _Block) -> list[Part]:
        raw = self._raw(block)
        if raw is None:
            return []
        match block.kind:
            case "text":
                block.has_closing_part = bool(raw.body.get("text") and raw.body.get("citations"))
                return [Text("", raw)] if block.has_closing_part else []
            case "thinking" | "redacted_thinking":
                return [Reasoning("", raw)]
            case "tool_use":
                # Some servers send the input in content_block_start; so does Anthropic if it is empty.
                arguments = "" if "partial_json" in block.pieces else json.dumps(raw.body.get("input") or {})
                if block.call is None:
                    return [Text(arguments)] if arguments else []
                if arguments == "{}":
                    self._unsaid = ToolCallDelta(block.call, raw=raw)
                    return []
                return [ToolCallDelta(block.call, arguments=arguments, raw=raw)]
            case _:
                return [VendorPart(raw)] if raw.body else []

    def _close_call(self, *, is_cut: bool = False) -> list[Part]:
        """End a call that received no arguments: it has none, or the output was truncated before they began."""
        call = self._unsaid
        self._unsaid = None
        if call is None:
            return []
        is_cut = is_cut and call.index == len(self._calls) - 1
        return [replace(call, arguments="{" if is_cut else "{}")]

    def _raw(self, block: _Block) -> Raw | None:
        content = block.assemble()
        return None if content is None else Raw("anthropic", content, self._encoded.model, self._encoded.account)


def _delta(parts: list[Part]) -> Delta | None:
    return Delta(parts=tuple(parts)) if parts else None
