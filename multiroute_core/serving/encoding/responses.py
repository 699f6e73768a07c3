"""Responses: complete responses in OpenAI's format.

https://platform.openai.com/docs/api-reference/responses/object and `openai.types.responses` of openai 2.54.0 (read
2026-11-30). An item that OpenAI itself has sent keeps its form, so that encrypted reasoning survives.
"""

from __future__ import annotations

import base64
from typing import Any

from multiroute_core.messages import Blob, InvalidToolCall, Part, Reasoning, Text, ToolCall, VendorPart, is_refusal
from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.encoding.custom_calls import find_custom_tools, input_of
from multiroute_core.serving.encoding.frames import arguments_of, summarize
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Response, Usage

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def write(response: Response, call: ServedCall) -> JSON:
    """Return the body of a complete response."""
    return write_object(response, call, write_items(response, call))


def write_object(response: Response, call: ServedCall, output: list[JSON]) -> JSON:
    """Return the response object around its output items."""
    reason = _INCOMPLETE.get(response.finish_reason or "")
    return {
        **begin(call),
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": response.model,
        "output": output,
        "usage": write_usage(response.usage),
        "multiroute": summarize(response),
    }


def begin(call: ServedCall) -> JSON:
    """Return the response object before there is any output."""
    return {
        "id": f"resp_{call.id}",
        "object": "response",
        "created_at": call.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": call.model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "usage": None,
        **call.echo,
    }


def fail(call: ServedCall, failure: HTTPFailure) -> JSON:
    """Return the response object of a stream that has failed."""
    error = {"code": failure.code or failure.type, "message": failure.message}
    return {**begin(call), "status": "failed", "error": error}


def write_usage(usage: Usage | None) -> JSON | None:
    """Return the token counts with their details."""
    if usage is None:
        return None
    read = usage.input_tokens or 0
    written = usage.output_tokens or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": read + written,
    }


def write_items(response: Response, call: ServedCall) -> list[JSON]:
    """Return the output items; adjacent texts share a message."""
    items: list[JSON] = []
    for part in response.parts:
        if isinstance(part, Text):
            if not part.text:
                continue
            if not items or items[-1]["type"] != "message":
                items.append(message_item(item_id("msg", call, len(items)), []))
            items[-1]["content"].append(content_part(part.text, refusal=is_refusal(part)))
        elif (item := write_item(part, call, len(items))) is not None:
            items.append(item)
    return items


def item_id(kind: str, call: ServedCall, index: int) -> str:
    """Return the id of an output item."""
    return f"{kind}_{call.id}_{index}"


def message_item(name: str, content: list[JSON], status: str = "completed") -> JSON:
    """Return a message item."""
    return {"type": "message", "id": name, "role": "assistant", "status": status, "content": content}


def content_part(text: str, *, refusal: bool = False) -> JSON:
    """Return a part of a message's content."""
    if refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_item(name: str, text: str) -> JSON:
    """Return a reasoning item of another provider's reasoning."""
    return {"type": "reasoning", "id": name, "summary": [{"type": "summary_text", "text": text}] if text else []}


def call_item(name: str, call_id: str, tool: str, arguments: str, status: str = "completed") -> JSON:
    """Return the item of a tool call."""
    return {
        "type": "function_call",
        "id": name,
        "call_id": call_id,
        "name": tool,
        "arguments": arguments,
        "status": status,
    }


def custom_item(name: str, call_id: str, tool: str, text: str, status: str = "completed") -> JSON:
    """Return the item of a call of a custom tool."""
    item = {"type": "custom_tool_call", "id": name, "call_id": call_id, "name": tool, "input": text}
    return item | {"status": status}


def raw_item(part: Any) -> JSON | None:
    """Return a part as OpenAI has sent it; None for a part of another provider."""
    raw = getattr(part, "raw", None)
    return dict(raw.body) if raw is not None and raw.api == "openai.responses" else None


def write_item(part: Part, call: ServedCall, index: int) -> JSON | None:
    """Return a part other than text as an output item; None if this API cannot carry it."""
    match part:
        case Reasoning():
            own = raw_item(part)
            if own is not None and own.get("type") == "reasoning":
                return {**own, "id": own.get("id") or item_id("rs", call, index)}
            return reasoning_item(item_id("rs", call, index), part.text) if part.text else None
        case ToolCall() | InvalidToolCall() if part.name in find_custom_tools(call):
            return custom_item(item_id("ctc", call, index), part.id, part.name, input_of(arguments_of(part)))
        case ToolCall() | InvalidToolCall():
            return call_item(item_id("fc", call, index), part.id, part.name, arguments_of(part))
        case VendorPart():
            return raw_item(part)
        case Blob() if part.modality == "image":
            picture = base64.b64encode(part.data).decode()
            name = item_id("ig", call, index)
            return {"type": "image_generation_call", "id": name, "status": "completed", "result": picture}
        case _:
            return None
