"""Events of a stream as deltas; a whole answer, from who streams nothing, is a stream of one event. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from multiroute_core.messages import InvalidToolCall, Part, ToolCall, ToolCallDelta
from multiroute_core.providers.provider import Decoder, Encoded, Provider, Reply, WireError
from multiroute_core.types import Delta

BUGS = (TypeError, AttributeError, NameError, AssertionError, ImportError, LookupError)
"""Errors of a program, not of a provider: to fall back on them would hide them for ever."""


CONTROL_FLOW = frozenset({"langgraph.errors.GraphBubbleUp", "workflows.runtime.types.results.WaitingForEvent"})
"""Exceptions by which LangGraph and LlamaIndex's workflows suspend a run: they are no failures, and pass."""


def is_control_flow(error: BaseException) -> bool:
    """Whether a framework's graph or workflow raised `error` to suspend or leave the step that is running."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in CONTROL_FLOW for kind in type(error).__mro__)


def read_event(provider: Provider, decoder: Decoder, encoded: Encoded, event: Any) -> Delta | None:
    """What is new in one event. Where the answer is complete, a bad event harms nothing.

    Raises:
        WireError: it reports an error, or has a shape that no event has.
    """
    try:
        if type(event) is Reply:  # the server ignores that a stream is asked for
            delta = to_stream(provider.decode(event, encoded))
            decoder.complete = True
        else:
            delta = decoder.feed(event)
    except (WireError, *BUGS) as error:
        if decoder.complete:
            return None
        if isinstance(error, WireError):
            raise
        raise WireError(f"An event of the stream has a shape that no event has: {event!r:.200}") from error
    else:
        return delta


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
