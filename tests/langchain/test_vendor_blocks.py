"""Anthropic's own blocks with ChatAnthropic, ChatMultiRoute and ChatMultiRoute around ChatAnthropic, side by side.

The same content blocks come out whole and streamed, the same go back, and what users give of the vendor's own is sent.
"""

import base64
import json

import pytest
from langchain_core import exceptions
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from langchain_multiroute import ChatMultiRoute
from tests.langchain.faces import FACES, ask, own_timeout
from tests.newer import needed
from tests.wire_replies import chat_pair, events, message, route, served, whole

pytestmark = pytest.mark.wire

ChatAnthropic = needed("langchain_anthropic", "ChatAnthropic", "langchain-anthropic is not installed")
ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")

newer = pytest.mark.skipif(
    not hasattr(exceptions, "ModelRefusalError"),
    reason="langchain-core before 1.7.5 has no refusals, and ChatAnthropic beside it sends less of what it was given",
)


def text(words, *citations):
    return {"type": "text", "text": words} | ({"citations": list(citations)} if citations else {})


def used(name, arguments, kind="server_tool_use", call_id="srvtoolu_1", **more):
    return {"type": kind, "id": call_id, "name": name, "input": arguments, **more}


def result(kind, content, call_id="srvtoolu_1", **more):
    return {"type": f"{kind}_tool_result", "tool_use_id": call_id, "content": content, **more}


PAGE = {"type": "web_search_result", "url": "https://a.example/", "title": "A", "encrypted_content": "Eq"}
ON_A_PAGE = {
    "type": "web_search_result_location",
    "url": "https://a.example/",
    "title": "A",
    "cited_text": "sun",
    "encrypted_index": "Ei",
}
IN_A_TEXT = {
    "type": "char_location",
    "cited_text": "sun",
    "document_index": 0,
    "document_title": "D",
    "start_char_index": 0,
    "end_char_index": 3,
}
RAN = {"type": "bash_code_execution_result", "stdout": "a", "stderr": "", "return_code": 0, "content": []}
FAILED = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
REFERENCES = {
    "type": "tool_search_tool_search_result",
    "tool_references": [{"type": "tool_reference", "tool_name": "get_time"}],
}
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "sun"},
    "title": "A",
    "citations": {"enabled": True},
}
FETCHED = {"type": "web_fetch_result", "url": "https://a.example/", "retrieved_at": "2026", "content": DOCUMENT}
CALL = used("get_time", {"city": "Paris"}, "tool_use", "toolu_1")
THOUGHT = {"type": "thinking", "thinking": "Let me think.", "signature": "s="}
CASES = {
    "a text": [text("Hi.")],
    "citations": [text("It is "), text("sunny", ON_A_PAGE), text(" and "), text("warm", ON_A_PAGE, IN_A_TEXT)],
    "a search": [
        text("I search."),
        used("web_search", {"query": "q"}),
        result("web_search", [PAGE]),
        text("S.", ON_A_PAGE),
    ],
    "a search that failed": [used("web_search", {"query": "q"}), result("web_search", FAILED), text("Sorry.")],
    "code": [used("bash_code_execution", {"command": "ls"}), result("bash_code_execution", RAN), text("Done.")],
    "a search for tools": [used("tool_search_tool_bm25", {"query": "t"}), result("tool_search", REFERENCES), CALL],
    "a page": [used("web_fetch", {"url": "https://a.example/"}), result("web_fetch", FETCHED), text("Sunny.")],
    "calls": [text("Look."), CALL, used("get_time", {"city": "Rome"}, "tool_use", "toolu_2")],
    "a call without arguments": [used("now", {}, "tool_use", "toolu_1")],
    "thoughts": [THOUGHT, text("Yes."), {**THOUGHT, "thinking": "More.", "signature": "t="}, CALL],
    "hidden thoughts": [{"type": "redacted_thinking", "data": "x"}, text("Yes.")],
    "thoughts of no words": [{**THOUGHT, "thinking": ""}, text("Yes.")],
}


