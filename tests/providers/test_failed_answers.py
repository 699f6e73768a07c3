"""Failures under HTTP 200: the next route answers, and the error holds what the failed answer used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Route, Router, StreamInterruptedError, Usage
from multiroute_core.providers.provider import WireError
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.providers.faces import PLAIN, STREAMED, ask

pytestmark = pytest.mark.wire

E502 = {"code": 502, "message": "Upstream provider failed"}
USED = Usage(9, 2)


def chat(finish: Any, text: str = "", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}, **more}
    counts = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    return {"model": "m", "choices": [choice], "usage": counts}


def gemini(finish: str, text: str = "") -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]} if text else {}
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}
    return {"candidates": [{"content": content, "finishReason": finish, "index": 0}], "usageMetadata": counts, "modelVersion": "m"}  # fmt: skip


def response(status: str, **more: Any) -> dict[str, Any]:
    counts = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    return {"model": "m", "status": status, "output": [], "error": None, "usage": counts, **more}


def message(stop: Any, text: str = "") -> dict[str, Any]:
    content = [{"type": "text", "text": text}] if text else []
    counts = {"input_tokens": 9, "output_tokens": 2}
    return {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop, "usage": counts}  # fmt: skip


FAILED_CHAT = (
    "error", "ERROR", "network_error", "server_error", "failed", "insufficient_system_resource", "abort", "aborted", "timeout",
    "overloaded", "MALFORMED_FUNCTION_CALL", "rate_limit_exceeded", "model-error", "cancelled",
)  # fmt: skip
FAILED_GEMINI = (
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE",
    "OTHER", "NO_IMAGE", "IMAGE_OTHER", "LANGUAGE", "PUP_LIMITED_DISABLED",
)  # fmt: skip
# By a name: the wire, the body, and whether it tells of usage.
BODIES: dict[str, tuple[str, Any, bool]] = {
    **{f"chat {word}": ("chat", chat(word), True) for word in FAILED_CHAT},
    **{f"gemini {word}": ("google", gemini(word), True) for word in FAILED_GEMINI},
    **{f"responses {word}": ("responses", response(word), True) for word in ("failed", "cancelled", "queued", "in_progress")},
    **{f"messages {word}": ("anthropic", message(word), True) for word in ("error", "network_error")},
    "chat error in the choice": ("chat", chat("error", error=E502), True),
    "chat error in the choice alone": ("chat", chat("stop", error=E502), True),
    "chat error in the choice as text": ("chat", chat("error", error="Upstream provider failed"), True),
    "chat SGLang's abort": ("chat", chat({"type": "abort", "message": "no memory"}), True),
    "chat object": ("chat", {"object": "error", "message": "EngineCore died", "type": "InternalServerError", "code": 500}, False),
    "chat text": ("chat", {"error": "model is overloaded"}, False),
    "chat detail": ("chat", {"detail": "Internal Server Error"}, False),
    "chat details": ("chat", {"detail": [{"loc": ["body"], "msg": "broken"}]}, False),
    "chat message and code": ("chat", {"message": "no such thing", "code": 20012, "data": None}, False),
    "chat MiniMax": ("chat", {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, False),
    "chat code as text": ("chat", {"error": {"message": "slow down", "code": "429"}}, False),
    "responses error": ("responses", response("failed", error={"code": "server_error", "message": "no"}), True),
    "responses text": ("responses", {"error": "no"}, False),
    "messages error": ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, False),
    "messages text": ("anthropic", {"error": "no"}, False),
    "messages detail": ("anthropic", {"detail": "no"}, False),
}  # fmt: skip


def events(wire: str, body: dict[str, Any], begun: str = "") -> list[dict[str, Any]]:
    """The stream of a body, in which something was said first."""
    if wire == "chat" and isinstance(body.get("choices"), list):
        choice = {name: value for name, value in body["choices"][0].items() if name != "message"}
        first = [{"choices": [{"index": 0, "delta": {"content": begun}}]}] if begun else []
        return [*first, {**body, "choices": [{**choice, "delta": {"content": ""}}]}]
    if wire == "responses" and "status" in body:
        kind = {"failed": "failed", "cancelled": "cancelled"}.get(body["status"], "completed")
        first = [{"type": "response.output_text.delta", "output_index": 0, "delta": begun}] if begun else []
        return [*first, {"type": f"response.{kind}", "response": body}]
    if wire == "anthropic" and body.get("type") == "message":
        first = (
            [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": begun}}]
            if begun
            else []
        )
        ends = [{"type": "message_delta", "delta": {"stop_reason": body["stop_reason"]}}, {"type": "message_stop"}]
        return [{"type": "message_start", "message": body}, *first, *ends]
    first = [{"candidates": [{"content": {"parts": [{"text": begun}]}}]}] if begun and wire == "google" else []
    return [*first, body]


def serve(wire: str, body: dict[str, Any], begun: str = "") -> Any:
    def answer(received: Received) -> Reply:
        if b'"stream":true' not in received.body.replace(b" ", b"") and "stream" not in received.path:
            return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())
        pieces: list[bytes] = []
        for event in events(wire, body, begun):
            head = f"event: {event['type']}\n" if wire in ("anthropic", "responses") and "type" in event else ""
            pieces.append(f"{head}data: {json.dumps(event)}\n\n".encode())
        return Reply(200, {"content-type": "text/event-stream"}, pieces, stream=True)

    return answer


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ReplayServer, ReplayServer]]:
    with ReplayServer() as bad, ReplayServer(serve("chat", chat("stop", "Second."), begun="Second.")) as good:
        yield bad, good


def routes(servers: tuple[ReplayServer, ReplayServer], wire: str) -> list[Route]:
    bad, good = servers
    provider = wire if wire in ("anthropic", "google") else "openai"
    more: dict[str, Any] = {"api": wire} if provider == "openai" else {}
    url = bad.url + ("/v1" if provider == "openai" else "")
    first = Route(f"{provider}:m", name="bad", base_url=url, api_key="k", **more)
    return [first, Route("openai:m", name="good", base_url=f"{good.url}/v1", api_key="k", api="chat")]


def wire_error(error: BaseException | None) -> WireError:
    """What the decoder raised, below the error of the route."""
    while error is not None and not isinstance(error, WireError):
        error = error.__cause__
    assert error is not None
    return error


@pytest.mark.parametrize("name", BODIES)
def test_the_next_route_answers(servers: tuple[ReplayServer, ReplayServer], name: str) -> None:
    wire, body, counted = BODIES[name]
    servers[0].serve(serve(wire, body))
    for face in (*PLAIN, *STREAMED):
        with Router(routes(servers, wire), max_retries=0) as router:
            outcome = ask(face, router)
        assert outcome.text == "Second.", (face, outcome.error)
        assert outcome.response is not None
        failed, answered = outcome.response.attempts
        assert (failed.route, answered.route) == ("bad", "good")
        assert failed.outcome not in ("success", "bad_request")
    with Router(routes(servers, wire)[:1], max_retries=0) as router:
        for face in (PLAIN[0], STREAMED[0]):
            error = ask(face, router).error
            found = wire_error(error)
            assert found.body
            assert found.usage == (USED if counted else None)
            assert found.model == ("m" if counted else None)


@pytest.mark.parametrize("name", ["chat error", "gemini MALFORMED_FUNCTION_CALL", "responses failed", "messages error"])
def test_half_a_sentence_is_no_answer(servers: tuple[ReplayServer, ReplayServer], name: str) -> None:
    wire = BODIES[name][0]
    body = {
        "chat": chat("error", "The capital of Fr"),
        "google": gemini("MALFORMED_FUNCTION_CALL", "The capital of Fr"),
        "responses": response("failed", output=[{"type": "message", "content": [{"type": "output_text", "text": "The"}]}]),
        "anthropic": message("error", "The capital of Fr"),
    }[wire]  # fmt: skip
    servers[0].serve(serve(wire, body, begun="The capital of Fr"))
    if wire == "google":
        body["candidates"][0]["content"] = {}  # in the stream the words came before
    with Router(routes(servers, wire), max_retries=0) as router:
        assert ask("generate", router).text == "Second."
        broken = ask("stream", router)
        assert (broken.kind, broken.text) == (StreamInterruptedError, "The capital of Fr")
        assert wire_error(broken.error).usage == USED


@pytest.mark.parametrize(
    "name", ["chat error in the choice", "gemini UNEXPECTED_TOOL_CALL", "responses failed", "messages error"]
)
def test_the_frameworks_get_the_next_answer(servers: tuple[ReplayServer, ReplayServer], name: str) -> None:
    wire, body, _ = BODIES[name]
    servers[0].serve(serve(wire, body))
    with Router(routes(servers, wire), max_retries=0) as router:
        chain, llm = ChatMultiRoute(router=router), MultiRoute(router=router)
        assert [chain.invoke("Hi").text, "".join(chunk.text for chunk in chain.stream("Hi"))] == ["Second."] * 2
        assert llm.complete("Hi").text == "Second."
        assert list(llm.stream_complete("Hi"))[-1].text == "Second."


@pytest.mark.parametrize(
    ("wire", "body", "finish"),
    [
        *[("chat", chat(word, "Hi"), "stop") for word in ("", None, "null", "eos", "EOS", "end", "COMPLETE", "stop_token", "eos_token", "end_turn")],
        *[("chat", chat(word, "Hi"), "length") for word in ("MAX_TOKENS", "model_length", "max_output_tokens", "ERROR_LIMIT")],
        *[("chat", chat(word, "Hi"), "content_filter") for word in ("SAFETY", "sensitive", "content-filter", "ERROR_TOXIC")],
        ("chat", chat("something_new", "Hi"), "other"),
        ("anthropic", message(None, "Hi"), "stop"),
        ("anthropic", message("pause_turn", "Hi"), "pause"),
        ("anthropic", message("sensitive", "Hi"), "content_filter"),
        ("google", gemini("OTHER", "Hi"), "other"),
        ("google", gemini("LANGUAGE", "Hi"), "other"),
        ("google", gemini("CONTINUATION", "Hi"), "length"),
        ("responses", response("incomplete", incomplete_details={"reason": "max_tokens"}), "length"),
        ("responses", response("incomplete", incomplete_details=None), "other"),
    ],
)  # fmt: skip
def test_an_odd_end_is_an_answer(
    servers: tuple[ReplayServer, ReplayServer], wire: str, body: dict[str, Any], finish: str
) -> None:
    servers[0].serve(serve(wire, body))
    with Router(routes(servers, wire), max_retries=0) as router:
        outcome = ask("generate", router)
    assert outcome.response is not None
    assert (outcome.response.route, outcome.finish_reason) == ("bad", finish)


def test_a_reason_that_says_nothing_does_not_end_a_stream(servers: tuple[ReplayServer, ReplayServer]) -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": "null"}]}
    last = {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "EOS"}]}
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in (first, last)]
    servers[0].serve(Reply(200, {"content-type": "text/event-stream"}, pieces, stream=True))
    with Router(routes(servers, "chat"), max_retries=0) as router:
        outcome = ask("stream", router)
    assert (outcome.text, outcome.finish_reason) == ("Hello", "stop")


@pytest.mark.parametrize("reason", [None, ""])
def test_a_stream_of_messages_ends_with_a_reason(servers: tuple[ReplayServer, ReplayServer], reason: Any) -> None:
    servers[0].serve(serve("anthropic", message(reason)))
    with Router(routes(servers, "anthropic"), max_retries=0) as router:
        assert ask("stream", router).text == "Second."


def test_a_pause_is_visible(servers: tuple[ReplayServer, ReplayServer]) -> None:
    servers[0].serve(serve("anthropic", message("pause_turn", "Let me search."), begun="Let me search."))
    with Router(routes(servers, "anthropic")[:1], max_retries=0) as router:
        answer = ChatMultiRoute(router=router).invoke("Hi")
        assert answer.response_metadata["finish_reason"] == "pause"
        assert MultiRoute(router=router).complete("Hi").additional_kwargs["finish_reason"] == "pause"


@pytest.mark.parametrize(
    "choice", [None, {}, "x", {"message": None}, {"index": 0, "message": {}, "finish_reason": None}]
)
def test_a_choice_without_a_message_is_no_answer(servers: tuple[ReplayServer, ReplayServer], choice: Any) -> None:
    body = json.dumps({**chat("stop"), "choices": [choice]}).encode()
    servers[0].serve(lambda _request: Reply(200, {"content-type": "application/json"}, body))
    for face in (*PLAIN, *STREAMED):
        with Router(routes(servers, "chat"), max_retries=0) as router:
            outcome = ask(face, router)
        assert outcome.text == "Second.", (face, outcome.error)
        assert outcome.response is not None
        assert outcome.response.attempts[0].outcome == "bad_reply"
        assert outcome.response.attempts[0].usage == USED
