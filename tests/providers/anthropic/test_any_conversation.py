"""Whatever the conversation, its body keeps the rules of Anthropic's API."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.messages import (
    CachePoint,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    VendorPart,
)
from tests.providers.anthropic.test_turns import CITED, MODEL, PNG, SEARCH, THOUGHT, body, own, text

words = st.text(alphabet="ab \n", max_size=4)
ids = st.sampled_from(["a", "b", "c|d", "e" * 60])
results = st.one_of(words, st.lists(st.one_of(st.builds(Text, words), st.just(PNG), st.just(CachePoint())), max_size=3))
said_by = {
    "system": st.one_of(st.builds(Text, words), st.just(CachePoint())),
    "user": st.one_of(st.builds(Text, words), st.just(PNG), st.just(CachePoint())),
    "assistant": st.one_of(
        st.builds(Text, words),
        st.just(Text("It rains.", own(CITED))),
        st.just(Reasoning("Hm.", own(THOUGHT))),
        st.just(Reasoning("Hm.", Raw("google", {"thought": True}))),
        st.builds(ToolCall, ids, st.just("f"), st.just({"x": 1})),
        st.builds(InvalidToolCall, ids, st.just("f"), st.just("{"), st.just("cut")),
        st.just(VendorPart(own(SEARCH))),
        st.just(VendorPart(Raw("google", {"executableCode": {}}))),
        st.just(PNG),
        st.just(CachePoint()),
    ),
    "tool": st.builds(
        lambda call, result, error: ToolCallResponse(call, result, error=error), ids, results, st.booleans()
    ),
}
conversations = st.lists(
    st.sampled_from(sorted(said_by)).flatmap(
        lambda role: st.builds(Message, st.just(role), st.lists(said_by[role], max_size=4))
    ),
    max_size=8,
)


def blocks_of(content: Any) -> list[dict[str, Any]]:
    return [text(content)] if isinstance(content, str) else content


@pytest.mark.slow
@given(conversation=conversations, model=st.sampled_from([MODEL, "claude-opus-4-1", "claude-opus-5-5"]))
def test_any_conversation_is_a_body_that_the_api_takes(conversation: list[Message], model: str):
    given = copy.deepcopy(conversation)
    made = body(*conversation, model=model)
    assert conversation == given, "what the caller gave is not touched"
    roles = [turn["role"] for turn in made["messages"]]
    assert all(before != after for before, after in zip(roles, roles[1:], strict=False))
    marks = [block for block in blocks_of(made.get("system", [])) if "cache_control" in block]
    calls: set[str] = set()
    used: set[Any] = set()
    for turn in made["messages"]:
        blocks = blocks_of(turn["content"])
        assert blocks
        answers = [block for block in blocks if block["type"] == "tool_result"]
        assert blocks[: len(answers)] == answers, "answers come first"
        assert {answer["tool_use_id"] for answer in answers} <= calls, "and each after its call"
        assert len({answer["tool_use_id"] for answer in answers}) == len(answers)
        calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call) for call in calls)
        inner = [block for answer in answers for block in blocks_of(answer.get("content", []))]
        assert not any(answer.get("is_error") and not answer.get("content") for answer in answers)
        for block in (*blocks, *inner):
            assert block["type"] != "text" or block["text"].strip()
            assert block["type"] != "tool_use" or block["id"] not in used
            used.add(block.get("id"))
            assert (
                block["type"] not in ("thinking", "image") or "cache_control" not in block or block["type"] == "image"
            )
            assert block["type"] != "thinking" or model == MODEL
        marks += [block for block in (*blocks, *inner) if "cache_control" in block]
        assert turn["role"] == "user" or not any(block["type"] == "image" for block in blocks)
    assert len(marks) <= 4
    if made["messages"] and roles[-1] == "assistant":
        last = blocks_of(made["messages"][-1]["content"])[-1]
        assert last.get("text", "") == last.get("text", "").rstrip()
