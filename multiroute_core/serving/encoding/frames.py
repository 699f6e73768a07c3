"""Server-sent events, and tool calls that come whole or in pieces.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html (2026-11-30).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from multiroute_core.messages import Blob, InvalidToolCall, Part, ToolCall, ToolCallDelta
from multiroute_core.types import Response

HEARTBEAT = b": heartbeat\n\n"
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


def dump(body: Mapping[str, Any]) -> bytes:
    """Return a value as JSON in UTF-8, on one line.

    Lone surrogates, which a model may send and UTF-8 cannot hold, are escaped.
    """
    try:
        return _encode(body)
    except (UnicodeEncodeError, TypeError, OverflowError, msgspec.MsgspecError):
        return json.dumps(body, default=str).encode("ascii")


def data(body: Mapping[str, Any]) -> bytes:
    """Return an event without a name."""
    return b"data: " + dump(body) + b"\n\n"


def named(name: str, body: Mapping[str, Any]) -> bytes:
    """Return an event with a name."""
    return b"event: " + name.encode() + b"\n" + data(body)


def arguments_of(call: ToolCall | InvalidToolCall) -> str:
    """Return the arguments of a tool call as JSON text; of an invalid one, as the model wrote them."""
    return call.arguments if isinstance(call, InvalidToolCall) else dump(dict(call.arguments)).decode()


class CallPieces:
    """Turns the tool calls of a stream's chunks into pieces, whether the chunk holds a piece or a whole call."""

    def __init__(self) -> None:
        self._next = 0

    def of(self, part: Part) -> ToolCallDelta | None:
        """Return a part as a piece of a tool call; None if it is something else."""
        if isinstance(part, ToolCallDelta):
            self._next = max(self._next, part.index + 1)
            return part
        if isinstance(part, ToolCall | InvalidToolCall):
            self._next += 1
            return ToolCallDelta(self._next - 1, part.id, part.name, arguments_of(part))
        return None


def data_url(blob: Blob) -> str:
    """Return an image or another file as a `data:` URL."""
    return f"data:{blob.mime_type};base64,{base64.b64encode(blob.data).decode()}"


def images(parts: Sequence[Part]) -> list[Blob]:
    """Return the images among the parts."""
    return [part for part in parts if isinstance(part, Blob) and part.modality == "image"]


def summarize(response: Response) -> dict[str, Any]:
    """Return the response's summary without the sentences of errors, in which providers may quote anything."""
    summary = response.summary()
    attempts = ({name: one for name, one in attempt.items() if name != "error"} for attempt in summary["attempts"])
    return {**summary, "attempts": list(attempts)}
