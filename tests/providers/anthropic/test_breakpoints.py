"""Where the router marks prompts for Anthropic's cache, and that the next turn finds what was written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import (
    CachePoint,
    Message,
    PromptCaching,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
)
from multiroute_core.messages import Raw
from multiroute_core.providers import models
from multiroute_core.providers.anthropic.encode import encode
from multiroute_core.testing import PromptCacheEmulator

MODEL = "claude-sonnet-4-5"
TOOL = Tool("f", "Reads.", {"type": "object", "properties": {}})
MODES = (None, True, "1h", False)


def encoded(request: Request, mode: Any = True) -> dict[str, Any]:
    caching = None if mode is None else PromptCaching(mode)
    request = Request(request.messages, tools=request.tools, extra=request.extra, prompt_cache=caching)
    return encode(request, MODEL, models.lookup("anthropic", MODEL), stream=False, account="a").body


def marked(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The place and the expiry of each mark, in order."""
    places: list[tuple[str, str]] = []

    def look(where: str, blocks: Any) -> None:
        for at, block in enumerate(blocks if isinstance(blocks, list) else []):
            look(f"{where}.{at}", block.get("content"))
            if (control := block.get("cache_control")) is not None:
                places.append((f"{where}.{at}", control.get("ttl", "5m")))

    look("tools", body.get("tools"))
    look("system", body.get("system"))
    for at, message in enumerate(body["messages"]):
        look(f"{at}", message["content"])
    return places


def step(number: int, calls: int, *, talks: bool = False, thinks: bool = False) -> list[Message]:
    """One turn of an agent: an answer with tool calls, the results, and perhaps a question."""
    thought = Reasoning("Hm.", Raw("anthropic", {"type": "thinking", "thinking": "Hm.", "signature": "s"}, MODEL))
    parts = [*([thought] if thinks else []), Text(f"step {number}")]
    ids = [f"c{number}_{at}" for at in range(calls)]
    answer = Message("assistant", [*parts, *(ToolCall(each, "f", {"n": number}) for each in ids)])
    results = [Message("tool", [ToolCallResponse(each, f"result {each}")]) for each in ids]
    return [answer, *results, *([Message("user", f"and {number}?")] if talks or not calls else [])]


steps = st.lists(st.tuples(st.integers(0, 13), st.booleans(), st.booleans()), min_size=1, max_size=6)
heads = st.tuples(st.booleans(), st.booleans(), st.integers(0, 3))


def grow(head: tuple[bool, bool, int], turns: list[tuple[int, bool, bool]]) -> list[Request]:
    """The requests of a conversation, each with one turn more; the caller marks some of the first messages."""
    has_system, has_tools, points = head
    system = [Message("system", [Text("Be brief."), *([CachePoint()] if points > 1 else [])])] if has_system else []
    messages = [*system, Message("user", [Text("Go."), *([CachePoint()] if points > 2 else [])])]
    tools = (TOOL,) if has_tools else ()
    requests = [Request(tuple(messages), tools=tools)]
    for number, (calls, talks, thinks) in enumerate(turns):
        messages += step(number, calls, talks=talks, thinks=thinks)
        requests.append(Request(tuple(messages), tools=tools))
    return requests


@given(heads, steps, st.sampled_from((True, "1h")))
def test_each_turn_reads_all_that_the_turn_before_wrote(head, turns, mode):
    cache = PromptCacheEmulator(lambda: 0.0, tokens_of=lambda _: 5_000)
    before = 0
    for request in grow(head, turns):
        body = encoded(request, mode)
        assert len(marked(body)) <= 4
        bill = cache.bill(body)  # it rejects more than four marks, and longer expiries after shorter ones
        assert bill["cache_read_input_tokens"] == before
        before = bill["cache_read_input_tokens"] + bill["cache_creation_input_tokens"]
        assert bill["input_tokens"] == 0


