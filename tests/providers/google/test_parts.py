"""What is made of the parts of Gemini's answers, whole and streamed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.messages import (
    Blob,
    InvalidToolCall,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    VendorPart,
    assemble,
)
from multiroute_core.providers.google import decode as wire
from multiroute_core.providers.provider import Encoded

MODEL = "gemini-3.8-flash"
ASKED = Encoded(f"models/{MODEL}:generateContent", {"contents": []}, model=MODEL)


def decode(body, asked=ASKED) -> Any:
    return wire.decode(body, asked)


def decoder(asked=ASKED):
    return wire.GeminiDecoder(asked)


def answer(*parts, finish: str | None = "STOP", **more):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}], **more}


def raw(body):
    return Raw("google", body, MODEL)


SIGNED = {"text": "Hello", "thoughtSignature": "c2lnbmVk"}
ALONE = {"text": "", "thoughtSignature": "c2lnbmVk"}
THOUGHT = {"text": "Hmm, ", "thought": True}
DRAFT = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}, "thought": True}
CALL = {"functionCall": {"id": "fc_1", "name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2lnbmVk"}
CODE = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}


def test_the_parts_of_an_answer():
    found = decode(answer(THOUGHT, SIGNED, CALL, CODE, PICTURE, DRAFT)).parts
    assert found == (
        Reasoning("Hmm, ", raw(THOUGHT)),
        Text("Hello", raw(SIGNED)),
        ToolCall("fc_1", "weather", {"city": "Köln"}, raw(CALL)),
        VendorPart(raw(CODE)),
        Blob(b"\x89PNG", "image/png", raw=raw(PICTURE)),
        Reasoning("", raw(DRAFT)),
    )
    assert [part.raw for part in found] == [raw(part) for part in (THOUGHT, SIGNED, CALL, CODE, PICTURE, DRAFT)]


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        None,
        "text",
        {"text": ""},
        {"text": 5},
        {"text": None},
        {"thought": True},
        {"thought": True, "text": ""},
        {"functionCall": {}},
        {"functionCall": "f"},
        {"inlineData": {}},
        {"inlineData": "x"},
        {"text": "", "thoughtSignature": ""},
    ],
)
def test_parts_that_say_nothing_are_none(nothing):
    assert decode(answer(nothing)).parts == ()
    stream = decoder()
    assert stream.feed(answer(nothing, finish=None)).parts == ()
    assert stream.feed(answer({"text": "Hel"}, nothing, {"text": "lo"})).parts == (Text("Hel"), Text("lo"))


@pytest.mark.parametrize(
    "part",
    [
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB"}},
        {"somethingNew": 1},
        {"inlineData": {"mimeType": "image/png", "data": "not base64!"}},
    ],
)
def test_what_is_not_known_is_kept(part):
    assert decode(answer(part)).parts == (VendorPart(raw(part)),)
    assert decoder().feed(answer(part)).parts == (VendorPart(raw(part)),)


def test_a_signature_alone_is_not_lost():
    assert decode(answer({"text": "Hello"}, ALONE)).parts == (Text("Hello", raw(ALONE)),)
    assert decode(answer({"thoughtSignature": "x"})).parts == (Text("", raw({"thoughtSignature": "x"})),)


def test_either_alphabet_of_base64_is_read():
    for data in ("+/+/", "-_-_"):
        assert decode(answer({"inlineData": {"mimeType": "audio/wav", "data": data}})).parts[0].data == b"\xfb\xff\xbf"


def test_a_call_without_an_id_gets_one_that_is_its_own():
    bare = {"functionCall": {"name": "f", "args": {}}}
    one, two = (part.id for part in decode(answer(bare, bare, responseId="r1")).parts)
    (again,) = (part.id for part in decode(answer(bare, responseId="r1")).parts)
    (later,) = (part.id for part in decode(answer(bare, responseId="r2")).parts)
    assert len({one, two, later}) == 3
    assert one == again
    assert all(part.startswith("call_") and len(part) <= 40 for part in (one, two, later))
    assert decode(answer(bare)).parts[0].raw.body == bare


def test_where_the_answer_has_no_id_the_conversation_tells_turns_apart():
    bare = {"functionCall": {"name": "f"}}
    asked = [Encoded("p", {"contents": [{"parts": [{"text": text}]}]}, model=MODEL) for text in ("a", "b", "a")]
    ids = [decode(answer(bare), each).parts[0].id for each in asked]
    assert ids[0] == ids[2] != ids[1]
    assert getattr(decoder(asked[0]).feed(answer(bare)).parts[0], "id") == ids[0]


@pytest.mark.parametrize("args", [[1], "text", 5, True])
def test_arguments_that_are_no_object(args):
    (part,) = decode(answer({"functionCall": {"id": "x", "name": "f", "args": args}})).parts
    assert isinstance(part, InvalidToolCall)
    assert (part.id, part.name, json.loads(part.arguments)) == ("x", "f", args)


def test_a_call_of_nothing():
    (part,) = decode(answer({"functionCall": {"id": "x", "args": {"a": 1}}})).parts
    assert isinstance(part, InvalidToolCall)


def test_a_call_in_a_stream_comes_whole():
    (delta,) = decoder().feed(answer(CALL)).parts
    assert isinstance(delta, ToolCallDelta)
    assert (delta.index, delta.id, delta.name, json.loads(delta.arguments)) == (0, "fc_1", "weather", {"city": "Köln"})
    assert delta.raw == raw(CALL)


def test_thoughts_in_a_stream_are_whole_when_the_next_thing_comes():
    stream = decoder()
    assert stream.feed(answer(THOUGHT, finish=None)).parts == (Reasoning("Hmm, "),)
    assert stream.feed(answer({"text": "well", "thought": True}, finish=None)).parts == (Reasoning("well"),)
    whole = Reasoning("", raw({"text": "Hmm, well", "thought": True}))
    assert stream.feed(answer({"text": "Hello"})).parts == (whole, Text("Hello"))


def test_thoughts_at_the_end_of_a_stream_are_whole():
    parts = decoder().feed(answer(THOUGHT, finish="MAX_TOKENS")).parts
    assert parts == (Reasoning("Hmm, "), Reasoning("", raw(THOUGHT)))


def test_a_signed_thought_closes_what_came_before_it():
    stream = decoder()
    signed = {"text": "well", "thought": True, "thoughtSignature": "c2ln"}
    pieces = (*stream.feed(answer(THOUGHT, finish=None)).parts, *stream.feed(answer(signed)).parts)
    assert assemble(pieces) == (Reasoning("Hmm, well", raw({**signed, "text": "Hmm, well"})),)


def piece(*partial, name=None, more=True):
    call = {"partialArgs": [{"jsonPath": path, **value} for path, value in partial], "willContinue": more}
    return {"functionCall": {**call, **({"name": name} if name else {})}}


def test_arguments_in_pieces():
    stream, found = decoder(), []
    begun = {**piece(("$.city", {"stringValue": "Bo"}), name="plan"), "thoughtSignature": "c2ln"}
    for part in (
        begun,
        piece(("$.city", {"stringValue": "nn", "willContinue": True}), ("$.days", {"numberValue": 2})),
        piece(("$.trips[0].to", {"stringValue": "a"}), ("$.trips[0].to", {"stringValue": "a"})),
        piece(("$.trips[1]['on foot']", {"boolValue": True}), ("$", {"stringValue": "nowhere"})),
        piece(("$.note", {"nullValue": None}), more=False),
        {"functionCall": {"name": "now", "args": {}}},
    ):
        found.extend(stream.feed(answer(part, finish=None, responseId="r")).parts)
    plan, now = assemble(found)
    assert isinstance(plan, ToolCall)
    assert isinstance(now, ToolCall)
    trips = [{"to": "aa"}, {"on foot": True}]
    assert plan.arguments == {"city": "Bonn", "days": 2, "trips": trips, "note": None}
    assert plan.raw.body["functionCall"] == {"name": "plan", "args": plan.arguments}
    assert plan.raw.body["thoughtSignature"] == "c2ln"
    assert (now.name, now.arguments) == ("now", {})


def test_arguments_that_are_cut_are_no_call():
    stream = decoder()
    pieces = [*stream.feed(answer(piece(("$.a", {"stringValue": "b"}), name="f"), finish=None)).parts]
    pieces += stream.feed(answer(finish="MAX_TOKENS")).parts
    (call,) = assemble(pieces)
    assert isinstance(call, InvalidToolCall)
    assert (call.name, call.arguments) == ("f", '{"a":"b"')


known = st.sampled_from([THOUGHT, SIGNED, ALONE, CALL, CODE, PICTURE, DRAFT, {"text": "lo"}, {"text": ""}, {}])


@given(st.lists(known, min_size=1, max_size=6), st.data())
def test_a_stream_is_the_whole_answer_in_pieces(parts, data):
    """A thought in several parts is one in a stream, and as many as it has parts in a whole answer."""
    ends = sorted(data.draw(st.sets(st.integers(1, len(parts)), max_size=3)) | {len(parts)})
    stream, pieces, begin = decoder(), [], 0
    for end in ends:
        finish = "STOP" if end == len(parts) else None
        delta = stream.feed(answer(*parts[begin:end], finish=finish, responseId="r"))
        pieces.extend(delta.parts)
        begin = end
    whole = decode(answer(*parts, responseId="r"))
    assert (stream.complete, delta.finish_reason) == (True, whole.finish_reason)
    assert _without_seams(assemble(pieces)) == _without_seams(whole.parts)


def _without_seams(parts):
    merged = []
    for part in parts:
        unsigned = isinstance(part, Reasoning) and part.raw.body == {"text": part.text, "thought": True}
        if unsigned and merged and isinstance(merged[-1], str):
            merged[-1] += part.text
        else:
            merged.append(part.text if unsigned else part)
    return merged
