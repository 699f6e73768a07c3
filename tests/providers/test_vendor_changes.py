"""A conversation that one vendor began is taken over by another: every outgoing body is the new vendor's own, and clean."""

import copy
import itertools
import json

import pytest

from multiroute_core import Router
from multiroute_core.messages import Blob, CachePoint, Message, Reasoning, Text, ToolCall, ToolCallResponse, VendorPart
from multiroute_core.providers import registry
from multiroute_core.providers.provider import Reply
from multiroute_core.tools import ReasoningOptions, Tool
from multiroute_core.types import Request
from tests.providers.walker import WALKS
from tests.vendors.server import ROUTES, WIRES, VendorServer

pytestmark = pytest.mark.wire

NAMES = {"anthropic": "anthropic", "chat": "openai.chat", "responses": "openai.responses", "google": "google"}
"""The wires by the name that parts bear in their raw form."""

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def tool(name, description, **properties):
    kinds = {key: {"type": kind} for key, kind in properties.items()}
    return Tool(name, description, {"type": "object", "properties": kinds, "required": list(properties)})


WEATHER = tool("get_weather", "The weather of a city.", city="string")
TOOLS = (
    WEATHER,
    tool("multiply", "Multiply two numbers.", a="integer", b="integer"),
    tool("send_mail", "Send a mail.", to="string"),
)
THINK = ReasoningOptions("low", summary=True)


@pytest.fixture(scope="module")
def server():
    with VendorServer() as server:
        yield server


@pytest.fixture(scope="module")
def routers(server):
    made = {wire: Router([server.route(wire)], max_retries=0) for wire in WIRES}
    yield made
    for router in made.values():
        router.close()


def ask(router, face, messages, **options):
    if face == "generate":
        return router.generate(messages, **options)
    *_, last = router.stream(messages, **options)
    return last.response


def results(response, **more):
    """The tools' answers to what was asked, told apart by their numbers."""
    return Message(
        "tool", [ToolCallResponse(call.id, f"Rain {i}.", **more) for i, call in enumerate(response.tool_calls)]
    )


# --- what the first vendor says: each case makes the next turn's conversation and its options


def text(say):
    first = say([Message("system", "Be kind."), Message("user", "Hello")])
    return [*first, Message("user", "And what else?")], {}


def tool_loop(say):
    first = say([Message("user", "What's the weather in Paris?")], tools=[WEATHER])
    assert len(first.response.tool_calls) == 1
    return [*first, results(first.response)], {"tools": [WEATHER]}


def tool_loop_closed(say):
    """The loop is over and the talk goes on; the tools are no longer offered."""
    first = say([Message("user", "What's the weather in Paris?")], tools=[WEATHER])
    second = say([*first, results(first.response)], tools=[WEATHER])
    return [*second, Message("user", "Thank you")], {}


def parallel_tools(say):
    first = say([Message("user", "What's the weather in Paris and London?")], tools=[WEATHER])
    assert len(first.response.tool_calls) == 2
    return [*first, results(first.response)], {"tools": [WEATHER], "parallel_tool_calls": True}


def parallel_tools_answered_apart(say):
    """Each answer in a message of its own, in another order."""
    first = say([Message("user", "What's the weather in Paris and London?")], tools=[WEATHER])
    answers = [Message("tool", [part]) for part in reversed(results(first.response).parts)]
    return [*first, *answers], {"tools": [WEATHER]}


def tool_error(say):
    first = say([Message("user", "What's the weather in Paris?")], tools=[WEATHER])
    failed = ToolCallResponse(first.response.tool_calls[0].id, "Error: no such city.", error=True)
    return [*first, Message("tool", [failed])], {"tools": [WEATHER]}


def image(say):
    first = say([Message("user", [Text("What is it?"), Blob(PNG, "image/png")])])
    assert "an image" in first.response.text
    return [*first, Message("user", "And what else?")], {}


def image_of_tool(say):
    first = say([Message("user", "What's the weather in Paris?")], tools=[WEATHER])
    answer = ToolCallResponse(first.response.tool_calls[0].id, [Text("A radar picture."), Blob(PNG, "image/png")])
    return [*first, Message("tool", [answer])], {"tools": [WEATHER]}


def reasoning(say):
    first = say([Message("user", "Hello")], reasoning=THINK, max_tokens=4000)
    assert say.wire == "chat" or any(isinstance(part, Reasoning) and part.text for part in first.response.parts)
    return [*first, Message("user", "And what else?")], {"reasoning": THINK, "max_tokens": 4000}


def reasoning_in_tool_loop(say):
    options = {"reasoning": THINK, "tools": [WEATHER], "max_tokens": 4000}
    first = say([Message("user", "What's the weather in Paris and London?")], **options)
    return [*first, results(first.response)], options