@given(heads, steps, st.lists(st.tuples(st.integers(0, 40), st.sampled_from(("5m", "1h"))), max_size=6))
def test_the_callers_marks_stay(head, turns, points):
    request = grow(head, turns)[-1]
    messages = list(request.messages)
    for at, ttl in points:
        message = messages[at % len(messages)]
        if message.role != "tool":
            messages[at % len(messages)] = Message(message.role, [*message.parts, CachePoint(ttl)])
    request = Request(tuple(messages), tools=request.tools)
    own = marked(encoded(request, False))
    for mode in MODES:
        body = encoded(request, mode)
        assert set(own) <= set(marked(body))
        assert len(marked(body)) <= 4
        ttls = [ttl for _, ttl in own]
        if ttls == sorted(ttls):  # "1h" before "5m": else the caller's own order is at fault
            PromptCacheEmulator(lambda: 0.0).bill(body)


def test_marks_are_where_the_docs_put_them():
    requests = grow((True, True, 0), [(2, False, False), (3, True, False)])
    assert marked(encoded(requests[0])) == [("tools.0", "5m"), ("system.0", "5m"), ("0.0", "5m")]
    assert marked(encoded(requests[1])) == [("tools.0", "5m"), ("system.0", "5m"), ("0.0", "5m"), ("2.1", "5m")]
    assert marked(encoded(requests[2], "1h")) == [("tools.0", "1h"), ("system.0", "1h"), ("2.1", "1h"), ("4.3", "1h")]


@pytest.mark.parametrize("mode", [None, False])
def test_a_short_prompt_gets_marks_only_on_demand(mode):
    request = grow((True, True, 0), [(2, False, False)])[-1]
    assert marked(encoded(request, mode)) == []


def test_a_long_prompt_gets_two_marks_by_default_and_none_with_false():
    request = Request((Message("system", "x" * 5_000), Message("user", "Hi")), tools=(TOOL,))
    assert marked(encoded(request, None)) == [("system.0", "5m"), ("0.0", "5m")]
    assert marked(encoded(request, False)) == []


def test_a_mark_before_a_longer_one_takes_its_expiry():
    messages = (Message("system", "Be brief."), Message("user", [Text("Go."), CachePoint("1h")]))
    assert marked(encoded(Request(messages, tools=(TOOL,)))) == [("tools.0", "1h"), ("system.0", "1h"), ("0.0", "1h")]


def test_a_mark_after_a_shorter_one_takes_its_expiry():
    messages = (Message("system", [Text("Be brief."), CachePoint()]), Message("user", "Go."))
    assert marked(encoded(Request(messages, tools=(TOOL,)), "1h")) == [
        ("tools.0", "1h"),
        ("system.0", "5m"),
        ("0.0", "5m"),
    ]


def test_a_deferred_tool_and_a_prefill_take_no_mark():
    deferred = Tool("g", "Writes.", {"type": "object"}, extras={"anthropic": {"defer_loading": True}})
    messages = (Message("user", "Go."), Message("assistant", "The answer is"))
    assert marked(encoded(Request(messages, tools=(TOOL, deferred)))) == [("tools.0", "5m"), ("0.0", "5m")]


def test_the_callers_automatic_mark_takes_one_of_the_four_places():
    request = grow((True, True, 0), [(2, False, False)])[-1]
    request = Request(
        request.messages, tools=request.tools, extra={"anthropic": {"cache_control": {"type": "ephemeral"}}}
    )
    body = encoded(request, "1h")
    assert marked(body) == [("tools.0", "1h"), ("system.0", "1h"), ("0.0", "1h")]
    PromptCacheEmulator(lambda: 0.0).bill(body)


def test_four_marks_of_the_callers_leave_no_place():
    points = [part for at in range(4) for part in (Text(f"{at}"), CachePoint())]
    request = Request((Message("system", "Be brief."), Message("user", [*points, Text("Go.")])), tools=(TOOL,))
    assert marked(encoded(request)) == [(f"0.{at}", "5m") for at in range(4)]


def test_marks_in_a_body_of_the_callers_own_are_left_alone():
    system = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    request = Request((Message("user", "Go."),), tools=(TOOL,), extra={"anthropic": {"system": system}})
    assert marked(encoded(request)) == [("system.0", "5m")]
