"""What is made of Gemini's answers, however odd."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.messages import (
    InvalidToolCall,
    Text,
    join,
)
from multiroute_core.providers.google import decode as wire
from multiroute_core.providers.google.usage import read_usage
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.types import Usage
from tests.examples import examples
from tests.providers.google.gemini import chunk

ASKED = Encoded("models/gemini-3.8-flash:generateContent", {"contents": []}, model="gemini-3.8-flash")


def decode(body):
    return wire.decode(body, ASKED)


def decoder():
    return wire.GeminiDecoder(ASKED)


def test_a_whole_answer():
    body = chunk("Hello", "STOP", usageMetadata={"promptTokenCount": 1, "candidatesTokenCount": 2})
    delta = decode(body)
    assert (delta.parts, delta.finish_reason, delta.model) == ((Text("Hello"),), "stop", "gemini-3.8-flash-001")
    assert delta.usage == Usage(input_tokens=1, output_tokens=2)
    assert delta.raw is body


def test_a_tool_call_ends_with_stop_on_the_wire():
    call: Any = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}]}
    stream = decoder()
    assert stream.feed(call).finish_reason is None
    assert stream.feed(chunk("", "STOP")).finish_reason == "tool_call"
    call["candidates"][0]["finishReason"] = "STOP"
    assert decode(call).finish_reason == "tool_call"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        *[(reason, "content_filter") for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")],
        *[(reason, "content_filter") for reason in ("IMAGE_SAFETY", "MODEL_ARMOR", "IMAGE_RECITATION")],
        *[(reason, "other") for reason in ("LANGUAGE", "OTHER", "NO_IMAGE", "IMAGE_OTHER", "SOMETHING_NEW", 99, ["?"])],
        ("CONTINUATION", "length"),
        ("ESCALATION", "content_filter"),
        ("stop", "stop"),
    ],
)
def test_finish_reasons(reason, finish):
    stream = decoder()
    assert stream.feed(chunk("Hi", reason)).finish_reason == finish
    assert stream.complete
    assert decode(chunk("Hi", reason)).finish_reason == finish


@pytest.mark.parametrize("reason", [None, "", "FINISH_REASON_UNSPECIFIED", 0])
def test_no_finish_reason(reason):
    body = chunk("Hi")
    body["candidates"][0]["finishReason"] = reason
    stream = decoder()
    assert stream.feed(body).finish_reason is None
    assert not stream.complete
    assert decode(body).finish_reason == "stop"  # a whole answer is whole, though nothing explains its end
    body["candidates"][0]["content"] = {}
    with pytest.raises(NoAnswer, match="no finish reason"):
        decode(body)


def test_an_answer_without_a_word():
    body = {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}
    assert (decode(body).parts, decode(body).finish_reason) == ((), "length")
    assert decode({"candidates": [{"finishReason": "SAFETY"}]}).finish_reason == "content_filter"


def test_a_stream():
    stream = decoder()
    deltas = [
        stream.feed(chunk("Hel", usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5})),
        stream.feed(chunk("lo")),
        stream.feed({"candidates": [], "usageMetadata": {"candidatesTokenCount": 1, "totalTokenCount": 6}}),
        stream.feed(chunk("", "STOP", usageMetadata={"candidatesTokenCount": 2, "totalTokenCount": 7})),
    ]
    assert join([part for delta in deltas for part in delta.parts]) == "Hello"
    assert [delta.usage for delta in deltas] == [Usage(5, 0), None, Usage(5, 1), Usage(5, 2)]
    assert stream.complete


@pytest.mark.parametrize("read", [decode, lambda body: decoder().feed(body)])
def test_a_blocked_prompt(read):
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    with pytest.raises(NoAnswer, match="PROHIBITED_CONTENT") as caught:
        read(body)
    assert caught.value.filtered
    assert caught.value.body is body


@pytest.mark.parametrize("read", [decode, lambda body: decoder().feed(body)])
def test_an_error_under_http_200(read):
    body = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}
    with pytest.raises(WireError) as caught:
        read(body)
    assert not isinstance(caught.value, NoAnswer)
    assert caught.value.body is body


@pytest.mark.parametrize(
    "body", [{}, {"candidates": []}, {"candidates": None}, {"candidates": [None]}, {"candidates": 5}]
)
def test_no_candidates(body):
    with pytest.raises(NoAnswer) as caught:
        decode(body)
    assert not caught.value.filtered
    assert decoder().feed(body).parts == ()


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"promptTokenCount": 9}, Usage(9)),
        ({"candidatesTokenCount": 9}, Usage(None, 9)),
        ({"thoughtsTokenCount": 4}, Usage(None, 4, reasoning_tokens=4)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 1}, Usage(11, 1)),
        ({"candidatesTokenCount": 5, "thoughtsTokenCount": 4}, Usage(None, 9, reasoning_tokens=4)),
        ({"promptTokenCount": 9, "totalTokenCount": 20}, Usage(9, 11)),
        ({"promptTokenCount": 9, "totalTokenCount": 9}, Usage(9, 0)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 20}, Usage(9, 11)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 5}, Usage(9, 5)),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 1, "totalTokenCount": 99},
            Usage(9, 90, reasoning_tokens=1),
        ),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 8}, Usage(9, cache_read_tokens=8)),
        (
            {
                "promptTokenCount": 9,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 7}],
                "candidatesTokenCount": 3,
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}, None, {"modality": "AUDIO"}],
            },
            Usage(9, 3, input_audio_tokens=7, output_audio_tokens=3),
        ),
        ({"promptTokenCount": True, "candidatesTokenCount": "3", "totalTokenCount": -1}, Usage(None, 3)),
        ({"candidatesTokenCount": 3, "totalTokenCount": 9}, Usage(6, 3)),
    ],
)
def test_usage(counted, usage):
    assert read_usage(counted) == usage


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def shaped(**fields):
    """An object with some of these fields, each as it should be or odd; or something else."""
    return st.fixed_dictionaries({}, optional={name: value | odd for name, value in fields.items()}) | odd


counts = st.integers(0, 1000)
details = st.lists(shaped(modality=st.sampled_from(["TEXT", "AUDIO"]), tokenCount=counts), max_size=3)
parts = shaped(
    text=st.text(),
    thought=st.booleans(),
    thoughtSignature=st.text(),
    functionCall=shaped(id=st.text(), name=st.text(), args=st.dictionaries(st.text(), odd, max_size=2)),
    inlineData=shaped(mimeType=st.text(), data=st.just("iVBORw==")),
    executableCode=odd,
)
candidates = shaped(
    content=shaped(role=st.just("model"), parts=st.lists(parts, max_size=3)),
    finishReason=st.sampled_from([*wire.FINISH, *wire.UNSAID, "OTHER"]),
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(candidates, max_size=2) | odd,
        "promptFeedback": shaped(blockReason=st.text(), blockReasonMessage=st.text()),
        "usageMetadata": shaped(
            promptTokenCount=counts,
            candidatesTokenCount=counts,
            thoughtsTokenCount=counts,
            toolUsePromptTokenCount=counts,
            totalTokenCount=counts,
            cachedContentTokenCount=counts,
            promptTokensDetails=details,
            candidatesTokensDetails=details,
        ),
        "modelVersion": st.text() | odd,
        "error": shaped(code=st.integers(), message=st.text()),
    },
)


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(bodies)
def test_whatever_comes_is_an_answer_or_a_wire_error(body):
    body = json.loads(json.dumps(body))
    before = json.dumps(body)
    try:
        delta = decode(body)
    except WireError:
        return
    finally:
        assert json.dumps(body) == before, "the body was changed"
    assert delta.finish_reason is not None
    assert all(
        isinstance(part, InvalidToolCall) or getattr(part, "raw") is not None or getattr(part, "text")
        for part in delta.parts
    )
    assert delta.model is None or isinstance(delta.model, str)
    _plausible(delta.usage)


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(st.lists(bodies | odd, max_size=5))
def test_whatever_streams_is_understood_or_a_wire_error(events):
    stream = decoder()
    for event in events:
        try:
            delta = stream.feed(event)
        except WireError:
            return
        assert delta is not None
        assert stream.complete or delta.finish_reason is None
        _plausible(delta.usage)


def _plausible(usage):
    if usage is None:
        return
    for name in (name for name in Usage.__slots__ if name.endswith("_tokens")):
        count = getattr(usage, name)
        assert count is None or (isinstance(count, int) and count >= 0)
    if usage.reasoning_tokens is not None:
        assert usage.output_tokens >= usage.reasoning_tokens
