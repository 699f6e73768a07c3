"""A whole answer as the one delta of a stream: from a server or a model that streams nothing. Pure."""

from __future__ import annotations

import json
from dataclasses import replace

from multiroute_core.messages import InvalidToolCall, Part, ToolCall, ToolCallDelta
from multiroute_core.types import Delta


def to_stream(delta: Delta) -> Delta:
    """`delta` with its tool calls as a stream has them, each in one piece."""
    calls = 0
    parts: list[Part] = []
    for part in delta.parts:
        match part:
            case ToolCall():
                arguments = json.dumps(dict(part.arguments), ensure_ascii=False)
                parts.append(ToolCallDelta(calls, part.id, part.name, arguments, part.raw))
                calls += 1
            case InvalidToolCall():
                parts.append(ToolCallDelta(calls, part.id, part.name, part.arguments))
                calls += 1
            case _:
                parts.append(part)
    return replace(delta, parts=tuple(parts))