def streamed(blocks, stop_reason, **more):
    """The answer as the API streams it: text, thoughts and arguments in pieces, signatures and citations beside them."""
    told = []
    for place, block in enumerate(blocks):
        start, deltas = dict(block), []
        match block["type"]:
            case "text":
                start = {"type": "text", "text": ""} | ({"citations": []} if "citations" in block else {})
                deltas = [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
                deltas += [{"type": "text_delta", "text": piece} for piece in halves(block["text"])]
            case "thinking":
                start |= {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in halves(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "tool_use" | "server_tool_use":
                start["input"] = {}
                pieces = halves(json.dumps(block["input"])) if block["input"] else []
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces)]
        told.append({"type": "content_block_start", "index": place, "content_block": start})
        told += [{"type": "content_block_delta", "index": place, "delta": delta} for delta in deltas]
        told.append({"type": "content_block_stop", "index": place})
    delta = {"stop_reason": stop_reason, "stop_sequence": None, **more}
    return events(
        {"type": "message_start", "message": message(stop_reason=None)},
        *told,
        {"type": "message_delta", "delta": delta, "usage": {"input_tokens": 5, "output_tokens": 3}},
        {"type": "message_stop"},
    )


def halves(words):
    return [piece for piece in (words[: len(words) // 2], words[len(words) // 2 :]) if piece]


def reply(blocks, stop_reason=None, **more):
    stop_reason = stop_reason or ("tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn")
    return whole(message(*blocks, stop_reason=stop_reason, **more)), streamed(blocks, stop_reason, **more)


@tool
def get_time(city: str) -> str:
    """The time in a city."""
    return "12:00"


def theirs(server):
    return ChatAnthropic(
        model="claude-sonnet-4-6", base_url=server.url, api_key="k", timeout=own_timeout(), max_retries=0
    )


def ours(server):
    return ChatMultiRoute(routes=[route(server, "anthropic")], max_retries=0)


def wrapped(server):
    return ChatMultiRoute(routes=[theirs(server)], max_retries=0)


def plain(value):
    """Without what merging marks, what is empty, and the default of whether an answer is an error."""
    if isinstance(value, dict):
        kept = {
            name: plain(one) for name, one in value.items() if name != "index" and (name, one) != ("is_error", False)
        }
        return {name: one for name, one in kept.items() if one not in (None, {}, [])}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


async def two_turns(make, blocks, face, **more):
    """What the message shows, and how it goes back."""
    with served(reply(blocks, **more), reply([text("Done.")])) as server:
        model = make(server).bind_tools([get_time])
        answer = await ask(model, face)
        results = [ToolMessage("12:00", tool_call_id=call["id"]) for call in answer.tool_calls]
        await ask(model, "invoke", [HumanMessage("Hello."), answer, *(results or [HumanMessage("And?")])])
        (_, back, _) = server.bodies[1]["messages"]
    content = back["content"] if isinstance(back["content"], list) else [text(back["content"])]
    return plain(answer.content_blocks), answer.text, plain(answer.tool_calls), plain(content)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[newer] if case == "thoughts of no words" else []) for case in CASES]
)
async def test_the_same_blocks_come_and_go_back(case, face):
    expected = await two_turns(theirs, CASES[case], face)
    for make in (ours, wrapped):
        assert await two_turns(make, CASES[case], face) == expected


@pytest.mark.parametrize("make", [ours, wrapped])
@pytest.mark.parametrize("face", ["invoke", "ainvoke"])
async def test_a_call_that_the_limit_may_have_cut_is_not_run(make, face):
    """The API closes what it cut, and ChatAnthropic alone would run it."""
    with served(reply([text("Look."), CALL], "max_tokens")) as server:
        answer = await ask(make(server).bind_tools([get_time]), face)
    assert answer.tool_calls == []
    assert [call["id"] for call in answer.invalid_tool_calls] == ["toolu_1"]


@newer
@pytest.mark.parametrize("face", FACES)
async def test_the_reason_of_a_refusal(face):
    """It is the vendor's, and does not go back as words of the model."""
    details = {"type": "refusal", "category": "cyber", "explanation": "It would harm."}
    blocks = [text("Well.")]
    expected = await two_turns(theirs, blocks, face, stop_reason="refusal", stop_details=details)
    assert expected[0][-1] == {"type": "refusal", "refusal": "It would harm.", "extras": {"category": "cyber"}}
    for make in (ours, wrapped):
        assert await two_turns(make, blocks, face, stop_reason="refusal", stop_details=details) == expected


PDF = base64.b64encode(b"%PDF-1.4").decode()
MARK = {"type": "ephemeral"}
GIVEN = {
    "a document": DOCUMENT,
    "a text file": {"type": "text-plain", "text": "sun", "extras": {"title": "D", "citations": {"enabled": True}}},
    "a file": {"type": "file", "base64": PDF, "mime_type": "application/pdf", "extras": {"context": "c", "title": "D"}},
    "a search result": {
        "type": "search_result",
        "source": "https://a.example",
        "title": "A",
        "content": [text("sunny")],
        "citations": {"enabled": True},
    },
    "a mark": {**text("long"), "cache_control": {**MARK, "ttl": "1h"}},
    "a mark on a picture": {"type": "image", "url": "https://a.example/x.png", "cache_control": MARK},
}


@pytest.mark.parametrize("case", GIVEN)
@pytest.mark.parametrize("face", ["invoke", "astream"])
async def test_what_users_give_is_sent(case, face):
    history = [
        SystemMessage([{**text("Be brief."), "cache_control": MARK}]),
        HumanMessage([GIVEN[case], text("Weather?")]),
    ]
    bodies = []
    for make in (theirs, ours, wrapped):
        with served(reply([text("It is "), text("sunny", IN_A_TEXT)])) as server:
            answer = await ask(make(server), face, history)
            bodies.append((server.bodies[0]["system"], server.bodies[0]["messages"]))
            if case == "a document":
                shown = [block for block in answer.content_blocks if block.get("annotations")]
                assert [block["text"] for block in shown] == ["sunny"]
    assert bodies[1] == bodies[0]
    assert bodies[2] == bodies[0]


TOOLS = {
    "plain": ([get_time], {}),
    "strict": ([get_time], {"strict": True}),
    "one at a time": ([get_time], {"parallel_tool_calls": False}),
    "forced": ([get_time], {"tool_choice": "get_time"}),
    "members": (
        [
            get_time.model_copy(
                update={"extras": {"defer_loading": True, "cache_control": MARK, "input_examples": [{}]}}
            )
        ],
        {},
    ),
    "the vendor's": ([get_time, {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}], {}),
}


@pytest.mark.parametrize("case", [pytest.param(case, marks=[newer] if case == "members" else []) for case in TOOLS])
def test_tools_are_sent(case):
    tools, options = TOOLS[case]
    bodies = []
    for make in (theirs, ours, wrapped):
        with served(reply([text("Done.")])) as server:
            make(server).bind_tools(tools, **options).invoke("Hello.")
            bodies.append({name: server.bodies[0].get(name) for name in ("tools", "tool_choice")})
    assert bodies[1] == bodies[0]
    assert bodies[2] == bodies[0]


def test_what_another_wrapped_model_does_not_get_is_named():
    with served(chat_pair({"content": "Done."})) as server:
        model = ChatOpenAI(
            model="gpt-4.1", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), max_retries=0
        )
        deferred = get_time.model_copy(update={"extras": {"input_examples": [{}]}})
        answer = (
            ChatMultiRoute(routes=[model])
            .bind_tools([deferred])
            .invoke([HumanMessage([{**text("long"), "cache_control": MARK}, text("Weather?")])])
        )
        assert "cache_control" not in str(server.bodies)
        assert "input_examples" not in str(server.bodies)
    (attempt,) = answer.response_metadata["multiroute"]["attempts"]
    assert any(entry.startswith("content.cache_control:") for entry in attempt["dropped"])
    assert any(entry.startswith("tools.input_examples:") for entry in attempt["dropped"])
