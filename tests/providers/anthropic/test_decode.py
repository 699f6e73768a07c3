"""What is made of Anthropic's answers: whole, streamed, and recorded ones as its own SDK reads them."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.messages import (
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    VendorPart,
    assemble,
)
from multiroute_core.providers.anthropic.decode import MessagesDecoder, decode
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import ReplayServer
from multiroute_core.types import Delta
from tests.providers.anthropic.messages_api import events, message
from tests.providers.faces import PLAIN, STREAMED, ask, routed
from tests.providers.reading import needs_recordings, recordings, reply, route

ASKED = Encoded("/v1/messages", {}, model="claude-x")
THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "ZW5j"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich", "days": [1, 2]}}
BARE_CALL = {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}
CITED = {"type": "text", "text": "It rains.", "citations": [{"type": "char_location", "cited_text": "rain"}]}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
STRANGE = {"type": "hologram", "light": {"speed": 3}}
BLOCKS = [THOUGHT, HIDDEN, CALL, BARE_CALL, CITED, SEARCH, FOUND, STRANGE, {"type": "text", "text": "Hello"}]


def whole(body: dict[str, Any], asked: Encoded = ASKED) -> Delta:
    return decode(Reply(json.dumps(body), {}), asked)


def streamed(body: dict[str, Any], asked: Encoded = ASKED, step: int = 3) -> tuple[list[Part], list[Delta]]:
    decoder = MessagesDecoder(asked)
    deltas = [delta for event in events(body, step) if (delta := decoder.feed(event)) is not None]
    assert decoder.complete
    return [part for delta in deltas for part in delta.parts], deltas


def raw(body: dict[str, Any]) -> Raw:
    return Raw("anthropic", body, "claude-x")


def test_every_kind_of_block():
    body = message(*BLOCKS, stop_reason="tool_use")
    assert whole(body).parts == (
        Reasoning("Let me see.", raw(THOUGHT)),
        Reasoning("", raw(HIDDEN)),
        ToolCall("toolu_1", "weather", CALL["input"], raw(CALL)),
        ToolCall("toolu_2", "now", {}, raw(BARE_CALL)),
        Text("It rains.", raw(CITED)),
        VendorPart(raw(SEARCH)),
        VendorPart(raw(FOUND)),
        VendorPart(raw(STRANGE)),
        Text("Hello"),
    )


@given(content=st.lists(st.sampled_from(BLOCKS), max_size=6), step=st.integers(1, 50))
def test_a_stream_is_the_same_answer(content: list[dict[str, Any]], step: int):
    body = message(*content, stop_reason="tool_use" if CALL in content else "end_turn")
    parts, deltas = streamed(body, step=step)
    expected = whole(body)
    assert assemble(parts) == expected.parts
    assert deltas[-1].finish_reason == expected.finish_reason
    assert next(delta.usage for delta in reversed(deltas) if delta.usage) == expected.usage


def test_a_call_comes_in_pieces():
    parts, _ = streamed(message(THOUGHT, CALL, BARE_CALL), step=20)
    calls = [part for part in parts if isinstance(part, ToolCallDelta)]
    assert [(call.index, call.id, call.name) for call in calls if call.id] == [
        (0, "toolu_1", "weather"),
        (1, "toolu_2", "now"),
    ]
    assert json.loads("".join(call.arguments for call in calls if call.index == 0)) == CALL["input"]
    assert [call.raw for call in calls if call.raw] == [raw(CALL), raw(BARE_CALL)]


def test_thoughts_come_in_pieces_and_their_signature_at_the_end():
    parts, _ = streamed(message(THOUGHT), step=6)
    assert parts == [Reasoning("Let me"), Reasoning(" see."), Reasoning("", raw(THOUGHT))]


def test_two_texts_stay_two():
    before = {"type": "text", "text": "The document says: "}
    body = message(before, CITED, {"type": "text", "text": "So be it."})
    parts, _ = streamed(body)
    assert assemble(parts) == whole(body).parts
    assert whole(body).parts == (
        Text("The document says: ", raw(before)),
        Text("It rains.", raw(CITED)),
        Text("So be it."),
    )


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("something_new", "other"),
    ],
)
def test_why_it_ended(told: str, reason: str):
    body = message({"type": "text", "text": "Hi"}, stop_reason=told)
    assert whole(body).finish_reason == reason
    assert streamed(body)[1][-1].finish_reason == reason


def test_a_call_that_is_cut_is_an_invalid_one():
    cut = [event for event in events(message(CALL, stop_reason="max_tokens")) if event["type"] != "ping"]
    del cut[5:-3]
    decoder = MessagesDecoder(ASKED)
    parts = [part for event in cut if (delta := decoder.feed(event)) for part in delta.parts]
    (call,) = assemble(parts)
    assert isinstance(call, InvalidToolCall)
    assert (call.id, call.name, call.arguments) == ("toolu_1", "weather", '{"city')


@pytest.mark.parametrize("given", ['{"city": "Bonn"}', {"city": "Bonn"}])
def test_an_input_that_comes_at_once(given: Any):
    block = {"type": "tool_use", "id": "t", "name": "weather", "input": given}
    (call,) = whole(message(block)).parts
    assert isinstance(call, ToolCall)
    assert call.arguments == {"city": "Bonn"}


def test_an_input_in_the_start_of_its_block():
    block = {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Bonn"}}
    decoder = MessagesDecoder(ASKED)
    told = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
    ]
    parts = [part for event in told if (delta := decoder.feed(event)) for part in delta.parts]
    assert assemble(parts) == (ToolCall("t", "weather", {"city": "Bonn"}, raw(block)),)


@pytest.mark.parametrize("block", [{"type": "tool_use", "input": {}}, {"type": "tool_use", "name": "f", "input": [1]}])
def test_a_call_without_a_name_or_an_object_is_an_invalid_one(block: dict[str, Any]):
    (call,) = whole(message(block)).parts
    assert (call,) == assemble(streamed(message(block))[0])
    assert isinstance(call, InvalidToolCall)
    assert call.id, "where the vendor gives none, one is made"


def test_the_tool_that_stands_for_the_form_of_the_answer():
    asked = Encoded("/v1/messages", {}, model="claude-x", output_tool="answer")
    block = {"type": "tool_use", "id": "t", "name": "answer", "input": {"city": "Zürich"}}
    body = message(block, stop_reason="tool_use")
    made = whole(body, asked)
    assert [json.loads(part.text) for part in made.parts if isinstance(part, Text)] == [block["input"]]
    assert made.finish_reason == "stop"
    parts, deltas = streamed(body, asked)
    assert [type(part) for part in assemble(parts)] == [Text]
    assert json.loads("".join(part.text for part in parts if isinstance(part, Text))) == block["input"]
    assert deltas[-1].finish_reason == "stop"
    empty = message({**block, "input": {}}, stop_reason="tool_use")
    assert whole(empty, asked).parts == assemble(streamed(empty, asked)[0]) == (Text("{}"),)


def test_a_real_call_beside_it_is_one():
    asked = Encoded("/v1/messages", {}, model="claude-x", output_tool="answer")
    assert whole(message(CALL, stop_reason="tool_use"), asked).finish_reason == "tool_call"
    assert streamed(message(CALL, stop_reason="tool_use"), asked)[1][-1].finish_reason == "tool_call"


ANSWERED = sorted(
    tag for tag, each in recordings().items() if each.api == "messages" and each.status == 200 and tag != "F05.0"
)
CUT = {"F10.0"}
"""Streams whose tokens ran out inside a call."""


def _as_the_sdk_reads(each: Interaction, server: ReplayServer) -> Any:
    server.serve(reply(each))
    asked: dict[str, Any] = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0) as client:
        if not each.stream:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            return stream.get_final_message()


@needs_recordings
@pytest.mark.parametrize("tag", ANSWERED)
def test_recorded_answers_are_what_the_sdk_reads(tag: str):
    each = recordings()[tag]
    with ReplayServer() as server:
        said = _as_the_sdk_reads(each, server)
        calls = [(block.id, block.name, block.input) for block in said.content if block.type == "tool_use"]
        thoughts = [(block.thinking, block.signature) for block in said.content if block.type == "thinking"]
        for face in STREAMED if each.stream else PLAIN:
            server.serve(reply(each))
            with routed(route(each, server.url)) as router:
                response = ask(face, router).response
            assert response is not None
            if tag in CUT:  # the SDK guesses what it was to be; a call that was not made must not be run
                ((call_id, name, _),) = calls
                assert [(call.id, call.name) for call in response.invalid_tool_calls] == [(call_id, name)]
                assert response.tool_calls == ()
                continue
            assert [(call.id, call.name, call.arguments) for call in response.tool_calls] == calls
            told = [(part.text, part.raw.body) for part in response.parts if isinstance(part, Reasoning) and part.raw]
            assert [(text, b["signature"]) for text, b in told if b["type"] == "thinking"] == thoughts
            assert response.text == "".join(block.text for block in said.content if block.type == "text")


@needs_recordings
def test_the_recordings_have_calls_and_thoughts_in_them():
    bodies = b"".join(recordings()[tag].body for tag in ANSWERED)
    assert all(
        word in bodies
        for word in (b'"tool_use"', b"input_json_delta", b"signature", b"redacted_thinking", b"citations")
    )
