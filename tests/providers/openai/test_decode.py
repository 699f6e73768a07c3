"""What the two wires answer: streamed it is what it is as a whole, in all the ways in which servers tell it."""

import base64
from typing import Any

import pytest

from multiroute_core.messages import Blob, InvalidToolCall, Raw, Reasoning, Text, ToolCall, VendorPart, assemble
from multiroute_core.providers.openai import chat_answer, responses_answer
from multiroute_core.providers.provider import Encoded

ASKED = Encoded("/chat/completions", {"audio": {"format": "mp3"}}, model="m")
CALLS = [
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]
CALLED = (
    ToolCall("a", "f", {"x": 1}, Raw("openai.chat", CALLS[0], "m")),
    ToolCall("b", "g", {}, Raw("openai.chat", CALLS[1], "m")),
)


def whole(message, finish="stop"):
    body = {"id": "1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return chat_answer.decode(body, ASKED)


def streamed(*deltas, finish="stop"):
    decoder = chat_answer.ChatDecoder(ASKED)
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    made = [decoder.feed(event) for event in events]
    assert decoder.complete
    return assemble(part for delta in made for part in delta.parts), made[-1].finish_reason


def piece(index=None, call_id=None, name=None, arguments=None, **more):
    made = {} if index is None else {"index": index}
    if call_id is not None:
        made |= {"id": call_id, "type": "function"}
    made["function"] = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {**made, **more}


def calling(*pieces):
    return {"tool_calls": list(pieces)}


def test_calls_as_a_whole():
    made = whole({"content": None, "tool_calls": CALLS})
    assert (made.parts, made.finish_reason) == (CALLED, "tool_call")


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param(
            (
                calling(piece(0, "a", "f", "")),
                calling(piece(0, arguments='{"x"')),
                calling(piece(0, arguments=": 1}")),
                calling(piece(1, "b", "g", "{}")),
            ),
            id="openai",
        ),
        pytest.param(
            (
                calling(piece(0, "a", "f"), piece(1, "b", "g")),
                calling(piece(1, arguments="{"), piece(0, arguments='{"x"')),
                calling(piece(1, arguments="}"), piece(0, arguments=": 1}")),
            ),
            id="interleaved",
        ),
        pytest.param((calling(piece(0, "a", "f", '{"x": 1}'), piece(1, "b", "g", "{}")),), id="whole"),
        pytest.param(
            (calling(piece(0, "a", "f", '{"x": 1}')), calling(piece(0, "b", "g", "{}"))), id="all under index 0"
        ),
        pytest.param(
            (
                calling(piece(None, "a", "f", '{"x"')),
                calling(piece(None, arguments=": 1}")),
                calling(piece(None, "b", "g", "{}")),
            ),
            id="no index",
        ),
        pytest.param(
            (
                calling(piece(None, "a", "f", '{"x"'), piece(None, "b", "g", "{")),
                calling(piece(None, "a", arguments=": 1}"), piece(None, "b", arguments="}")),
            ),
            id="no index, ids everywhere",
        ),
        pytest.param(
            (
                calling(piece(0, "a", "f", '{"x"')),
                calling(piece(0, "a", "f", ": 1}")),
                calling(piece(1, "b", "g", "{}")),
            ),
            id="names everywhere",
        ),
        pytest.param(
            (
                calling(piece(0, "a")),
                calling(piece(0, name="f")),
                calling(piece(0, arguments='{"x": 1}')),
                calling(piece(1, "b", "g", "{}")),
            ),
            id="the name later",
        ),
        pytest.param((calling(piece(0, "a", "f", {"x": 1}), piece(1, "b", "g", {})),), id="objects"),
    ],
)
def test_calls_in_pieces(deltas):
    assert streamed(*deltas) == (CALLED, "tool_call")


def test_a_call_without_an_id_gets_one():
    (call,) = whole(calling(piece(0, name="f", arguments="{}"))).parts
    (again,), _ = streamed(calling(piece(0, name="f", arguments="{")), calling(piece(0, arguments="}")))
    assert isinstance(call, ToolCall)
    assert isinstance(again, ToolCall)
    for made in (call, again):
        assert made.raw is not None
        assert (made.name, made.raw.body["id"]) == ("f", made.id)
        assert made.id.startswith("call_")
    assert call.id != again.id
    two, _ = streamed(calling(piece(name="f", arguments="{}")), calling(piece(name="g", arguments="{}")))
    names_and_ids = [(made.name, made.id) for made in two if isinstance(made, ToolCall)]
    assert [name for name, _ in names_and_ids] == ["f", "g"]
    assert names_and_ids[0][1] != names_and_ids[1][1]


