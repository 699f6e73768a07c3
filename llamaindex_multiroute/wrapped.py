"""Encode requests for a wrapped LlamaIndex LLM, and decode its responses into deltas."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ThinkingBlock, ToolCallBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.callbacks import token_counting
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool, ToolMetadata

from llamaindex_multiroute.blocks import part_of
from multiroute_core import Message, Raw, Reasoning, Text, Tool, ToolCall, ToolCallDelta, Usage
from multiroute_core.messages import Part
from multiroute_core.providers.any_usage import read_any_usage
from multiroute_core.providers.body import mapping
from multiroute_core.providers.finish import SAYING_NOTHING, finish_reason, normal_word
from multiroute_core.providers.in_band import (
    as_error,
    failed,
    has_error,
    has_failed_base,
    missing_call,
    no_answer,
    unended,
)
from multiroute_core.providers.openai.usage import merge_usage
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.types import Delta

END = object()
"""Sentinel after the last response: LlamaIndex's streams have no end marker."""


def own(messages: Iterable[Message], model: str) -> list[Message]:
    """The conversation with only this model's reasoning: another model's has signatures that it cannot verify."""
    return [
        Message(m.role, [p for p in m.parts if not isinstance(p, Reasoning) or _is_own(p, model)]) for m in messages
    ]


def is_openai(llm: object) -> bool:
    """Whether an LLM is LlamaIndex's own for OpenAI, or derived from it, as those of compatible servers are."""
    return any(base.__module__.startswith("llama_index.llms.openai") for base in type(llm).__mro__)


def write_arguments(messages: Iterable[ChatMessage]) -> None:
    """Write the arguments of tool calls as JSON texts.

    OpenAI's API wants texts, and so LlamaIndex's LLM gives them; before llama-index-llms-openai 0.8 it sends an object
    as it is, which the API rejects: "expected a string" (0.6.5 to 0.7.2, read 2026-11-30).
    """
    for message in messages:
        for block in message.blocks:
            if isinstance(block, ToolCallBlock) and not isinstance(block.tool_kwargs, str):
                block.tool_kwargs = json.dumps(block.tool_kwargs, ensure_ascii=False)


def tool_of(tool: Tool) -> FunctionTool:
    """A tool definition for LlamaIndex; it is never executed here."""

    def schema(*_: Any, **__: Any) -> dict[str, Any]:
        return json.loads(json.dumps(dict(tool.parameters)))

    form = cast("type[BaseModel]", type(tool.name, (BaseModel,), {"model_json_schema": staticmethod(schema)}))
    metadata = ToolMetadata(description=tool.description, name=tool.name, fn_schema=form)
    return FunctionTool(fn=_never, metadata=metadata)


def _never() -> None:
    """Placeholder for a tool's function."""


def decode_response(response: ChatResponse, selected: Sequence[ToolSelection], encoded: Encoded) -> Delta:
    """Decode a complete response."""
    parts: list[Part] = []
    for block in response.message.blocks:
        if isinstance(block, ThinkingBlock):
            parts.append(_thought(block, encoded.model))
        elif not isinstance(block, ToolCallBlock):
            parts.append(part_of(block))
    return _ended(response, [*parts, *_calls(selected, encoded)])


class CumulativeDecoder:
    """A decoder for a stream in which each response holds everything so far."""

    def __init__(self, encoded: Encoded, select: Callable[[ChatResponse], Sequence[ToolSelection]]) -> None:
        self.complete = False
        self._encoded = encoded
        self._select = select
        self._text = self._reasoning = ""
        self._last: ChatResponse | None = None
        self._reason: Any = None
        self._usage: Usage | None = None

    def feed(self, event: Any) -> Delta | None:
        if event is END:
            delta = self._end()
            self.complete = True  # set last, because decoding the end may raise
            return delta
        response = self._last = cast("ChatResponse", event)
        if response.raw is not None:
            self._reason = _reason(response) or self._reason
            if _find_usage(response.raw) is not None and (latest := _usage(response)) is not None:
                self._usage = merge_usage(self._usage, latest)
        text = response.message.content or ""
        new = response.delta if response.delta is not None else text.removeprefix(self._text)
        self._text += new
        beside = cast("dict[str, Any]", cast("Any", response).additional_kwargs)
        thought = beside.get("thinking_delta") or response.message.additional_kwargs.get("thinking_delta") or ""
        self._reasoning += thought
        return Delta((*([Reasoning(thought)] if thought else []), *([Text(new)] if new else [])))

    def _end(self) -> Delta | None:
        """Content known only from the last response: calls, and reasoning in the format that the model expects back."""
        if (last := self._last) is None:
            raise NoAnswer("The LLM ended its stream without an answer.")
        if _lacks_end(last.raw):
            raise EOFError("The stream ended early: the answer is incomplete.")
        parts: list[Part] = []
        for block in last.message.blocks:
            if isinstance(block, ThinkingBlock):
                thought = _thought(block, self._encoded.model)
                parts.append(replace(thought, text="" if self._reasoning else thought.text))
        for place, part in enumerate(_calls(self._select(last), self._encoded)):
            if isinstance(part, ToolCall):
                arguments = json.dumps(dict(part.arguments), ensure_ascii=False)
                part = ToolCallDelta(place, part.id, part.name, arguments)  # noqa: PLW2901
            parts.append(part)
        return _ended(last, parts, self._reason, self._usage)


def _is_own(part: Reasoning, model: str) -> bool:
    return part.raw is not None and part.raw.api == "llamaindex" and part.raw.model == model


def _thought(block: ThinkingBlock, model: str | None) -> Reasoning:
    try:
        body = block.model_dump(mode="json")
    except ValueError:  # non-text bytes: a signature that cannot be serialized
        return Reasoning(block.content or "")
    return Reasoning(block.content or "", Raw("llamaindex", body, model))


