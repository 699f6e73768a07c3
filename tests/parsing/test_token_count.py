"""Estimates of tokens: what holds for all, and how far they are from what the vendors counted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Message, Text
from multiroute_core.messages import Blob, ToolCallResponse, Uri
from multiroute_core.parsing import token_count
from multiroute_core.parsing.arguments import build
from multiroute_core.routing.expected_usage import TOOLS_PROMPT, usage
from tests.providers.reading import needs_recordings, recordings, told

TOOL = {"name": "look", "description": "Looks around.", "parameters": {"type": "object", "properties": {}}}


def estimate(messages, **more):
    return token_count.estimate(build(messages, more)[0])


@given(st.text(), st.text())
def test_more_text_is_no_fewer_tokens_and_texts_add_up(one, other):
    both = token_count.of_text(one + other)
    assert both >= max(token_count.of_text(one), token_count.of_text(other))
    assert abs(token_count.of_text(one) + token_count.of_text(other) - both) <= 1
    assert (both > 0) == bool(one + other)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_a_conversation_is_the_sum_of_its_turns_and_one(texts):
    turns = [Message("user", text) for text in texts]
    assert estimate(turns) == 1 + sum(token_count.PER_MESSAGE + token_count.of_text(text) for text in texts)


def test_scripts_are_told_apart():
    assert token_count.of_text("word " * 400) == 500
    assert token_count.of_text("漢字" * 100) == 200
    assert 1.2 < token_count.of_text("слово" * 100) / (500 / 4) < 2.6
    assert token_count.of_text("\ud800") > 0, "half a character is no reason to fail"


@pytest.mark.parametrize(
    "part", [Blob(b"x" * 90_000, "image/png"), Uri("https://example.org/a.png"), Blob(b"x" * 60_000, "application/pdf")]
)
def test_what_is_no_text_counts_the_same_inside_a_tools_answer(part):
    alone = estimate([Message("user", [part])])
    inside = token_count.of([Message("tool", [ToolCallResponse("c", [part])])])
    assert alone > 1_000
    assert inside + 1 == alone + token_count.PER_TOOL


def test_tools_and_the_form_of_the_answer_are_read_too():
    bare = estimate("Hello")
    assert estimate("Hello", tools=[TOOL]) > bare
    assert estimate("Hello", output_schema={"type": "object", "properties": {"a": {"type": "string"}}}) > bare


def test_arguments_that_are_no_json_are_no_reason_to_fail():
    circle = {}
    circle["self"] = circle
    for value in ({"a": object()}, {"a": float("nan")}, circle):
        assert token_count._json(value) >= 1


def asked(each):
    """A recorded request of text alone; None for others. What makes the vendor add words of its own is another kind."""
    body = each.request
    if not body or body.keys() & {"tools", "thinking", "response_format", "text", "output_config"}:
        return None
    given = {}
    match each.api:
        case "chat" | "messages":
            messages = body["messages"]
            if body.get("system"):
                messages = [{"role": "system", "content": body["system"]}, *messages]
        case "responses":
            messages, given["system"] = body["input"], body.get("instructions")
        case _:
            messages = body["contents"]
            if body.get("systemInstruction"):
                given["system"] = "".join(part["text"] for part in body["systemInstruction"]["parts"])
    if '"citations"' in json.dumps(messages):
        return None
    request, _ = build(messages, given)
    parts = [part for message in request.messages for part in message.parts]
    plain = all(isinstance(part, Text) or type(part).__name__ == "CachePoint" for part in parts)
    return request if plain else None


@needs_recordings
def test_recorded_texts_are_estimated_to_two_fifths_and_a_few_dozen_tokens():
    compared = 0
    for tag, each in recordings().items():
        if each.status != 200 or (request := asked(each)) is None:
            continue
        try:
            counted = told(each).tokens[0]
        except KeyError:  # an error under HTTP 200
            continue
        if counted:
            compared += 1
            assert token_count.estimate(request) == pytest.approx(counted, rel=0.4, abs=40), tag
    assert compared >= 20


@needs_recordings
def test_what_anthropic_adds_for_tools_is_expected():
    """Without it a short request with tools would look five times cheaper there than it is."""
    compared = 0
    for tag, each in recordings().items():
        if each.api == "messages" and each.status == 200 and each.request and each.request.get("tools"):
            body = each.request
            if len(body["messages"]) > 1:
                continue
            request, _ = build(body["messages"], {"tools": body["tools"]})
            expected = usage(request, "anthropic", token_count.estimate(request)).input_tokens
            assert expected == pytest.approx(told(each).tokens[0], rel=0.2), tag
            assert expected > TOOLS_PROMPT["anthropic"]
            compared += 1
    assert compared >= 3
