"""Stream events as deltas; a complete answer of a non-streaming server is a stream of one event. Pure functions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from multiroute_core.messages import InvalidToolCall, Part, ToolCall, ToolCallDelta
from multiroute_core.providers.provider import Decoder, Encoded, Provider, Reply, WireError
from multiroute_core.types import Delta

BUGS = (TypeError, AttributeError, NameError, AssertionError, ImportError, LookupError)
"""Programming errors; a fallback would hide them permanently."""


CONTROL_FLOW = frozenset({"langgraph.errors.GraphBubbleUp", "workflows.runtime.types.results.WaitingForEvent"})
"""Exceptions with which LangGraph and LlamaIndex's workflows suspend a run; they propagate and are not failures."""


def is_control_flow(error: BaseException) -> bool:
    """Whether a framework's graph or workflow raised `error` to suspend or leave the current step."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in CONTROL_FLOW for kind in type(error).__mro__)


def read_event(provider: Provider, decoder: Decoder, encoded: Encoded, event: Any) -> Delta | None:
    """Decode one event; a bad event after the complete answer is ignored.

    Raises:
        WireError: If the event reports an error, or is malformed.
    """
    try:
        if type(event) is Reply:  # the server ignored the stream option
            delta = to_stream(provider.decode(event, encoded))
            decoder.complete = True
        else:
            delta = decoder.feed(event)
    except (WireError, *BUGS) as error:
        if decoder.complete:
            return None
        if isinstance(error, WireError):
            raise
        raise WireError(f"A stream event is malformed: {event!r:.200}") from error
    else:
        return delta


def to_stream(delta: Delta) -> Delta:
    """Returns `delta` with its tool calls in stream form, each as a single chunk."""
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
