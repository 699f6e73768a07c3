"""Beginnings and ends of streams, on every wire through the real SDKs: what ends one, what breaks it, what harms nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from multiroute_core import ContextOverflowError, OverloadedError, Route, RouteError, StreamInterruptedError
from multiroute_core.messages import ToolCall
from multiroute_core.testing.server import ReplayServer, Reply
from tests.providers.faces import Outcome, ask, every_face, plain_faces, routed, streamed_faces
from tests.providers.test_junk import RESPONSES
from tests.providers.wires import WIRES

pytestmark = pytest.mark.wire

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


def data(event: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()


CREATED = data({"type": "response.created", "response": {"model": "m"}})
SAID = data({"type": "response.output_text.delta", "delta": "Hello"})
# By wire: its route's settings, a whole answer, the events of a stream that says it, the last of which ends it.
WAYS: dict[str, tuple[dict[str, Any], bytes, tuple[bytes, ...]]] = {
    "chat": ({}, WIRES["openai"].plain, (*WIRES["openai"].opening, WIRES["openai"].chunks[0], WIRES["openai"].closing[0])),
    "responses": (
        {"api": "responses"},
        json.dumps(RESPONSES).encode(),
        (CREATED, SAID, data({"type": "response.completed", "response": RESPONSES})),
    ),
    "anthropic": (
        {},
        WIRES["anthropic"].plain,
        (*WIRES["anthropic"].opening, WIRES["anthropic"].chunks[0], *WIRES["anthropic"].closing),
    ),
    "google": ({}, WIRES["google"].plain, (WIRES["google"].chunks[0], *WIRES["google"].closing)),
}  # fmt: skip
every_way = pytest.mark.parametrize("way", WAYS)
DONE = b"data: [DONE]\n\n"


def route(server: ReplayServer, way: str) -> Route:
    provider = {"chat": "openai", "responses": "openai"}.get(way, way)
    return Route(f"{provider}:m", base_url=server.url, api_key="k", **WAYS[way][0])


def asked(server: ReplayServer, way: str, face: str, reply: Reply, **options: Any) -> Outcome:
    server.requests.clear()
    server.serve(lambda _: reply)
    with routed(route(server, way)) as router:
        return ask(face, router, **options)


def streamed(*pieces: bytes, **headers: str) -> Reply:
    return Reply(200, {**SSE, **headers}, list(pieces), stream=True)


def harmless(way: str) -> dict[str, list[bytes]]:
    """Streams that say "Hello" and end as they should, with something about them."""
    first, *rest = WAYS[way][2]
    events = [first, *rest]
    whole = b"".join(events)
    return {
        "as it should be": events,
        "BOM": [b"\xef\xbb\xbf", *events],
        "BOM, cut": [b"\xef", b"\xbb", b"\xbf" + first, *rest],
        "comments": [b": ping\n\n", first, b":\n\n", *rest, b": bye\n\n"],
        "retry": [b"retry: 3000\n\n", first, b"retry: 1\n\n", *rest],
        "id": [b"id: 1\n\n", first, b"id\n\n", *rest],
        "empty data": [b"data:\n\n", first, b"data: \n\n", b"data\n\n", *rest],
        "a name alone": [b"event: ping\n\n", first, *rest],
        "CR": [whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r")],
        "CRLF, cut between": [p for e in events for p in (e.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),) for p in (p[:-3], p[-3:])],
        "byte by byte": [whole[at : at + 1] for at in range(len(whole))],
        "no blank line at the end": [*events[:-1], events[-1].rstrip()],
        "end marker": [*events, DONE],
        "junk after the end": [*events, b"data: {\n\n", b"data: junk\n\n", data("junk"), data([]), data({"choices": 3}), DONE],
        "junk without fields after the end": [*events, b"<html>\n", b'{"a": \n\n'],
    }  # fmt: skip


@streamed_faces
@every_way
@pytest.mark.parametrize("name", harmless("chat"))
def test_what_harms_no_stream(server: ReplayServer, way: str, face: str, name: str) -> None:
    outcome = asked(server, way, face, streamed(*harmless(way)[name]))
    assert (outcome.text, outcome.finish_reason, outcome.error) == ("Hello", "stop", None)


@streamed_faces
@every_way
@pytest.mark.parametrize("kept", [0, -1])
def test_a_stream_that_just_ends_is_broken(server: ReplayServer, way: str, face: str, kept: int) -> None:
    events = WAYS[way][2][: -1 if way != "anthropic" else -2][:kept] if kept == 0 else WAYS[way][2][:-1]
    outcome = asked(server, way, face, streamed(b": ping\n\n", *events))
    assert outcome.kind is StreamInterruptedError, repr(outcome)


@streamed_faces
@pytest.mark.parametrize("way", ["responses", "anthropic", "google"])
def test_an_end_marker_ends_no_wire_with_an_end_of_its_own(server: ReplayServer, way: str, face: str) -> None:
    outcome = asked(server, way, face, streamed(*WAYS[way][2][:-1], DONE))
    assert outcome.kind is StreamInterruptedError, repr(outcome)


@streamed_faces
@every_way
def test_a_compressed_stream(server: ReplayServer, way: str, face: str) -> None:
    body = gzip.compress(b": ping\n\n" + b"".join(WAYS[way][2]))
    reply = streamed(body[:20], body[20:], **{"content-encoding": "gzip"})
    assert asked(server, way, face, reply).told[:2] == ("Hello", "stop")


@pytest.mark.parametrize("native", [False, True])
@every_way
def test_the_connection_is_used_again(server: ReplayServer, way: str, native: bool) -> None:
    """The body is read to its very end, whatever comes after the answer's."""
    junk = () if way == "google" else (b"data: junk\n\n",)  # google-genai raises at an error, and hangs up
    server.serve(lambda _: streamed(*WAYS[way][2], DONE, *junk, b": bye\n\n"))
    before = server.connections

    async def natively() -> list[str]:
        return ["".join([chunk.text async for chunk in router.astream("Hello")]) for _ in range(3)]

    with routed(route(server, way)) as router:
        if native:
            texts = asyncio.run(natively())
        else:
            texts = ["".join(chunk.text for chunk in router.stream("Hello")) for _ in range(3)]
    assert texts == ["Hello"] * 3
    assert server.connections == before + 1


