"""The size of a reply, its nesting, and where it redirects to: bounded for every vendor, SDK and face."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from typing import Any

import pytest

from multiroute_core import (
    ConfigurationError,
    NotFoundError,
    Route,
    RouteError,
    Router,
    StreamInterruptedError,
)
from multiroute_core._util.json_text import MAX_DEPTH
from multiroute_core.messages import InvalidToolCall
from tests.hostile.mutations import write_body, write_events
from tests.hostile.wire_server import WireServer
from tests.providers.faces import FACES, STREAMED, ask

pytestmark = pytest.mark.wire

MODELS = {
    "chat": "openai:gpt-4o-mini",
    "responses": "openai:gpt-4o-mini",
    "anthropic": "anthropic:claude-haiku-4-5",
    "google": "google:gemini-2.5-flash",
    "google-legacy": "google:gemini-2.5-flash",
}
KEY = "KEYMARK-77c0d1"
PROMPT = "PROMPTMARK-91ab"
every_wire = pytest.mark.parametrize("wire", MODELS)
httpx_wires = pytest.mark.parametrize("wire", [wire for wire in MODELS if wire != "google-legacy"])
every_face = pytest.mark.parametrize("face", FACES)


def first_route(server: WireServer, wire: str) -> Route:
    base_url = f"{server.url}/v1" if wire in ("chat", "responses") else server.url
    more: dict[str, Any] = {"api": wire} if wire in ("chat", "responses") else {}
    if wire == "google-legacy":
        pytest.importorskip("google.generativeai", reason="the legacy SDK is not installed")
        more["sdk"] = "google-generativeai"
    return Route(MODELS[wire], base_url=base_url, api_key=KEY, name="first", **more)


def routed(server: WireServer, wire: str, *, alone: bool = False, **settings: Any) -> Router:
    second = Route("openai:gpt-4o-mini", base_url=server.good, api_key=KEY, api="chat", name="second")
    routes = [first_route(server, wire)] if alone else [first_route(server, wire), second]
    return Router(routes, deadline=20, max_retries=0, **settings)


def reply(body: bytes, kind: str = "application/json", status: int = 200, **headers: str) -> bytes:
    lines = {"content-type": kind, "connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


def sse(events: list[Any]) -> bytes:
    lines = [
        *(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events),
    ]
    return "".join(lines).encode()


def large(wire: str, face: str, size: int) -> tuple[bytes, str]:
    """A body of some `size` bytes, and its type."""
    wire = wire.removesuffix("-legacy")
    if face in STREAMED:
        return b": ping\n\n" * (size // 8) + sse(write_events(wire, tool=False)), "text/event-stream"
    body = write_body(wire, tool=False)
    return json.dumps({"padding": "x" * size, **body}).encode(), "application/json"


@every_face
@every_wire
def test_a_reply_that_is_too_large_is_a_typed_error_and_the_next_route_is_asked(server, wire, face):
    body, kind = large(wire, face, 300_000)
    server.reply(reply(body, kind))
    with routed(server, wire, max_response_bytes=100_000) as router:
        outcome = ask(face, router)
    assert outcome.text == "good"
    failed = outcome.response.attempts[0]
    assert (failed.outcome, "max_response_bytes=100000" in str(failed.error)) == ("bad_reply", True)


@every_face
@every_wire
def test_a_reply_below_the_bound_is_an_answer(server, wire, face):
    body, kind = large(wire, face, 60_000)
    server.reply(reply(body, kind, content_length=str(len(body))))
    with routed(server, wire, max_response_bytes=100_000, alone=True) as router:
        assert ask(face, router).text.endswith("Hello")


@every_face
@httpx_wires
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_decompression_bomb_is_stopped_at_the_bound(server, wire, face, encoding):
    import zlib

    body, kind = large(wire, face, 5_000_000)
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    assert len(packed) < 100_000
    server.reply(reply(packed, kind, content_encoding=encoding, content_length=str(len(packed))))
    with routed(server, wire, max_response_bytes=100_000) as router:
        outcome = ask(face, router)
    assert outcome.text == "good"
    assert "max_response_bytes" in str(outcome.response.attempts[0].error)


@every_face
@httpx_wires
def test_what_is_compressed_and_small_is_an_answer(server, wire, face):
    body, kind = large(wire, face, 1_000)
    server.reply(reply(gzip.compress(body), kind, content_encoding="gzip"))
    with routed(server, wire, alone=True) as router:
        assert ask(face, router).text.endswith("Hello")


@every_face
@httpx_wires
@pytest.mark.parametrize("encoding", ["gzip, gzip"])
def test_a_body_that_is_compressed_twice_is_refused(server, wire, face, encoding):
    body, kind = large(wire, face, 1_000)
    server.reply(reply(gzip.compress(gzip.compress(body)), kind, content_encoding=encoding))
    with routed(server, wire) as router:
        outcome = ask(face, router)
    assert (outcome.text, outcome.response.attempts[0].outcome) == ("good", "bad_reply")


@every_face
@every_wire
def test_the_body_of_an_error_has_the_same_bound(server, wire, face):
    body = json.dumps({"error": {"message": "x" * 300_000}}).encode()
    server.reply(reply(body, status=500))
    with routed(server, wire, max_response_bytes=100_000) as router:
        assert ask(face, router).text == "good"


@every_face
@httpx_wires
def test_a_line_without_an_end_is_stopped(server, wire, face):
    beginning = b"data: {" if face in STREAMED else b'{"x": "'
    kind = "text/event-stream" if face in STREAMED else "application/json"
    server.reply(reply(beginning, kind), *[b'"a' * 20_000] * 10)
    with routed(server, wire, max_response_bytes=100_000) as router:
        outcome = ask(face, router)
    assert (outcome.text, outcome.response.attempts[0].outcome) == ("good", "bad_reply")


def test_the_bound_is_64_mebibytes_and_none_is_without_limit(server):
    with routed(server, "chat") as router:
        assert router.limits.response_bytes == 64 * 2**20
    body, kind = large("chat", "generate", 200_000)
    server.reply(reply(body, kind))
    with routed(server, "chat", max_response_bytes=None, alone=True) as router:
        assert router.generate("Hello").text == "Hello"


@pytest.mark.parametrize("value", [0, -1, 1.5, "64", True])
def test_a_bound_that_is_no_size_is_refused(value):
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        Router([Route("openai:x", api_key="k")], max_response_bytes=value)


@every_face
@every_wire
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_to_another_origin_is_not_followed(server, wire, face, status):
    server.reply(reply(b"", status=status, location=f"http://localhost:{server.good_port}/v1/chat/completions"))
    server.requests()
    with routed(server, wire, alone=True) as router:
        outcome = ask(face, router, PROMPT)
    assert isinstance(outcome.error, NotFoundError)
    assert f"localhost:{server.good_port}" in outcome.error.message
    assert "base_url" in outcome.error.message
    assert [port for port, _ in server.requests()] == [server.port]


@every_face
@httpx_wires
@pytest.mark.parametrize("location", ["https://127.0.0.1:{port}/v1", "//127.0.0.1:{good}/x", "http://user:pw@other/x"])
def test_other_origins_of_any_form_get_nothing(server, wire, face, location):
    address = location.format(port=server.port, good=server.good_port)
    server.reply(reply(b"", status=307, location=address))
    server.requests()
    with routed(server, wire) as router:
        outcome = ask(face, router, PROMPT)
    assert outcome.text == "good"
    error = outcome.response.attempts[0].error
    assert error
    assert "pw@" not in error
    assert [port for port, _ in server.requests()] == [server.port, server.good_port]


@every_face
@httpx_wires
def test_a_redirect_within_the_origin_is_followed(server, wire, face):
    body, kind = large(wire, face, 10)
    with WireServer() as own:
        own.reply(reply(b"", status=307, location=f"{own.url}/elsewhere"))
        with routed(own, wire, alone=True) as router:
            outcome = ask(face, router, PROMPT)
        seen = own.requests()
    assert len(seen) > 2  # it goes round until the client has had enough
    assert all(PROMPT.encode() in request for _, request in seen)
    assert outcome.error is not None
    assert body
    assert kind


def with_arguments(wire: str, face: str, arguments: str) -> tuple[bytes, str]:
    """A reply with a call of a tool, whose arguments are this text."""
    if face in STREAMED:
        if wire == "google":  # it has no text for them, but an object
            text = sse(write_events(wire, tool=True)).decode()
            return text.replace('{"city": "Paris"}', arguments).encode(), "text/event-stream"
        middle = len(arguments) // 2
        events = write_events(wire, tool=True, arguments=(arguments[:middle], arguments[middle:]))
        return sse(events), "text/event-stream"
    text = json.dumps(write_body(wire, tool=True))
    text = text.replace('{\\"city\\": \\"Paris\\"}', json.dumps(arguments)[1:-1]).replace(
        '{"city": "Paris"}', arguments
    )
    return text.encode(), "application/json"


@pytest.fixture
def no_finalizers():
    """No garbage of earlier tests is collected where the recursion limit is near: its finalizers would fail there."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_finalizers")
