"""What a route reports, over real wires: filters inside streams, what cannot be streamed, halves of emojis, keys."""

import json

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

from multiroute_core import BadRequestError, ConfigurationError, Message, Route, Router
from multiroute_core.errors import AuthenticationError, ContentFilterError, RateLimitError, StreamInterruptedError
from multiroute_core.messages import ToolCall, ToolCallResponse
from multiroute_core.testing.server import Reply
from tests.wire_replies import JSON, chat_chunk, chat_pair, events, route, served

pytestmark = pytest.mark.wire

HALF = "a\ud83db"
FILTER = {"error": {"message": "The response was filtered.", "type": None, "code": "content_filter"}}
POLICY = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
}
SLOWER = {"error": {"message": "Rate limit reached, try again in 7s", "type": "tokens", "code": "rate_limit_exceeded"}}
STARTED = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}},
}
ANTHROPIC = (
    STARTED,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Half "}},
)


def refusal(status, body):
    return Reply(status, JSON, json.dumps(body).encode())


def close(model):
    """Close the connections of a framework's model, which its owner closes."""
    for client in (getattr(model, "root_client", None), getattr(model, "_client", None)):
        if client is not None:
            client.close()


@pytest.mark.parametrize(
    ("wire", "pieces", "reported", "reason"),
    [
        ("openai.chat", (chat_chunk({"content": "Half "}), FILTER), ContentFilterError, None),
        ("anthropic", (*ANTHROPIC, POLICY), ContentFilterError, None),
        ("openai.chat", (chat_chunk({"content": "Half "}), SLOWER), RateLimitError, "rate_limit"),
    ],
)
def test_a_filter_or_limit_inside_a_stream_leaves_the_breaker_closed(wire, pieces, reported, reason):
    with served(events(*pieces)) as server, Router([route(server, wire)], max_retries=0) as router:
        for _ in range(6 if reason is None else 1):  # after a limit, the next call would wait
            with pytest.raises(StreamInterruptedError) as caught:
                list(router.stream("Hello"))
            assert caught.value.reported is reported
        health = router.health()[wire]
        assert (health.breaker, health.reason) == ("closed", reason)


def test_a_server_that_fails_inside_streams_is_still_counted():
    broken = events(chat_chunk({"content": "Half "}), {"error": {"message": "It failed.", "type": "server_error"}})
    with served(broken) as server, Router([route(server, "openai.chat")], max_retries=0) as router:
        for _ in range(6):
            with pytest.raises(Exception):
                list(router.stream("Hello"))
        assert router.health()["openai.chat"].breaker == "open"


def refusing(when, message):
    """A server that refuses some requests, and its replies to the others."""
    whole, stream = chat_pair({"content": "Hi."})

    def answer(received):
        body = json.loads(received.body)
        if when(body):
            return refusal(400, {"error": {"message": message, "type": "invalid_request_error"}})
        return stream if body.get("stream") else whole

    return answer


def weather(city: str) -> str:
    """The weather."""
    return city


@pytest.mark.parametrize("kind", ["native", "LangChain"])
def test_tools_that_cannot_be_streamed_are_still_called(kind):
    answer = refusing(
        lambda body: "tools" in body and body.get("stream"), "Tool use in streaming mode is not supported."
    )
    with served(chat_pair({"content": "Second."})) as second, served() as first:
        first.serve(answer)
        url = f"{first.url}/v1"
        model = ChatOpenAI(model="gpt-4o", api_key="k", base_url=url, max_retries=0)  # pyright: ignore[reportArgumentType]
        one = (
            Route(llm=model, name="first")
            if kind == "LangChain"
            else Route("openai:m", name="first", base_url=url, api_key="k")
        )
        with Router([one, route(second, "openai.chat")], max_retries=0) as router:
            for _ in range(2):
                assert list(router.stream("q", tools=[weather]))[-1].response.route == "openai.chat"
                assert router.generate("q", tools=[weather]).route == "first"
                assert list(router.stream("q"))[-1].response.route == "first"
        close(model)
        assert len(first.requests) == 5  # the second stream with tools does not ask it again


