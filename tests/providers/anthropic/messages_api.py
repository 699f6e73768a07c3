"""Anthropic's side of the wire, by hand: a message as the events of its stream. Support for tests, no test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_GROWS = {"text": "text_delta", "thinking": "thinking_delta", "signature": "signature_delta"}


def message(*content: dict[str, Any], stop_reason: str = "end_turn") -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop_reason,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }


def events(whole: dict[str, Any], step: int = 3) -> Iterator[dict[str, Any]]:
    """The same as the vendor streams it, `step` characters a piece."""
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
    for index, block in enumerate(whole["content"]):
        yield from _block(index, block, step)
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": whole["stop_reason"]},
        "usage": {"output_tokens": whole["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _block(index: int, block: dict[str, Any], step: int) -> Iterator[dict[str, Any]]:
    def delta(**said: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": said}

    start = {**block, **{name: "" for name in _GROWS if name in block}}
    calls = block["type"] in ("tool_use", "server_tool_use")
    if calls:
        start["input"] = {}
    if block.get("citations"):
        start["citations"] = []
    yield {"type": "content_block_start", "index": index, "content_block": start}
    yield {"type": "ping"}
    for name, kind in _GROWS.items():
        text = block.get(name, "")
        size = len(text) if name == "signature" else step
        yield from (delta(type=kind, **{name: text[at : at + size]}) for at in range(0, len(text), size or 1))
    for citation in block.get("citations") or ():
        yield delta(type="citations_delta", citation=citation)
    if calls and block["input"]:
        text = json.dumps(block["input"])
        yield delta(type="input_json_delta", partial_json="")
        yield from (
            delta(type="input_json_delta", partial_json=text[at : at + step]) for at in range(0, len(text), step)
        )
    yield {"type": "content_block_stop", "index": index}