def chat(delta: Any = None, **choice: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, **choice}]}


CALL = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
COUNTED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
BEGUN = [chat({"role": "assistant", "content": ""}), chat({"content": "Hello"})]
ENDS: dict[str, tuple[list[Any], tuple[Any, ...]]] = {
    "no finish reason": (BEGUN, ("Hello", "stop", None)),
    "an empty one": ([chat({"content": "Hello"}, finish_reason="")], ("Hello", "stop", None)),
    "usage": ([*BEGUN, {"choices": [], "usage": COUNTED}], ("Hello", "stop", 8)),
    "usage without choices": ([*BEGUN, {"usage": COUNTED}], ("Hello", "stop", 8)),
    "usage, choices null": ([*BEGUN, {"choices": None, "usage": COUNTED}], ("Hello", "stop", 8)),
    "usage, delta null": ([*BEGUN, {**chat(None), "usage": COUNTED}], ("Hello", "stop", 8)),
    "usage after the finish": (
        [*BEGUN, chat(None, finish_reason="stop"), {"choices": None, "usage": COUNTED}],
        ("Hello", "stop", 8),
    ),
    "a reason": ([*BEGUN, chat(None, finish_reason="length")], ("Hello", "length", None)),
    "a call": ([chat(CALL)], ("", "tool_call", None)),
    "text and a call": ([*BEGUN, chat(CALL)], ("Hello", "tool_call", None)),
    "a refusal": ([chat({"refusal": "No."})], ("No.", "refusal", None)),
    "thoughts": ([chat({"reasoning_content": "Hm."}), *BEGUN], ("Hello", "stop", None)),
}


