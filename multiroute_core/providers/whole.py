"""Complete answers as streams, and streams as complete answers: for servers that ignore the stream option. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.messages import InvalidToolCall, Part, ToolCall, ToolCallDelta, assemble
from multiroute_core.providers.body import mapping, to_text_error
from multiroute_core.providers.in_band import is_error, no_answer
from multiroute_core.providers.provider import Decoder, Encoded, Provider, Reply, UnreadableReply, WireError
from multiroute_core.providers.sse import StreamReader
from multiroute_core.providers.stream_body import to_value
from multiroute_core.types import Delta

BUGS = (TypeError, AttributeError, NameError, AssertionError, ImportError, LookupError)
"""Programming errors; a fallback would hide them permanently."""


CONTROL_FLOW = frozenset({"langgraph.errors.GraphBubbleUp", "workflows.runtime.types.results.WaitingForEvent"})
"""Exceptions with which LangGraph and LlamaIndex's workflows suspend a run; they propagate and are not failures."""


def is_control_flow(error: BaseException) -> bool:
    """Whether a framework's graph or workflow raised `error` to suspend or leave the current step."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in CONTROL_FLOW for kind in type(error).__mro__)


_INTEGRATIONS = re.compile(
    r"(?:langchain_(?!core|multiroute)\w+|llama_index\.llms|openai|anthropic|google\.genai)(?:\.|$)"
)
_REPLIES = ("response", "chunk", "event", "raw_response")
"""Local variables in which the integrations of LangChain and LlamaIndex have a reply."""


def read_misread_reply(error: BaseException, *, replied: bool) -> WireError | None:
    """Returns the error of a reply that could not be read; None if there is no reply, so that it is a bug.

    On an HTML page under HTTP 200, say, the integrations fail with an AttributeError, as in a programming error. But
    the traceback then leads through a function of the integration that has the reply.

    Args:
        error: A programming error.
        replied: Whether the provider is known to have replied.
    """
    has_reply = replied
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        trace = trace.tb_next
        if not _INTEGRATIONS.match(str(frame.f_globals.get("__name__"))):
            continue
        names = (*_REPLIES, "data") if frame.f_code.co_name == "_format_output" else _REPLIES
        for name in names:
            reply: Any = frame.f_locals.get(name)
            has_reply = has_reply or (name in frame.f_locals and (reply is not None or name != "raw_response"))
            if (reported := _error_in(reply)) is not None:
                return reported
    return UnreadableReply(f"The reply could not be read ({type(error).__name__}: {error}).") if has_reply else None


def _error_in(reply: Any) -> WireError | None:
    """Returns the error that a reply reports, as far as an SDK has read it: text, or a model."""
    if isinstance(reply, str):
        try:
            events = [*_events_of(reply)]
        except WireError as error:
            return error
        if not events:
            return to_text_error(reply)
        error = next((event for event in map(mapping, events) if is_error(event)), None)
        return None if error is None else no_answer(error, "The reply is an error.")
    if not callable(dump := getattr(reply, "model_dump", None)):
        return None
    body = mapping(dump())
    return no_answer(body, "The reply has no answer.") if is_error(body) else None


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


def read_streamed_reply(provider: Provider, reply: Any, encoded: Encoded, error: UnreadableReply) -> Delta:
    """Decode the reply to a plain request that a server streams nevertheless.

    Reported of sgl-project/mini-sglang#51 (2025-12-29), and with a single event of decolua/9router#3492 (2026-08-23).

    Args:
        provider: The provider.
        reply: The reply.
        encoded: The request.
        error: The error of the reply as a complete answer; raised if it is no stream either.

    Raises:
        WireError: If an event reports an error, or the stream contains no answer.
    """
    events = [*_events_of(reply.body)] if type(reply) is Reply else []
    if not events:
        raise error
    if isinstance(events[0], dict) and not _WHOLE.isdisjoint(cast("dict[str, Any]", events[0])):
        return provider.decode(Reply(json.dumps(events[0]), reply.headers), encoded)
    decoder = provider.decoder(encoded)
    parts: list[Part] = []
    delta = Delta()
    for event in events:
        if (latest := read_event(provider, decoder, encoded, event)) is not None:
            parts += latest.parts
            delta = Delta(
                finish_reason=latest.finish_reason or delta.finish_reason,
                usage=latest.usage or delta.usage,
                model=latest.model or delta.model,
                raw=latest.raw or delta.raw,
            )
    if not decoder.complete:
        message = "The provider sent an event stream instead of an answer, and it ended early."
        raise UnreadableReply(message, usage=delta.usage, model=delta.model)
    return replace(delta, parts=assemble(parts))


_WHOLE = frozenset(("output", "content"))
"""Members of a complete answer of the Responses and Messages APIs, which no event of a stream has."""


def _events_of(body: bytes | str) -> Iterator[Any]:
    """Yield the values of a body that is an event stream, or an array of objects as Gemini streams it.

    Raises:
        WireError: If an event reports an error.
    """
    content = body.encode("utf-8", "replace") if isinstance(body, str) else body
    reader = StreamReader()
    for event in (*reader.feed(content), *reader.end()):
        if (value := to_value(event)) is not None:
            yield value
    if reader.body is not None:
        try:
            values: Any = decode_json(reader.body)
        except NO_JSON:
            return
        if isinstance(values, list) and all(isinstance(value, dict) for value in cast("list[Any]", values)):
            yield from cast("list[Any]", values)


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