def test_the_older_form_of_a_call():
    call = {"name": "f", "arguments": '{"x": 1}'}
    made = whole({"content": None, "function_call": call}, "function_call")
    parts, finish = streamed(
        {"function_call": {"name": "f", "arguments": '{"x"'}},
        {"function_call": {"arguments": ": 1}"}},
        finish="function_call",
    )
    assert made.finish_reason == finish == "tool_call"
    for (found,) in (made.parts, parts):
        assert isinstance(found, ToolCall)
        assert found.raw is not None
        assert (found.name, found.arguments) == ("f", {"x": 1})
        assert found.raw.body == {"id": found.id, "type": "function", "function": call}


def test_cut_arguments_are_kept_as_they_are():
    made = whole({"content": None, "tool_calls": [piece(0, "a", "f", '{"x": ')]}, "length")
    parts, finish = streamed(calling(piece(0, "a", "f", '{"x": ')), finish="length")
    assert made.finish_reason == finish == "length"
    for (found,) in (made.parts, parts):
        assert isinstance(found, InvalidToolCall)
        assert (found.id, found.name, found.arguments) == ("a", "f", '{"x": ')


def test_a_call_of_a_tool_without_a_schema():
    body = {"id": "c", "type": "custom", "custom": {"name": "grep", "input": "x y"}}
    expected = (ToolCall("c", "grep", {"__arg1": "x y"}, Raw("openai.chat", body, "m")),)
    assert whole({"tool_calls": [body]}, "tool_calls").parts == expected
    parts, _ = streamed(
        calling({"index": 0, "id": "c", "type": "custom", "custom": {"name": "grep", "input": "x"}}),
        calling({"index": 0, "custom": {"input": " y"}}),
    )
    assert parts == expected


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_of_compatible_servers(name):
    made = whole({name: "Hm, hm.", "content": "Yes.", "tool_calls": CALLS})
    parts, _ = streamed({name: "Hm, "}, {name: "hm."}, {"content": "Yes."}, calling(*CALLS))
    thought = Reasoning("Hm, hm.", Raw("openai.chat", {name: "Hm, hm."}, "m"))
    assert made.parts == parts == (thought, Text("Yes."), *CALLED)


def test_citations_stay_with_their_text():
    notes = [{"type": "url_citation", "url_citation": {"url": "https://example.com"}}]
    expected = (Text("As it says.", Raw("openai.chat", {"annotations": notes}, "m")),)
    assert whole({"content": "As it says.", "annotations": notes}).parts == expected
    assert streamed({"content": "As it "}, {"content": "says."}, {"annotations": notes})[0] == expected


def test_a_spoken_answer():
    data = [base64.b64encode(piece).decode() for piece in (b"ID", b"3")]
    audio = {"id": "audio_1", "expires_at": 9, "transcript": "Hello there"}
    made = whole({"content": None, "audio": {**audio, "data": base64.b64encode(b"ID3").decode()}})
    parts, _ = streamed(
        {"audio": {"id": "audio_1", "transcript": "Hello "}},
        {"audio": {"data": data[0], "transcript": "there"}},
        {"audio": {"data": data[1], "expires_at": 9}},
    )
    assert made.parts == parts
    text, sound = parts
    assert isinstance(sound, Blob)
    assert (text, sound.data, sound.mime_type) == (Text("Hello there"), b"ID3", "audio/mpeg")
    assert sound.raw == Raw("openai.chat", {"audio": audio}, "m")


def test_a_refusal():
    assert whole({"content": None, "refusal": "No."}).finish_reason == "refusal"
    refusal = Text("No.", Raw("openai.chat", {"refusal": "No."}, "m"))
    assert whole({"content": None, "refusal": "No."}).parts == (refusal,)
    assert streamed({"refusal": "N"}, {"refusal": "o."}) == ((refusal,), "refusal")


def test_only_the_first_of_several_choices_is_read():
    decoder = chat_answer.ChatDecoder(ASKED)
    assert decoder.feed({"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]}) is None
    assert not decoder.complete


ITEMS: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
        "encrypted_content": "gAAA",
    },
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "a",
        "name": "f",
        "arguments": '{"x": 1}',
        "status": "completed",
    },
    {"type": "function_call", "id": "fc_2", "call_id": "b", "name": "g", "arguments": '{"y"', "status": "incomplete"},
    {
        "type": "message",
        "id": "msg_2",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "So", "annotations": []}, {"type": "refusal", "refusal": " no."}],
    },
]
RESPONSE = {"model": "m", "status": "completed", "output": ITEMS, "usage": None}


