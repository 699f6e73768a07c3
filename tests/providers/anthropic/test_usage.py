"""Usage of the Messages API: what is in the top-level counts, what is not, and what a stream may not lose."""

import json
from typing import Any

import pytest

from multiroute_core.providers.anthropic.decode import MessagesDecoder, decode
from multiroute_core.providers.anthropic.usage import read_usage
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.types import Usage
from tests.providers.anthropic.messages_api import events, message

ASKED = Encoded("/v1/messages", {}, model="claude-fable-5")
TOP = {"input_tokens": 412, "output_tokens": 264}


def entry(kind: str, given: int, written: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "input_tokens": given, "output_tokens": written, **more}


CASES: dict[str, tuple[dict[str, Any], Usage]] = {
    "plain": (TOP, Usage(412, 264)),
    "texts and floats": ({"input_tokens": "412", "output_tokens": 264.0}, Usage(412, 264)),
    "searches, speed, tier": (
        {**TOP, "server_tool_use": {"web_search_requests": 2}, "speed": "fast", "service_tier": "priority"},
        Usage(412, 264, web_searches=2, speed="fast", service_tier="priority"),
    ),
    "usual speed and tier": ({**TOP, "speed": "standard", "service_tier": "standard"}, Usage(412, 264)),
    "turns of the same model": (
        {**TOP, "iterations": [entry("message", 200, 100), entry("message", 212, 164)]},
        Usage(412, 264),
    ),
    "compaction": (
        {
            **TOP,
            "iterations": [
                entry("compaction", 1000, 50, cache_read_input_tokens=30, cache_creation={"ephemeral_1h_input_tokens": 9}),
                entry("message", 412, 264),
            ],
        },
        Usage(1451, 314, 30, 9, cache_write_1h_tokens=9),
    ),
    "advisor": (
        {**TOP, "iterations": [entry("message", 412, 264), entry("advisor_message", 50, 7, model="claude-opus-5")]},
        Usage(412, 264, other_models=(("claude-opus-5", Usage(50, 7)),)),
    ),
    "two advices": (
        {**TOP, "iterations": [entry("advisor_message", 50, 7, model="a", cache_read_input_tokens=5)] * 2},
        Usage(412, 264, other_models=(("a", Usage(110, 14, 10)),)),
    ),
    "fallback, declined before a word": (
        {**TOP, "iterations": [entry("message", 408, 0, model="claude-fable-5"), entry("fallback_message", 412, 264, model="b")]},
        Usage(412, 264),
    ),
    "fallback, declined in the middle": (
        {**TOP, "iterations": [entry("message", 408, 9, model="claude-fable-5"), entry("fallback_message", 412, 264, model="b")]},
        Usage(412, 264, other_models=(("claude-fable-5", Usage(408, 9)),)),
    ),
    "fallback, the declined one unnamed": (
        {**TOP, "iterations": [entry("message", 408, 9), entry("fallback_message", 412, 264, model="b")]},
        Usage(412, 264, other_models=(("claude-fable-5", Usage(408, 9)),)),
    ),
    "fallback with turns of its own": (
        {**TOP, "iterations": [entry("message", 1, 9, model="b"), entry("fallback_message", 412, 264, model="b")]},
        Usage(412, 264),
    ),
    "a write by its lifetime alone": (
        {**TOP, "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200}},
        Usage(912, 264, None, 500, 200),
    ),
    "as OpenAI counts the cache": ({**TOP, "total_tokens": 676, "cache_read_input_tokens": 400}, Usage(412, 264, 400)),
    "a total beside the cache": ({**TOP, "total_tokens": 1076, "cache_read_input_tokens": 400}, Usage(812, 264, 400)),
    "a gateway's cost": ({**TOP, "cost": 0.25}, Usage(412, 264, stated_cost=0.25)),
    "in the USA": ({**TOP, "inference_geo": "us"}, Usage(412, 264, inference_geo="us")),
    "anywhere": ({**TOP, "inference_geo": "global"}, Usage(412, 264)),
    "odd iterations": ({**TOP, "iterations": [None, 5, {"type": "advisor_message"}, {"type": ["x"]}]}, Usage(412, 264)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_usage(name: str):
    counts, right = CASES[name]
    body = {**message({"type": "text", "text": "Hi"}), "usage": counts}
    assert decode(Reply(json.dumps(body), {}), ASKED).usage == right
    decoder = MessagesDecoder(ASKED)
    usage = model = None
    for event in events(body):
        if event["type"] == "message_delta":
            event["usage"] = counts
        delta = decoder.feed(event)
        usage, model = (delta.usage or usage, delta.model or model) if delta else (usage, model)
    assert usage == right
    assert model == ("b" if "fallback" in name else body["model"])


@pytest.mark.parametrize(
    ("start", "end", "right"),
    [
        ({"input_tokens": 2500, "output_tokens": 0}, {"input_tokens": 0, "output_tokens": 5}, Usage(2500, 5)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 2500, "output_tokens": 5}, Usage(2500, 5)),
        ({"input_tokens": 2500, "output_tokens": 9}, {"input_tokens": 0, "output_tokens": 0}, Usage(2500, 9)),
        ({"input_tokens": 10, "cache_read_input_tokens": 90}, {"cache_read_input_tokens": 0, "output_tokens": 5}, Usage(100, 5, 90)),
        ({"input_tokens": 10}, {"input_tokens": None, "output_tokens": "5"}, Usage(10, 5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        (
            {"input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 4}},
            {"output_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 0}},
            Usage(14, 5, None, 4, cache_write_1h_tokens=4),
        ),
    ],
)  # fmt: skip
def test_a_zero_never_replaces_a_count(start: dict[str, Any], end: dict[str, Any], right: Usage):
    decoder, usage = MessagesDecoder(ASKED), None
    for event in (
        {"type": "message_start", "message": {"model": "m", "usage": start}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ):
        delta = decoder.feed(event)
        usage = delta.usage if delta and delta.usage else usage
    assert usage == right


METRICS = "amazon-bedrock-invocationMetrics"


@pytest.mark.parametrize(
    ("stop", "right"),
    [
        ({METRICS: {"inputTokenCount": 10, "outputTokenCount": 5, "cacheReadInputTokenCount": 900, "cacheWriteInputTokenCount": 90}}, Usage(1000, 5, 900, 90)),
        ({METRICS: {"inputTokenCount": 10, "outputTokenCount": 5}, "usage": {"cache_read_input_tokens": 900}}, Usage(910, 5, 900)),
        ({METRICS: None, "usage": None}, Usage(10, 5)),
        ({"usage": {"output_tokens": 0}}, Usage(10, 5)),
    ],
)  # fmt: skip
def test_the_last_event_of_bedrock_counts(stop: dict[str, Any], right: Usage):
    decoder, usage = MessagesDecoder(ASKED), None
    for event in (
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 10, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "usage": {"output_tokens": 5}}},
        {"type": "message_stop", **stop},
    ):
        delta = decoder.feed(event)
        usage = delta.usage if delta and delta.usage else usage
    assert usage == right


def test_nothing_is_counted():
    assert read_usage(None) is read_usage({}) is read_usage(5) is None
