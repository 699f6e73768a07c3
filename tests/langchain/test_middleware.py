"""LangChain's middleware with ChatMultiRoute, ChatOpenAI and ChatAnthropic, side by side on the same wire.

Both get the same answers from a server, send it the same conversations, and leave the same messages.
"""

import importlib
import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import tool

from langchain_multiroute import ChatMultiRoute
from multiroute_core.testing.server import Reply
from tests.langchain.faces import own_timeout
from tests.newer import needed
from tests.wire_replies import MODELS, NUMBERS, chat_pair, message_pair, response_pair, route, served

pytestmark = pytest.mark.wire

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")
ChatAnthropic = needed("langchain_anthropic", "ChatAnthropic", "langchain-anthropic is not installed")
ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")
kinds = importlib.import_module("langchain.agents.middleware")
needs_tool_search = pytest.mark.skipif(
    not hasattr(kinds, "ProviderToolSearchMiddleware"), reason="this langchain has no ProviderToolSearchMiddleware"
)
needs_refusals = pytest.mark.skipif(
    not hasattr(kinds, "ModelRefusalMiddleware"), reason="this langchain has no ModelRefusalMiddleware"
)
needs_text = pytest.mark.skipif(
    not hasattr(kinds, "ModelRefusalMiddleware"),
    reason="this langchain writes messages and blocks into prompts and answers by their repr",
)


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Mail anna@example.com: sunny in {city}."


@tool
def get_time(city: str) -> str:
    """The time in a city."""
    return "12:00"


TOOLS = [get_weather, get_time]


def text(said):
    content = [{"type": "output_text", "text": said, "annotations": []}]
    item = {
        "type": "message",
        "id": f"m{next(NUMBERS)}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    return {
        "openai.chat": chat_pair({"content": said}),
        "openai.responses": response_pair(item),
        "anthropic": message_pair({"type": "text", "text": said}, id=f"msg_{next(NUMBERS)}"),
    }


