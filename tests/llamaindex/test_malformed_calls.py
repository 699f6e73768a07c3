"""Calls whose arguments are cut or malformed: LlamaIndex runs no tool for them, and the model hears why.

LlamaIndex has no word for such a call: with no arguments a tool would run with its defaults.
"""

from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import ChatMessage, mock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llamaindex_multiroute import MultiRoute
from tests.wire_replies import (
    candidate_pair,
    chat_pair,
    message,
    message_pair,
    response_pair,
    route,
    served,
    whole,
)

# LlamaIndex's own code asks a pydantic model for `__fields__`.
pytestmark = [pytest.mark.wire, pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")]

CUT = {
    "a word": '{"days": 30, "dry_run": tr',
    "a number": '{"days": 3',
    "before a value": '{"days":',
    "two objects": '{"days": 30}{"days": 31}',
    "a list": "[30]",
}
RAN = []


def purge(days: int = 0, dry_run: bool = False) -> str:
    """Delete old files."""
    RAN.append((days, dry_run))
    return "done"


def purge_all(**options) -> str:
    """Delete everything; it takes anything."""
    RAN.append(options)
    return "done"


def purge_one(path: str = "/") -> str:
    """Delete one thing: a tool of one argument is called by its place."""
    RAN.append(path)
    return "done"


TOOLS = {"purge": purge, "purge_all": purge_all, "purge_one": purge_one}


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


def call_of(arguments, name):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def item_of(arguments, name):
    about = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
    return {**about, "name": name, "arguments": arguments}


def asked(wire, arguments, name="purge", finish="tool_calls"):
    match wire:
        case "openai.chat":
            return chat_pair({"tool_calls": [call_of(arguments, name)]}, finish)
        case "openai.responses":
            return response_pair(item_of(arguments, name))
        case _:
            block = {"type": "tool_use", "id": "call_1", "name": name, "input": arguments}
            return whole(message(block, stop_reason="tool_use")), message_pair(block, stop_reason="tool_use")[1]


DONE = {
    "openai.chat": chat_pair({"content": "Done."}),
    "openai.responses": response_pair(
        {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
    ),
    "anthropic": message_pair({"type": "text", "text": "Done."}),
    "google": candidate_pair({"text": "Done."}),
}
WIRES = ("openai.chat", "openai.responses", "anthropic")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("form", "name"), [*((form, "purge") for form in CUT), ("a word", "purge_all"), ("a word", "purge_one")]
)
async def test_an_agent_runs_nothing(wire, form, name, streaming):
    with served(asked(wire, CUT[form], name), DONE[wire]) as server:
        llm = MultiRoute(routes=[route(server, wire)])
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(TOOLS[name])], llm=llm, streaming=streaming)
        assert str(await agent.run("Clean up.")) == "Done."
        _, body = server.bodies
    assert RAN == []
    match wire:
        case "openai.chat":
            _, said, answer = body["messages"][-3:]
            assert said["tool_calls"][0]["function"] == {"name": name, "arguments": CUT[form]}
            assert "not run" in answer["content"]
        case "openai.responses":
            assert body["input"][-2]["arguments"] == CUT[form]
            assert "not run" in body["input"][-1]["output"]
        case _:
            said, answer = body["messages"][-2:]
            assert said["content"][0]["input"] == {"INVALID_JSON": CUT[form]}
            assert "not run" in answer["content"][0]["content"]


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "length", "function_call", "content_filter"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_whatever_the_reason_of_the_end(finish, streaming):
    with served(asked("openai.chat", CUT["a word"], finish=finish), DONE["openai.chat"]) as server:
        llm = MultiRoute(routes=[route(server, "openai.chat")])
        agent = AgentWorkflow.from_tools_or_functions([purge], llm=llm)
        agent.agents["Agent"].streaming = streaming
        assert str(await agent.run(user_msg="Clean up.")) == "Done."
    assert RAN == []


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_limit_cut_the_call_before_its_arguments(streaming):
    with served(asked("openai.chat", "", finish="length"), DONE["openai.chat"]) as server:
        llm = MultiRoute(routes=[route(server, "openai.chat")])
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(purge)], llm=llm, streaming=streaming)
        assert str(await agent.run("Clean up.")) == "Done."
    assert RAN == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("tolerant", [False, True])
