"""ChatMultiRoute in LangChain's agents and graphs, on every vendor's wire and across them."""

import itertools
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.types import StreamMode
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from tests.vendors.server import WIRES

pytestmark = pytest.mark.wire


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    get_stream_writer()(f"looking at {city}")
    return f"It is sunny in {city}."


@tool
def translate_text(text: str, language: str) -> str:
    """Translate a text into another language."""
    return f"{text!r} in {language}"


TOOLS = [add, get_weather, translate_text]
TASK = "Add 3 and 4, then get the weather in Paris, then translate the text 'hello' into French."


class Weather(BaseModel):
    """A report of the weather."""

    city: str
    sunny: bool


def finished(messages):
    """All three tools were called and answered, and the last word is the model's."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    answers = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    assert {call["name"] for call in calls} == {"add", "get_weather", "translate_text"}
    assert {call["id"] for call in calls} == answers
    assert not messages[-1].tool_calls
    assert messages[-1].text


def answered_by(messages):
    return [message.response_metadata["multiroute"]["route"] for message in messages if isinstance(message, AIMessage)]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dead", [False, True])
class TestAgent:
    def llm(self, server, wire, dead):
        others = [server.route(other) for other in WIRES if other != wire][:1] if dead else []
        server.dead.update(route.model for route in others)
        return ChatMultiRoute(routes=[*others, server.route(wire)], max_tokens=2000)

    def test_a_task_with_three_tools(self, server, wire, dead):
        state = create_agent(self.llm(server, wire, dead), TOOLS).invoke({"messages": [HumanMessage(TASK)]})
        finished(state["messages"])

    async def test_a_task_streamed_in_every_mode(self, server, wire, dead):
        agent = create_agent(self.llm(server, wire, dead), TOOLS)
        modes: list[StreamMode] = ["values", "updates", "messages", "custom"]
        seen = {mode: [] for mode in modes}
        async for mode, event in agent.astream({"messages": [HumanMessage(TASK)]}, stream_mode=modes):
            seen[mode].append(event)
        finished(seen["values"][-1]["messages"])
        assert seen["custom"] == ["looking at Paris"]
        assert {name for update in seen["updates"] for name in update} == {"model", "tools"}
        chunks = [chunk for chunk, _ in seen["messages"] if isinstance(chunk, AIMessageChunk)]
        last = seen["values"][-1]["messages"][-1]
        assert "".join(chunk.text for chunk in chunks if chunk.id == last.id) == last.text

    @pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
    @pytest.mark.parametrize("tools", [[], TOOLS])
    def test_answers_in_a_form(self, server, wire, dead, strategy, tools):
        agent = create_agent(self.llm(server, wire, dead), tools, response_format=strategy(Weather))
        state = agent.invoke({"messages": [HumanMessage("Get the weather in Paris as a report.")]})
        assert isinstance(state["structured_response"], Weather)

    def test_events_of_the_third_version(self, server, wire, dead):
        llm = self.llm(server, wire, dead).bind_tools(TOOLS)
        stream: Any = llm.stream_events("Get the weather in Paris.", version="v3")
        kinds = [event["event"] for event in stream]
        assert (kinds[0], kinds[-1]) == ("message-start", "message-finish")
        assert kinds.count("content-block-start") == kinds.count("content-block-finish") > 0
        message = stream.output
        assert [call["name"] for call in message.tool_calls] == ["get_weather"]
        assert "tool_call" in [block["type"] for block in message.content_blocks]

    @pytest.mark.parametrize("version", [None, "v1"])
    def test_blocks_tell_the_same_whole_and_streamed(self, server, wire, dead, version):
        llm = self.llm(server, wire, dead).model_copy(update={"output_version": version}).bind_tools(TOOLS)
        whole = llm.invoke(TASK)
        first, *rest = llm.stream(TASK)
        streamed: Any = first + rest

        def told(message):
            return [
                (block["type"], block.get("text"), block.get("name"), block.get("args"))
                for block in message.content_blocks
                if block.get("text") != ""
            ]

        assert told(streamed) == told(whole)
        assert [call["args"] for call in streamed.tool_calls] == [call["args"] for call in whole.tool_calls]
        assert streamed.response_metadata["model_provider"] == whole.response_metadata["model_provider"]


class TestAcrossVendors:
    @pytest.mark.parametrize("order", list(itertools.permutations(("anthropic", "responses", "google"))), ids="-".join)
    @pytest.mark.parametrize("streaming", [False, True])
    def test_the_vendor_is_switched_after_each_step(self, server, order, streaming):
        routes = [server.route(wire) for wire in ("anthropic", "responses", "google")]
        names = {route.name.partition(":")[0]: route.name for route in routes}
        turns = itertools.cycle(names[wire] for wire in order)

        @wrap_model_call
        def switch(request, handler):
            settings = {"model": next(turns), "parallel_tool_calls": False, "reasoning": "low"}
            return handler(request.override(model_settings=settings))

        llm = ChatMultiRoute(routes=routes, max_tokens=4000, streaming=streaming)
        state = create_agent(llm, TOOLS, middleware=[switch]).invoke({"messages": [HumanMessage(TASK)]})
        finished(state["messages"])
        steps = answered_by(state["messages"])
        assert len(set(steps)) == 3
        assert all(one != other for one, other in itertools.pairwise(steps))
        assert {seen.status for seen in server.seen} == {200}

    def test_a_vendor_dies_in_the_middle(self, server):
        @wrap_model_call
        def kill(request, handler):
            if any(isinstance(message, ToolMessage) for message in request.messages):
                server.dead.add("anthropic")
            return handler(request)

        llm = ChatMultiRoute(routes=server.routes("anthropic", "google"))
        with get_usage_metadata_callback() as counter:
            state = create_agent(llm, TOOLS, middleware=[kill]).invoke({"messages": [HumanMessage(TASK)]})
        finished(state["messages"])
        wires = [name.partition(":")[0] for name in answered_by(state["messages"])]
        assert (wires[0], wires[-1]) == ("anthropic", "google")
        spent = [m.usage_metadata["input_tokens"] for m in state["messages"] if isinstance(m, AIMessage)]
        assert sum(told["input_tokens"] for told in counter.usage_metadata.values()) == sum(spent)

    def test_tracers_are_told_who_answered(self, server):
        ended = []

        class Listener(BaseCallbackHandler):
            def on_llm_end(self, response, **_):
                ended.append(response.generations[0][0])

        llm = ChatMultiRoute(routes=server.routes("chat", "google"))
        server.dead.add("chat")
        message = llm.invoke("Hi", config={"callbacks": [Listener()]})
        (generation,) = ended
        told = generation.generation_info["lc_gateway_metadata"]
        assert (told["provider"], told["model"]) == ("google_genai", "gemini-3.8-flash")
        assert "lc_gateway_metadata" not in message.response_metadata
