"""Forms of failures under HTTP 200, and of beginnings and ends of streams, as servers were reported to send them.

Each row is a form: the API, the reply, and what is made of it. A failure has the class that fits, a harmless form is an
answer. The numbers of the reports are in the comments; all were read on 2026-11-30.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from multiroute_core import Route, RouteError, StreamInterruptedError
from multiroute_core.testing.server import ReplayServer, Reply
from tests.providers.faces import Outcome, ask, routed

pytestmark = pytest.mark.wire

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"


def whole(body: Any) -> Reply:
    return Reply(200, JSON, body if isinstance(body, bytes) else json.dumps(body).encode())


def data(event: Any) -> bytes:
    kind = event.get("type") if isinstance(event, dict) else None
    name = f"event: {kind}\n".encode() if isinstance(kind, str) and kind.islower() and " " not in kind else b""
    return name + b"data: %b\n\n" % json.dumps(event).encode()


def streamed(*events: Any) -> Reply:
    return Reply(200, SSE, [event if isinstance(event, bytes) else data(event) for event in events], stream=True)


def chat(message: Any = None, finish: Any = "stop", **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **(message or {})}
    return {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": message, **choice}],
    }


def piece(delta: Any = None, finish: Any = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def call(name: Any = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {
        "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}]
    }


def response(status: str = "completed", *output: Any, **more: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "model": "m", "status": status, "output": list(output), **more}


def message(*content: Any, stop: Any = "end_turn") -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    about = {"id": "x", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    return {**about, "content": list(content), "stop_reason": stop}


def gemini(text: str = "", finish: Any = None) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}] if text else []}
    return {"candidates": [{"content": content, "index": 0, **({"finishReason": finish} if finish else {})}]}


HI, END = piece({"content": "Hi"}), piece(finish="stop")
ITEM = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
SAID = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}
COMPLETED = {"type": "response.completed", "response": response("completed", ITEM)}
CREATED = {"type": "response.created", "response": response("in_progress")}
START = {"type": "message_start", "message": message(stop=None)}
TOOL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
STOP = {"type": "message_stop"}


def block(content: Any, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def grown(index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def ends(reason: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 2}}


TEXT = [
    block({"type": "text", "text": ""}),
    grown(type="text_delta", text="Hi"),
    {"type": "content_block_stop", "index": 0},
]
WIRES: dict[str, tuple[str, dict[str, Any], list[Any]]] = {
    "chat": ("openai", {"api": "chat"}, [HI]),
    "responses": ("openai", {"api": "responses"}, [CREATED, SAID]),
    "anthropic": ("anthropic", {}, [START, *TEXT[:2]]),
    "google": ("google", {}, [gemini("Hi")]),
}
FACES = ("generate", "agenerate", "stream", "astream")


def asked(server: ReplayServer, wire: str, face: str, reply: Reply) -> Outcome:
    server.serve(lambda _: reply)
    provider, settings, _ = WIRES[wire]
    with routed(Route(f"{provider}:m", base_url=server.url, api_key="k", **settings)) as router:
        return ask(face, router)


def code(outcome: Outcome) -> Any:
    return getattr(outcome.error, "code", outcome.error)


# Bodies that report an error, whatever the API, and the class of each; None where nothing in it tells more.
BODIES: dict[str, tuple[Any, str | None]] = {
    "code and msg": ({"code": 429, "msg": "slow down"}, "rate_limit"),
    "success is false": ({"success": False}, None),
    "success is false, with a message": ({"success": False, "message": "model is overloaded"}, "overloaded"),
    # cloudflare/cloudflare-docs#15116 (2024-06-16)
    "Cloudflare": ({"result": None, "success": False, "errors": [{"code": 7009, "message": "Upstream service unavailable"}]}, "overloaded"),
    "errors as strings": ({"errors": ["Too many requests"]}, "rate_limit"),
    "AWS": ({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "rate_limit"),
    "AWS, an event": ({"throttlingException": {"message": "Too many tokens"}}, "rate_limit"),
    "Apigee": ({"fault": {"faultstring": "Rate limit quota violation. Quota limit exceeded.", "detail": {"errorcode": "x"}}}, "rate_limit"),
    "error as a number": ({"error": 429}, "rate_limit"),
    "error as a list": ({"error": [{"message": "The model is overloaded"}]}, "overloaded"),
    "error as JSON in a string": ({"error": json.dumps({"error": {"message": "slow", "code": 429}})}, "rate_limit"),
    "code as a string": ({"error": {"message": "slow", "code": "429"}}, "rate_limit"),
    # vllm-project/vllm#38190 (2026-03-26)
    "vLLM, with a type": ({"object": "error", "message": "EngineCore died", "type": "InternalServerError", "code": 500}, "server_error"),
    "a type of error": ({"type": "upstream_error", "message": "bad gateway", "code": 502}, "server_error"),
    # NousResearch/hermes-agent#65643 (2026-07-16)
    "error_type": ({"choices": None, "error_type": "rate_limit_exceeded", "error_message": "Slow down"}, "rate_limit"),
    "MiniMax, too fast": ({"base_resp": {"status_code": 1002, "status_msg": "too fast"}, "choices": None}, "rate_limit"),
    "MiniMax, sensitive": ({"base_resp": {"status_code": 1026, "status_msg": "input"}}, "content_filter"),
    "a problem document": ({"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "slow"}, "rate_limit"),
    "status is error": ({"status": "error", "message": "Service unavailable"}, "overloaded"),
    "in data": ({"data": {"error": {"message": "overloaded", "code": 503}}}, "overloaded"),
    "iFlytek": ({"header": {"code": 11202, "message": "rate limit"}}, "rate_limit"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
def test_a_body_that_reports_an_error(server: ReplayServer, wire: str) -> None:
    """As the first thing in one of four forms, and after words in one of two; each wire begins with another."""
    begun = WIRES[wire][2]
    for place, (name, (body, kind)) in enumerate(BODIES.items(), [*WIRES].index(wire)):
        line = json.dumps(body).encode()
        native = place // 4 % 2
        first = [("generate", whole(body)), ("stream", streamed(body)), ("stream", streamed(b": x\n\n", line + b"\n\n")), ("stream", whole(body))]  # fmt: skip
        face, reply = first[place % 4]
        outcome = asked(server, wire, "a" * native + face, reply)
        assert isinstance(outcome.error, RouteError), (name, outcome)
        assert code(outcome) == (kind or code(outcome)) != "bad_request", (name, outcome.error)
        assert "ended early" not in outcome.error.message, name
        reply = streamed(*begun, body if place % 2 else line + b"\n")
        outcome = asked(server, wire, "a" * native + "stream", reply)
        assert (outcome.kind, outcome.text) == (StreamInterruptedError, "Hi"), (name, outcome)
        assert "ended early" not in str(outcome.error), name


STREAMS: dict[str, list[Any]] = {
    "chat": [HI, END, DONE],
    "responses": [CREATED, SAID, COMPLETED],
    "anthropic": [START, *TEXT, ends("end_turn"), STOP],
    "google": [gemini("Hi"), gemini("", "STOP")],
}
# Errors beside an answer without content, and their classes.
BESIDE: dict[str, tuple[dict[str, Any], str]] = {
    "error": ({"error": {"code": 429, "message": "slow"}}, "rate_limit"), "error as a string": ({"error": "The model is overloaded"}, "overloaded"),
    "base_resp": ({"base_resp": {"status_code": 1002, "status_msg": "too fast"}}, "rate_limit"), "code and msg": ({"code": 429, "msg": "slow"}, "rate_limit"),
    "success is false": ({"success": False, "message": "The model is overloaded"}, "overloaded"), "errors": ({"errors": [{"message": "Too many requests"}]}, "rate_limit"),
    "error_code": ({"error_code": 429, "error_msg": "slow"}, "rate_limit"), "object": ({"object": "error", "message": "overloaded", "code": 503}, "overloaded"),
}  # fmt: skip


def empty(wire: str, more: dict[str, Any]) -> tuple[Reply, Reply]:
    """An answer without content, whole and streamed, with further members."""
    match wire:
        case "chat":
            body, events = chat({"content": ""}), [piece({"role": "assistant", "content": ""}), {**END, **more}, DONE]
        case "responses":
            body = response()
            events = [CREATED, {"type": "response.completed", "response": {**body, **more}}]
        case "anthropic":
            body, events = message(), [START, {**ends("end_turn"), **more}, STOP]
        case _:
            body = gemini("", "STOP")
            events = [{**body, **more}]
    return whole({**body, **more}), streamed(*events)


@pytest.mark.parametrize("wire", STREAMS)
def test_an_empty_answer_beside_an_error_is_a_failure(server: ReplayServer, wire: str) -> None:
    for place, (name, (more, kind)) in enumerate(BESIDE.items()):
        for face, reply in zip(("generate", "stream"), empty(wire, more), strict=True):
            outcome = asked(server, wire, "a" * (place % 2) + face, reply)
            assert code(outcome) == kind, (name, face, outcome)
    for more in ({}, {"error": None}, {"code": 0, "msg": "ok"}, {"base_resp": {"status_code": 0}}, {"errors": []}):
        for face, reply in zip(("generate", "stream"), empty(wire, more), strict=True):
            outcome = asked(server, wire, face, reply)
            assert (outcome.finish_reason, outcome.error) == ("stop", None), (more, face)


# What each form is read as: the code of the error, or the finish reason and the text.
Forms = dict[str, tuple[str, Reply, Any]]
HELLO = ("stop", "Hi")
FAILED: Forms = {
    **{  # vllm-project/vllm#53255 (2026-08-21), lidge-jun/opencodex#1531 (2026-08-12)
        f"a call is missing: {name}": ("chat", whole(chat(fields, "tool_calls")), "bad_reply")
        for name, fields in {"none": {}, "[]": {"tool_calls": []}, "no name": call(""), "thoughts": {"reasoning_content": "Hm"}}.items()
    },
    "a call is missing, streamed": ("chat", streamed(piece({"content": ""}), piece(finish="tool_calls"), DONE), "bad_reply"),
    "a call without a name, streamed": ("chat", streamed(piece(call("")), END), "bad_reply"),
    "nothing, for no reason": ("chat", whole(chat(finish=None)), "bad_reply"),
    "the message is an error": ("chat", whole(chat({"error": {"code": 429, "message": "slow"}})), "rate_limit"),
    "the delta is an error": ("chat", streamed(piece({"error": {"code": 429, "message": "slow"}}, "stop"), DONE), "rate_limit"),
    "Anthropic's delta has an error": ("anthropic", streamed(START, {"type": "message_delta", "delta": {"error": {"type": "rate_limit_error", "message": "x"}}}, STOP), "rate_limit"),
    "Anthropic's message has an error": ("anthropic", streamed({"type": "message_start", "message": {**message(stop=None), "error": {"type": "overloaded_error", "message": "x"}}}, STOP), "overloaded"),
    "an error beside Anthropic's content": ("anthropic", whole({**message({"type": "text", "text": "x"}), "error": {"type": "overloaded_error", "message": "x"}}), "overloaded"),
    "the choice's error is a string": ("chat", whole(chat({"content": "x"}, error="Rate limit exceeded")), "rate_limit"),
    "the choice's error is a list": ("chat", whole(chat({"content": "x"}, error=[{"message": "Overloaded"}])), "overloaded"),
    "base_resp beside a choice": ("chat", whole({**chat({"content": ""}), "base_resp": {"status_code": 1027, "status_msg": "x"}}), "content_filter"),
    **{
        f"ended by {reason}": ("chat", whole(chat({"content": "x"}, reason)), kind)
        for reason, kind in {
            "function_call_filter: MALFORMED_FUNCTION_CALL": "bad_reply", "insufficient_quota": "quota_exhausted",
            "rateLimitExceeded": "rate_limit", "throttled": "rate_limit", "preempted": "overloaded", "server_disconnected": "server_error",
        }.items()
    },
    # earendil-works/pi#9681 (2026-09-16)
    "Anthropic's call is missing": ("anthropic", whole(message(stop="tool_use")), "bad_reply"),
    "Anthropic's call is missing, streamed": ("anthropic", streamed(START, ends("tool_use"), STOP), "bad_reply"),
    "Anthropic says nothing, for no reason": ("anthropic", whole(message(stop=None)), "bad_reply"),
    "Gemini says nothing, for no reason": ("google", whole(gemini()), "bad_reply"),
    "Gemini's code is a string": ("google", streamed({"error": {"code": "429", "message": "slow"}}), "rate_limit"),
    # QuantumNous/new-api#3142 (2026-03-06)
    "response.error": ("responses", streamed(CREATED, {"type": "response.error", "message": "The server is overloaded"}), "overloaded"),
    "response.failed, the error outside": ("responses", streamed({"type": "response.failed", "error": {"code": "rate_limit_exceeded", "message": "x"}}), "rate_limit"),
    "response.failed, without details": ("responses", streamed({"type": "response.failed"}), "server_error"),
    "an error event with a status": ("responses", streamed({"type": "error", "status": 429, "error": {"type": "x", "message": "slow"}}), "rate_limit"),
    "incomplete for a failure": ("responses", whole(response("incomplete", ITEM, incomplete_details={"reason": "server_error"})), "server_error"),
    "expired": ("responses", whole(response("expired", ITEM)), "server_error"),
    **{
        f"{name} in a stream of {wire}": (wire, streamed(event), kind)
        for wire in STREAMS
        for name, event, kind in (
            ("a complaint", {"id": "x", "object": "response.status", "message": "Rate limit exceeded"}, "rate_limit"),
            ("a code", {"object": "chat.completion.chunk", "choices": [], "code": 503, "message": "x", "type": "x"}, "overloaded"),
            ("a code in words", {"code": "RateLimited", "message": "too many requests"}, "rate_limit"),
        )
    },
    # Wei-Shaw/sub2api#1471 (2026-04-05)
    "an error inside an unfinished event": ("responses", streamed(b'data: {"type":"response.created","resp\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow"}}\n\n'), "rate_limit"),
    "an error after an unfinished event": ("responses", streamed(b'data: {"type":"response.created","resp\n{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}\n\n'), "rate_limit"),
    "a stream of an error for a plain request": ("chat", Reply(200, SSE, data(HI) + data({"error": {"code": 429, "message": "slow"}})), "rate_limit"),
    "a cut stream for a plain request": ("chat", Reply(200, SSE, data(HI)), "bad_reply"),
    "text": ("chat", Reply(200, {}, b"Too Many Requests"), "rate_limit"),
    "a page": ("chat", Reply(200, {}, b"<html><title>Welcome</title></html>"), "bad_reply"),
}  # fmt: skip
EMPTY_ERRORS: dict[str, Any] = {
    "null": None, "empty": "", "{}": {}, "false": False, "nulls": {"code": None, "message": None}, "code 0": {"code": 0, "message": "success"}, "ok": "OK",
    "a list of nothing": [{}, None], "no type": {"code": None, "message": "", "type": "none"}, "no errors": "No errors.", "n/a": "N/A",
    "a sentence": {"code": 0, "message": "The request succeeded."}, "200": {"code": "200", "message": "OK."},
}  # fmt: skip
# Events of servers and gateways that report progress, or failures that they mended themselves.
NOTES: dict[str, Any] = {
    "a status": {"status": "processing", "message": "Loading the model"}, "a place in a queue": {"status": "queued", "message": "You are 3rd"},
    "a type": {"type": "status", "message": "Searching the web"}, "a retry": {"type": "retrying", "code": 1, "message": "An upstream failed"},
    "an object": {"object": "prompt.progress", "details": {"step": 1}}, "a code of 0": {"code": 0, "msg": "connected"},
    "a status of 200": {"status": 200, "message": "accepted"}, "success": {"success": True, "message": "connected"},
    "a warning": {"type": "warning", "code": "model_deprecated", "message": "Deprecated."}, "a search": {"type": "search", "detail": "3 results"},
}  # fmt: skip
ANSWERS: Forms = {
    **{f"{name}, in a stream of {wire}": (wire, streamed(note, *events), HELLO) for wire, events in STREAMS.items() for name, note in NOTES.items()},
    "a success in base_resp": ("chat", whole({**chat({"content": "Hi"}), "base_resp": {"status_code": 200, "status_msg": "OK"}}), HELLO),
    "a call that failed, with its error": ("responses", streamed(CREATED, {"type": "response.mcp_call.failed", "error": "x"}, SAID, COMPLETED), HELLO),
    "content as a string": ("anthropic", whole({**message(), "content": "Hi"}), HELLO),
    **{f"error is {name}": ("chat", whole({**chat({"content": "Hi"}), "error": value}), HELLO) for name, value in EMPTY_ERRORS.items()},
    **{f"error is {name}, streamed": ("google", streamed({**gemini("Hi"), "error": value}, {**gemini("", "STOP"), "error": value}), HELLO) for name, value in EMPTY_ERRORS.items()},
    **{f"error is {name}, in events": ("responses", streamed({**SAID, "error": value}, {**COMPLETED, "response": {**response("completed", ITEM), "error": value}}), HELLO) for name, value in EMPTY_ERRORS.items()},
    "code 0 in a chunk": ("chat", streamed({"code": 0, "message": "Success"}, HI, END, {"code": 0, "message": "Success", "choices": []}), HELLO),
    "a chunk with a message": ("chat", streamed({"object": "chat.completion.chunk", "choices": [], "message": "processing"}, HI, END), HELLO),
    "the model writes an error": ("chat", whole(chat({"content": '{"error": {"code": 500}}'})), ("stop", '{"error": {"code": 500}}')),
    "a progress event": ("responses", streamed({"type": "progress", "message": "Working"}, SAID, COMPLETED), HELLO),
    "a tool's failure": ("responses", streamed({"type": "response.mcp_call.failed", "message": "x"}, SAID, COMPLETED), HELLO),
    "an empty stop": ("chat", whole(chat({"content": ""})), ("stop", "")),
    "text and no call": ("chat", whole(chat({"content": "Hi"}, "tool_calls")), HELLO),
    "text and no call, streamed": ("chat", streamed(HI, piece(finish="tool_calls"), DONE), HELLO),
    "calls in another choice": ("chat", whole({"choices": [*chat({"content": "Hi"}, "tool_calls")["choices"], {"index": 1, "message": call()}]}), ("tool_call", "Hi")),
    **{
        f"ended by {reason}": ("chat", streamed(HI, piece(finish=reason), DONE), (finish, "Hi"))
        for reason, finish in {
            "content_filter: PROHIBITED_CONTENT": "content_filter", "content_policy_violation": "content_filter", "endTurn": "stop",
            "max_completion_tokens": "length", "context_length_exceeded": "length", "no_error": "other", "repetition_truncation": "other", "load": "other",
            "error_free": "other", "timeout_warning": "other", "insufficient_context": "other", "not_failed": "other", "undefined": "stop", "FINISH_REASON_STOP": "stop",
        }.items()
    },
    "a second reason": ("chat", streamed(HI, piece(finish="length"), END, DONE), ("length", "Hi")),
    "an error after the end": ("chat", streamed(HI, END, {"error": {"message": "x"}}, DONE), HELLO),
    "the older API": ("chat", streamed({"choices": [{"index": 0, "text": "H"}]}, {"choices": [{"index": 0, "text": "i", "finish_reason": "stop"}]}), HELLO),
    "a message beside each delta": ("chat", streamed(*({"choices": [{"index": 0, "delta": delta, "message": {"content": "Hi"}, "finish_reason": finish}]} for delta, finish in (({"content": "Hi"}, None), ({}, "stop")))), HELLO),
    "an index as a string": ("chat", streamed({"choices": [{"index": "0", "delta": {"content": "Hi"}}]}, END), HELLO),
    "empty events": ("chat", streamed(b"data: null\n\n", HI, b"data: []\n\n", b'data: ""\n\n', {"choices": None}, END), HELLO),
    **{f"the end marker {marker!r}": ("chat", streamed(HI, b"data:" + marker + b"\n\n"), HELLO) for marker in (b'"[DONE]"', b"DONE", b"[done]")},
    # rexxars/eventsource-parser#31 (2026-05-13)
    "events with one line end": ("chat", streamed(*(data(event)[:-1] for event in (HI, END)), b"data: [DONE]\n"), HELLO),
    "JSON lines": ("chat", Reply(200, {}, b"\n".join(json.dumps({**event, "error": None}).encode() for event in (HI, END)), stream=True), HELLO),
    # decolua/9router#3492 (2026-08-23), sgl-project/mini-sglang#51 (2025-12-29)
    "an answer and an end marker": ("chat", Reply(200, SSE, json.dumps(chat({"content": "Hi"})).encode() + b"\n\n" + DONE), HELLO),
    "an answer and an end marker, streamed": ("chat", streamed(chat({"content": "Hi"}), DONE), HELLO),
    "a stream for a plain request": ("chat", Reply(200, SSE, b": x\n\n" + data(HI) + data(END) + DONE), HELLO),
    "a stream of events for a plain request": ("responses", Reply(200, SSE, data(CREATED) + data(SAID) + data(COMPLETED)), HELLO),
    "Anthropic's stream for a plain request": ("anthropic", Reply(200, SSE, b"".join(map(data, (START, *TEXT, ends("end_turn"), STOP)))), HELLO),
    "Gemini's array for a plain request": ("google", whole([gemini("H"), gemini("i", "STOP")]), HELLO),
    "the last event alone": ("responses", streamed(COMPLETED), HELLO),
    "events without a type": ("responses", streamed(*(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps({k: v for k, v in event.items() if k != "type"}).encode()) for event in (SAID, COMPLETED))), HELLO),
    "incomplete, without a status": ("responses", streamed(SAID, {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}), ("length", "Hi")),
    "incomplete for a new reason": ("responses", whole(response("incomplete", ITEM, incomplete_details={"reason": "max_tool_calls"})), ("other", "Hi")),
}  # fmt: skip


def faces(reply: Reply, wire: str) -> Iterable[str]:
    """The faces that a form is meant for, sync and async; a whole body answers plain requests."""
    return FACES[2:] if reply.stream else FACES[:2]


@pytest.mark.slow
@pytest.mark.parametrize("forms", [FAILED, ANSWERS], ids=["failures", "answers"])
def test_each_form(server: ReplayServer, forms: Forms) -> None:
    for place, (name, (wire, reply, expected)) in enumerate(forms.items()):
        face = [*faces(reply, wire)][place % 2]
        outcome = asked(server, wire, face, reply)
        if isinstance(expected, str):
            assert code(outcome) == expected, (name, face, outcome)
        else:
            assert (outcome.finish_reason, outcome.text, outcome.error) == (*expected, None), (name, face)


ARGUMENTS = grown(type="input_json_delta", partial_json='{"a": 1}')
FUNCTION = {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""}
CALLS: dict[str, tuple[str, Reply, list[Any]]] = {
    # xemantic/anthropic-sdk-kotlin#147 (2026-05-22)
    "a block that is never closed": ("anthropic", streamed(START, block(TOOL), ARGUMENTS, ends("tool_use"), STOP), [{"a": 1}]),
    "with its input at the start": ("anthropic", streamed(START, block({**TOOL, "input": {"a": 1}}), ends("tool_use"), STOP), [{"a": 1}]),
    "two, under one index": ("anthropic", streamed(START, block({**TOOL, "input": {"a": 1}}), block({**TOOL, "id": "u"}), ends("tool_use"), STOP), [{"a": 1}, {}]),
    "arguments in their end event": ("responses", streamed({"type": "response.output_item.added", "output_index": 0, "item": FUNCTION}, {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a": 1}'}, {"type": "response.completed", "response": response()}), [{"a": 1}]),
    "an item that is never closed": ("responses", streamed({"type": "response.output_item.added", "output_index": 0, "item": FUNCTION}, {"type": "response.completed", "response": response()}), [{}]),
    "and end as a turn": ("anthropic", whole(message({**TOOL, "input": {"a": 1}})), [{"a": 1}]),
    "and end as a turn, streamed": ("anthropic", streamed(START, block({**TOOL, "input": {"a": 1}}), ends("end_turn"), STOP), [{"a": 1}]),
    "in the last event": ("responses", streamed({"type": "response.completed", "response": response("completed", {**FUNCTION, "arguments": '{"a": 1}'})}), [{"a": 1}]),
    "a plain answer in a stream": ("chat", streamed(chat(call("f", '{"a": 1}'), "tool_calls"), DONE), [{"a": 1}]),
    "a stream for a plain request": ("chat", Reply(200, SSE, data(piece(call("f", '{"a"'))) + data(piece({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}, "tool_calls"))), [{"a": 1}]),
}  # fmt: skip


def test_calls_arrive_with_their_arguments(server: ReplayServer) -> None:
    for name, (wire, reply, expected) in CALLS.items():
        outcome = asked(server, wire, [*faces(reply, wire)][0], reply)
        assert outcome.response is not None, (name, outcome)
        assert [dict(each.arguments) for each in outcome.response.tool_calls] == expected, name
        assert (outcome.finish_reason, outcome.response.invalid_tool_calls) == ("tool_call", ()), name


MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ChatOpenAI": ("langchain_openai", "ChatOpenAI", {}),
    "ChatOpenAI, Responses": ("langchain_openai", "ChatOpenAI", {"use_responses_api": True}),
    "ChatAnthropic": ("langchain_anthropic", "ChatAnthropic", {"timeout": None, "stop": None}),
    "OpenAI": ("llama_index.llms.openai", "OpenAI", {}),
    "OpenAIResponses": ("llama_index.llms.openai", "OpenAIResponses", {}),
}


@pytest.fixture(scope="module")
def models() -> Iterator[list[Any]]:
    """The models that the tests build; LangChain's share clients, so all are closed at the end.

    Neither framework closes its client, and a socket that the collector closes fails a later test.
    """
    built: list[Any] = []
    yield built
    for client in (getattr(model, name, None) for model in built for name in ("root_client", "_client")):
        if client is not None:
            client.close()


def model_of(user: str, url: str, models: list[Any]) -> Any:
    """A framework's model; skips where its package is not installed, as beside the newest SDK of OpenAI."""
    models.append(build_model(user, url))
    return models[-1]