def cache_marks(say):
    begin = [
        Message("system", [Text("A long story. " * 20), CachePoint("1h")]),
        Message("user", [Text("What's the weather in Paris?"), CachePoint()]),
    ]
    first = say(begin, tools=[WEATHER])
    return [*first, results(first.response), Message("user", [Text("Thank you"), CachePoint()])], {"tools": [WEATHER]}


SEARCHED = {
    "anthropic": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "server_tool_use", "id": "srvtoolu_01A", "name": "web_search", "input": {"query": "cats"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_01A",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "Cats",
                        "url": "https://cats.example/",
                        "encrypted_content": "EqgfCioIARgB",
                        "page_age": None,
                    }
                ],
            },
            {
                "type": "text",
                "text": "Cats sleep.",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "cited_text": "They sleep.",
                        "url": "https://cats.example/",
                        "title": "Cats",
                        "encrypted_index": "Eo8BCioIAhgB",
                    }
                ],
            },
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 5, "server_tool_use": {"web_search_requests": 1}},
    },
    "chat": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-search-preview",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "Cats sleep.",
                    "refusal": None,
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "start_index": 0,
                                "end_index": 4,
                                "title": "Cats",
                                "url": "https://cats.example/",
                            },
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    },
    "responses": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-6.1-sol",
        "output": [
            {
                "id": "ws_1",
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "search", "query": "cats"},
            },
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Cats sleep.",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "start_index": 0,
                                "end_index": 4,
                                "title": "Cats",
                                "url": "https://cats.example/",
                            }
                        ],
                    }
                ],
            },
        ],
        "usage": {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10},
    },
    "google": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"executableCode": {"language": "PYTHON", "code": "print(2)"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}},
                        {"text": "Cats sleep."},
                    ],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 10},
        "modelVersion": "gemini-3.8-flash",
    },
}
"""Answers with a tool that the vendor ran itself."""


def server_tool(say):
    begin = [Message("user", "How do cats live?")]
    parts = say.decoded(SEARCHED[say.wire])
    assert "Cats sleep." in "".join(part.text for part in parts if isinstance(part, Text))
    assert say.wire == "chat" or any(isinstance(part, VendorPart) for part in parts)
    return [*begin, Message("assistant", parts), Message("user", "And what else?")], {}


CASES = {
    case.__name__: case
    for case in (
        text,
        tool_loop,
        tool_loop_closed,
        parallel_tools,
        parallel_tools_answered_apart,
        tool_error,
        image,
        image_of_tool,
        reasoning,
        reasoning_in_tool_loop,
        cache_marks,
        server_tool,
    )
}


class Said(list):
    """A conversation up to an answer, and the answer."""

    response = None


class Saying:
    """One vendor, asked through one face."""

    def __init__(self, wire, face, router, server):
        self.wire, self.face, self.router, self.server = wire, face, router, server

    def __call__(self, messages, **options):
        response = ask(self.router, self.face, messages, **options)
        said = Said([*messages, Message("assistant", response.parts)])
        said.response = response
        return said

    def decoded(self, body):
        """What the wire makes of a body."""
        route = self.server.route(self.wire)
        provider = registry.build(route)
        encoded = provider.encode(Request((Message("user", "Hi"),)), route, stream=False)
        return provider.decode(Reply(json.dumps(body), {}), encoded).parts


def inside(value):
    """A JSON value and all values in it."""
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(item)


def raw_parts(messages, wire):
    """The parts that a vendor wrote: those of this wire, and the others."""
    own, foreign = [], []
    for message in messages:
        for part in message.parts:
            if getattr(part, "raw", None) is not None:
                (own if part.raw.api == NAMES[wire] else foreign).append(part)
    return own, foreign


def check(server, target, messages, model=None):
    """The last request: taken by its vendor, of its SDK's types, with all that is its own and nothing foreign."""
    seen = server.seen[-1]
    assert (seen.wire, seen.status, seen.message) == (target, 200, "")
    WALKS[target](seen.body)
    found, written = list(inside(seen.body)), json.dumps(seen.body)
    own, foreign = raw_parts(messages, target)
    for part in own:
        if isinstance(part, Text) and target in ("chat", "responses"):
            assert part.text in "".join(word for word in found if isinstance(word, str))
            continue  # annotations: chat takes them back nowhere, Responses with the id of an item that it did not keep
        kept = not isinstance(part, Reasoning) or part.raw.model in (None, seen.model)
        assert (dict(part.raw.body) in found) is kept, part
    for part in foreign:
        assert dict(part.raw.body) not in found
        calls = {call.id for message in messages for call in message.tool_calls}
        for value in inside(dict(part.raw.body)):
            if isinstance(value, dict):
                for key in ("signature", "thoughtSignature", "encrypted_content", "encrypted_index", "data", "id"):
                    if isinstance(word := value.get(key), str) and word and word not in calls:
                        assert word not in written, (key, part)
    return seen


