"""Calls whose arguments are cut or malformed: no agent runs them, and the model reads what it said and why it failed."""

import json

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from multiroute_core import ConfigurationError, InvalidToolCall, Message, ToolCallResponse
from multiroute_core.providers.openai.chat_history import history
from tests.langchain.faces import FACES, ask, own_timeout
from tests.newer import needed
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

pytestmark = pytest.mark.wire

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")
ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")

CUT = {
    "a word": '{"days": 30, "dry_run": tr',
    "a number": '{"days": 3',
    "a text": '{"path": "/home',
    "an escape": '{"path": "C:\\',
    "before a value": '{"days":',
    "after the brace": "{",
    "a brace too much": '{"days": 30}}',
    "a list": '[{"days": 30}]',
    "null": "null",
    "two objects": '{"days": 30}{"days": 31}',
    "no JSON": "days=30",
    "quoted once more": json.dumps('{"days": 30}'),
}
RAN = []


@tool
def purge(days: int = 0, dry_run: bool = False, path: str = "/") -> str:
    """Delete old files."""
    RAN.append((days, dry_run, path))
    return "done"


def openai_call(arguments, name="purge"):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def item(arguments, status="completed", name="purge"):
    about = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": status}
    return {**about, "name": name, "arguments": arguments}


def asked(arguments):
    """The malformed call on three wires, whole and streamed. Anthropic reads its own calls: only streams are cut."""
    stream = message_pair(
        {"type": "tool_use", "id": "call_1", "name": "purge", "input": arguments}, stop_reason="tool_use"
    )
    block = {"type": "tool_use", "id": "call_1", "name": "purge", "input": arguments}
    return {
        "openai.chat": chat_pair({"tool_calls": [openai_call(arguments)]}, "tool_calls"),
        "openai.responses": response_pair(item(arguments)),
        "anthropic": (whole(message(block, stop_reason="tool_use")), stream[1]),
    }