async def test_predict_and_call_runs_nothing(wire, name, tolerant):
    with served(asked(wire, CUT["a word"], name)) as server:
        llm = MultiRoute(routes=[route(server, wire)])
        tools = [FunctionTool.from_defaults(TOOLS[name])]
        with pytest.raises(ValueError, match=name):
            llm.predict_and_call(tools, "Clean up.", error_on_no_tool_call=not tolerant)
        with pytest.raises(ValueError, match=name):
            await llm.apredict_and_call(tools, "Clean up.", error_on_no_tool_call=not tolerant)
    assert RAN == []


class Report(BaseModel):
    """A report; all of it has defaults."""

    title: str = "none"
    pages: int = 0


@pytest.mark.parametrize("wire", WIRES)
async def test_no_object_is_made_of_a_cut_form(wire):
    with served(asked(wire, '{"title": "Moon", "pag', "Report")) as server:
        llm = MultiRoute(routes=[route(server, wire)])
        with pytest.raises(ValueError, match="Report"):
            llm.structured_predict(Report, PromptTemplate("Report."))
        with pytest.raises(ValueError, match="Report"):
            await llm.astructured_predict(Report, PromptTemplate("Report."))


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_shows_what_has_come_so_far(wire):
    """Partial answers of a stream may show partial arguments; its last one may not."""
    with served(asked(wire, CUT["a word"])) as server:
        llm = MultiRoute(routes=[route(server, wire)])
        responses = list(llm.stream_chat_with_tools([FunctionTool.from_defaults(purge)], "Clean up."))
    (last,) = llm.get_tool_calls_from_response(responses[-1], error_on_no_tool_call=False)
    assert last.tool_name != "purge"
    assert last.tool_kwargs == {}
    so_far = [llm.get_tool_calls_from_response(one, error_on_no_tool_call=False) for one in responses[:-1]]
    assert all(call.tool_name == "purge" for calls in so_far for call in calls)


@pytest.mark.parametrize("wire", [*WIRES, "google"])
def test_the_message_alone_says_it(wire):
    """Memories and stores keep the message, not the response."""
    with served(asked("openai.chat", CUT["a word"])) as server:
        said = MultiRoute(routes=[route(server, "openai.chat")]).chat([ChatMessage("Clean up.")]).message
    stored = ChatMessage.model_validate_json(said.model_dump_json())
    answer = ChatMessage(role="tool", content="Again.", additional_kwargs={"tool_call_id": "call_1"})
    with served(DONE[wire]) as server:
        llm = MultiRoute(routes=[route(server, wire)])
        assert llm.chat([ChatMessage("Clean up."), stored, answer]).message.content == "Done."
        llm.chat([ChatMessage("Clean up."), stored, ChatMessage("Go on.")])
        bodies = [str(body) for body in server.bodies]
    assert all("tr" in body and "purge" in body for body in bodies)
    assert "not run" in bodies[1]
    assert "not run" not in bodies[0]


@pytest.mark.skipif(
    not hasattr(mock, "MockFunctionCallingLLM"), reason="llama-index-core has no MockFunctionCallingLLM yet"
)
def test_wrapped_llms_get_the_call_with_its_text():
    class Taking(mock.MockFunctionCallingLLM):
        """An LLM of LlamaIndex's, wrapped."""

    call = {"id": "call_1", "type": "function", "function": {"name": "purge", "arguments": CUT["a word"]}}
    seen = []
    fields: dict[str, Any] = {
        "response_generator": lambda messages: seen.append(messages) or ChatMessage(role="assistant", content="Done.")
    }
    llm = Taking(**fields)
    said = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]})
    MultiRoute(routes=[llm]).chat([ChatMessage("a"), said, ChatMessage("b")])
    _, told, answer, _ = seen[0]
    assert told.blocks[-1].tool_kwargs == CUT["a word"]
    assert "not run" in answer.content