def test_a_wrapped_model_streams_without_stream_options():
    with served() as server:
        server.serve(refusing(lambda body: "stream_options" in body, 'json: unknown field "stream_options"'))
        model = ChatOpenAI(model="m", api_key="k", base_url=f"{server.url}/v1", max_retries=0, stream_usage=True)  # pyright: ignore[reportArgumentType]
        with Router([Route(llm=model)], max_retries=0) as router:
            for _ in range(3):
                assert list(router.stream("q"))[-1].response.text == "Hi."
        assert len(server.requests) == 4
        assert model.stream_usage
        close(model)


def test_a_temperature_that_the_model_fixes_is_dropped():
    with served() as server:
        server.serve(
            refusing(lambda body: "temperature" in body, "invalid temperature: only 1 is allowed for this model")
        )
        with Router([route(server, "openai.chat")], max_retries=0) as router:
            for _ in range(2):
                assert router.generate("q", temperature=0.3).text == "Hi."
        assert len(server.requests) == 3


def calling(**details):
    call = {"id": "c1", "name": "f", "arguments": {"a": "b"}, **details}
    reply = ToolCallResponse(call["id"], details.get("result", "r"), name=call["name"])
    call.pop("result", None)
    return [Message("user", "q"), Message("assistant", [ToolCall(**call)]), Message("tool", [reply])]


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic", "google"])
@pytest.mark.parametrize("details", [{"id": HALF}, {"result": HALF}, {"arguments": {"a": HALF}}, {"name": HALF}])
@pytest.mark.parametrize("strict", [True])  # which encodes a second time, to see what would be dropped
def test_half_of_an_emoji_is_repaired_or_the_callers_fault(wire, details, strict):
    with (
        served(refusal(500, {})) as server,
        Router([route(server, wire)], strict_params=strict, max_retries=0) as router,
    ):
        with pytest.raises((ConfigurationError, BadRequestError, Exception)) as caught:
            router.generate(calling(**details))
        assert not isinstance(caught.value, UnicodeError)
        assert server.requests or isinstance(caught.value, ConfigurationError | BadRequestError)


def test_half_of_an_emoji_for_a_wrapped_model():
    tool = {"name": HALF, "description": "d", "parameters": {"type": "object", "properties": {}}}
    with (
        Router([Route(llm=OpenAI(model="gpt-4o", api_key="k"))]) as router,
        pytest.raises(ConfigurationError, match="surrogate"),
    ):
        router.generate("q", tools=[tool])


KEY = "mykey7f9a0c1d2e3f4a5b6c7d"


@pytest.mark.parametrize(
    "build",
    [
        lambda url: ChatOpenAI(model="m", api_key=KEY, base_url=f"{url}/v1", max_retries=0),  # pyright: ignore[reportArgumentType]
        lambda url: ChatAnthropic(model="claude-opus-5", api_key=KEY, base_url=url, max_retries=0),  # pyright: ignore[reportCallIssue, reportArgumentType]
        lambda url: OpenAI(model="gpt-4o", api_key=KEY, api_base=f"{url}/v1", max_retries=0),
    ],
    ids=["ChatOpenAI", "ChatAnthropic", "LlamaIndex"],
)
def test_the_key_of_a_wrapped_model_is_not_told(build):
    body = {"type": "error", "error": {"type": "authentication_error", "message": f"Invalid key {KEY}"}}
    with served(refusal(401, body)) as server:
        model = build(server.url)
        with Router([Route(llm=model)], max_retries=0) as router, pytest.raises(AuthenticationError) as caught:
            router.generate("q")
        close(model)
        assert KEY not in str(caught.value)
        assert KEY not in repr((caught.value.body, caught.value.attempts))
