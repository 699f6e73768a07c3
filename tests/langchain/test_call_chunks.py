"""Tool calls in LangChain's streams: however a server cuts them, one chunk has one entry for each call.

LangChain joins the entries of different chunks by their index, but takes two entries of one chunk for two calls: then an
agent runs a tool without its arguments, or a call that no model made.
"""

import json
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool

from langchain_multiroute import ChatMultiRoute
from tests.newer import needed
from tests.wire_replies import (
    candidate_pair,
    chat_chunk,
    events,
    message,
    response,
    route,
    served,
    whole,
)

pytestmark = pytest.mark.wire

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")


@tool
def pay(amount: int = 0) -> str:
    """Pay."""
    return f"paid {amount}"


@tool
def get_balance(account: str = "none") -> str:
    """The balance of an account."""
    return f"{account}: 5"


TOOLS = [pay, get_balance]
ONE = [("pay", {"amount": 250})]
TWO = [("pay", {"amount": 250}), ("get_balance", {"account": "main"})]
FIRST, SECOND = '{"amount": 250}', '{"account": "main"}'


def piece(arguments=None, name=None, index: int | None = 0, call_id=None, **more):
    function = {"arguments": arguments, "name": name}
    told = {"function": {key: value for key, value in function.items() if value is not None}}
    told |= {"type": "function", "id": call_id} if call_id else {}
    return told | ({} if index is None else {"index": index}) | more


def calls(*pieces):
    return chat_chunk({"tool_calls": list(pieces)})


END = chat_chunk({}, "tool_calls")
CHAT = {
    "whole, with the finish reason": ([chat_chunk({"tool_calls": [piece(FIRST, "pay", 0, "c1")]}, "tool_calls")], ONE),
    "whole, with a finish reason of stop": ([chat_chunk({"tool_calls": [piece(FIRST, "pay", 0, "c1")]}, "stop")], ONE),
    "in three pieces of one delta": (
        [calls(piece("", "pay", 0, "c1"), piece('{"amount"'), piece(": 250}")), END],
        ONE,
    ),
    "the last piece with the finish reason": (
        [calls(piece('{"amount"', "pay", 0, "c1")), chat_chunk({"tool_calls": [piece(": 250}")]}, "tool_calls")],
        ONE,
    ),
    "pieces of two calls in one delta": (
        [
            calls(piece('{"amount"', "pay", 0, "c1"), piece('{"acc', "get_balance", 1, "c2"), piece(": 250}")),
            calls(piece('ount": ', index=1), piece('"main"}', index=1)),
            END,
        ],
        TWO,
    ),
    "pieces of two calls by turns": (
        [
            calls(piece("", "pay", 0, "c1")),
            calls(piece("", "get_balance", 1, "c2")),
            calls(piece('{"amount"')),
            calls(piece('{"account": ', index=1)),
            calls(piece(": 250}")),
            calls(piece('"main"}', index=1)),
            END,
        ],
        TWO,
    ),
    "the later index first": (
        [calls(piece(FIRST, "pay", 1, "c1"), piece(SECOND, "get_balance", 0, "c2")), END],
        TWO,
    ),
    "two calls under index 0, in one delta": (
        [calls(piece(FIRST, "pay", 0, "c1"), piece(SECOND, "get_balance", 0, "c2")), END],
        TWO,
    ),
    "two calls under index 0, in pieces": (
        [
            calls(piece("", "pay", 0, "c1"), piece(FIRST)),
            calls(piece("", "get_balance", 0, "c2")),
            chat_chunk({"tool_calls": [piece(SECOND)]}, "tool_calls"),
        ],
        TWO,
    ),
    "no index": (
        [
            calls(piece("", "pay", None, "c1")),
            calls(piece(FIRST, None, None), piece(SECOND, "get_balance", None, "c2")),
            END,
        ],
        TWO,
    ),
    "no index and the id each time": (
        [
            calls(piece("", "pay", None, "c1"), piece("", "get_balance", None, "c2")),
            calls(piece(SECOND, None, None, "c2"), piece(FIRST, None, None, "c1")),
            END,
        ],
        TWO,
    ),
    "the id and the name each time": (
        [calls(piece('{"amount"', "pay", 0, "c1")), calls(piece(": 250}", "pay", 0, "c1")), END],
        ONE,
    ),
    "the name in pieces": (
        [
            calls(piece(None, "get_", 0, "c1")),
            calls(piece(None, "bal"), piece(None, "ance")),
            calls(piece(SECOND)),
            END,
        ],
        TWO[1:],
    ),
    "the name longer each time": (
        [calls(piece(None, "get", 0, "c1")), calls(piece("", "get_balance")), calls(piece(SECOND, "get_balance")), END],
        TWO[1:],
    ),
    "an empty name and id each time": (
        [calls(piece('{"amount"', "pay", 0, "c1")), calls(piece(": 250}", "", 0) | {"id": ""}), END],
        ONE,
    ),
    "the name after the arguments": (
        [calls(piece('{"amount"', None, 0, "c1")), calls(piece(": 250}")), calls(piece("", "pay")), END],
        ONE,
    ),
    "an empty piece with the finish reason": (
        [calls(piece(FIRST, "pay", 0, "c1")), chat_chunk({"tool_calls": [piece("")]}, "tool_calls")],
        ONE,
    ),
    "no finish reason": ([calls(piece('{"amount"', "pay", 0, "c1"), piece(": 250}"))], ONE),
    "text before and after": (
        [chat_chunk({"content": "One "}), calls(piece(FIRST, "pay", 0, "c1")), chat_chunk({"content": "moment"}), END],
        ONE,
    ),
    "text in the same delta": (
        [chat_chunk({"content": "Hm.", "tool_calls": [piece("{}", "pay", 0, "c1")]}, "tool_calls")],
        [("pay", {})],
    ),
    "reasoning first": (
        [chat_chunk({"reasoning": "Hm."}), chat_chunk({"tool_calls": [piece(FIRST, "pay", 0, "c1")]}, "tool_calls")],
        ONE,
    ),
    "the older form": (
        [chat_chunk({"function_call": {"name": "pay", "arguments": FIRST}}, "function_call")],
        ONE,
    ),
}