@streamed_faces
@pytest.mark.parametrize("name", ENDS)
def test_the_end_marker_of_chat_completions(server: ReplayServer, face: str, name: str) -> None:
    events, (text, finish, total) = ENDS[name]
    outcome = asked(server, "chat", face, streamed(*map(data, events), DONE))
    assert (outcome.text, outcome.finish_reason, outcome.error) == (text, finish, None)
    assert (outcome.usage and outcome.usage.total_tokens) == total
    assert outcome.response is not None
    assert bool(outcome.response.tool_calls) is (finish == "tool_call")


@streamed_faces
def test_usage_after_the_end_marker(server: ReplayServer, face: str) -> None:
    outcome = asked(server, "chat", face, streamed(*map(data, BEGUN), DONE, data({"choices": [], "usage": COUNTED})))
    assert (outcome.finish_reason, outcome.usage and outcome.usage.total_tokens) == ("stop", 8)


@streamed_faces
@pytest.mark.parametrize(
    "events", [[], BEGUN[:1], [{"choices": []}], [{"choices": [], "usage": COUNTED}], [chat(None)]]
)
def test_an_end_marker_of_nothing(server: ReplayServer, face: str, events: list[Any]) -> None:
    assert asked(server, "chat", face, streamed(*map(data, events), DONE)).kind is StreamInterruptedError


@streamed_faces
@pytest.mark.parametrize("before", [[], BEGUN])
@pytest.mark.parametrize("error", [{"object": "error", "message": "EngineCore died", "code": 500}, {"detail": "Oh"}])
def test_an_end_marker_after_an_error_ends_nothing(server: ReplayServer, face: str, before: Any, error: Any) -> None:
    outcome = asked(server, "chat", face, streamed(*map(data, [*before, error]), DONE))
    assert isinstance(outcome.error, RouteError)
    assert "ended early" not in outcome.error.message


@plain_faces
@pytest.mark.parametrize("reason", [{}, {"finish_reason": None}, {"finish_reason": ""}])
@pytest.mark.parametrize(("message", "finish"), [({"content": "Hello"}, "stop"), (CALL, "tool_call")])
def test_a_whole_answer_without_a_reason(
    server: ReplayServer, face: str, reason: Any, message: Any, finish: str
) -> None:
    body = {"model": "m", "choices": [{"index": 0, "message": message, **reason}]}
    outcome = asked(server, "chat", face, Reply(200, JSON, json.dumps(body).encode()))
    assert (outcome.text, outcome.finish_reason) == (message.get("content", ""), finish)