def _calls(selected: Sequence[ToolSelection], encoded: Encoded) -> list[Part]:
    """The calls of a response with unique ids; a call of the output tool becomes the response's text."""
    parts: list[Part] = []
    call_ids: set[str] = {""}
    for call in selected:
        if encoded.output_tool is not None and call.tool_name == encoded.output_tool:
            parts.append(Text(json.dumps(call.tool_kwargs, ensure_ascii=False)))
            continue
        call_id = call.tool_id if call.tool_id not in call_ids else f"call_{uuid.uuid4().hex}"
        call_ids.add(call_id)
        parts.append(ToolCall(call_id, call.tool_name, call.tool_kwargs))
    return parts


def _ended(response: ChatResponse, parts: Sequence[Part], reason: Any = None, usage: Usage | None = None) -> Delta:
    """The last delta of a response.

    Args:
        response: The complete response, or the last response of a stream.
        parts: Its parts, or the last ones of a stream.
        reason: The finish reason from an earlier response of the stream, if there was one.
        usage: The token counts from earlier responses of the stream.

    Raises:
        WireError: the response failed according to its finish reason.
    """
    reason = _reason(response) or reason
    latest = _usage(response)
    usage = usage if latest is None else merge_usage(usage, latest)
    name = normal_word(reason)
    has_content = bool(response.message.content) or any(part for part in parts if part != Text(""))
    if (error := _raw_error(response, usage)) is not None:
        raise error
    if (error := failed(name, {"reason": name}, has_content=has_content, usage=usage)) is not None:
        raise error
    if not name and not has_content and _of(response.raw, "choices"):
        raise unended({}, usage=usage)
    finish = "other" if name in SAYING_NOTHING else finish_reason(name)
    calls = [part for part in parts if isinstance(part, ToolCall | ToolCallDelta)]
    has_text = bool(response.message.content) or any(isinstance(part, Text) and part.text for part in parts)
    if (calls or finish == "tool_call") and not has_text and not any(call.name for call in calls):
        raise missing_call({"reason": name}, usage=usage)
    if finish in (None, "stop", "tool_call"):
        finish = "tool_call" if calls else "stop"
    return Delta(tuple(parts), finish, usage)


def _lacks_end(raw: Any) -> bool:
    """Whether the last event of a stream of the Responses API does not end it, which LlamaIndex does not report."""
    kind = _of(raw, "type")
    return isinstance(kind, str) and kind.startswith("response.") and kind not in _ENDS


_FAILED = ("error", "response.error", "response.failed", "response.cancelled")
_ENDS = ("response.completed", "response.incomplete", "response.done", *_FAILED)
"""Types of the events that end a stream of the Responses API; `_FAILED` are those of a failure."""


def _raw_error(response: ChatResponse, usage: Usage | None) -> WireError | None:
    """The error inside a raw response, which LlamaIndex does not report: of the choice, or of the response."""
    raw = response.raw
    inner = _of(raw, "response") or raw
    choices = _of(inner, "choices")
    first = cast("Any", choices)[0] if isinstance(choices, list) and choices else None
    error = _plain(_of(first, "error") or _of(inner, "error") or _of(raw, "error"))
    message = "The provider reported that the answer failed."
    if _of(raw, "type") in _FAILED:
        names = ("code", "message", "status")
        error = error or {name: value for name in names if (value := _of(raw, name)) is not None} or message
    body = {"error": error, "base_resp": _plain(_of(inner, "base_resp"))}
    if has_error(body):
        return as_error(body, message, usage=usage)
    return no_answer(body, message, usage=usage) if has_failed_base(body) else None


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def _reason(response: ChatResponse) -> Any:
    """The finish reason, from one of the usual places in the LLM's raw response."""
    raw = _of(response.raw, "response") or response.raw
    choices = _of(raw, "choices") or _of(raw, "candidates")
    first = cast("Any", choices)[0] if isinstance(choices, list) and choices else None
    beside = response.message.additional_kwargs
    for place, name in ((first, "finish_reason"), *((raw, name) for name in _REASONS), (beside, "stop_reason")):
        if (reason := normal_word(_of(place, name))) and reason != "in_progress":
            details = _of(raw, "incomplete_details") if reason == "incomplete" else None
            return normal_word(_of(details, "reason")) or reason
    return None


_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")
"""Fields of the finish reason: Google's, Anthropic's, Bedrock's, Ollama's, OpenAI's Responses."""


def _usage(response: ChatResponse) -> Usage | None:
    """Token counts from the provider's usage object, or from where LlamaIndex's own counter reads them."""
    beside = cast("dict[str, Any]", cast("Any", response).additional_kwargs)
    for place in (_find_usage(response.raw), mapping(response.raw), beside):
        if (usage := read_any_usage(_counts(place))) is not None and usage.total_tokens:
            return usage
    try:
        counts = cast("Any", token_counting).get_tokens_from_response(response)
    except (TypeError, ValueError, AttributeError):
        return None
    input_tokens, output_tokens = (n if isinstance(n, int) and n > 0 else None for n in counts)
    return (
        None
        if input_tokens is None and output_tokens is None
        else Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    )


def _find_usage(raw: Any) -> Any:
    """The usage object of a raw response or event."""
    raw = _of(raw, "response") or raw
    return _of(raw, "usage") or _of(raw, "usage_metadata")


def _counts(place: Any) -> Mapping[str, Any]:
    """A usage object as a mapping: dicts unchanged, SDK models dumped."""
    if isinstance(place, BaseModel):
        try:
            return place.model_dump()
        except ValueError:
            return {}
    return mapping(place)


def _of(source: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", source).get(name) if isinstance(source, Mapping) else getattr(source, name, None)
