"""Whatever comes under HTTP 200 is an answer or a `RouteError`, so that the next route is asked: never a raw error."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import APIConnectionError, InvalidResponseError, Route, RouteError, StreamInterruptedError
from multiroute_core.testing.server import Drop, ReplayServer, Reply, split_events
from tests.examples import examples
from tests.providers.faces import FACES, PLAIN, STREAMED, Outcome, ask, every_face, plain_faces, routed, streamed_faces
from tests.providers.reading import data
from tests.providers.wires import WIRES, Wire

pytestmark = pytest.mark.wire

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
RESPONSES = {"model": "m", "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 2}, "output": []}
RESPONSES["output"] = [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]
# The name of each wire, its route's settings, a whole answer, and a stream's events.
SAID: dict[str, tuple[dict[str, Any], Any, list[Any]]] = {
    name: ({}, json.loads(wire.plain), [e for piece in split_events(wire.stream) if (e := data(piece)) is not None])
    for name, wire in WIRES.items()
}
SAID["responses"] = (
    {"api": "responses"},
    RESPONSES,
    [
        {"type": "response.created", "response": {"model": "m"}},
        {"type": "response.output_text.delta", "delta": "Hello"},
        {"type": "response.completed", "response": RESPONSES},
    ],
)
USAGE = {
    "openai": {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}},
    "anthropic": {"usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 1}},
    "google": {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}},
    "responses": {},
}
every_wire = pytest.mark.parametrize("name", SAID)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def asked(server: ReplayServer, name: str, face: str, reply: Any) -> Outcome:
    server.serve(reply)
    provider = "openai" if name == "responses" else name
    with routed(Route(f"{provider}:m", base_url=server.url, api_key="k", **SAID[name][0])) as router:
        return ask(face, router)


def sse(name: str, events: list[Any]) -> Reply:
    """Events in their vendor's framing, and no end but theirs."""
    named = name in ("anthropic", "responses")
    pieces = []
    for event in events:
        kind = event.get("type") if isinstance(event, dict) else None
        head = b"event: %b\n" % kind.encode() if named and isinstance(kind, str) and kind.isascii() else b""
        pieces.append(head.replace(b"\r", b"") + b"data: %b\n\n" % json.dumps(event).encode())
    return Reply(200, SSE, pieces, stream=True)


def check(outcome: Outcome) -> None:
    """An answer of the right types, or an error that another route may follow."""
    if outcome.error is not None:
        assert isinstance(outcome.error, RouteError), repr(outcome.error)
        # What only lacks its end has no cause but that.
        assert outcome.error.__cause__ is not None or "ended early" in outcome.error.message
        return
    assert outcome.response is not None
    assert isinstance(outcome.text, str)
    assert outcome.finish_reason in ("stop", "length", "tool_call", "content_filter", "refusal", "other")
    assert isinstance(outcome.response.model, str)
    if outcome.usage is not None:
        counts = (outcome.usage.input_tokens, outcome.usage.output_tokens, outcome.usage.cache_read_tokens)
        assert all(count is None or (isinstance(count, int) and count >= 0) for count in counts)
        assert outcome.usage.total_tokens >= 0


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside `value`."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


