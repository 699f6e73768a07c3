"""What clients in other languages rely on; `scripts/clients` runs the JavaScript ones themselves."""

import json
from typing import Any

import anthropic
import openai
import pytest

from multiroute_core import Chunk, Reasoning, Router, Text
from multiroute_core.guards import mask_personal_data
from multiroute_core.messages import Raw
from multiroute_core.serving import build_app
from multiroute_core.serving.call import ServedCall
from multiroute_core.serving.service import RESPONSES
from tests.serving.servers import running
from tests.vendors.server import WIRES, VendorServer, Wire

pytestmark = pytest.mark.wire

QUESTION: Any = [{"role": "user", "content": "Say hello."}]
HIDES_REASONING: Wire = "chat"
"""OpenAI's Chat Completions never shows it."""


@pytest.fixture(params=WIRES)
def wire(request) -> Wire:
    return request.param


@pytest.fixture
def vendors():
    with VendorServer() as server:
        yield server


@pytest.fixture
def server(vendors, wire):
    with Router([vendors.route(wire)], max_retries=0) as router, running(build_app(router)) as running_server:
        yield running_server


def events_of(content: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix(b"data: ") for line in content.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def test_a_tool_runner_of_anthropic_goes_on_without_a_thread(server, vendors):
    """It asks for a conversation on the server first, and sends whole ones after the error with this code."""
    body = {"model": "auto", "max_tokens": 99, "messages": QUESTION}
    for thread in ({"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}):
        status, _, content = server.request("POST", "/v1/messages", body | {"thread": thread})
        error = json.loads(content)["error"]
        assert status == 400
        assert error["details"] == {"error_code": "thread_unsupported_request"}
        assert "stores no conversations" in error["message"]
    assert server.request("POST", "/v1/messages", body | {"thread": None})[0] == 200
    for path in ("/v1/chat/completions", "/v1/responses"):
        status, _, content = server.request("POST", path, {"model": "auto"})
        assert (status, "details" in json.loads(content)["error"]) == (400, False)

    if not hasattr(anthropic, "beta_tool"):
        return  # the oldest SDK that is admitted has no runner yet

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"{city} is sunny"

    messages: Any = [{"role": "user", "content": "Use weather('Paris')."}]
    with anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(model="auto", max_tokens=99, messages=messages, tools=[weather])
        last: Any = runner.until_done()
    assert "Paris is sunny" in last.content[-1].text
    assert [seen.status for seen in vendors.seen[-2:]] == [200, 200]


def test_a_budget_of_thinking_shows_the_thinking_of_every_vendor(server, wire):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    body = {"model": "auto", "max_tokens": 2000, "messages": QUESTION}
    for settings in (thinking, thinking | {"display": "summarized"}, thinking | {"display": "omitted"}):
        _, _, content = server.request("POST", "/v1/messages", body | {"thinking": settings})
        thoughts = "".join(block.get("thinking", "") for block in json.loads(content)["content"])
        is_shown = settings.get("display") != "omitted" and wire != HIDES_REASONING
        # A model of Anthropic's that has a budget thinks aloud; the router does not send "omitted" to it.
        assert ("The user asks" in thoughts) == (is_shown or wire == "anthropic")


def test_an_effort_of_chat_completions_shows_the_reasoning_of_every_vendor(vendors, wire):
    model = "gpt-6.1-sol" if wire == "chat" else None
    with Router([vendors.route(wire, model)]) as router, running(build_app(router)) as server:
        body = {"model": "auto", "messages": QUESTION, "max_completion_tokens": 4000, "reasoning_effort": "low"}
        _, _, content = server.request("POST", "/v1/chat/completions", body)
        message = json.loads(content)["choices"][0]["message"]
        assert ("The user asks" in message.get("reasoning_content", "")) == (wire != HIDES_REASONING)
        _, _, content = server.request("POST", "/v1/chat/completions", body | {"stream": True})
        deltas = [event["choices"][0]["delta"] for event in events_of(content)]
        thoughts = "".join(delta.get("reasoning_content", "") for delta in deltas)
        assert ("The user asks" in thoughts) == (wire != HIDES_REASONING)
        status, _, content = server.request("POST", "/v1/chat/completions", body | {"reasoning_effort": "lowest"})
        assert status == 400
        assert "lowest" in json.loads(content)["error"]["message"]


def test_the_first_event_of_messages_counts_the_prompt_where_the_vendor_does(server, wire):
    """LangChain's JavaScript client adds the counts of the first and the last event, and reads the prompt's from the first."""
    body = {"model": "auto", "max_tokens": 99, "messages": QUESTION, "stream": True}
    events = events_of(server.request("POST", "/v1/messages", body)[2])
    first = next(event["message"]["usage"] for event in events if event["type"] == "message_start")
    last = next(event["usage"] for event in events if event["type"] == "message_delta")
    assert first["output_tokens"] == 0
    assert last["input_tokens"] > 0
    # OpenAI counts at the end of a stream.
    assert first["input_tokens"] == (last["input_tokens"] if wire in ("anthropic", "google") else 0)


def test_the_chunks_of_every_face_have_the_interim_usage(vendors):
    with Router([vendors.route("anthropic")]) as router:
        chunks = list(router.stream("Say hello."))
    assert all(chunk.interim_usage.input_tokens == chunks[-1].usage.input_tokens for chunk in chunks[:-1])


async def test_guarded_chunks_have_the_interim_usage(vendors):
    async with Router([vendors.route("anthropic")], guards=[mask_personal_data()]) as router:
        chunks = [chunk async for chunk in router.astream("Say hello.")]
    assert any(chunk.interim_usage is not None for chunk in chunks)


def reasoning_events(*parts):
    writer = RESPONSES.writer(ServedCall([], {}, "auto", stream=True))
    return events_of(b"".join(writer.feed(Chunk((part,))) for part in (*parts, Text("Hello."))))


@pytest.mark.parametrize("thoughts", [(), ("hm",), ("h", "m")])
@pytest.mark.parametrize("own_id", [None, "rs_own"])
def test_an_item_of_reasoning_has_one_id_in_a_stream(thoughts, own_id):
    """The `ai` package finds the item of an event by its id; it fails where the end has another one than the beginning."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": "SEALED"} | ({"id": own_id} if own_id else {})
    events = reasoning_events(*(Reasoning(text) for text in thoughts), Reasoning("", Raw("openai.responses", item)))
    ids = {event.get("item_id") or event["item"]["id"] for event in events if event.get("output_index") == 0}
    assert len(ids) == 1
    if own_id and not thoughts:
        assert ids == {own_id}
    done = next(event["item"] for event in events if event["type"] == "response.output_item.done")
    assert done["encrypted_content"] == "SEALED"
    kinds = [event["type"] for event in events if "reasoning_summary" in event["type"]]
    assert len(kinds) == (3 + len(thoughts) if thoughts else 0)  # without a text there is no part of a summary
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_sealed_reasoning_of_a_stream_comes_back(vendors):
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    options: Any = {"model": "auto", "tools": tools, "store": False, "include": ["reasoning.encrypted_content"]}
    question: Any = [{"role": "user", "content": "Use weather()."}]
    with Router([vendors.route("responses")]) as router, running(build_app(router)) as server:
        with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client:
            efforts: Any = [{"effort": "low"}, {"effort": "low", "summary": "auto"}]
            for reasoning in efforts:
                events: Any = list(client.responses.create(input=question, stream=True, reasoning=reasoning, **options))
                output = [
                    event.item.model_dump(exclude_none=True) for event in events if event.type.endswith("item.done")
                ]
                call = next(item for item in output if item["type"] == "function_call")
                result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
                conversation: Any = [*question, *output, result]
                answer = client.responses.create(input=conversation, **options)
                assert "sunny" in answer.output_text
                sealed = [item.get("encrypted_content") for item in vendors.seen[-1].body["input"]]
                assert sum(map(bool, sealed)) == 1


def test_references_to_items_are_refused_unless_they_are_to_reasoning(server, vendors):
    """What a reference is to, only a server that stores it can know; without the text the conversation is another one."""
    text = [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": "msg_1"}, *QUESTION]
    status, _, content = server.request("POST", "/v1/responses", {"model": "auto", "input": text})
    assert status == 400
    assert "store=false" in json.loads(content)["error"]["message"]
    assert not vendors.seen
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    reasoned = [*QUESTION, {"type": "item_reference", "id": "rs_1"}, call, result]
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    status, _, content = server.request("POST", "/v1/responses", {"model": "auto", "input": reasoned, "tools": tools})
    assert (status, b"sunny" in content) == (200, True)


def test_settings_of_one_api_of_openai_reach_routes_of_the_other(server, vendors, wire):
    """A client does not know which API a route speaks."""
    chat = {"model": "auto", "messages": QUESTION, "verbosity": "low"}
    defaults = {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "n": 1}
    responses = {"model": "auto", "input": "Say hello.", "text": {"verbosity": "low"}, "truncation": "disabled"}
    bodies = (("/v1/chat/completions", chat | defaults), ("/v1/responses", responses))
    for path, body in bodies:
        status, _, content = server.request("POST", path, body)
        assert status == 200, content
        sent = vendors.seen[-1].body
        assert not {*defaults, "truncation"} & {*sent}
        assert (sent.get("verbosity") == "low") == (wire == "chat")
        assert (sent.get("text") == {"verbosity": "low"}) == (wire == "responses")


def test_thinking_between_tools_is_accepted(server, vendors, wire):
    body = {"model": "auto", "max_tokens": 99, "messages": QUESTION, "thinking": {"type": "between_tools"}}
    assert server.request("POST", "/v1/messages", body)[0] == 200
