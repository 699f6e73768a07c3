"""What a conversation becomes on Anthropic's wire, by example."""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

import pytest

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.providers import models
from multiroute_core.providers.anthropic.encode import encode
from multiroute_core.types import Request

MODEL = "claude-sonnet-4-6"
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
CITED = {"type": "text", "text": "It rains.", "citations": [{"type": "char_location", "cited_text": "rain"}]}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}, "caller": {"type": "direct"}}
PNG = Blob(b"\x89PNG", "image/png")
PNG_BLOCK = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG").decode()},
}
MARKED = {"type": "ephemeral"}


def body(*messages: Message, model: str = MODEL, **given: Any) -> dict[str, Any]:
    return encode(Request(messages, **given), model, models.lookup("anthropic", model), stream=False).body


def turns(*messages: Message, model: str = MODEL) -> list[dict[str, Any]]:
    return body(*messages, model=model)["messages"]


def user(*parts: Part) -> Any:
    """What becomes of these parts, said by the user."""
    (turn,) = turns(Message("user", parts))
    return turn["content"]


def own(block: dict[str, Any], model: str | None = MODEL) -> Raw:
    return Raw("anthropic", block, model)


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def test_system_messages_are_apart_wherever_they_stand():
    made = body(Message("system", "One."), Message("user", "Hi"), Message("system", "Two."), Message("user", "Ho"))
    assert made["system"] == "One.\n\nTwo."
    assert made["messages"] == [{"role": "user", "content": [text("Hi"), text("Ho")]}]


def test_system_messages_alone_are_the_users_turn():
    made = body(Message("system", "Say hello."))
    assert "system" not in made
    assert made["messages"] == [{"role": "user", "content": "Say hello."}]


def test_a_tool_loop():
    calls = [ToolCall("toolu_1", "weather", {"city": "Bonn"}), ToolCall("toolu_2", "now", {})]
    made = turns(
        Message("user", "How is it?"),
        Message("assistant", [Text("Let me see."), *calls]),
        Message("user", "Quick!"),
        Message("tool", [ToolCallResponse("toolu_2", "noon")]),
        Message("tool", [ToolCallResponse("toolu_1", [Text("rain"), PNG], error=False)]),
    )
    assert made == [
        {"role": "user", "content": "How is it?"},
        {
            "role": "assistant",
            "content": [
                text("Let me see."),
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}},
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("rain"), PNG_BLOCK]},
                text("Quick!"),
            ],
        },
    ]


@pytest.mark.parametrize(
    ("result", "content", "after"),
    [
        ("No such city.", "No such city.", []),
        ("", "The tool failed.", []),
        ([Text("See:"), PNG], "See:", [PNG_BLOCK]),
        ([PNG], "The tool failed.", [PNG_BLOCK]),
        ([Text("a"), Text("b")], [text("a"), text("b")], []),
    ],
)
def test_an_error_of_a_tool_is_text_and_not_empty(result: Any, content: Any, after: list[Any]):
    made = turns(
        Message("assistant", [ToolCall("t", "f", {})]), Message("tool", [ToolCallResponse("t", result, error=True)])
    )
    told = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
    assert made[1]["content"] == [told, *after]


def test_an_empty_answer_of_a_tool():
    made = turns(Message("assistant", [ToolCall("t", "f", {})]), Message("tool", [ToolCallResponse("t", "")]))
    assert made[1]["content"] == [{"type": "tool_result", "tool_use_id": "t"}]


def test_ids_of_other_vendors_stay_paired():
    odd = "call|with spaces and more than forty characters in it"
    made = turns(Message("assistant", [ToolCall(odd, "f", {})]), Message("tool", [ToolCallResponse(odd, "1")]))
    (call,), (answer,) = made[0]["content"], made[1]["content"]
    assert call["id"] == answer["tool_use_id"]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", call["id"])


def test_no_id_stands_for_two_calls():
    loop = [
        Message("assistant", [ToolCall("call_0", "f", {"n": 1}), ToolCall("call_0", "f", {"n": 2})]),
        Message("tool", [ToolCallResponse("call_0", "1"), ToolCallResponse("call_0", "2")]),
    ]
    made = turns(*loop, *loop)
    calls = [block["id"] for turn in made[::2] for block in turn["content"]]
    answers = [block["tool_use_id"] for turn in made[1::2] for block in turn["content"]]
    assert calls == answers == ["call_0", "call_0_", "call_0__", "call_0___"]


def test_what_a_caller_gave_as_the_vendor_has_it_is_not_touched():
    result = {"type": "tool_result", "tool_use_id": "gone", "content": [text("Long.")]}
    given = copy.deepcopy(result)
    made = user(ToolCallResponse("gone", "Long.", raw=own(result)), CachePoint(), Text("And?"), CachePoint())
    assert made == [text("Long."), text("And?", cache_control=MARKED)]
    assert result == given