def function_call(name, arguments, number, **more):
    about = {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "status": "completed"}
    return {**about, "name": name, "arguments": arguments, **more}


PAY, BALANCE = function_call("pay", FIRST, 1), function_call("get_balance", SECOND, 2)


def added(item, arguments="", **place):
    return {"type": "response.output_item.added", **place, "item": {**item, "arguments": arguments}}


def grown(item_id, text, **place):
    return {"type": "response.function_call_arguments.delta", "item_id": item_id, **place, "delta": text}


def over(item, **place):
    return {"type": "response.output_item.done", **place, "item": item}


RESPONSES = {
    "whole items": ([over(PAY, output_index=0), over(BALANCE, output_index=1)], TWO),
    "by turns": (
        [
            added(PAY, output_index=0),
            added(BALANCE, output_index=1),
            grown("fc_1", '{"amount"', output_index=0),
            grown("fc_2", SECOND, output_index=1),
            grown("fc_1", ": 250}", output_index=0),
            over(PAY, output_index=0),
            over(BALANCE, output_index=1),
        ],
        TWO,
    ),
    "without places": (
        [added(PAY), added(BALANCE), grown("fc_2", SECOND), grown("fc_1", FIRST), over(BALANCE), over(PAY)],
        TWO,
    ),
    "all of it at the beginning": ([added(PAY, FIRST, output_index=0), over(PAY, output_index=0)], ONE),
    "the end alone has the arguments": ([added(PAY, output_index=0), over(PAY, output_index=0)], ONE),
}