def build_model(user: str, url: str) -> Any:
    module, name, more = MODELS[user]
    make = getattr(pytest.importorskip(module, reason=f"{module} is not installed"), name)
    if name == "ChatAnthropic":
        return make(model_name="claude-sonnet-4-5", base_url=url, api_key=SecretStr("k"), max_retries=0, **more)
    address = "base_url" if module == "langchain_openai" else "api_base"
    return make(model="gpt-4.1", **{address: f"{url}/v1"}, api_key="k", max_retries=0, **more)


# What the integrations give out as an answer, or fail on with an error of their own.
WRAPPED: dict[str, tuple[tuple[str, ...], Reply, str]] = {
    "a page": (("ChatOpenAI", "OpenAI", "ChatAnthropic"), Reply(200, {"content-type": "text/html"}, b"<html>Welcome</html>"), "bad_reply"),
    "text": (("OpenAI", "ChatAnthropic"), Reply(200, {"content-type": "text/plain"}, b"Too Many Requests"), "rate_limit"),
    "an error body": (("ChatAnthropic",), whole({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}), "rate_limit"),
    "a choice without a message": (("ChatOpenAI", "OpenAI"), whole({"choices": [{"index": 0}]}), "bad_reply"),
    "a missing call": (("ChatOpenAI", "OpenAI"), whole(chat(finish="tool_calls")), "bad_reply"),
    "a missing call, streamed": (("ChatOpenAI", "OpenAI"), streamed(piece({"content": ""}), piece(finish="tool_calls"), DONE), "bad_reply"),
    "Anthropic's call is missing": (("ChatAnthropic",), whole(message(stop="tool_use")), "bad_reply"),
    "nothing, for no reason": (("ChatOpenAI", "OpenAI"), whole(chat(finish=None)), "bad_reply"),
    "an empty stream": (("ChatOpenAI", "OpenAI", "ChatAnthropic"), streamed(b": x\n\n"), "bad_reply"),
    "base_resp beside a choice": (("OpenAI",), whole({**chat({"content": ""}), "base_resp": {"status_code": 1002, "status_msg": "x"}}), "rate_limit"),
    # ginlix-ai/LangAlpha#396 (2026-09-05)
    "response.failed": (("ChatOpenAI, Responses", "OpenAIResponses"), streamed(CREATED, {"type": "response.failed", "response": response("failed", error={"code": "rate_limit_exceeded", "message": "x"})}), "rate_limit"),
    "an error event": (("ChatOpenAI, Responses", "OpenAIResponses"), streamed(CREATED, {"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}), "rate_limit"),
    "a cut stream of the Responses API": (("ChatOpenAI, Responses", "OpenAIResponses"), streamed(CREATED, SAID), "broken_stream"),
    "a cut stream of Anthropic": (("ChatAnthropic",), streamed(START, *TEXT), "broken_stream"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("user", MODELS)
def test_wrapped_models_fail_as_the_apis_do(server: ReplayServer, models: list[Any], user: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_of(user, server.url, models)
        for name, (users, reply, kind) in WRAPPED.items():
            if user in users:
                server.serve(lambda _, reply=reply: reply)
                with routed(Route(llm=model)) as router:
                    outcome = ask("stream" if reply.stream else "generate", router)
                assert code(outcome) == kind, (name, user, outcome)


def test_a_bug_of_the_caller_is_no_reply(server: ReplayServer, models: list[Any]) -> None:
    server.serve(lambda _: whole(chat({"content": "Hi"})))
    model = model_of("ChatOpenAI", server.url, models)
    with routed(Route(llm=model.bind(no_such_argument=1))) as router:
        assert isinstance(ask("generate", router).error, TypeError)
