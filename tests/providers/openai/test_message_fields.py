"""Reasoning and signatures at a message, plain and in pieces: what goes back is what a whole answer would have held."""

import pytest

from multiroute_core import Message, Reasoning, Text
from multiroute_core.messages import assemble
from multiroute_core.providers.openai import chat_answer
from multiroute_core.providers.openai.chat_history import history
from multiroute_core.providers.provider import DONE, Encoded

ENCODED = Encoded("/chat/completions", {}, model="m")


def text(piece, index=0, **more):
    return {"type": "reasoning.text", "text": piece, "format": "anthropic-claude-v1", "index": index, **more}


SEALED = {"type": "reasoning.encrypted", "data": "ENC==", "id": "c1", "format": "google-gemini-v1", "index": 0}
SUMMARY = {"type": "reasoning.summary", "summary": "Hm", "format": "openai-responses-v1", "index": 0}

STREAMS = {
    "a text in pieces, then its signature": (
        [
            {"reasoning": "H", "reasoning_details": [text("H")]},
            {"reasoning": "m", "reasoning_details": [text("m")]},
            {"reasoning_details": [text("", signature="SIG==")]},
            {"content": "Hello"},
        ],
        {"reasoning": "Hm", "reasoning_details": [text("Hm", signature="SIG==")]},
    ),
    "no text beside the entries": (
        [{"reasoning_details": [SUMMARY]}, {"reasoning_details": [{**SUMMARY, "summary": "."}]}],
        {"reasoning_details": [{**SUMMARY, "summary": "Hm."}]},
    ),
    "two indexes, mixed": (
        [{"reasoning_details": [text("a", 0), text("b", 1)]}, {"reasoning_details": [text("c", 1), text("d", 0)]}],
        {"reasoning_details": [text("ad", 0), text("bc", 1)]},
    ),
    "two types at one index": (
        [{"reasoning_details": [SUMMARY]}, {"reasoning_details": [SEALED]}],
        {"reasoning_details": [SUMMARY, SEALED]},
    ),
    "two calls sealed at one index": (
        [{"reasoning_details": [SEALED]}, {"reasoning_details": [{**SEALED, "id": "c2", "data": "TWO=="}]}],
        {"reasoning_details": [SEALED, {**SEALED, "id": "c2", "data": "TWO=="}]},
    ),
    "a seal told twice": ([{"reasoning_details": [SEALED]}] * 2, {"reasoning_details": [SEALED]}),
    "no index": (
        [{"reasoning_details": [{"type": "reasoning.text", "text": piece}]} for piece in "ab"],
        {"reasoning_details": [{"type": "reasoning.text", "text": "ab"}]},
    ),
    "entries after the answer": (
        [{"reasoning": "Hm"}, {"content": "Hello"}, {"reasoning_details": [SEALED]}],
        {"reasoning": "Hm", "reasoning_details": [SEALED]},
    ),
    "the signature of a text": (
        [{"content": "Hello"}, {"content": "", "extra_content": {"google": {"thought_signature": "SIG=="}}}],
        {"extra_content": {"google": {"thought_signature": "SIG=="}}},
    ),
    "what is empty": (
        [{"reasoning_content": "Hm", "reasoning_details": [], "extra_content": {}, "thinking_blocks": [{}]}],
        {"reasoning_content": "Hm"},
    ),
}


def sent_back(parts):
    made = history([Message("user", "q"), Message("assistant", parts), Message("user", "and?")], "m", "openai")
    return {name: value for name, value in made[1].items() if name not in ("role", "content")}


@pytest.mark.parametrize("name", STREAMS)
def test_what_came_in_pieces_goes_back_whole(name):
    deltas, whole = STREAMS[name]
    decoder = chat_answer.ChatDecoder(ENCODED)
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in [*deltas, {"content": "."}]]
    fed = [decoder.feed(event) for event in [*events, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, DONE]]
    parts = assemble(part for delta in fed if delta is not None for part in delta.parts)
    assert sent_back(parts) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_answer_goes_back_as_it_is(name):
    whole = STREAMS[name][1]
    message = {"role": "assistant", "content": "Hello", **whole}
    delta = chat_answer.decode({"choices": [{"message": message, "finish_reason": "stop"}]}, ENCODED)
    assert sent_back(delta.parts) == whole
    assert "".join(part.text for part in delta.parts if isinstance(part, Text)) == "Hello"


def test_another_model_gets_none_of_it():
    message = {"role": "assistant", "content": "Hello", "reasoning": "Hm", "reasoning_details": [SEALED]}
    delta = chat_answer.decode({"choices": [{"message": message, "finish_reason": "stop"}]}, ENCODED)
    assert isinstance(delta.parts[0], Reasoning)
    made = history([Message("user", "q"), Message("assistant", delta.parts), Message("user", "and?")], "n", "openai")
    assert made[1] == {"role": "assistant", "content": "Hello"}
