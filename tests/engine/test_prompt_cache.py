"""The option `prompt_cache` through a router, over sockets: marks, savings, failover and a refusal's credit."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_multiroute import ChatMultiRoute
from multiroute_core import (
    CachePoint,
    ConfigurationError,
    Message,
    PromptCaching,
    Request,
    Response,
    Route,
    Router,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
    options,
    report,
)
from multiroute_core.messages import Raw
from multiroute_core.routing.expected_usage import find_cached_prefix
from multiroute_core.testing import PromptCacheEmulator, Received, ReplayServer, Reply

TOOL = Tool("f", "Reads.", {"type": "object", "properties": {}})
SYSTEM = "Be brief. " * 2_000
BETA = "fallback-credit-2026-07-01"
REFUSAL = {
    "type": "refusal",
    "category": "cyber",
    "fallback_credit_token": "opaque",
    "fallback_has_prefill_claim": False,
}


@pytest.fixture(scope="module")
def emulator():
    return PromptCacheEmulator(lambda: 0.0)


@pytest.fixture(scope="module")
def server(emulator):
    with ReplayServer(emulator.serve) as server:
        yield server


def route(server: ReplayServer, name: str = "a", **more: Any) -> Route:
    more = {"api_key": name, **more}
    return Route("anthropic:claude-sonnet-4-5", name=name, base_url=server.url, **more)


def body(received: Received) -> dict[str, Any]:
    return json.loads(received.body)


def marks(received: Received) -> int:
    return received.body.count(b'"cache_control"')


async def ask(router: Router, face: str, *arguments: Any, **keywords: Any) -> Response:
    """One call through one of the four faces."""
    if face == "generate":
        return router.generate(*arguments, **keywords)
    if face == "agenerate":
        return await router.agenerate(*arguments, **keywords)
    if face == "stream":
        chunks = list(router.stream(*arguments, **keywords))
    else:
        chunks = [chunk async for chunk in router.astream(*arguments, **keywords)]
    response = chunks[-1].response
    assert response is not None
    return response


@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream"])
async def test_a_saving_is_on_the_response_the_ledger_and_the_report(server, face):
    with Router(route(server, face), prompt_cache=True, ledger="memory", cache="memory") as router:
        first = await ask(router, face, "Hi", system=SYSTEM, tools=[TOOL])
        second = await ask(router, face, "Hello", system=SYSTEM, tools=[TOOL])
        cached = await ask(router, face, "Hello", system=SYSTEM, tools=[TOOL])
        assert first.prompt_cache_saving is not None and first.prompt_cache_saving < 0  # it was written
        assert second.prompt_cache_saving is not None and second.prompt_cache_saving > 0
        assert (cached.cached, cached.prompt_cache_saving) == (True, 0.0)
        assert second.summary()["prompt_cache_saving"] == second.prompt_cache_saving
        ledger: Any = router.ledger
        total = first.prompt_cache_saving + second.prompt_cache_saving
        savings = [record.prompt_cache_saving for record in ledger.query()]
        assert sorted(savings) == sorted([first.prompt_cache_saving, second.prompt_cache_saving, 0.0])
        assert ledger.totals("route")[0].prompt_cache_saving == pytest.approx(total)
        assert "Saved by prompt caching" in str(report.of(ledger))


def test_it_is_an_option_of_the_router_the_call_and_the_context(server):
    def sent(router: Router, **keywords: Any) -> int:
        router.generate("Hi", tools=[TOOL], **keywords)
        return marks(server.requests[-1])

    with Router(route(server)) as router:
        assert sent(router) == 0
        assert sent(router, prompt_cache=True) == 2
        with options(prompt_cache="1h"):
            assert sent(router) == 2
            assert sent(router, prompt_cache=False) == 0
    copied = pickle.loads(pickle.dumps(Router(route(server), prompt_cache="1h")))
    assert sent(copied) == 2
    copied.close()
    model = ChatMultiRoute(routes=[route(server)], prompt_cache=True)
    model.bind_tools([{"name": "f", "input_schema": {"type": "object"}}]).invoke("Hi")
    assert marks(server.requests[-1]) == 2
    model.router.close()


@pytest.mark.parametrize("value", ["5m", 1, 3_600, "yes"])
def test_other_values_are_rejected(value):
    with pytest.raises(ConfigurationError, match="prompt_cache=.*expected True, False or '1h'"):
        Router("openai:gpt-6.1-sol", prompt_cache=value)


def test_a_failover_within_the_vendor_sends_the_same_bytes(server):
    failure = Reply(529, {"content-type": "application/json"}, b'{"type":"error","error":{"type":"overloaded_error"}}')
    with ReplayServer(failure) as down:
        routes = [route(down, "a"), route(server, "b")]
        with Router(routes, prompt_cache=True, max_retries=0) as router:
            router.generate([Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go")], tools=[TOOL])
        assert down.requests[-1].body == server.requests[-1].body
        assert marks(down.requests[-1]) == 3


def call_once(sent: Any) -> list[dict[str, Any]]:
    """The model calls the tool first, then answers."""
    if len(sent["messages"]) == 1:
        return [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]
    return [{"type": "text", "text": "OK"}]


def test_the_warm_route_goes_first_and_reads_what_it_wrote():
    with ReplayServer(PromptCacheEmulator(lambda: 0.0, answer=call_once).serve) as server:
        cold = Route("anthropic:claude-sonnet-4-6", name="cold", base_url=server.url, api_key="k")
        with Router([cold, route(server, "warm")], prompt_cache=True) as router:
            first = router.generate("Hi", system=SYSTEM, tools=[TOOL], model="warm")
            result = Message("tool", [ToolCallResponse("c", "read")])
            conversation = [Message("user", "Hi"), Message("assistant", first.parts), result]
            second = router.generate(conversation, system=SYSTEM, tools=[TOOL])
    assert second.route == "warm"
    assert first.usage is not None and second.usage is not None
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens


def test_expected_reads_follow_the_option():
    called = ToolCall("c", "f", {}, Raw("anthropic", {"type": "tool_use", "id": "c", "name": "f", "input": {}}, "m"))
    head = [Message("system", [Text(SYSTEM), CachePoint()]), Message("user", "x " * 4_000)]
    messages = (*head, Message("assistant", [called]), Message("tool", [ToolCallResponse("c", "read")]))
    unmarked = (Message("system", SYSTEM), *messages[1:])

    def expected(messages: Any, mode: Any) -> int:
        caching = None if mode is None else PromptCaching(mode)
        prefix = find_cached_prefix(Request(tuple(messages), prompt_cache=caching))
        return 0 if prefix is None else prefix.tokens

    assert (
        expected(messages, True) == expected(unmarked, True) == expected(unmarked, None) > expected(messages, None) > 0
    )
    assert expected(messages, False) == expected(messages, None)
    assert expected(unmarked, False) == 0


class Refuser:
    """The first model refuses with a token; the others answer and say what they were sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def serve(self, received: Received) -> Reply:
        sent = body(received)
        self.bodies.append(sent)
        refuses = sent["model"] == "claude-fable-5"
        message = {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": sent["model"],
            "content": [] if refuses else [{"type": "text", "text": "OK"}],
            "stop_sequence": None,
            "stop_reason": "refusal" if refuses else "end_turn",
            "stop_details": REFUSAL if refuses else None,
            "usage": {"input_tokens": 10, "output_tokens": 1},
        }
        if not sent.get("stream"):
            return Reply(200, {"content-type": "application/json"}, json.dumps(message).encode())
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "stop_details": None}},
        ]
        if not refuses:
            events += [
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "OK"}},
                {"type": "content_block_stop", "index": 0},
            ]
        ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        events += [
            {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
        frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
        return Reply(200, {"content-type": "text/event-stream"}, frames, stream=True)


@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream"])
async def test_a_refusals_credit_goes_to_another_model_of_the_account(face):
    refuser = Refuser()
    with ReplayServer(refuser.serve) as server:

        def to(model: str, key: str = "k") -> Route:
            return Route(f"anthropic:{model}", name=f"{model} {key}", base_url=server.url, api_key=key)

        extra = {"anthropic": {"betas": [BETA]}}
        settings: dict[str, Any] = {"fallback_on": "refusal", "max_retries": 0}
        with Router([to("claude-fable-5"), to("claude-opus-4-8")], **settings) as router:
            answer = await ask(router, face, "Hi", extra=extra, prompt_cache=True)
            assert answer.text == "OK"
            assert "opaque" not in repr(answer)
            await ask(router, face, "Hi", extra=extra)  # without the option
            await ask(router, face, "Hi", prompt_cache=True)  # another server, without the caller's consent
        with Router([to("claude-fable-5"), to("claude-opus-4-8", "other")], **settings) as router:
            await ask(router, face, "Hi", extra=extra, prompt_cache=True)
    tokens = [sent.get("fallback_credit_token") for sent in refuser.bodies]
    assert tokens == [None, {"token": "opaque", "mode": "best_effort"}, *[None] * 6]


def test_wrapped_models_ignore_it():
    model = ChatMultiRoute(routes=[FakeListChatModel(responses=["Hello"])], prompt_cache="1h")
    assert model.invoke("Hi").content == "Hello"