OVERFLOW = {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"}
ERRORS: dict[str, tuple[list[bytes], type[RouteError]]] = {
    "llama.cpp": ([b"error: %b\n\n" % json.dumps({"code": 400, **OVERFLOW}).encode()], ContextOverflowError),
    "llama.cpp, no status": ([b"error:%b\n\n" % json.dumps(OVERFLOW).encode()], ContextOverflowError),
    "event: error": ([b"event: error\n" + data({"error": OVERFLOW})], ContextOverflowError),
    "event: error, no envelope": ([b"event: error\n" + data(OVERFLOW)], ContextOverflowError),
    "event: error, a string": ([b"event: error\n" + data(OVERFLOW["message"])], ContextOverflowError),
    "event: error, an error string": (
        [b"event: error\n" + data({"error": "The model is overloaded"})],
        OverloadedError,
    ),
    "event: error, bare text": ([b"event: error\ndata: The model is overloaded\n\n"], OverloadedError),
    "event: error, a list": ([b"event: error\n" + data([{"error": OVERFLOW}])], ContextOverflowError),
    "event: error, no blank line": ([b"event: error\ndata: overloaded"], OverloadedError),
    "data: bare text": ([b"data: error: upstream overloaded\n\n"], OverloadedError),
    "data: a string": ([data("error: upstream overloaded")], OverloadedError),
    "data: an error": ([data({"error": {"message": "overloaded"}})], OverloadedError),
    "data: an error with a code": ([data({"error": {"message": "x", "code": 503}})], OverloadedError),
    "data: a list": ([data([{"error": {"message": "overloaded"}}])], OverloadedError),
    "bare JSON": ([b'\n{"error": {"message": "overloaded"}}\n\n'], OverloadedError),
    "bare JSON, several lines": ([json.dumps({"error": OVERFLOW}, indent=2).encode()], ContextOverflowError),
}


@streamed_faces
@every_way
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_first(server: ReplayServer, way: str, face: str, name: str) -> None:
    pieces, kind = ERRORS[name]
    outcome = asked(server, way, face, streamed(b": ping\n\n", *pieces, DONE))
    assert outcome.kind is kind, repr(outcome)


@streamed_faces
@every_way
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_after_some_text(server: ReplayServer, way: str, face: str, name: str) -> None:
    pieces, _ = ERRORS[name]
    begin = WAYS[way][2][: {"chat": 2, "responses": 2, "anthropic": 3, "google": 1}[way]]
    outcome = asked(server, way, face, streamed(*begin, *pieces, DONE))
    assert outcome.kind is StreamInterruptedError, repr(outcome)
    assert outcome.text == "Hello"
    assert "ended early" not in str(outcome.error)  # what it reports is told, not what it lacks


@streamed_faces
@every_way
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n \n"])
@pytest.mark.parametrize("headers", [JSON, SSE, {}])
def test_a_whole_answer_in_place_of_a_stream(
    server: ReplayServer, way: str, face: str, before: bytes, headers: dict[str, str]
) -> None:
    body = before + WAYS[way][1]
    reply = Reply(200, headers, [body[:9], body[9:]], stream=True)
    outcome = asked(server, way, face, reply)
    assert (outcome.text, outcome.finish_reason, outcome.error) == ("Hello", "stop", None)


CALLS: dict[str, Any] = {
    "chat": {"choices": [{"message": CALL, "finish_reason": "tool_calls"}]},
    "responses": {**RESPONSES, "output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
    "anthropic": {
        "type": "message",
        "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}],
        "stop_reason": "tool_use",
    },
    "google": {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}, "finishReason": "STOP"}]},
}  # fmt: skip


@streamed_faces
@every_way
def test_a_whole_answer_with_a_call_in_place_of_a_stream(server: ReplayServer, way: str, face: str) -> None:
    outcome = asked(server, way, face, Reply(200, JSON, json.dumps(CALLS[way]).encode()))
    assert outcome.error is None
    assert outcome.response is not None
    (call,) = outcome.response.tool_calls
    assert isinstance(call, ToolCall)
    assert (call.name, dict(call.arguments), outcome.finish_reason) == ("f", {}, "tool_call")


@streamed_faces
@every_way
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("headers", [JSON, SSE])
def test_an_error_in_place_of_a_stream(
    server: ReplayServer, way: str, face: str, listed: bool, headers: dict[str, str]
) -> None:
    error = {"type": "error", "error": {"message": "The model is overloaded", "type": "x"}}
    body = json.dumps([error] if listed else error, indent=1).encode()
    outcome = asked(server, way, face, Reply(200, headers, body))
    assert outcome.kind is OverloadedError, repr(outcome)


@streamed_faces
@every_way
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>", "an HTML page"),
        (b"\n<html>Please log in</html>", "Please log in"),
        (b"no healthy upstream", "no healthy upstream"),
    ],
)
def test_a_page_in_place_of_a_stream(server: ReplayServer, way: str, face: str, body: bytes, words: str) -> None:
    outcome = asked(server, way, face, Reply(200, {"content-type": "text/html"}, body))
    assert isinstance(outcome.error, RouteError)
    assert words in outcome.error.message


@streamed_faces
def test_a_list_is_a_stream_of_gemini_too(server: ReplayServer, face: str) -> None:
    events = [json.loads(event[6:]) for event in WAYS["google"][2]]
    outcome = asked(server, "google", face, Reply(200, JSON, json.dumps(events, indent=1).encode()))
    assert outcome.told[:2] == ("Hello", "stop")


@every_face
@every_way
def test_a_bom_before_a_body(server: ReplayServer, way: str, face: str) -> None:
    body = b"\xef\xbb\xbf" + WAYS[way][1]
    assert asked(server, way, face, Reply(200, JSON, body)).told[:2] == ("Hello", "stop")