@every_face
@httpx_wires
@pytest.mark.parametrize(("form", "depth"), [("list", MAX_DEPTH + 10), ("object", 900), ("list", 20_000)])
def test_brackets_in_the_arguments_of_a_tool_end_as_an_invalid_call_or_the_next_route(server, wire, face, depth, form):
    nested = "[" * depth + "]" * depth if form == "list" else '{"a":' * depth + "1" + "}" * depth
    body, kind = with_arguments(wire, face, f'{{"a": {nested}}}')
    server.reply(reply(body, kind))
    with routed(server, wire) as router:
        outcome = ask(face, router)
        places = router.health()["first"].in_flight
    assert places == 0
    if wire == "google" and face in STREAMED:  # its arguments come as an object, after a text that was given already
        assert isinstance(outcome.error, StreamInterruptedError)
        return
    assert outcome.error is None, outcome.error
    invalid = [part for part in outcome.response.parts if isinstance(part, InvalidToolCall)]
    assert outcome.response.route == "second" or "nested deeper" in invalid[0].error
    assert outcome.response.tool_calls == ()


@every_face
@httpx_wires
@pytest.mark.parametrize("depth", [20, MAX_DEPTH - 20])
def test_arguments_that_are_nested_as_deep_as_any_real_ones_are_a_call(server, wire, face, depth):
    body, kind = with_arguments(wire, face, f'{{"a": {"[" * depth + "]" * depth}}}')
    server.reply(reply(body, kind))
    with routed(server, wire, alone=True) as router:
        outcome = ask(face, router)
    assert outcome.error is None, outcome.error
    assert [call.name for call in outcome.response.tool_calls] == ["get_weather"]


@pytest.mark.usefixtures("no_finalizers")
@every_face
@httpx_wires
@pytest.mark.parametrize(("status", "depth"), [(200, 950), (400, 300), (500, 5_000)])
def test_a_deep_error_body_is_a_typed_error(server, wire, face, status, depth):
    details = "[" * depth + "]" * depth
    body = f'{{"error": {{"message": "odd", "type": "api_error", "code": 500, "details": {details}}}}}'
    server.reply(reply(body.encode(), status=status))
    with routed(server, wire, alone=True) as router:
        outcome = ask(face, router)
    assert isinstance(outcome.error, RouteError)
    json.dumps(outcome.error.body)


@pytest.mark.slow
def test_the_guard_is_in_the_clients_of_running_loops_too(server):
    async def main() -> tuple[str, str]:
        async with routed(server, "chat", max_response_bytes=50_000) as router:
            body, kind = large("chat", "astream", 200_000)
            server.reply(reply(body, kind))
            first = [chunk async for chunk in router.astream("Hello")][-1].response
            second = await router.agenerate("Hello")
            return first.text, second.text

    assert asyncio.run(main()) == ("good", "good")