def call(name, arguments, number=1):
    function = {"name": name, "arguments": json.dumps(arguments)}
    item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "status": "completed", **function}
    return {
        "openai.chat": chat_pair(
            {"tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]}, "tool_calls"
        ),
        "openai.responses": response_pair(item),
        "anthropic": message_pair(
            {"type": "tool_use", "id": f"c{number}", "name": name, "input": arguments},
            stop_reason="tool_use",
            id=f"msg_{next(NUMBERS)}",
        ),
    }


def failed(status, message, code=None):
    body = json.dumps({"error": {"message": message, "type": "server_error", "code": code, "param": None}}).encode()
    reply = Reply(status, {"content-type": "application/json"}, body)
    told = json.dumps({"type": "error", "error": {"type": "api_error", "message": message}}).encode()
    anthropic = Reply(status, {"content-type": "application/json"}, told)
    return {"openai.chat": reply, "openai.responses": reply, "anthropic": anthropic}


def theirs(server, wire, **settings):
    if wire == "anthropic":
        return ChatAnthropic(
            model="claude-sonnet-4-6",
            base_url=server.url,
            api_key="k",
            max_retries=0,
            timeout=own_timeout(),
            **settings,
        )
    return ChatOpenAI(
        model=MODELS[wire].partition(":")[2],
        base_url=f"{server.url}/v1",
        api_key="k",
        max_retries=0,
        timeout=own_timeout(),
        use_responses_api=wire == "openai.responses",
        **settings,
    )


def ours(server, wire, **settings):
    return ChatMultiRoute(routes=[route(server, wire)], max_retries=0, **settings)


def wrapped(server, wire, **settings):
    return ChatMultiRoute(routes=[theirs(server, wire)], max_retries=0, **settings)


def conversation(body):
    """What a request says, without the differences of spelling that the API has."""
    if "system" in body or "max_tokens" in body:
        return blocks_of(body)
    told = []
    for item in body.get("messages") or body["input"]:
        content = item.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        calls = [
            (one["id"], one["function"]["name"], json.loads(one["function"]["arguments"]))
            for one in item.get("tool_calls", ())
        ]
        if item.get("type") == "function_call":
            calls = [(item["call_id"], item["name"], json.loads(item["arguments"]))]
        told.append(
            (item.get("role"), content or item.get("output"), item.get("tool_call_id") or item.get("call_id"), calls)
        )
    return told


def blocks_of(body):
    """The same on Anthropic's wire: everything in blocks, and an answer that is no error says so or not."""
    told: list[tuple[Any, Any]] = [("system", text_of(body.get("system")))]
    for item in body["messages"]:
        blocks = item["content"] if isinstance(item["content"], list) else [{"type": "text", "text": item["content"]}]
        for block in blocks:
            block = {name: value for name, value in block.items() if (name, value) != ("is_error", False)}
            if block["type"] == "tool_result":
                block["content"] = text_of(block["content"])
            told.append((item["role"], block))
    return told


def text_of(content):
    return content if isinstance(content, str) else "".join(block["text"] for block in content or ())


def tools_of(body):
    return [{**tool.get("function", tool), "strict": None} for tool in body.get("tools", ())]


def left(messages):
    """What the messages say, without who said it and what it took."""
    told = []
    for message in messages:
        calls = [(one["id"], one["name"], one["args"]) for one in getattr(message, "tool_calls", ())]
        told.append(
            (
                message.type,
                message.text,
                calls,
                getattr(message, "tool_call_id", None),
                getattr(message, "status", None),
            )
        )
    return told


async def outcome(make, wire, replies, middleware, messages, *, face="invoke", tools=TOOLS, spare=None):
    """The requests and the messages, or the error's class, of an agent with one model."""
    with served(*(reply[wire] for reply in replies)) as server:
        model = make(server, wire)
        built = middleware(model, make, server, wire)
        agent = create_agent(model, tools, middleware=built)
        state = {"messages": messages}
        try:
            result = agent.invoke(state) if face == "invoke" else await agent.ainvoke(state)
            end = left(result["messages"])
        except Exception as error:
            end = type(error).__name__
        return [(conversation(body), tools_of(body)) for body in server.bodies], end


def summarized(model, make, server, wire):
    return [kinds.SummarizationMiddleware(model=model, trigger=("messages", 4), keep=("messages", 2))]


def edited(model, make, server, wire):
    edit = kinds.ClearToolUsesEdit(trigger=30, keep=1, placeholder="[gone]")
    return [kinds.ContextEditingMiddleware(edits=[edit])]


def redacted(model, make, server, wire):
    places = {"apply_to_input": True, "apply_to_output": True, "apply_to_tool_results": True}
    return [
        kinds.PIIMiddleware("email", strategy="redact", **places),
        kinds.PIIMiddleware("ip", strategy="mask", **places),
    ]


def blocked(model, make, server, wire):
    return [kinds.PIIMiddleware("email", strategy="block")]


def fallen_back(model, make, server, wire):
    return [kinds.ModelFallbackMiddleware(make(server, wire))]


def retried(model, make, server, wire):
    return [kinds.ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)]


def selected(model, make, server, wire):
    return [kinds.LLMToolSelectorMiddleware(model=model, max_tools=1)]


HELLO = [HumanMessage("What is the weather in Paris? I am anna@example.com at 10.1.2.3.")]
PAST = [
    HumanMessage("Weather in Rome?"),
    AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Rome"}, "id": "a1"}]),
    ToolMessage("It rains in Rome, all day long and the whole night through.", tool_call_id="a1"),
    AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "a2"}]),
    ToolMessage("It snows in Oslo.", tool_call_id="a2"),
    AIMessage("Rain in Rome, and snow in Oslo."),
    HumanMessage("And in Paris?"),
]
LOOP = [call("get_weather", {"city": "Paris"}), text("Sunny. Write to bob@example.com.")]
CASES = {
    "no middleware": (LOOP, lambda *_: [], HELLO),
    "PII": (LOOP, redacted, HELLO),
    "PII that blocks": (LOOP, blocked, HELLO),
    "summarization": ([text("They talked of the weather."), *LOOP], summarized, PAST),
    "context editing": (LOOP, edited, PAST),
    "fallback": ([failed(500, "Oops."), *LOOP], fallen_back, HELLO),
    "fallback from a bad request": ([failed(400, "No."), *LOOP], fallen_back, HELLO),
    "fallback, and nobody is left": ([failed(401, "No."), failed(401, "No.")], fallen_back, HELLO),
    "retry": ([failed(503, "Busy."), *LOOP], retried, HELLO),
}


