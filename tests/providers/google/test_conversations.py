"""Whatever was said before, by whomever: Gemini gets turns that it takes."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.parsing.conversation import read
from multiroute_core.providers import models
from multiroute_core.providers.google.contents import UNSIGNED, contents
from multiroute_core.providers.google.older import PARTS
from multiroute_core.providers.google.older import encode as older
from multiroute_core.types import Request
from tests.examples import examples

NEWER, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
words = st.text(max_size=6)
names = st.sampled_from(["search", "weather", "now"])
seen = st.one_of(
    st.builds(Blob, st.binary(max_size=4), st.sampled_from(["image/png", "application/pdf", "audio/wav"])),
    st.builds(Uri, st.just("https://x.test/a.png")),
    st.builds(File, st.just("files/a"), st.sampled_from(["google", "openai"])),
)
signatures = st.sampled_from([{}, {"thoughtSignature": "c2ln"}])


@st.composite
def calls(draw, number):
    """A call, by a Gemini that gave it an id or none, or by another vendor."""
    name, made = draw(names), draw(st.dictionaries(words, st.integers() | words, max_size=2))
    call_id = draw(st.sampled_from(["call_{}", "toolu_{}", "functions.search:{}", "x" * 50 + "{}"])).format(number)
    if draw(st.booleans()):
        return ToolCall(call_id, name, made)
    own_id = draw(st.sampled_from([{}, {"id": call_id}]))
    body = {"functionCall": {"name": name, "args": made, **own_id}, **draw(signatures)}
    return ToolCall(call_id, name, made, Raw("google", body, draw(st.sampled_from([NEWER, OLDER]))))


@st.composite
def thoughts(draw):
    text, wire = draw(words), draw(st.sampled_from(["google", "anthropic"]))
    body = {"text": text, "thought": True} if wire == "google" else {"type": "thinking", "thinking": text}
    return Reasoning(text, Raw(wire, body, draw(st.sampled_from([NEWER, OLDER, None]))))


said = st.one_of(
    st.builds(Text, words),
    thoughts(),
    st.builds(
        VendorPart, st.builds(Raw, st.sampled_from(["google", "anthropic"]), st.just({"executableCode": {"a": 1}}))
    ),
    st.just(InvalidToolCall("bad", "search", "{", "cut")),
)
asked = st.one_of(st.builds(Text, words), seen, st.just(CachePoint()))
results = words | st.lists(st.builds(Text, words) | seen, max_size=3) | st.just('{"degrees": 12}')


def numbered(parts, place):
    """The parts, with an id of its own for each malformed call."""
    return [
        replace(part, id=f"bad_{place}_{number}") if isinstance(part, InvalidToolCall) else part
        for number, part in enumerate(parts)
    ]


@st.composite
def conversations(draw):
    """Questions, answers and finished tool loops; the answers of tools in any order, in one message or in several."""
    made, number = [Message("user", "Hello")], 0
    for kind in draw(st.lists(st.sampled_from(["user", "assistant", "loop", "system"]), max_size=6)):
        if kind == "system":
            made.append(Message("system", draw(words)))
        elif kind == "user":
            made.append(Message("user", draw(st.lists(asked, max_size=3))))
        elif kind == "assistant":
            made.append(Message("assistant", numbered(draw(st.lists(said, max_size=3)), len(made))))
        else:
            step = [draw(calls(number := number + 1)) for _ in range(draw(st.integers(1, 3)))]
            made.append(Message("assistant", [*numbered(draw(st.lists(said, max_size=2)), len(made)), *step]))
            answers = [ToolCallResponse(call.id, draw(results), error=draw(st.booleans())) for call in step]
            answers = draw(st.permutations(answers))
            one = draw(st.booleans())
            made.extend([Message("tool", answers)] if one else [Message("tool", [answer]) for answer in answers])
    return made


def _named(turn, what):
    return [(part[what]["name"], part[what].get("id")) for part in turn["parts"] if what in part]


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(conversations(), st.sampled_from([NEWER, OLDER]))
def test_turns_alternate_and_every_call_has_its_answer(talk, model):
    talk = read(talk)
    before = copy.deepcopy(talk)
    made = contents([message for message in talk if message.role != "system"], model, models.lookup("google", model))
    assert talk == before
    assert made[0]["role"] == "user"
    assert all(one["role"] != other["role"] for one, other in pairwise(made))
    assert all(turn["parts"] and all(turn["parts"]) for turn in made)
    for one, other in pairwise([*made, {"role": "", "parts": []}]):
        assert _named(one, "functionCall") == _named(other, "functionResponse")
    asked = [part for message in talk for part in message.parts if isinstance(part, ToolCall | InvalidToolCall)]
    assert [name for turn in made for name, _ in _named(turn, "functionCall")] == [call.name for call in asked]
    assert all(part.keys().isdisjoint({"type", "thinking"}) for turn in made for part in turn["parts"])


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(conversations(), st.sampled_from([NEWER, OLDER]))
def test_steps_are_signed_for_models_that_want_it(talk, model):
    made = contents([message for message in talk if message.role != "system"], model, models.lookup("google", model))
    for turn in made:
        signatures = [part.get("thoughtSignature") for part in turn["parts"] if "functionCall" in part]
        if model == NEWER:
            assert all(signatures[:1])
            assert UNSIGNED not in signatures[1:]
        else:
            assert UNSIGNED not in signatures


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(conversations())
def test_the_older_sdk_is_given_only_parts_that_it_knows(talk):
    made = older(Request(read(talk)), OLDER, models.lookup("google", OLDER), stream=False).body["contents"]
    assert all(turn["parts"] for turn in made)
    assert all(PARTS & part.keys() and "thought" not in part for turn in made for part in turn["parts"])
    for one, other in pairwise([*made, {"role": "", "parts": []}]):
        assert _named(one, "functionCall") == _named(other, "functionResponse")
