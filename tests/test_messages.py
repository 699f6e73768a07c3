"""Parts, and how a stream's pieces become whole ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import (
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Response,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    VendorPart,
)
from multiroute_core.messages import assemble, modality_of, tool_call
from tests.conversations import json_objects, names, words

RAW = Raw("anthropic", {"type": "thinking", "signature": "x"}, "m")


def test_neighbouring_texts_are_one_and_a_raw_form_ends_its_part():
    cited = Raw("anthropic", {"type": "text", "citations": []})
    parts = [
        Reasoning("let "),
        Reasoning("me"),
        Reasoning("", RAW),
        Text("Hel"),
        Text("lo"),
        Text("", cited),
        Text("!"),
    ]
    assert assemble(parts) == (Reasoning("let me", RAW), Text("Hello", cited), Text("!"))


def test_two_thoughts_stay_two():
    parts = [Reasoning("a"), Reasoning("", RAW), Reasoning("b"), Reasoning("", RAW)]
    assert assemble(parts) == (Reasoning("a", RAW), Reasoning("b", RAW))


def test_a_raw_form_without_text_is_kept():
    assert assemble([Text("a"), Reasoning("", RAW), VendorPart(RAW)]) == (
        Text("a"),
        Reasoning("", RAW),
        VendorPart(RAW),
    )


def test_calls_that_come_in_turns_find_together():
    pieces = [
        Text("I look."),
        ToolCallDelta(0, "a", "add", '{"x"'),
        ToolCallDelta(1, "b", "sub"),
        ToolCallDelta(0, arguments=": 1}"),
        ToolCallDelta(1, arguments='{"y": 2}', raw=RAW),
    ]
    assert assemble(pieces) == (Text("I look."), ToolCall("a", "add", {"x": 1}), ToolCall("b", "sub", {"y": 2}, RAW))


def test_arguments_that_are_cut_or_no_object():
    for arguments in ('{"x": ', "[1]", "null", "nonsense"):
        found = tool_call("a", "add", arguments)
        assert isinstance(found, InvalidToolCall)
        assert (found.arguments, found.name) == (arguments, "add")
    assert tool_call("a", "add", " ") == ToolCall("a", "add", {})
    assert isinstance(tool_call("a", "", "{}"), InvalidToolCall)


@pytest.mark.slow
@given(st.lists(st.tuples(names, json_objects), min_size=1, max_size=3), st.randoms(use_true_random=False), words)
def test_whatever_the_pieces_the_calls_are_the_same(calls, random, text):
    """Pieces of any size, of several calls in turns: each call's own pieces in order."""
    queues = []
    for index, (name, arguments) in enumerate(calls):
        whole = json.dumps(arguments)
        cut = random.randrange(len(whole) + 1)
        queues.append(
            [ToolCallDelta(index, f"id{index}", name, whole[:cut]), ToolCallDelta(index, arguments=whole[cut:])]
        )
    pieces = [queue[0] for queue in queues]
    rest = [queue[1] for queue in queues]
    random.shuffle(rest)
    found = assemble([Text(text[:1]), Text(text[1:]), *pieces, *rest])
    assert found == (Text(text), *(ToolCall(f"id{i}", n, a) for i, (n, a) in enumerate(calls)))


def test_what_a_response_and_a_message_tell():
    parts = (Reasoning("hm"), Text("a"), ToolCall("1", "f", {}), Text("b"), InvalidToolCall("2", "g", "{", "cut"))
    response = Response(parts, "tool_call", None, "m", "openai", "r")
    assert (response.text, response.reasoning) == ("ab", "hm")
    assert [call.id for call in response.tool_calls] == ["1"]
    assert [call.id for call in response.invalid_tool_calls] == ["2"]
    assert Message("assistant", parts).tool_calls == response.tool_calls
    assert Message("tool", [ToolCallResponse("1", "42")]).text == "42"


def test_kinds_of_media():
    kinds = {"image/png": "image", "audio/wav": "audio", "video/mp4": "video", "application/pdf": "document"}
    assert {mime: modality_of(mime) for mime in kinds} == kinds