def events(items: list[dict[str, Any]], *, deltas=True, added=True):
    """The events of a stream that tells `items`."""
    for place, item in enumerate(items):
        where = {"output_index": place, "item_id": item.get("id")}
        if added:
            begun = {**item, "content": [], "summary": [], "arguments": ""}
            yield {"type": "response.output_item.added", "item": begun, **where}
        for index, part in enumerate(item.get("summary", []) if deltas else []):
            yield {"type": "response.reasoning_summary_part.added", "summary_index": index, **where}
            for letter in part["text"]:
                yield {"type": "response.reasoning_summary_text.delta", "delta": letter, **where}
        for part in item.get("content", ()) if deltas else ():
            kind = "refusal" if part["type"] == "refusal" else "output_text"
            for letter in part.get("text") or part["refusal"]:
                yield {"type": f"response.{kind}.delta", "delta": letter, **where}
        for letter in item.get("arguments", "") if deltas and added else ():
            yield {"type": "response.function_call_arguments.delta", "delta": letter, **where}
        yield {"type": "response.output_item.done", "item": item, **where}
    yield {"type": "response.completed", "response": RESPONSE}


@pytest.mark.parametrize("how", [{}, {"deltas": False}, {"added": False}, {"deltas": False, "added": False}])
def test_items_streamed_are_the_items(how):
    expected = responses_answer.decode(RESPONSE, ASKED)
    decoder = responses_answer.ResponsesDecoder(ASKED)
    made = [delta for event in events(ITEMS, **how) if (delta := decoder.feed(event)) is not None]
    assert assemble(part for delta in made for part in delta.parts) == expected.parts
    assert decoder.complete
    assert made[-1].finish_reason == expected.finish_reason == "refusal"
    raws = [Raw("openai.responses", item, "m") for item in ITEMS]
    assert expected.parts[:4] == (
        Reasoning("One.\n\nTwo.", raws[0]),
        VendorPart(raws[1]),
        Text("I look.", raws[2]),
        ToolCall("a", "f", {"x": 1}, raws[3]),
    )
    assert isinstance(expected.parts[4], InvalidToolCall)
    refusal = Raw("openai.responses", {"type": "refusal", "refusal": " no."}, "m")
    assert expected.parts[5:] == (Text("So", raws[5]), Text(" no.", refusal))


def test_a_call_is_why_an_answer_ends():
    body = {**RESPONSE, "output": ITEMS[3:4]}
    assert responses_answer.decode(body, ASKED).finish_reason == "tool_call"
    cut = {**body, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert responses_answer.decode(cut, ASKED).finish_reason == "length"


def test_thoughts_of_open_models():
    item = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    (thought,) = responses_answer.decode({**RESPONSE, "output": [item]}, ASKED).parts
    assert thought == Reasoning("Hm.", Raw("openai.responses", item, "m"))
    decoder = responses_answer.ResponsesDecoder(ASKED)
    said = [
        {"type": "response.reasoning_text.delta", "delta": "Hm.", "output_index": 0},
        {"type": "response.output_item.done", "item": item, "output_index": 0},
    ]
    assert assemble(part for event in said for part in decoder.feed(event).parts) == (thought,)


def test_citations_of_an_item_stay_with_its_text():
    notes = [{"type": "url_citation", "url": "https://example.com", "title": "", "start_index": 0, "end_index": 2}]
    item = {"type": "message", "content": [{"type": "output_text", "text": "So.", "annotations": notes}]}
    (text,) = responses_answer.decode({**RESPONSE, "output": [item]}, ASKED).parts
    assert text == Text("So.", Raw("openai.responses", item, "m"))


EMPTY = {"audio": {}, "function_call": {"name": "", "arguments": ""}, "refusal": None}


@pytest.mark.parametrize("noise", [{"custom": {}}, {"custom": None}, {"custom": {"name": "", "input": ""}}, {}])
@pytest.mark.parametrize("empty", [EMPTY, {"function_call": None, "audio": {"id": None, "data": None}}, {}])
def test_what_is_empty_beside_a_call_is_noise(noise, empty):
    calls = [{**call, **noise} for call in CALLS]
    assert whole({"content": None, "tool_calls": calls, **empty}).parts == CALLED
    first, second = ({"index": place, **call} for place, call in enumerate(calls))
    assert streamed({**calling(first), **empty}, {**calling(second), **empty}) == (CALLED, "tool_call")


@pytest.mark.parametrize("noise", [{"function": {}}, {"function": None}, {"function": {"name": "", "arguments": ""}}])
def test_a_custom_call_is_read_by_its_type(noise):
    call = {"id": "c", "type": "custom", "custom": {"name": "grep", "input": "x y"}}
    expected = ((ToolCall("c", "grep", {"__arg1": "x y"}, Raw("openai.chat", call, "m")),), "tool_call")
    made = whole({"content": None, "tool_calls": [{**call, **noise}]}, "tool_calls")
    assert (made.parts, made.finish_reason) == expected
    first = {**call, **noise, "index": 0, "custom": {"name": "grep", "input": "x"}}
    assert streamed(calling(first), calling({"index": 0, "custom": {"input": " y"}, **noise})) == expected


def test_calls_that_are_nothing_are_no_calls():
    made = whole({"content": "Hi", "tool_calls": [None, {}]})
    assert (made.parts, made.finish_reason) == ((Text("Hi"),), "stop")
