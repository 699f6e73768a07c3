"""A model server that costs next to nothing, for `benchmarks.overhead` and `benchmarks.load`: fixed answers in the
formats of OpenAI, Anthropic and Google.

It runs in a process of its own (`python benchmarks/loopback.py CHUNKS [CORE [SECONDS]]`, where CORE may be -1 for any),
prints its port, and ends with stdin. Every answer is bytes made beforehand; a stream goes out in one write, so that a
reader waits for nothing but itself. With SECONDS, each answer is sent that much later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

PLAIN = 50
"""How many pieces a whole answer has; a stream has as many as it is told."""

WORDS = ("The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ",", " then", " sleeps", ".")

# What the vendors' edges send along: parsing headers is part of every call.
HEADERS = """\
date: Mon, 23 Nov 2026 12:00:00 GMT
server: cloudflare
cf-cache-status: DYNAMIC
cf-ray: 8f1d2c3b4a5e6f70-FRA
x-request-id: req_011CUTdkDmEiYRmXkC2N9fPs
openai-organization: org-benchmark
openai-processing-ms: 312
openai-version: 2020-10-01
x-ratelimit-limit-requests: 10000
x-ratelimit-limit-tokens: 2000000
x-ratelimit-remaining-requests: 9999
x-ratelimit-remaining-tokens: 1999950
x-ratelimit-reset-requests: 6ms
x-ratelimit-reset-tokens: 1ms
strict-transport-security: max-age=31536000; includeSubDomains; preload
x-content-type-options: nosniff
"""

OPENAI_USAGE = {
    "prompt_tokens": 24,
    "completion_tokens": 500,
    "total_tokens": 524,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENAI = {
    "id": "chatcmpl-CfZ8sMdXw9b2vZ3uQh1c4Rk7Yt0aE",
    "created": 1795435200,
    "model": "gpt-4.1-2025-04-14",
    "service_tier": "default",
    "system_fingerprint": "fp_daf5fcc80a",
}
OPENAI_CHUNK = {**OPENAI, "object": "chat.completion.chunk", "obfuscation": "aB3xY9q"}
ANTHROPIC_USAGE = {
    "input_tokens": 24,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 500,
    "service_tier": "standard",
}


def pieces(count: int) -> list[str]:
    """The answer, cut as a model would cut it."""
    return list(itertools.islice(itertools.cycle(WORDS), count))


def openai_answer(text: str) -> dict[str, Any]:
    """A whole `chat.completion`."""
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**OPENAI, "object": "chat.completion", "choices": [choice], "usage": OPENAI_USAGE}


def openai_events(parts: Iterable[str]) -> list[dict[str, Any]]:
    """A stream as OpenAI sends it: the role, the text, the end, and the usage that was asked for."""

    def event(delta: Mapping[str, Any] | None, *, end: str | None = None) -> dict[str, Any]:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]
        used = OPENAI_USAGE if delta is None else None
        return {**OPENAI_CHUNK, "choices": choices, "usage": used}

    role = event({"role": "assistant", "content": "", "refusal": None})
    return [role, *(event({"content": part}) for part in parts), event({}, end="stop"), event(None)]


def anthropic_message(content: list[dict[str, Any]], stop: str | None) -> dict[str, Any]:
    """A `message`, whole or as a stream begins with it."""
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }


def anthropic_events(parts: Iterable[str]) -> list[dict[str, Any]]:
    """A stream as Anthropic sends it."""
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}} for part in parts
    ]
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": anthropic_message([], None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 500}},
        {"type": "message_stop"},
    ]


def google_answer(text: str, *, end: bool = True) -> dict[str, Any]:
    """A whole `GenerateContentResponse`, or a piece of one."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    used = {
        "promptTokenCount": 24,
        "candidatesTokenCount": 500,
        "totalTokenCount": 524,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 24}],
    }
    return {
        "candidates": [{**candidate, "finishReason": "STOP"} if end else candidate],
        "usageMetadata": used,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "cX8qaZ3vLpXhz7IPqO2ByAs",
    }


def google_events(parts: list[str]) -> list[dict[str, Any]]:
    """A stream as Google sends it."""
    return [google_answer(part, end=number == len(parts)) for number, part in enumerate(parts, 1)]


def _bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _head(*fields: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *HEADERS.splitlines(), *fields, "", ""]
    return "\r\n".join(lines).encode()


def _plain(value: Any) -> bytes:
    body = _bytes(value)
    return _head("content-type: application/json", f"content-length: {len(body)}") + body


def _open_stream(events: Iterable[bytes]) -> bytes:
    """Each event is an HTTP chunk, as servers that flush after each one send it."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    return _head("content-type: text/event-stream", "transfer-encoding: chunked") + chunks


def _stream(events: Iterable[bytes]) -> bytes:
    return _open_stream(events) + b"0\r\n\r\n"


def unfinished_stream(count: int) -> bytes:
    """OpenAI's stream after `count` pieces of text; there is more to come."""
    return _open_stream(b"data: %s\n\n" % _bytes(event) for event in openai_events(pieces(count))[: count + 1])


Request = tuple[str, bool]
"""The vendor whose API is requested, and whether a stream is."""


def replies(count: int) -> dict[Request, bytes]:
    """What to send to each request."""
    parts = pieces(count)
    text = "".join(parts[:PLAIN])
    openai = [b"data: %s\n\n" % _bytes(event) for event in openai_events(parts)]
    named = [b"event: %s\ndata: %s\n\n" % (e["type"].encode(), _bytes(e)) for e in anthropic_events(parts)]
    google = [b"data: %s\r\n\r\n" % _bytes(event) for event in google_events(parts)]
    return {
        ("openai", False): _plain(openai_answer(text)),
        ("openai", True): _stream([*openai, b"data: [DONE]\n\n"]),
        ("anthropic", False): _plain(anthropic_message([{"type": "text", "text": text}], "end_turn")),
        ("anthropic", True): _stream(named),
        ("google", False): _plain(google_answer(text)),
        ("google", True): _stream(google),
    }


def recognize(line: bytes, body: bytes) -> Request:
    """Return what a request asks for.

    Args:
        line: Its first line, with the path.
        body: Its body.
    """
    if b":generateContent" in line or b":streamGenerateContent" in line:
        return "google", b":stream" in line
    return "anthropic" if b"/messages" in line else "openai", b'"stream":true' in body or b'"stream": true' in body


class Answers(asyncio.Protocol):
    """One connection: a request in, the same bytes out, again and again."""

    def __init__(self, known: Mapping[Request, bytes], seconds: float = 0.0) -> None:
        self._known = known
        self._seconds = seconds
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """A piece of a request is here; answer when it is whole."""
        seen = self._seen = self._seen + data
        head, found, body = seen.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0):
            return
        self._seen = b""
        reply = self._known[recognize(head.split(b"\r\n", 1)[0], body)]
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, reply)
        else:
            self._transport.write(reply)


async def serve(count: int, seconds: float) -> None:
    """Serve until stdin ends: with the process that started this one, however it ended."""
    loop = asyncio.get_running_loop()
    known = replies(count)
    server = await loop.create_server(lambda: Answers(known, seconds), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    if len(sys.argv) > 2 and int(sys.argv[2]) >= 0:
        with contextlib.suppress(AttributeError, OSError):
            os.sched_setaffinity(0, {int(sys.argv[2])})
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0))