@pytest.mark.parametrize("face", ["generate", "stream"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", WIRES)
@pytest.mark.parametrize("producer", WIRES)
def test_vendor_change(server, routers, producer, target, case, face):
    messages, options = CASES[case](Saying(producer, face, routers[producer], server))
    before = copy.deepcopy(messages)
    response = ask(routers[target], face, messages, **options)
    seen = check(server, target, messages)
    assert messages == before
    assert response.text
    if messages[-1].role == "tool":
        for part in messages[-1].parts:
            assert isinstance(part, ToolCallResponse)
            assert part.text in response.text  # the answer of the tool arrived
    if "reasoning" in options:
        dropped = any(word.startswith("reasoning") for word in response.attempts[-1].dropped)
        assert dropped is not any(
            key in seen.body for key in ("thinking", "reasoning")
        ) or "thinkingConfig" in json.dumps(seen.body)
    if case == "tool_error":
        assert "failed" in response.text
    if case.startswith("image"):
        assert any(isinstance(v, str) and "iVBORw0KGgo" in v for v in inside(seen.body))
    if case == "cache_marks":
        assert json.dumps(seen.body).count("cache_control") == (3 if target == "anthropic" else 0)


@pytest.mark.parametrize(
    "case", ["tool_loop", "tool_loop_closed", "parallel_tools_answered_apart", "reasoning_in_tool_loop"]
)
@pytest.mark.parametrize(
    ("producer", "target"), [("google", wire) for wire in WIRES] + [(wire, "google") for wire in WIRES]
)
def test_gemini_that_gives_ids_to_its_calls(producer, target, case):
    with (
        VendorServer(call_ids=True) as server,
        Router([server.route(producer)]) as first,
        Router([server.route(target)]) as second,
    ):
        messages, options = CASES[case](Saying(producer, "stream", first, server))
        assert ask(second, "generate", messages, **options).text
        check(server, target, messages)


@pytest.mark.parametrize("face", ["generate", "stream"])
@pytest.mark.parametrize("case", ["text", "reasoning", "reasoning_in_tool_loop"])
@pytest.mark.parametrize("wire", WIRES)
def test_another_model_of_the_same_vendor(server, routers, wire, case, face):
    """Reasoning is bound to the model that thought it, and what hangs on it goes with it."""
    messages, options = CASES[case](Saying(wire, face, routers[wire], server))
    with Router([server.route(wire, ROUTES[wire][1].partition(":")[2])], max_retries=0) as router:
        assert ask(router, face, messages, **options).text
    seen = server.seen[-1]
    assert (seen.wire, seen.status, seen.message) == (wire, 200, "")
    WALKS[wire](seen.body)


TASK = "First use get_weather for Paris, then multiply 6 by 7, then send a mail to Ann."


def run_tools(response):
    known = {
        "get_weather": lambda city: f"Sun over {city}",
        "multiply": lambda a, b: str(a * b),
        "send_mail": lambda to: f"Sent to {to}",
    }
    return Message(
        "tool", [ToolCallResponse(c.id, known[c.name](**c.arguments), name=c.name) for c in response.tool_calls]
    )


def finished(history, response):
    used = [part.name for message in history for part in message.parts if isinstance(part, ToolCall)]
    assert used == ["get_weather", "multiply", "send_mail"]
    assert all(word in response.text for word in ("Sun over Paris", "42", "Sent to Ann"))


@pytest.mark.parametrize("thinking", [None, THINK], ids=["", "thinking"])
@pytest.mark.parametrize("wires", list(itertools.permutations(WIRES)), ids="-".join)
def test_agent_changes_vendor_after_each_step(server, routers, wires, thinking):
    history, response = [Message("user", TASK)], None
    for wire in wires:
        response = routers[wire].generate(history, tools=TOOLS, reasoning=thinking, max_tokens=4000)
        check(server, wire, history)
        history.append(Message("assistant", response.parts))
        if response.tool_calls:
            history.append(run_tools(response))
    finished(history, response)


def test_agent_goes_on_when_its_vendor_dies_after_each_step(server):
    """One router: it stays with the vendor of the open loop while that is healthy, and goes on with another when not."""
    with Router(server.routes(), max_retries=0) as router:
        history, used = [Message("user", TASK)], []
        while True:
            response = router.generate(history, tools=TOOLS, max_tokens=4000)
            used.append(response.route)
            history.append(Message("assistant", response.parts))
            if not response.tool_calls:
                break
            history.append(run_tools(response))
            server.dead.add(server.seen[-1].wire)
        server.dead.clear()
        finished(history, response)
        assert len(set(used)) == 4