def test_an_answer_to_a_call_that_was_malformed_and_names_no_tool_is_told_as_text():
    invalid = InvalidToolCall("t", "", '{"a', "cut")
    made = turns(
        Message("user", "Go"),
        Message("assistant", [Text("Well."), invalid]),
        Message("tool", [ToolCallResponse("t", "Arguments were cut."), ToolCallResponse("u", "")]),
    )
    assert made[1:] == [
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": [text("Arguments were cut."), text("The tool returned nothing.")]},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (PNG, PNG_BLOCK),
        (Uri("https://e.org/a.png"), {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}}),
        (
            Uri("https://e.org/a.pdf", "application/pdf", "document"),
            {"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}},
        ),
        (
            Blob(b"%PDF", "application/pdf", "a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "a.pdf",
            },
        ),
        (
            Blob("Grüße".encode(), "text/markdown"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
        ),
        (File("file_1", "anthropic"), {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        (
            File("file_1", "anthropic", "image/png", "image"),
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
    ],
)
def test_content(part: Part, block: dict[str, Any]):
    assert user(Text("See:"), part) == [text("See:"), block]


def test_what_the_vendor_wrote_goes_back_unchanged():
    parts = [Reasoning("Hm.", own(THOUGHT)), Text("It rains.", own(CITED)), VendorPart(own(SEARCH))]
    parts.append(ToolCall("toolu_1", "weather", {"city": "Bonn"}, own(CALL)))
    given = copy.deepcopy(parts)
    made = turns(
        Message("user", "Hi"), Message("assistant", parts), Message("tool", [ToolCallResponse("toolu_1", "1")])
    )
    assert made[1]["content"] == [THOUGHT, CITED, SEARCH, CALL]
    assert parts == given


def test_what_others_wrote_is_rebuilt_or_left_out():
    foreign = Raw("openai.responses", {"type": "reasoning", "id": "rs_1"}, "gpt-6")
    parts = [
        Reasoning("Hm.", foreign),
        Reasoning("Hm."),
        VendorPart(foreign),
        Text("It rains.", foreign),
        ToolCall("c", "f", {"a": 1}, foreign),
    ]
    made = turns(Message("assistant", parts), Message("tool", [ToolCallResponse("c", "1", raw=foreign)]))
    assert made[0]["content"] == [text("It rains."), {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]
    assert made[1]["content"] == [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]


@pytest.mark.parametrize(("model", "kept"), [(None, True), (MODEL, True), ("claude-opus-4-1", False)])
def test_thoughts_go_back_to_their_own_model_alone(model: str | None, kept: bool):
    made = turns(Message("assistant", [Reasoning("Hm.", own(THOUGHT, model)), Text("Hi")]), Message("user", "Ho"))
    assert made[0]["content"] == ([THOUGHT, text("Hi")] if kept else "Hi")


def test_pictures_that_another_model_made_are_shown_by_the_user():
    made = turns(
        Message("user", "Draw."),
        Message("assistant", [Text("Here."), PNG, ToolCall("t", "f", {})]),
        Message("tool", [ToolCallResponse("t", "1")]),
        Message("assistant", [PNG]),
        Message("user", "What is on it?"),
    )
    assert [block["type"] for block in made[1]["content"]] == ["text", "tool_use"]
    assert [block["type"] for block in made[2]["content"]] == ["tool_result", "image", "image", "text"]


def test_nothing_empty_is_sent():
    made = turns(
        Message("user", "Hi"), Message("assistant", [Text(" \n")]), Message("user", [Text(""), Text("Ho"), Text("")])
    )
    assert made == [{"role": "user", "content": [text("Hi"), text("Ho")]}]


def test_what_the_model_is_to_go_on_with_ends_in_no_space():
    made = turns(Message("user", "Hi"), Message("assistant", "The answer is: \n"))
    assert made[-1] == {"role": "assistant", "content": "The answer is:"}


def test_marks_for_the_cache():
    made = body(
        Message("system", [Text("Long."), CachePoint("1h"), Text("Short.")]),
        Message("user", [PNG, CachePoint(), Text("What is it?")]),
        Message("assistant", [ToolCall("t", "f", {})]),
        Message("tool", [ToolCallResponse("t", [Text("1"), CachePoint(), Text("2")]), CachePoint(), CachePoint()]),
    )
    assert made["system"] == [text("Long.", cache_control=MARKED | {"ttl": "1h"}), text("Short.")]
    asked, _, answered = made["messages"]
    assert asked["content"] == [PNG_BLOCK | {"cache_control": MARKED}, text("What is it?")]
    (answer,) = answered["content"]
    assert answer["content"] == [text("1", cache_control=MARKED), text("2")]
    assert answer["cache_control"] == MARKED


def test_a_mark_at_the_start_of_a_turn_is_set_before_it_and_never_on_thoughts():
    made = turns(
        Message("user", "Hi"),
        Message("assistant", [Text("Ho"), Reasoning("Hm.", own(THOUGHT))]),
        Message("user", [CachePoint(), Text("And?")]),
    )
    assert made[1]["content"] == [text("Ho", cache_control=MARKED), THOUGHT]
    assert made[2] == {"role": "user", "content": "And?"}


def test_the_last_four_marks_are_kept():
    said = [part for each in "abcdef" for part in (Text(each), CachePoint())]
    assert [block["text"] for block in user(*said) if "cache_control" in block] == ["c", "d", "e", "f"]


LONG = "word " * 1_000


@pytest.mark.parametrize(
    ("conversation", "marked"),
    [
        ([("system", LONG), ("user", "Hi"), ("assistant", "Ho"), ("user", "And?")], [True, False, False, True]),
        ([("user", LONG), ("assistant", "Ho"), ("user", "And?")], [False, False, True]),
        ([("system", LONG), ("user", "Hi")], [False, False]),  # nothing says that it comes again
        ([("system", "Short."), ("user", "Hi"), ("assistant", "Ho"), ("user", "And?")], [False] * 4),
    ],
)
def test_long_conversations_are_marked_unasked(conversation: list[Any], marked: list[bool]):
    made = body(*[Message(role, said) for role, said in conversation])
    told = [made["system"]] if "system" in made else []
    told += [turn["content"] for turn in made["messages"]]
    assert [not isinstance(content, str) and "cache_control" in content[-1] for content in told] == marked


def test_a_callers_mark_is_not_added_to():
    made = body(Message("system", LONG), Message("user", [Text("Hi"), CachePoint()]), Message("assistant", "Ho"))
    assert made["system"] == LONG
