"""Encrypted reasoning and signatures go back to the account that made them, and to no other."""

import asyncio
import json

import pytest
from langchain_core.messages import HumanMessage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Message, Route, Router
from multiroute_core.providers.history import account_of
from multiroute_core.testing.server import ReplayServer, Reply

SECRET = "c2VjcmV0IHJlYXNvbmluZw"
JSON, SSE = {"content-type": "application/json"}, {"content-type": "text/event-stream"}


def anthropic():
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": SECRET},
        {"type": "redacted_thinking", "data": SECRET},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {"type": "web_search_result", "url": "https://e.org", "title": "t", "encrypted_content": SECRET}
            ],
        },
        {"type": "text", "text": "Well."},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content} | {
        "stop_reason": "end_turn",
        "usage": usage,
    }


def responses():
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SECRET},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return {"id": "r", "object": "response", "model": "m", "status": "completed", "output": output, "usage": usage}


def google():
    parts = [{"text": "Hm.", "thought": True}, {"text": "Well.", "thoughtSignature": SECRET}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}


def stream_of(kind):
    """The same answer as the events of a stream."""
    if kind == "google":
        return [google()]
    if kind == "responses":
        whole = responses()
        done = [
            {"type": "response.output_item.done", "output_index": place, "item": item}
            for place, item in enumerate(whole["output"])
        ]
        return [*done, {"type": "response.completed", "response": whole}]
    whole = anthropic()
    events = [{"type": "message_start", "message": {**whole, "content": []}}]
    for place, block in enumerate(whole["content"]):
        events.append({"type": "content_block_start", "index": place, "content_block": block})
        events.append({"type": "content_block_stop", "index": place})
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    return [*events, end, {"type": "message_stop"}]


WIRES = {
    "anthropic": (anthropic, "anthropic:claude-sonnet-4-5", "", {}),
    "responses": (responses, "openai:gpt-6.1-sol", "/v1", {"api": "responses"}),
    "google": (google, "google:gemini-3.8-flash", "", {}),
}


@pytest.fixture
def servers():
    with ReplayServer() as first, ReplayServer() as second:
        yield first, second


def routes(kind, servers, keys=("one", "two")):
    """Two accounts of one model; each server records what it is asked."""
    body, model, path, options = WIRES[kind]

    def serve(request):
        if "streamGenerate" in request.path or json.loads(request.body).get("stream"):
            lines = []
            for event in stream_of(kind):
                name = f"event: {event['type']}\n" if "type" in event else ""
                lines.append(f"{name}data: {json.dumps(event)}\n\n".encode())
            return Reply(200, SSE, lines, stream=True)
        return Reply(200, JSON, json.dumps(body()).encode())

    for server in servers:
        server.serve(serve)
    return [
        Route(model, name=name, api_key=key, base_url=server.url + path, **options)
        for name, key, server in zip(("first", "second"), keys, servers, strict=True)
    ]


def turn(router, face, history, **options):
    """One turn of a conversation by a face: the history with what was answered."""
    if face == "langchain":
        answer = ChatMultiRoute(router=router).invoke(history, **options)
        return [*history, answer, HumanMessage("Go on.")]
    if face in ("generate", "stream"):
        response = (
            router.generate(history, **options)
            if face == "generate"
            else list(router.stream(history, **options))[-1].response
        )
    else:

        async def main():
            if face == "agenerate":
                return await router.agenerate(history, **options)
            chunks = [chunk async for chunk in router.astream(history, **options)]
            return chunks[-1].response

        response = asyncio.run(main())
    return [*history, Message("assistant", response.parts), Message("user", "Go on.")]


def opening(face):
    return [HumanMessage("Why?")] if face == "langchain" else [Message("user", "Why?")]


@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream", "langchain"])
@pytest.mark.parametrize("kind", WIRES)
def test_what_one_account_encrypted_the_other_does_not_get(kind, face, servers):
    first, second = servers
    router = Router(routes(kind, servers))
    history = turn(router, face, opening(face), model="first")
    turn(router, face, history, model="first")
    assert SECRET in first.requests[-1].body.decode(), "it goes back to its own account"
    turn(router, face, history, model="second")
    assert SECRET not in second.requests[-1].body.decode()
    assert "Well." in second.requests[-1].body.decode(), "and what was said goes to both"
    for reference in ("srvtoolu_1", "rs_1"):
        assert reference not in second.requests[-1].body.decode()


@pytest.mark.parametrize("kind", WIRES)
def test_two_routes_of_one_account_share_it(kind, servers):
    first, _ = servers
    one, other = routes(kind, (first, first), keys=("same", "same"))
    router = Router([one, other])
    turn(router, "generate", turn(router, "generate", opening("core"), model="first"), model="second")
    assert SECRET in first.requests[-1].body.decode()


def test_an_account_tells_nothing_of_its_key():
    assert account_of("https://a", "sk-1") == account_of("https://a", "sk-1")
    assert len({account_of("https://a", "sk-1"), account_of("https://a", "sk-2"), account_of("https://b", "sk-1")}) == 3
    assert "sk" not in account_of("https://a", "sk-1") and len(account_of("https://a", "sk-1")) == 12


def test_llamaindex_too(servers):
    from llama_index.core.llms import ChatMessage

    _, second = servers
    router = Router(routes("responses", servers))
    question = ChatMessage(content="Why?")
    answer = MultiRoute(router=router).chat([question], model="first").message
    MultiRoute(router=router).chat([question, answer, ChatMessage(content="Go on.")], model="second")
    assert SECRET not in second.requests[-1].body.decode()
    assert "Well." in second.requests[-1].body.decode()


def test_a_refusal_of_encrypted_reasoning_is_asked_again_without(servers):
    """A history from elsewhere names no account: the vendor's refusal tells."""
    first, _ = servers
    route, _ = routes("responses", servers)
    router = Router([route])
    history = turn(router, "generate", opening("core"))
    body = {"error": {"message": "The encrypted content could not be verified.", "code": "invalid_encrypted_content"}}

    def refuse(request):
        if SECRET in request.body.decode():
            return Reply(400, JSON, json.dumps(body).encode())
        return Reply(200, JSON, json.dumps(responses()).encode())

    first.serve(refuse)
    before = len(first.requests)
    assert router.generate(history).text == "Well."
    assert len(first.requests) == before + 2