DONE = {
    "openai.chat": chat_pair({"content": "Done."}),
    "openai.responses": response_pair(
        {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
    ),
    "anthropic": message_pair({"type": "text", "text": "Done."}),
    "google": candidate_pair({"text": "Done."}),
}


def is_told(body, arguments):
    """Whether a request says what the model said: word for word, or as text in an object."""
    return any(
        text == arguments or json.dumps({"INVALID_JSON": arguments}, ensure_ascii=False) == text
        for text in strings(body)
    )


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic"])
@pytest.mark.parametrize("form", CUT)
async def test_they_are_invalid_calls_on_every_face(wire, form):
    arguments = CUT[form]
    with served(asked(arguments)[wire]) as server:
        model = ChatMultiRoute(routes=[route(server, wire)]).bind_tools([purge])
        for face in FACES:
            answer = await ask(model, face)
            assert answer.tool_calls == []
            (call,) = answer.invalid_tool_calls
            assert (call["name"], call["id"]) == ("purge", "call_1")
            assert call["args"].startswith(arguments)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic"])
@pytest.mark.parametrize("form", ["a word", "a text", "two objects"])
def test_an_agent_runs_nothing_and_the_history_says_what_was_said(wire, form, streaming):
    RAN.clear()
    with served(asked(CUT[form])[wire], DONE[wire]) as server:
        agent = create_agent(ChatMultiRoute(routes=[route(server, wire)], streaming=streaming), [purge])
        state = agent.invoke({"messages": [("user", "Clean up.")]})
        agent.invoke({"messages": [*state["messages"], ("user", "Go on.")]})
        body = server.bodies[1]
    assert RAN == []
    assert is_told(body, CUT[form])
    assert list(strings(body)).count("call_1") == 2  # the agent, or the router, answers it


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic", "google"])
@pytest.mark.parametrize("face", FACES)
async def test_an_answer_of_the_callers_stands_after_the_call(wire, face):
    """A loop of one's own answers malformed calls; every vendor gets the pair."""
    call = {"type": "invalid_tool_call", "name": "purge", "args": CUT["a word"], "id": "call_1", "error": None}
    messages = [
        HumanMessage("Clean up."),
        AIMessage("I will.", invalid_tool_calls=[call]),
        ToolMessage("Give whole arguments.", tool_call_id="call_1", status="error"),
    ]
    with served(DONE[wire]) as server:
        assert (await ask(ChatMultiRoute(routes=[route(server, wire)]), face, messages)).text == "Done."
        (body,) = server.bodies
    assert is_told(body, CUT["a word"])
    assert not any("not run" in text for text in strings(body))
    match wire:
        case "openai.chat":
            assert body["messages"][1]["tool_calls"] == [openai_call(CUT["a word"])]
            assert body["messages"][2]["tool_call_id"] == "call_1"
        case "openai.responses":
            assert body["input"][2]["arguments"] == CUT["a word"]
            assert body["input"][3]["call_id"] == "call_1"
        case "anthropic":
            assert body["messages"][1]["content"][1]["input"] == {"INVALID_JSON": CUT["a word"]}
            assert body["messages"][2]["content"][0]["tool_use_id"] == "call_1"
        case _:
            assert body["contents"][1]["parts"][1]["functionCall"]["args"] == {"INVALID_JSON": CUT["a word"]}
            assert "error" in body["contents"][2]["parts"][0]["functionResponse"]["response"]


def test_the_local_server_gets_json():
    """Chat templates read the arguments of earlier calls, and fail at what is none."""
    call = InvalidToolCall("call_1", "purge", CUT["a word"], "cut")
    _, said_then = history([Message("user", "a"), Message("assistant", [call])], "m", "local")
    (told,) = said_then["tool_calls"]
    assert json.loads(told["function"]["arguments"]) == {"INVALID_JSON": CUT["a word"]}


LIMIT = {
    "openai.chat": lambda text: chat_pair({"tool_calls": [openai_call(text)]}, "length"),
    "openai.responses": lambda text: response_pair(
        item(text, "incomplete"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    ),
    "anthropic": lambda text: message_pair(
        {"type": "tool_use", "id": "call_1", "name": "purge", "input": json.loads(text) if text else {}},
        stop_reason="max_tokens",
    ),
}


@pytest.mark.parametrize("wire", LIMIT)
@pytest.mark.parametrize("face", FACES)
async def test_a_call_that_the_limit_cut_before_its_arguments(wire, face):
    """Nothing came of them: that is no call without arguments, with which a tool would run by its defaults."""
    with served(LIMIT[wire]("")) as server:
        answer = await ask(ChatMultiRoute(routes=[route(server, wire)]).bind_tools([purge]), face)
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.tool_calls == []
    assert [call["name"] for call in answer.invalid_tool_calls] == ["purge"]


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic"])
@pytest.mark.parametrize("face", ["stream", "astream"])
async def test_a_call_that_is_whole_at_the_limit_is_one(wire, face):
    with served(LIMIT[wire]('{"days": 30}')) as server:
        answer = await ask(ChatMultiRoute(routes=[route(server, wire)]).bind_tools([purge]), face)
    assert [call["args"] for call in answer.tool_calls] == [{"days": 30}]


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic"])
@pytest.mark.parametrize("face", FACES)
async def test_a_call_without_arguments_is_one(wire, face):
    call = {"type": "tool_use", "id": "call_1", "name": "purge", "input": {}}
    reply = {
        "openai.chat": chat_pair({"tool_calls": [openai_call("")]}, "tool_calls"),
        "openai.responses": response_pair(item("")),
        "anthropic": message_pair(call, stop_reason="tool_use"),
    }[wire]
    with served(reply) as server:
        answer = await ask(ChatMultiRoute(routes=[route(server, wire)]).bind_tools([purge]), face)
    assert [call["args"] for call in answer.tool_calls] == [{}]


@pytest.mark.parametrize("face", FACES)
async def test_a_whole_call_beside_a_malformed_one_is_run_and_both_are_answered(face):
    whole_call = {"id": "call_0", "type": "function", "function": {"name": "purge", "arguments": '{"days": 1}'}}
    pair = chat_pair({"tool_calls": [whole_call, openai_call(CUT["a number"])]}, "tool_calls")
    with served(pair, DONE["openai.chat"]) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")]).bind_tools([purge])
        answer = await ask(model, face)
        assert [call["args"] for call in answer.tool_calls] == [{"days": 1}]
        await ask(model, face, [HumanMessage("a"), answer, ToolMessage("done", tool_call_id="call_0")])
        told = server.bodies[1]["messages"]
    assert [call["id"] for call in told[1]["tool_calls"]] == ["call_0", "call_1"]
    assert [one["tool_call_id"] for one in told[2:]] == ["call_0", "call_1"]
    assert "not run" in told[3]["content"]


class Report(BaseModel):
    """A report; all of it has defaults."""

    title: str = "none"
    pages: int = 0


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses"])
def test_no_object_is_made_of_a_cut_form(wire):
    """Neither a parser nor a tool that stands for a form may fill it with defaults."""
    cut = '{"title": "Moon", "pag'
    calls = {"openai.chat": openai_call, "openai.responses": item}
    call = calls[wire](cut, name="Report")
    reply = chat_pair({"tool_calls": [call]}, "length") if wire == "openai.chat" else response_pair(call)
    with served(reply) as server:
        model = ChatMultiRoute(routes=[route(server, wire)])
        assert model.with_structured_output(Report, method="function_calling").invoke("Report.") is None


def openai_model(server, **settings):
    return ChatOpenAI(
        model="gpt-4.1", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), max_retries=0, **settings
    )


@pytest.mark.parametrize("form", ["a word", "a number", "a text", "no JSON"])
def test_the_same_as_chat_openai(form):
    """What ChatOpenAI makes of it when it does not stream; what it sends back, word for word."""
    with served(asked(CUT[form])["openai.chat"], DONE["openai.chat"]) as server:
        theirs = openai_model(server).bind_tools([purge]).invoke("Clean up.")
    answers = [ToolMessage("No JSON.", tool_call_id="call_1")]
    with served(DONE["openai.chat"]) as server:
        ours = ChatMultiRoute(routes=[route(server, "openai.chat")])
        ours.invoke([HumanMessage("a"), theirs, *answers])
        openai_model(server).invoke([HumanMessage("a"), theirs, *answers])
        one, other = (body["messages"] for body in server.bodies)
    assert theirs.tool_calls == []
    assert one == other


class Calling(BaseChatModel):
    """A model of somebody else's that makes a malformed call, and takes whole ones alone."""

    seen: list = []

    @property
    def _llm_type(self):
        return "calling"

    def bind_tools(self, tools, **kwargs):
        return self.bind()

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Done."))])


def test_wrapped_models_get_a_call_that_they_can_send():
    model = Calling()
    call = {"type": "invalid_tool_call", "name": "purge", "args": CUT["a word"], "id": "call_1", "error": None}
    ChatMultiRoute(routes=[model]).invoke([HumanMessage("a"), AIMessage("", invalid_tool_calls=[call])])
    _, said_then, answer = model.seen[0]
    assert [one["args"] for one in said_then.tool_calls] == [{"INVALID_JSON": CUT["a word"]}]
    assert answer.tool_call_id == said_then.tool_calls[0]["id"]
    assert answer.status == "error"


def test_a_garbled_name_goes_back_to_no_vendor():
    """It would be refused, and the whole conversation with it."""
    call = {"type": "invalid_tool_call", "name": "pur ge(", "args": "{", "id": "call_1", "error": None}
    with served(DONE["openai.chat"]) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")])
        model.invoke([HumanMessage("a"), AIMessage("b", invalid_tool_calls=[call]), HumanMessage("c")])
        assert [one["role"] for one in server.bodies[0]["messages"]] == ["user", "assistant", "user"]


def test_an_answer_to_no_call_is_still_refused():
    messages = [Message("user", "a"), Message("assistant", [InvalidToolCall("1", "f", "{", "cut")])]
    with served(DONE["openai.chat"]) as server:
        router = ChatMultiRoute(routes=[route(server, "openai.chat")]).router
        router.generate([*messages, Message("tool", [ToolCallResponse("1", "No.")])])
        with pytest.raises(ConfigurationError, match="'2'"):
            router.generate([*messages, Message("tool", [ToolCallResponse("2", "No.")])])
