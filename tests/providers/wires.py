"""The vendors' wires as a few bytes: an answer of "Hello", a stream of "Hello, world!". Support for tests, no test."""

from __future__ import annotations

import json
from dataclasses import dataclass

from multiroute_core.testing.server import Received


@dataclass(frozen=True)
class Wire:
    """How one vendor answers.

    Attributes:
        provider: The route's provider.
        path: What its addresses have in them.
        plain: A whole answer.
        opening: The events before the first that says something.
        chunks: The events that say something.
        closing: The events after them.
        ping: What keeps the connection alive and is no event of the answer.
        empty: An event of the answer that says nothing.
    """

    provider: str
    path: str
    plain: bytes
    opening: tuple[bytes, ...]
    chunks: tuple[bytes, ...]
    closing: tuple[bytes, ...]
    ping: bytes
    empty: bytes

    @property
    def stream(self) -> bytes:
        """All of the stream."""
        return b"".join((*self.opening, *self.chunks, *self.closing))

    def streamed(self, received: Received) -> bool:
        """Whether a request asks for a stream."""
        return ":stream" in received.path or json.loads(received.body).get("stream") is True


def _event(body: object, name: str | None = None, end: bytes = b"\n\n") -> bytes:
    return (b"event: %b\n" % name.encode() if name else b"") + b"data: %b" % json.dumps(body).encode() + end


def _openai() -> Wire:
    def event(delta: object, finish: str | None = None) -> bytes:
        return _event({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    message = {"role": "assistant", "content": "Hello"}
    return Wire(
        "openai",
        "/chat/completions",
        json.dumps({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode(),
        (event({"role": "assistant", "content": ""}),),
        tuple(event({"content": text}) for text in ("Hello", ", world", "!")),
        (event({}, "stop"), b"data: [DONE]\n\n"),
        b": keep-alive\n\n",
        event({"content": ""}),
    )


def _anthropic() -> Wire:
    def event(name: str, **body: object) -> bytes:
        return _event({"type": name, **body}, name)

    def delta(text: str) -> bytes:
        return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    message = {"type": "message", "role": "assistant", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}
    whole = {**message, "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}
    return Wire(
        "anthropic",
        "/v1/messages",
        json.dumps(whole).encode(),
        (
            event("message_start", message={**message, "content": []}),
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ),
        tuple(delta(text) for text in ("Hello", ", world", "!")),
        (
            event("content_block_stop", index=0),
            event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
            event("message_stop"),
        ),
        event("ping"),
        delta(""),
    )


def _google() -> Wire:
    def body(text: str, finish: str | None = None) -> dict[str, object]:
        said = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
        return {"candidates": [said | ({"finishReason": finish} if finish else {})], "modelVersion": "m"}

    return Wire(
        "google",
        "enerateContent",
        json.dumps(body("Hello", "STOP")).encode(),
        (),
        tuple(_event(body(text), end=b"\r\n\r\n") for text in ("Hello", ", world", "!")),
        (_event(body("", "STOP"), end=b"\r\n\r\n"),),
        b": keep-alive\r\n\r\n",
        _event(body(""), end=b"\r\n\r\n"),
    )


WIRES = {wire.provider: wire for wire in (_openai(), _anthropic(), _google())}