@st.composite
def mutants(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something else in one of its places."""
    return replaced(value, draw(st.sampled_from(list(places(value)))), draw(anything))


@pytest.mark.slow
@every_wire
@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_an_answer_with_something_wrong_in_it(server: ReplayServer, name: str, data: st.DataObject) -> None:
    body = data.draw(mutants({**SAID[name][1], **USAGE[name]}))
    reply = Reply(200, JSON, json.dumps(body).encode())
    sync, native = (asked(server, name, face, reply) for face in PLAIN)
    check(sync)
    assert native.told == sync.told


@pytest.mark.slow
@every_wire
@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_stream_with_something_wrong_in_it(server: ReplayServer, name: str, data: st.DataObject) -> None:
    events = [{**event, **USAGE[name]} if name != "anthropic" else event for event in SAID[name][2]]
    reply = sse(name, data.draw(mutants(events).filter(lambda made: isinstance(made, list))))
    sync, native = (asked(server, name, face, reply) for face in STREAMED)
    check(sync)
    assert native.told == sync.told


@every_face
def test_content_in_parts_is_text_too(server: ReplayServer, face: str) -> None:
    """Mistral's compatible API writes content as a list (vercel/ai#8072, livekit/agents#6324)."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}

    def choice(*parts: Any, finish: str | None = None) -> dict[str, Any]:
        where = "message" if face in PLAIN else "delta"
        return {"model": "m", "choices": [{"index": 0, where: {"content": list(parts)}, "finish_reason": finish}]}

    hello, world = ({"type": "text", "text": text} for text in ("Hello", ", world"))
    if face in PLAIN:
        reply = Reply(200, JSON, json.dumps(choice(thinking, hello, world, finish="stop")).encode())
    else:
        reply = sse("openai", [choice(thinking), choice(hello), choice(world), choice(finish="stop")])
    assert asked(server, "openai", face, reply).told[:2] == ("Hello, world", "stop")


@plain_faces
@every_wire
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"3", b'"Hello"', b"{}", b"<html>", b'{"a":', b"\xff\xfe", b"\n\n"]
)
def test_a_body_that_is_no_answer(server: ReplayServer, name: str, face: str, body: bytes) -> None:
    outcome = asked(server, name, face, Reply(200, JSON, body))
    assert outcome.kind is InvalidResponseError, repr(outcome)


@streamed_faces
@every_wire
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b"data: [DONE]\n\n", b"data: \n\n", b"event: ping\n\n", b"\n\n"]
)
def test_a_stream_that_is_no_answer(server: ReplayServer, name: str, face: str, body: bytes) -> None:
    outcome = asked(server, name, face, Reply(200, SSE, [body], stream=True))
    assert outcome.kind in (InvalidResponseError, StreamInterruptedError), repr(outcome)
    assert outcome.text == ""


@plain_faces
@every_wire
def test_a_body_that_is_cut(server: ReplayServer, name: str, face: str) -> None:
    def cut() -> Iterator[bytes]:
        yield json.dumps(SAID[name][1]).encode()[:-9]
        raise Drop

    outcome = asked(server, name, face, lambda _: Reply(200, JSON, cut()))
    assert outcome.kind is APIConnectionError, repr(outcome)


@every_face
@every_wire
def test_a_connection_that_is_dropped_at_once(server: ReplayServer, name: str, face: str) -> None:
    def drop(_: Any) -> Reply:
        raise Drop

    outcome = asked(server, name, face, drop)
    assert outcome.kind is APIConnectionError, repr(outcome)


@pytest.mark.parametrize("where", ["a closed port", "no such host"])
def test_nobody_is_there(where: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}" if where == "a closed port" else "http://nobody.invalid"
    for provider in WIRES:
        for face in FACES:
            with routed(Route(f"{provider}:m", base_url=url, api_key="k")) as router:
                outcome = ask(face, router)
            assert outcome.kind is APIConnectionError, (provider, face, outcome)


@every_face
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES.keys())
def test_the_next_route_is_asked(server: ReplayServer, wire: Wire, face: str) -> None:
    replies = iter([Reply(200, JSON, b"<html>"), None])

    def junk_first(received: Any) -> Reply:
        if (reply := next(replies)) is not None:
            return reply
        return (
            Reply(200, SSE, split_events(wire.stream), stream=True)
            if wire.streamed(received)
            else Reply(200, JSON, wire.plain)
        )

    server.serve(junk_first)
    made = [Route(f"{wire.provider}:m", base_url=server.url, api_key="k", name=name) for name in ("junk", "good")]
    with routed(*made) as router:
        outcome = ask(face, router)
    assert outcome.finish_reason == "stop", repr(outcome)
    assert outcome.response is not None
    assert outcome.response.route == "good"
