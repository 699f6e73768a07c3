"""OpenAI's custom tools, whose input is free text: calls as ChatOpenAI gives them, on both APIs, plain and streamed."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_multiroute import ChatMultiRoute
from multiroute_core import Message, Router, ToolCall, ToolCallResponse
from tests.langchain.faces import FACES, ask, own_timeout
from tests.newer import needed
from tests.wire_replies import (
    NUMBERS,
    candidate_pair,
    chat_chunk,
    chat_pair,
    events,
    message_pair,
    response,
    response_pair,
    route,
    served,
)

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")
ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")
custom_tool = needed("langchain_openai", "custom_tool", "this langchain-openai has no custom tools")

RAN = []
CODE = 'print("3 ** 3")\n# é \\ \u2028 😀'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: NUMBER"}


@custom_tool(format=GRAMMAR)
def run_code(code: str) -> str:
    """Run a program."""
    RAN.append(code)
    return "27"


@custom_tool
def run_sql(query: str) -> str:
    """Run a query."""
    RAN.append(query)
    return "1 row"


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


def item(text=CODE, number=9, name="run_code", status="completed"):
    about = {"type": "custom_tool_call", "id": f"ctc_{number}", "call_id": f"call_{number}", "status": status}
    return {**about, "name": name, "input": text}


def chat_call(text=CODE, number=9, name="run_code"):
    return {"id": f"call_{number}", "type": "custom", "custom": {"name": name, "input": text}}


def words(text="Done."):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": f"m{next(NUMBERS)}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


ASKED = {
    "openai.chat": chat_pair({"tool_calls": [chat_call()]}, "tool_calls"),
    "openai.responses": response_pair(item()),
}
DONE = {"openai.chat": chat_pair({"content": "Done."}), "openai.responses": response_pair(words())}
WIRES = tuple(ASKED)


def model_of(server, *wires):
    return ChatMultiRoute(routes=[route(server, wire) for wire in wires])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_and_its_answer(wire, face):
    with served(ASKED[wire], DONE[wire]) as server:
        model = model_of(server, wire).bind_tools([run_code])
        answer = await ask(model, face)
        call = {"name": "run_code", "args": {"__arg1": CODE}, "id": "call_9", "type": "tool_call"}
        assert answer.tool_calls == [call]
        assert answer.invalid_tool_calls == []
        assert answer.response_metadata["finish_reason"] == "tool_call"
        assert answer.content == ""
        await ask(model, face, [HumanMessage("Compute."), answer, ToolMessage("27", tool_call_id="call_9")])
        first, second = server.bodies
    match wire:
        case "openai.chat":
            (told,) = first["tools"]
            grammar = {name: value for name, value in GRAMMAR.items() if name != "type"}
            assert told["type"] == "custom"
            assert told["custom"]["format"] == {"type": "grammar", "grammar": grammar}
            assert second["messages"][1]["tool_calls"] == [chat_call()]
            assert second["messages"][2] == {"role": "tool", "tool_call_id": "call_9", "content": "27"}
        case _:
            (told,) = first["tools"]
            assert (told["type"], told["name"], told["format"]) == ("custom", "run_code", GRAMMAR)
            assert second["input"][1] == item()
            assert second["input"][2] == {"type": "custom_tool_call_output", "call_id": "call_9", "output": "27"}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_an_agent_runs_it(wire, streaming):
    with served(ASKED[wire], DONE[wire]) as server:
        model = ChatMultiRoute(routes=[route(server, wire)], streaming=streaming)
        messages = create_agent(model, [run_code]).invoke({"messages": [("user", "Compute.")]})["messages"]
        assert RAN == [CODE]
        assert messages[-1].text == "Done."
        assert "27" in json.dumps(server.bodies[1])
        assert "custom_tool_call_output" not in json.dumps(server.bodies[1]) or wire == "openai.responses"


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("wire", WIRES)
async def test_several_calls_beside_words_and_functions(wire, face):
    function = {"name": "add", "arguments": '{"a": 1}'}
    reply = {
        "openai.chat": chat_pair(
            {
                "content": "So.",
                "tool_calls": [
                    chat_call(),
                    {"id": "c2", "type": "function", "function": function},
                    chat_call("SELECT 1", 3, "run_sql"),
                ],
            },
            "tool_calls",
        ),
        "openai.responses": response_pair(
            words("So."),
            item(),
            {"type": "function_call", "id": "fc_2", "call_id": "c2", "status": "completed", **function},
            item("SELECT 1", 3, "run_sql"),
        ),
    }[wire]
    add = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    with served(reply, DONE[wire]) as server:
        model = model_of(server, wire).bind_tools([run_code, add, run_sql])
        answer = await ask(model, face)
        told = [(call["name"], call["args"]) for call in answer.tool_calls]
        assert told == [("run_code", {"__arg1": CODE}), ("add", {"a": 1}), ("run_sql", {"__arg1": "SELECT 1"})]
        assert answer.text == "So."
        answers = [ToolMessage(str(place), tool_call_id=call["id"]) for place, call in enumerate(answer.tool_calls)]
        await ask(model, face, [HumanMessage("Compute."), answer, *answers])
        body = server.bodies[1]
    if wire == "openai.responses":
        kinds = [one["type"] for one in body["input"][2:]]
        calls = ["custom_tool_call", "function_call", "custom_tool_call"]
        assert kinds == [*calls, *(f"{kind}_output" for kind in calls)]
    else:
        assert [call["type"] for call in body["messages"][1]["tool_calls"]] == ["custom", "function", "custom"]


PIECES = {
    "in pieces": [{"name": "run_code", "input": ""}, {"input": CODE[:5]}, {"input": CODE[5:]}],
    "the name first": [{"name": "run_code"}, {"input": CODE}],
    "each with its type": [{"name": "run_code", "input": CODE[:9]}, {"name": "", "input": CODE[9:]}],
}


@pytest.mark.parametrize("form", PIECES)
@pytest.mark.parametrize("together", [False, True])
async def test_the_pieces_of_a_stream(form, together):
    pieces = [{"index": 0, "custom": one} for one in PIECES[form]]
    pieces[0] |= {"id": "call_9", "type": "custom"}
    deltas = [pieces] if together else [[one] for one in pieces]
    stream = [chat_chunk({"tool_calls": one}) for one in deltas]
    with served(events(*stream, chat_chunk({}, "tool_calls"), done=True)) as server:
        answer = await ask(model_of(server, "openai.chat").bind_tools([run_code]), "stream")
    assert [(call["id"], call["args"]) for call in answer.tool_calls] == [("call_9", {"__arg1": CODE})]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("wire", WIRES)
async def test_an_input_that_was_cut_is_not_run(wire, face):
    """Free text does not show that it is cut; the end of the answer does."""
    reply = {
        "openai.chat": chat_pair({"tool_calls": [chat_call("rm -r old/di")]}, "length"),
        "openai.responses": response_pair(
            item("rm -r old/di", status="incomplete"),
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
    }[wire]
    with served(reply) as server:
        answer = await ask(model_of(server, wire).bind_tools([run_code]), face)
    assert answer.tool_calls == []
    assert [call["name"] for call in answer.invalid_tool_calls] == ["run_code"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "choice", ["run_sql", {"type": "custom", "name": "run_sql"}, {"type": "custom", "custom": {"name": "run_sql"}}]
)
def test_a_choice_of_one(wire, choice):
    with served(DONE[wire]) as server:
        model_of(server, wire).bind_tools([run_code, run_sql], tool_choice=choice).invoke("Query.")
        told = server.bodies[0]["tool_choice"]
    expected = {"type": "custom", "name": "run_sql"}
    assert told == (expected if wire == "openai.responses" else {"type": "custom", "custom": {"name": "run_sql"}})


@pytest.mark.parametrize("spelling", ["responses", "chat"])
@pytest.mark.parametrize("wire", WIRES)
def test_either_spelling_for_either_api(wire, spelling):
    grammar = {name: value for name, value in GRAMMAR.items() if name != "type"}
    tool = {
        "responses": {"type": "custom", "name": "calc", "description": "d", "format": GRAMMAR},
        "chat": {
            "type": "custom",
            "custom": {"name": "calc", "description": "d", "format": {"type": "grammar", "grammar": grammar}},
        },
    }
    with served(DONE[wire]) as server:
        model_of(server, wire).bind_tools([tool[spelling]]).invoke("Compute.")
        assert server.bodies[0]["tools"] == [tool[wire.removeprefix("openai.")]]


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic", "google"])
@pytest.mark.parametrize("origin", WIRES)
async def test_the_conversation_goes_on_with_any_model(origin, wire):
    done = {
        **DONE,
        "anthropic": message_pair({"type": "text", "text": "Done."}),
        "google": candidate_pair({"text": "Done."}),
    }
    with served(ASKED[origin]) as server:
        answer = await ask(model_of(server, origin).bind_tools([run_code]), "invoke")
    with served(done[wire]) as server:
        messages = [HumanMessage("Compute."), answer, ToolMessage("27", tool_call_id="call_9")]
        assert (await ask(model_of(server, wire), "invoke", messages)).text == "Done."
        told = json.dumps(server.bodies[0], ensure_ascii=False)
    if wire.startswith("openai."):
        assert '"custom' in told
    else:
        assert "__arg1" in told


def test_the_same_as_chat_openai():
    with served(ASKED["openai.responses"], DONE["openai.responses"]) as server:
        theirs = ChatOpenAI(
            model="gpt-6.1-sol", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), use_responses_api=True
        )
        expected = theirs.bind_tools([run_code]).invoke("Compute.")
        told = server.bodies[0]["tools"]
        # Its messages are read as its own: the block with the call, and the call beside it, are one.
        messages = [HumanMessage("Compute."), expected, ToolMessage("27", tool_call_id="call_9")]
        model_of(server, "openai.responses").invoke(messages)
        assert [one.get("type") for one in server.bodies[1]["input"][1:]] == [
            "custom_tool_call",
            "custom_tool_call_output",
        ]
    with served(ASKED["openai.responses"]) as server:
        ours = model_of(server, "openai.responses").bind_tools([run_code]).invoke("Compute.")
        assert server.bodies[0]["tools"] == told
    assert ours.tool_calls == expected.tool_calls


@pytest.mark.parametrize("block", ["plain", "wrapped", "parts"])
@pytest.mark.parametrize("wire", WIRES)
def test_what_the_tool_answered_is_unwrapped(wire, block):
    output = [{"type": "input_text", "text": "27"}] if block == "parts" else "27"
    told = {"type": "custom_tool_call_output", "output": output}
    content: Any = [{"type": "non_standard", "value": told}] if block == "wrapped" else [told]
    with served(ASKED[wire], DONE[wire]) as server:
        model = model_of(server, wire).bind_tools([run_code])
        answer = model.invoke("Compute.")
        model.invoke([HumanMessage("Compute."), answer, ToolMessage(content, tool_call_id="call_9")])
        last = (server.bodies[1].get("input") or server.bodies[1]["messages"])[-1]
    assert last.get("output", last.get("content")) == "27"


@pytest.mark.parametrize("wire", WIRES)
def test_the_router_and_dicts_as_openai_writes_them(wire):
    tool = {"type": "custom", "name": "run_code"}
    with served(ASKED[wire], DONE[wire]) as server, Router([route(server, wire)]) as router:
        response_of = router.generate("Compute.", tools=[tool])
        (call,) = response_of.tool_calls
        assert isinstance(call, ToolCall)
        assert call.arguments == {"__arg1": CODE}
        router.generate(
            [
                Message("user", "a"),
                Message("assistant", response_of.parts),
                Message("tool", [ToolCallResponse("call_9", "27")]),
            ]
        )
        written = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
        ]
        router.generate([*written, {"role": "tool", "tool_call_id": "call_9", "content": "27"}])
        assert (server.bodies[1].get("input") or server.bodies[1]["messages"])[-1] == (
            server.bodies[2].get("input") or server.bodies[2]["messages"]
        )[-1]


def test_an_older_message_without_the_call_beside_it():
    """LangChain's `content` alone: some stores keep no `tool_calls`."""
    with served(DONE["openai.responses"]) as server:
        old = AIMessage(
            [item()],
            response_metadata={"model_provider": "openai"},
            tool_calls=[{"name": "run_code", "args": {"__arg1": CODE}, "id": "call_9"}],
        )
        model_of(server, "openai.responses").invoke([HumanMessage("a"), old, ToolMessage("27", tool_call_id="call_9")])
        assert server.bodies[0]["input"][1:] == [
            item(),
            {"type": "custom_tool_call_output", "call_id": "call_9", "output": "27"},
        ]


def test_a_stream_that_ends_without_the_items_end():
    told = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item(""), "status": "in_progress"}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "item_id": "ctc_9", "delta": "rm -r"},
        {
            "type": "response.incomplete",
            "response": response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        },
    ]
    with served(events(*told)) as server:
        chunks = list(model_of(server, "openai.responses").bind_tools([run_code]).stream("Compute."))
    answer = sum(chunks[1:], chunks[0])
    assert answer.tool_calls == []
    assert len(answer.invalid_tool_calls) == 1
