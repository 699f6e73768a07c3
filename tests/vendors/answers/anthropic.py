"""Anthropic's answers: a body, a stream, an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.vendors.asked import Answer, Asked, pieces
from tests.vendors.checks import sse
from tests.vendors.issued import Issued

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "stop_sequence": "stop_sequence"}


def _content(answer: Answer, asked: Asked, issued: Issued) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if asked.thinking:
        text = answer.thoughts if asked.shown else ""
        blocks.append({"type": "thinking", "thinking": text, "signature": issued.signature("anthropic", asked.model)})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        blocks.append({"type": "tool_use", "id": issued.id("toolu_01", 22), "name": call.name, "input": call.arguments})
    return blocks


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens - answer.cache_read - answer.cache_write,
        "cache_creation_input_tokens": answer.cache_write,
        "cache_read_input_tokens": answer.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": answer.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
        "service_tier": "standard",
    }


def plain(answer: Answer, asked: Asked, issued: Issued) -> dict[str, Any]:
    """The answer as one body."""
    return {
        "id": issued.id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": _content(answer, asked, issued),
        "stop_reason": _STOPS[answer.finish],
        "stop_sequence": answer.stopped_by,
        "usage": _usage(answer),
    }


def events(answer: Answer, asked: Asked, issued: Issued) -> Iterator[bytes]:
    """The answer as a stream."""

    def event(kind: str, **more: Any) -> bytes:
        return sse({"type": kind, **more}, kind)

    whole = plain(answer, asked, issued)
    begun = {
        **whole,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**whole["usage"], "output_tokens": 1},
    }
    yield event("message_start", message=begun)
    yield event("ping")
    for i, block in enumerate(whole["content"]):
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[
            block["type"]
        ]
        yield event("content_block_start", index=i, content_block={**block, **empty})
        deltas: list[dict[str, Any]] = []
        match block["type"]:
            case "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            case "thinking":
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case _:
                written = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(written))]
        for delta in deltas:
            yield event("content_block_delta", index=i, delta=delta)
        yield event("content_block_stop", index=i)
    usage = {key: value for key, value in whole["usage"].items() if key not in ("cache_creation", "service_tier")}
    yield event(
        "message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": answer.stopped_by}, usage=usage
    )
    yield event("message_stop")


def error(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error's body."""
    kinds = {400: "invalid_request_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
    details = {"details": {"error_code": code}} if code else {}
    return {
        "type": "error",
        "error": {"type": kinds.get(status, "api_error"), "message": message, **details},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
