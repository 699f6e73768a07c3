"""What reaches the wire: a request's parameters under each vendor's names, and the record of those that do not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import pytest

from multiroute_core import ConfigurationError, Message, Route
from multiroute_core.testing.server import Received, ReplayServer, Reply, split_events
from tests.providers.faces import FACES, STREAMED, Outcome, ask, every_face, routed

CHAT = {
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}
RESPONSE = {
    "model": "m",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
}
MESSAGE = {"type": "message", "model": "m", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
CANDIDATES = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
STREAMS = {
    "/chat/completions": b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n",
    "/responses": b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":%b}\n\n' % json.dumps(RESPONSE).encode(),
    "/v1/messages": b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "generateContent": b"data: %b\r\n\r\n" % json.dumps(CANDIDATES).encode(),
}
PLAIN = {"/chat/completions": CHAT, "/responses": RESPONSE, "/v1/messages": MESSAGE, "generateContent": CANDIDATES}

EVERYTHING: dict[str, Any] = {
    "system": "Be brief.",
    "temperature": 0.25,
    "max_tokens": 77,
    "top_p": 0.5,
    "stop": ["END", "FIN"],
    "seed": 11,
}
TURNS = [{"role": "user", "content": "Hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
CONFIG = {"temperature": 0.25, "topP": 0.5, "maxOutputTokens": 77, "stopSequences": ["END", "FIN"], "seed": 11}
WITH_SYSTEM = [{"role": "system", "content": "Be brief."}, *TURNS]
# For each route: the whole body that EVERYTHING makes, and the parameters that are dropped.
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "openai:gpt-4o": (
        {},
        {
            "model": "gpt-4o",
            "messages": WITH_SYSTEM,
            "temperature": 0.25,
            "top_p": 0.5,
            "max_completion_tokens": 77,
            "stop": ["END", "FIN"],
            "seed": 11,
        },
        set(),
    ),
    "openai:some-open-model": (
        {},
        {
            "model": "some-open-model",
            "messages": WITH_SYSTEM,
            "temperature": 0.25,
            "top_p": 0.5,
            "max_tokens": 77,  # what compatible servers know
            "stop": ["END", "FIN"],
            "seed": 11,
        },
        set(),
    ),
    "openai:gpt-6.1-sol": (
        {},
        {"model": "gpt-6.1-sol", "messages": WITH_SYSTEM, "max_completion_tokens": 77, "seed": 11},
        {"temperature", "top_p", "stop"},
    ),
    "openai:gpt-4.1": (
        {"api": "responses"},
        {
            "model": "gpt-4.1",
            "input": WITH_SYSTEM,
            "store": False,
            "temperature": 0.25,
            "top_p": 0.5,
            "max_output_tokens": 77,
        },
        {"stop", "seed"},
    ),
    "openai:gpt-6-luna": (
        {"api": "responses"},
        {
            "model": "gpt-6-luna",
            "input": WITH_SYSTEM,
            "store": False,
            "max_output_tokens": 77,
            "include": ["reasoning.encrypted_content"],  # what is not stored must come along
        },
        {"temperature", "top_p", "stop", "seed"},
    ),
    "anthropic:claude-3-7-sonnet-latest": (
        {},
        {
            "model": "claude-3-7-sonnet-latest",
            "system": "Be brief.",
            "messages": TURNS,
            "max_tokens": 77,
            "temperature": 0.25,
            "top_p": 0.5,
            "stop_sequences": ["END", "FIN"],
        },
        {"seed"},
    ),
    "anthropic:claude-sonnet-4-6": (  # takes one of temperature and top_p
        {},
        {
            "model": "claude-sonnet-4-6",
            "system": "Be brief.",
            "messages": TURNS,
            "max_tokens": 77,
            "temperature": 0.25,
            "stop_sequences": ["END", "FIN"],
        },
        {"seed", "top_p"},
    ),
    "anthropic:claude-sonnet-5-5": (
        {},
        {
            "model": "claude-sonnet-5-5",
            "system": "Be brief.",
            "messages": TURNS,
            "max_tokens": 77,
            "stop_sequences": ["END", "FIN"],
        },
        {"seed", "temperature", "top_p"},
    ),
    "google:gemini-2.5-flash": (
        {},
        {"contents": CONTENTS, "systemInstruction": {"parts": [{"text": "Be brief."}]}, "generationConfig": CONFIG},
        set(),
    ),
}
# Which wires say in the body that a stream is wanted, and how.
SAYS_STREAM = {
    "/chat/completions": {"stream": True, "stream_options": {"include_usage": True}},
    "/responses": {"stream": True},
    "/v1/messages": {"stream": True},
}
every_route = pytest.mark.parametrize("name", BODIES)
ANTHROPIC_TAKES_SAMPLING = "2023-06-01"


def answer(received: Received) -> Reply:
    """A small whole answer on whatever wire was spoken."""
    end = next(end for end in PLAIN if end.lower() in received.path.lower())
    if "streamGenerateContent" in received.path and "alt=sse" not in received.path:  # the older SDK's way
        return Reply(200, {"content-type": "application/json"}, json.dumps([CANDIDATES]).encode())
    if "streamGenerateContent" in received.path or json.loads(received.body).get("stream"):
        return Reply(200, {"content-type": "text/event-stream"}, split_events(STREAMS[end]), stream=True)
    return Reply(200, {"content-type": "application/json"}, json.dumps(PLAIN[end]).encode())


@pytest.fixture(scope="module")
def running() -> Iterator[ReplayServer]:
    with ReplayServer(answer) as server:
        yield server


@pytest.fixture
def server(running: ReplayServer) -> ReplayServer:
    running.requests.clear()
    return running


def sent(
    server: ReplayServer, face: str, name: str, messages: Any = "Hello", *, settings: Any = None, **given: Any
) -> tuple[Outcome, Received]:
    """What came of one call, and the one request that it made."""
    server.requests.clear()
    if settings is None:
        settings = BODIES[name][0] if name in BODIES else {}
    with routed(Route(name, base_url=server.url, api_key="the-key", **settings)) as router:
        outcome = ask(face, router, messages, **given)
    assert outcome.error is None, repr(outcome.error)
    assert (outcome.text, outcome.finish_reason) == ("Hi", "stop")
    (received,) = server.requests
    return outcome, received


def dropped(outcome: Outcome) -> set[str]:
    """The names of the parameters that the answering attempt had to drop; each has its reason."""
    assert outcome.response is not None
    pairs = [told.split(": ", 1) for told in outcome.response.attempts[-1].dropped]
    assert all(reason for _, reason in pairs)
    assert len(pairs) == len({name for name, _ in pairs})
    return {name for name, _ in pairs}


@every_face
@every_route
def test_parameters_go_under_the_vendors_names(server: ReplayServer, name: str, face: str) -> None:
    _, body, missing = BODIES[name]
    outcome, received = sent(server, face, name, **EVERYTHING)
    end = next(end for end in PLAIN if end.lower() in received.path.lower())
    assert json.loads(received.body) == body | (SAYS_STREAM.get(end, {}) if face in STREAMED else {})
    assert dropped(outcome) == missing


@every_route
def test_what_is_not_said_is_not_sent(server: ReplayServer, name: str) -> None:
    outcome, received = sent(server, "generate", name)
    body = json.loads(received.body)
    if name.startswith("anthropic"):
        assert body.pop("max_tokens") > 1000  # it is required there
    asked = {
        key: value
        for key, value in BODIES[name][1].items()
        if key in ("model", "messages", "input", "contents", "store", "include")
    }
    if name.startswith("openai"):
        asked["input" if "input" in asked else "messages"] = TURNS
    assert body == asked
    assert dropped(outcome) == set()


@every_face
@pytest.mark.parametrize(
    ("name", "path", "header", "key"),
    [
        ("openai:gpt-4o", "/chat/completions", "authorization", "Bearer the-key"),
        ("openai:gpt-4.1", "/responses", "authorization", "Bearer the-key"),
        ("anthropic:claude-sonnet-5-5", "/v1/messages", None, "the-key"),
        ("google:gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:", "x-goog-api-key", "the-key"),
    ],
)
def test_the_address_and_the_key(server: ReplayServer, face: str, name: str, path: str, header: str, key: str) -> None:
    _, received = sent(server, face, name)
    if name.startswith("google"):
        path += "streamGenerateContent?alt=sse" if face in STREAMED else "generateContent"
    assert received.path == path
    if header is None:  # by the SDK's age
        assert (
            received.headers.get("authorization", received.headers.get("x-api-key", "")).removeprefix("Bearer ") == key
        )
    else:
        assert received.headers[header] == key
    assert "the-key" not in received.path
    assert received.headers["content-type"].startswith("application/json")


@every_face
@pytest.mark.parametrize(
    ("model", "given", "reaches"),
    [
        ("claude-sonnet-4-6", {"temperature": 0.5}, {"temperature": 0.5}),
        ("claude-sonnet-4-6", {"top_p": 0.5}, {"top_p": 0.5}),
        ("claude-sonnet-4-6", {"max_tokens": 5}, {}),
        ("claude-sonnet-4-6", {"temperature": 1.5}, {}),  # above what it takes: dropped
        ("claude-sonnet-5-5", {"temperature": 0.5, "top_p": 0.5}, {}),
    ],
)
def test_anthropics_older_api_version_goes_with_sampling_alone(
    server: ReplayServer, face: str, model: str, given: dict[str, Any], reaches: dict[str, Any]
) -> None:
    # From 2.0 on the SDK sends 2026-10-21, which answers temperature and top_p with 400.
    newer = int(importlib.metadata.version("anthropic").partition(".")[0]) >= 2
    outcome, received = sent(server, face, f"anthropic:{model}", **given)
    body = json.loads(received.body)
    assert {key: body[key] for key in ("temperature", "top_p") if key in body} == reaches
    assert dropped(outcome) == given.keys() - reaches.keys() - {"max_tokens"}
    version = received.headers["anthropic-version"]
    assert (version == ANTHROPIC_TAKES_SAMPLING) == (bool(reaches) or not newer)


@pytest.mark.parametrize("name", ["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"])
def test_strict_parameters_refuse_before_anything_is_sent(server: ReplayServer, name: str) -> None:
    with routed(Route(name, base_url=server.url, api_key="k"), strict_params=True) as router:
        outcomes = [ask(face, router, temperature=0.5) for face in FACES]
    assert {outcome.kind for outcome in outcomes} == {ConfigurationError}
    assert all("temperature" in str(outcome.error) for outcome in outcomes)
    assert server.requests == []


@every_route
def test_a_conversation_keeps_its_order_and_its_roles(server: ReplayServer, name: str) -> None:
    talk = [
        Message("system", "One."),
        Message("user", "Two."),
        {"role": "assistant", "content": "Three."},
        ("user", "Four."),
    ]
    _, received = sent(server, "generate", name, talk)
    body = json.loads(received.body)
    turns = body.get("messages") or body.get("input") or body["contents"]
    texts = [turn.get("content") or turn["parts"][0]["text"] for turn in turns if turn["role"] != "system"]
    assert texts == ["Two.", "Three.", "Four."]
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    assert roles == ["user", "model" if name.startswith("google") else "assistant", "user"]
    system = json.dumps(body.get("system") or body.get("systemInstruction") or turns[0])
    assert "One." in system
    assert sum(text.count("One.") for text in [received.body.decode()]) == 1


@every_face
@pytest.mark.skipif(
    importlib.util.find_spec("google.generativeai") is None, reason="google-generativeai is not installed"
)
def test_the_older_google_sdk_sends_the_same(server: ReplayServer, face: str) -> None:
    settings = {"sdk": "google-generativeai"}
    outcome, received = sent(server, face, "google:gemini-2.5-flash", settings=settings, **EVERYTHING)
    method = "streamGenerateContent" if face in STREAMED else "generateContent"
    assert received.path.partition("?")[0] == f"/v1beta/models/gemini-2.5-flash:{method}"
    assert received.headers["x-goog-api-key"] == "the-key"
    assert "the-key" not in received.path
    body = json.loads(received.body)
    assert body["contents"] == CONTENTS
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert body["generationConfig"] == {name: value for name, value in CONFIG.items() if name != "seed"}
    assert dropped(outcome) == {"seed"}
