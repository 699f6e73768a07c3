"""Chat Completions' answers: a body, a stream, an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.vendors.asked import Answer, Asked, pieces
from tests.vendors.checks import sse
from tests.vendors.issued import Issued

_FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls", "stop_sequence": "stop"}


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def plain(answer: Answer, asked: Asked, issued: Issued) -> dict[str, Any]:
    """The answer as one body."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": issued.id("call_"),
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in answer.calls
        ]
    finish = "stop" if asked.choice.startswith("=") else _FINISH[answer.finish]  # a named tool's call ends so
    return {
        "id": issued.id("chatcmpl-"),
        "object": "chat.completion",
        "created": 1764000000,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": _usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }


def events(answer: Answer, asked: Asked, issued: Issued, *, usage: bool = False) -> Iterator[bytes]:
    """The answer as a stream."""
    whole = plain(answer, asked, issued)
    head = {**{k: v for k, v in whole.items() if k not in ("choices", "usage")}, "object": "chat.completion.chunk"}
    more = {"usage": None} if usage else {}

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return sse(
            {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}
        )

    message = whole["choices"][0]["message"]
    calls = message.get("tool_calls", [])
    yield event({"role": "assistant", "content": None if calls else "", "refusal": None})
    for piece in pieces(message["content"] or ""):
        yield event({"content": piece})
    for i, call in enumerate(calls):
        function = call["function"]
        yield event({"tool_calls": [{**call, "index": i, "function": {"name": function["name"], "arguments": ""}}]})
        for piece in pieces(function["arguments"]):
            yield event({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield event({}, whole["choices"][0]["finish_reason"])
    if usage:
        yield sse({**head, "choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def error(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error's body."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