def started(place, name):
    block = {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": {}}
    return {"type": "content_block_start", "index": place, "content_block": block}


def partial(place, text):
    return {
        "type": "content_block_delta",
        "index": place,
        "delta": {"type": "input_json_delta", "partial_json": text},
    }


def stopped(place):
    return {"type": "content_block_stop", "index": place}


ANTHROPIC = {
    "one after the other": (
        [
            started(0, "pay"),
            partial(0, ""),
            partial(0, FIRST),
            stopped(0),
            started(1, "get_balance"),
            partial(1, SECOND),
            stopped(1),
        ],
        TWO,
    ),
    "by turns": (
        [started(0, "pay"), started(1, "get_balance"), partial(1, SECOND), partial(0, FIRST), stopped(1), stopped(0)],
        TWO,
    ),
    "places of later blocks": ([started(4, "pay"), partial(4, FIRST), stopped(4)], ONE),
}
GOOGLE = {
    "both in one event": ([{"functionCall": {"name": name, "args": args}} for name, args in TWO], TWO),
    "with ids": ([{"functionCall": {"name": name, "args": args, "id": name}} for name, args in TWO], TWO),
}


def stream_of(wire, form):
    match wire:
        case "openai.chat":
            return events(*CHAT[form][0], done=True), CHAT[form][1]
        case "openai.responses":
            made, expected = RESPONSES[form]
            body = response(*(one["item"] for one in made if one["type"] == "response.output_item.done"))
            return events(*made, {"type": "response.completed", "response": body}), expected
        case "anthropic":
            made, expected = ANTHROPIC[form]
            delta = {"stop_reason": "tool_use", "stop_sequence": None}
            return (
                events(
                    {"type": "message_start", "message": message(stop_reason=None)},
                    *made,
                    {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}},
                    {"type": "message_stop"},
                ),
                expected,
            )
        case _:
            parts, expected = GOOGLE[form]
            return candidate_pair(*parts)[1], expected


KINDS = {"openai.chat": CHAT, "openai.responses": RESPONSES, "anthropic": ANTHROPIC, "google": GOOGLE}
FORMS = [(wire, form) for wire, forms in KINDS.items() for form in forms]


def check(chunks, expected) -> Any:
    for chunk in chunks:
        indexes = [call["index"] for call in chunk.tool_call_chunks]
        assert len(indexes) == len(set(indexes))
        if isinstance(chunk.content, list):
            marks = [block["index"] for block in chunk.content]
            assert len(marks) == len(set(marks))
    merged: Any = sum(chunks[1:], chunks[0])
    assert [(call["name"], call["args"]) for call in merged.tool_calls] == expected
    assert merged.invalid_tool_calls == []
    ids = [call["id"] for call in merged.tool_calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert [block["name"] for block in merged.content_blocks if block["type"] == "tool_call"] == [
        n for n, _ in expected
    ]
    return merged


@pytest.mark.parametrize("options", [{}, {"output_version": "v1"}], ids=["plain", "blocks"])
@pytest.mark.parametrize(("wire", "form"), FORMS)
async def test_a_chunk_has_one_entry_for_each_call(wire, form, options):
    stream, expected = stream_of(wire, form)
    with served(stream) as server:
        model = ChatMultiRoute(routes=[route(server, wire)], **options).bind_tools(TOOLS)
        check(list(model.stream("Pay.")), expected)
        check([chunk async for chunk in model.astream("Pay.")], expected)


@pytest.mark.parametrize(("wire", "form"), FORMS)
def test_the_agent_runs_what_was_called(wire, form):
    stream, expected = stream_of(wire, form)
    last = {
        "openai.chat": events(chat_chunk({"content": "Done."}, "stop"), done=True),
        "openai.responses": stream_of_text(),
        "anthropic": events(
            {"type": "message_start", "message": message(stop_reason=None)},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ),
        "google": candidate_pair({"text": "Done."})[1],
    }[wire]
    with served(stream, last) as server:
        agent = create_agent(ChatMultiRoute(routes=[route(server, wire)], streaming=True), TOOLS)
        messages = agent.invoke({"messages": [("user", "Pay.")]})["messages"]
    answers = [message.content for message in messages if isinstance(message, ToolMessage)]
    known = {tool.name: tool for tool in TOOLS}
    assert answers == [known[name].invoke(args) for name, args in expected]


def stream_of_text():
    item = {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
    return events(
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response(item)},
    )


@pytest.mark.parametrize("text", [None, "One moment."])
def test_the_merged_chunks_say_what_the_whole_message_says(text):
    told = [piece(FIRST, "pay", 0, "c1"), piece(SECOND, "get_balance", 1, "c2")]
    plain = whole(
        {
            "id": "c1",
            "model": "m",
            "choices": [{"index": 0, "message": {"content": text, "tool_calls": told}, "finish_reason": "tool_calls"}],
        }
    )
    stream = events(chat_chunk({"content": text, "tool_calls": told}, "tool_calls"), done=True)
    with served((plain, stream)) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")]).bind_tools(TOOLS)
        said = model.invoke("Pay.")
        merged = check(list(model.stream("Pay.")), TWO)
    assert merged.content == said.content
    assert merged.tool_calls == said.tool_calls
    assert merged.additional_kwargs == said.additional_kwargs
    assert merged.content_blocks == said.content_blocks


class Chunked(BaseChatModel):
    """A model of somebody else's that streams calls as it likes."""

    pieces: list

    @property
    def _llm_type(self):
        return "chunked"

    def bind_tools(self, tools, **kwargs):
        return self.bind()

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("no"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for told in self.pieces:
            yield ChatGenerationChunk(
                message=AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(**one) for one in told])
            )


