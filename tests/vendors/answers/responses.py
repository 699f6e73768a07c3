"""The answers of Responses: a body, a stream, an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.vendors.answers.chat import error
from tests.vendors.asked import Answer, Asked, pieces
from tests.vendors.checks import sse
from tests.vendors.issued import Issued


def _output(answer: Answer, asked: Asked, issued: Issued, *, encrypted: bool) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    if asked.thinking:
        summary = [{"type": "summary_text", "text": answer.thoughts}] if asked.shown else []
        item: dict[str, Any] = {"id": issued.id("rs_", 48), "type": "reasoning", "summary": summary}
        if encrypted:
            item["encrypted_content"] = issued.signature("openai.responses", asked.model, "gAAAAAB")
        output.append(item)
    if answer.text or not answer.calls:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        output.append(
            {
                "id": issued.id("msg_", 48),
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    for call in answer.calls:
        output.append(
            {
                "id": issued.id("fc_", 48),
                "type": "function_call",
                "status": "completed",
                "arguments": json.dumps(call.arguments, ensure_ascii=False),
                "call_id": issued.id("call_"),
                "name": call.name,
            }
        )
    if asked.thinking:
        issued.items.update({output[0]["id"]: output[1]["id"], output[1]["id"]: output[0]["id"]})
    return output


def plain(answer: Answer, asked: Asked, issued: Issued, *, body: dict[str, Any]) -> dict[str, Any]:
    """The answer as one body."""
    cut = answer.finish == "length"
    return {
        "id": issued.id("resp_", 48),
        "object": "response",
        "created_at": 1764000000,
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": asked.max_tokens,
        "model": asked.model,
        "output": _output(
            answer, asked, issued, encrypted="reasoning.encrypted_content" in (body.get("include") or ())
        ),
        "parallel_tool_calls": asked.parallel,
        "previous_response_id": None,
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cache_read},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
        "user": None,
        "metadata": {},
    }


def events(answer: Answer, asked: Asked, issued: Issued, *, body: dict[str, Any]) -> Iterator[bytes]:
    """The answer as a stream."""
    count = iter(range(100_000))

    def event(kind: str, **more: Any) -> bytes:
        return sse({"type": kind, "sequence_number": next(count), **more}, kind)

    whole = plain(answer, asked, issued, body=body)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for i, item in enumerate(whole["output"]):
        at: dict[str, Any] = {"item_id": item["id"], "output_index": i}
        match item["type"]:
            case "reasoning":
                yield event("response.output_item.added", output_index=i, item={**item, "summary": []})
                for j, part in enumerate(item["summary"]):
                    here = {**at, "summary_index": j}
                    yield event("response.reasoning_summary_part.added", **here, part={**part, "text": ""})
                    for piece in pieces(part["text"]):
                        yield event("response.reasoning_summary_text.delta", **here, delta=piece)
                    yield event("response.reasoning_summary_text.done", **here, text=part["text"])
                    yield event("response.reasoning_summary_part.done", **here, part=part)
            case "message":
                yield event(
                    "response.output_item.added", output_index=i, item={**item, "status": "in_progress", "content": []}
                )
                here, part = {**at, "content_index": 0}, item["content"][0]
                yield event("response.content_part.added", **here, part={**part, "text": ""})
                for piece in pieces(part["text"]):
                    yield event("response.output_text.delta", **here, delta=piece, logprobs=[])
                yield event("response.output_text.done", **here, text=part["text"], logprobs=[])
                yield event("response.content_part.done", **here, part=part)
            case _:
                yield event(
                    "response.output_item.added",
                    output_index=i,
                    item={**item, "status": "in_progress", "arguments": ""},
                )
                for piece in pieces(item["arguments"]):
                    yield event("response.function_call_arguments.delta", **at, delta=piece)
                yield event(
                    "response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"]
                )
        yield event("response.output_item.done", output_index=i, item=item)
    yield event("response.incomplete" if whole["status"] == "incomplete" else "response.completed", response=whole)


__all__ = ["error", "events", "plain"]