@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic"])
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[needs_text] if case in ("PII", "summarization") else []) for case in CASES]
)
async def test_side_by_side(case, wire, face):
    replies, middleware, messages = CASES[case]
    expected, end = await outcome(theirs, wire, replies, middleware, messages, face=face)
    for make in (ours, wrapped):
        requests, result = await outcome(make, wire, replies, middleware, messages, face=face)
        assert [said for said, _ in requests] == [said for said, _ in expected]
        assert [tools for _, tools in requests] == [tools for _, tools in expected]
        if isinstance(end, str):
            assert isinstance(result, str)
        else:
            assert result == end


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses"])
async def test_the_tool_selector(wire):
    """It asks for a form, which both get in the same words."""
    choice = text('{"tools": ["get_weather"]}')
    replies = [choice, LOOP[0], choice, LOOP[1]]
    seen = {}
    for make in (theirs, ours):
        seen[make] = await outcome(make, wire, replies, selected, HELLO)
    for requests, result in seen.values():
        assert [len(tools) for _, tools in requests] == [0, 1, 0, 1]
        assert result == seen[theirs][1]


@needs_tool_search
@pytest.mark.parametrize("make", [theirs, ours])
async def test_tool_search_defers_loading(make):
    """OpenAI's search is a tool of the Responses API."""
    middleware = [kinds.ProviderToolSearchMiddleware(searchable_tools=["get_time"])]
    requests, _ = await outcome(make, "openai.responses", LOOP, lambda *_: middleware, HELLO)
    for _, (weather, time, search) in requests:
        assert "defer_loading" not in weather
        assert time["defer_loading"] is True
        assert search["type"] == "tool_search"


@needs_tool_search
@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
async def test_tool_search_with_anthropic(face):
    """The model finds a tool, calls it, and gets what it said back with what it found."""
    found = {
        "type": "tool_search_tool_search_result",
        "tool_references": [{"type": "tool_reference", "tool_name": "get_time"}],
    }
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_bm25", "input": {"query": "time"}},
        {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": found},
        {"type": "tool_use", "id": "c1", "name": "get_time", "input": {"city": "Paris"}},
    ]
    replies = [{"anthropic": message_pair(*blocks, stop_reason="tool_use", id="msg_a")}, LOOP[1]]
    middleware = [kinds.ProviderToolSearchMiddleware(searchable_tools=["get_time"])]
    expected = await outcome(theirs, "anthropic", replies, lambda *_: middleware, HELLO, face=face)
    ((_, (weather, time, search)), _) = expected[0]
    assert "defer_loading" not in weather
    assert time["defer_loading"] is True
    assert search["type"].startswith("tool_search_tool_bm25")
    for make in (ours, wrapped):
        assert await outcome(make, "anthropic", replies, lambda *_: middleware, HELLO, face=face) == expected


REFUSALS = {
    "unsaid": message_pair(stop_reason="refusal"),
    "explained": message_pair(
        stop_reason="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "No."}
    ),
    "after words": message_pair(
        {"type": "text", "text": "Well."},
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": "cyber", "explanation": "It would harm."},
    ),
}


@needs_refusals
@pytest.mark.parametrize("falls_back", [False, True])
@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals_of_anthropic(case, face, falls_back):
    replies = [{"anthropic": REFUSALS[case]}, *LOOP]

    def middleware(*about):
        return [*(fallen_back(*about) if falls_back else ()), kinds.ModelRefusalMiddleware()]

    expected, end = await outcome(theirs, "anthropic", replies, middleware, HELLO, face=face)
    for make in (ours, wrapped):
        requests, result = await outcome(make, "anthropic", replies, middleware, HELLO, face=face)
        assert requests == expected
        assert result == end
    assert len(expected) == (3 if falls_back else 1)


def test_what_chat_completions_do_not_know_is_dropped_and_named():
    with served(chat_pair({"content": "Done."})) as server:
        deferred = get_time.model_copy(update={"extras": {"defer_loading": True}})
        answer = ChatMultiRoute(routes=[route(server, "openai.chat")]).bind_tools([deferred]).invoke("Time?")
        assert "defer_loading" not in str(server.bodies[0])
    (attempt,) = answer.response_metadata["multiroute"]["attempts"]
    assert any("defer_loading" in one for one in attempt["dropped"])


def test_a_summary_replaces_the_past():
    with served(text("A summary.")["openai.chat"], text("Done.")["openai.chat"]) as server:
        model = ours(server, "openai.chat")
        update = summarized(model, None, None, None)[0].before_model({"messages": PAST}, None)
    assert isinstance(update["messages"][0], RemoveMessage)
    assert "A summary." in update["messages"][1].text