def entry(args, name=None, call_id=None, index: int | None = 0):
    return {"name": name, "args": args, "id": call_id, "index": index}


WRAPPED = {
    "whole": ([[entry(FIRST, "pay", "c1")]], ONE),
    "in pieces of one chunk": ([[entry("", "pay", "c1"), entry('{"amount"'), entry(": 250}")]], ONE),
    "no index": ([[entry("", "pay", "c1", None)], [entry(FIRST, None, None, None)]], ONE),
    "two under index 0": ([[entry(FIRST, "pay", "c1"), entry(SECOND, "get_balance", "c2")]], TWO),
    "two without an index": ([[entry(FIRST, "pay", "c1", None)], [entry(SECOND, "get_balance", "c2", None)]], TWO),
    "the id each time": ([[entry('{"amount"', "pay", "c1")], [entry(": 250}", None, "c1")]], ONE),
    "the name each time": ([[entry('{"amount"', "pay", "c1")], [entry(": 250}", "pay", "c1")]], ONE),
    "the name in pieces": ([[entry("", "get_", "c1")], [entry("", "balance")], [entry(SECOND)]], TWO[1:]),
    "by turns": (
        [[entry("", "pay", "c1")], [entry("", "get_balance", "c2", 1)], [entry(SECOND, index=1)], [entry(FIRST)]],
        TWO,
    ),
}


@pytest.mark.parametrize("form", WRAPPED)
async def test_wrapped_models(form):
    pieces, expected = WRAPPED[form]
    model = ChatMultiRoute(routes=[Chunked(pieces=pieces)]).bind_tools(TOOLS)
    check(list(model.stream("Pay.")), expected)
    check([chunk async for chunk in model.astream("Pay.")], expected)


def test_the_call_goes_back_under_its_whole_name():
    pieces = [calls(piece(None, "get_", 0, "c1")), calls(piece(SECOND, "balance")), END]
    with served(events(*pieces, done=True)) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")]).bind_tools(TOOLS)
        chunks = list(model.stream("Pay."))
        merged: Any = sum(chunks[1:], chunks[0])
        list(model.stream([HumanMessage("Pay."), merged, ToolMessage("5", tool_call_id="c1")]))
        (call,) = server.bodies[1]["messages"][1]["tool_calls"]
    assert call["function"]["name"] == "get_balance"
    assert json.loads(call["function"]["arguments"]) == {"account": "main"}
