"""Gemini's answers: a body, a stream, an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vendors import google
from tests.vendors.asked import Answer, Asked, pieces
from tests.vendors.checks import sse
from tests.vendors.issued import Issued
from tests.vendors.mind import SEEN_TOKENS


def _parts(answer: Answer, asked: Asked, issued: Issued, *, ids: bool) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if asked.thinking and asked.shown:
        parts.append({"text": answer.thoughts, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    for call in answer.calls:
        named = {"id": issued.id("", 8).lower()} if ids else {}
        parts.append({"functionCall": {"name": call.name, "args": call.arguments, **named}})
    if asked.thinking and (answer.calls or google.signs(asked.model)) and (answer.calls or answer.text):
        signed = next((part for part in parts if "functionCall" in part), parts[-1])
        signed["thoughtSignature"] = issued.signature("google", asked.model, "CiQB")
    return parts


def _usage(answer: Answer, asked: Asked) -> dict[str, Any]:
    written = answer.output_tokens - answer.reasoning_tokens
    heard = SEEN_TOKENS * sum(turn.seen.count("audio") for turn in asked.turns)
    details = [{"modality": "TEXT", "tokenCount": answer.input_tokens - heard}]
    if heard:
        details.append({"modality": "AUDIO", "tokenCount": heard})
    usage: dict[str, Any] = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": written,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
        "promptTokensDetails": details,
    }
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    if answer.cache_read:
        usage["cachedContentTokenCount"] = answer.cache_read
    return usage


def _body(
    parts: list[dict[str, Any]], finish: str | None, usage: dict[str, Any], asked: Asked, response: str
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if not parts:
        candidate["content"] = {"role": "model"}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model, "responseId": response}


def plain(answer: Answer, asked: Asked, issued: Issued, *, ids: bool = False) -> dict[str, Any]:
    """The answer as one body."""
    finish = "MAX_TOKENS" if answer.finish == "length" else "STOP"
    return _body(_parts(answer, asked, issued, ids=ids), finish, _usage(answer, asked), asked, issued.id("", 22))


def events(answer: Answer, asked: Asked, issued: Issued, *, ids: bool = False) -> Iterator[bytes]:
    """The answer as a stream. A text's signature comes in a part of its own, which is empty."""
    response, usage = issued.id("", 22), _usage(answer, asked)
    early = {key: value for key, value in usage.items() if key != "candidatesTokenCount"}
    sent: list[dict[str, Any]] = []
    for part in _parts(answer, asked, issued, ids=ids):
        if "text" not in part:
            sent.append(part)
            continue
        beside = {"thought": True} if part.get("thought") else {}
        sent += [{"text": piece, **beside} for piece in pieces(part["text"])]
        if "thoughtSignature" in part:
            sent.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    finish = "MAX_TOKENS" if answer.finish == "length" else "STOP"
    for i, part in enumerate(sent or [None]):
        last = i >= len(sent) - 1
        body = _body([part] if part else [], finish if last else None, usage if last else early, asked, response)
        yield sse(body, end="\r\n\r\n")


def error(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error's body."""
    words = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": words.get(status, "UNKNOWN")}}
