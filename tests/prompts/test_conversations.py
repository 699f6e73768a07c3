"""Conversations: what stays as it is, prefixes that stay stable, trimming, summaries, and results."""

import asyncio
import pickle
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import (
    Blob,
    CachePoint,
    ConfigurationError,
    Message,
    PromptOptimizer,
    PromptTooLongError,
    Raw,
    Response,
    Text,
    ToolCall,
    ToolCallResponse,
)
from multiroute_core.parsing import token_count
from multiroute_core.prompts import count_tokens, optimize, summarize_with
from tests.prompts.texts import paragraphs, wild

LONG = "The cat sat on the mat, looked at the moon and thought about the mice of the neighbourhood. " * 4


@st.composite
def conversations(draw):
    """A valid conversation with tool calls, media, cache points and repeated passages."""
    texts = st.one_of(paragraphs, st.sampled_from([LONG.strip(), "Yes.", "Tell  me   more, please, about it."]), wild)
    messages = [Message("system", draw(paragraphs))] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 6))):
        parts = [Text(draw(texts)), *([Blob(b"x", "image/png")] if draw(st.booleans()) else [])]
        messages.append(Message("user", [*parts, *([CachePoint()] if draw(st.booleans()) else [])]))
        for step in range(draw(st.integers(0, 2))):
            calls = [ToolCall(f"{turn}.{step}.{n}", "find", {"words": "a   b"}) for n in range(draw(st.integers(1, 2)))]
            messages.append(Message("assistant", [Text(draw(texts)), *calls]))
            messages.append(Message("tool", [ToolCallResponse(call.id, draw(texts)) for call in calls]))
        messages.append(Message("assistant", draw(texts)))
    return [*messages, Message("user", draw(paragraphs))]


def tokens(messages):
    return token_count.of(messages) + 1


@given(conversations())
@settings(max_examples=25)
def test_without_trimming(messages):
    result = optimize(messages)
    assert [message.role for message in result.messages] == [message.role for message in messages]
    assert (result.tokens_before, result.tokens_after) == (tokens(messages), tokens(result.messages))
    assert result.saved == sum(result.saved_by_rule.values()) >= 0
    assert min(result.saved_by_rule.values()) >= 0
    for old, new in zip(messages, result.messages, strict=True):
        assert len(new.text) <= len(old.text)
        assert [type(part) for part in new.parts] == [type(part) for part in old.parts]
        if old.role == "assistant":
            assert new is old
    assert optimize(result.messages).messages == result.messages
    for length in range(1, len(messages)):
        if messages[length].role == "user" and any(message.text for message in messages[:length]):
            prefix = optimize(messages[:length]).messages
            assert result.messages[:length] == prefix, "the prefix is the same"


@given(conversations(), st.integers(40, 800), st.booleans())
@settings(max_examples=25)
def test_with_trimming(messages, limit, summarized):
    summarize = (lambda removed: f"{len(removed)} messages") if summarized else None
    try:
        result = optimize(messages, limit, summarize=summarize)
    except PromptTooLongError as error:
        last = max(place for place, message in enumerate(messages) if message.role == "user")
        needed = [message for place, message in enumerate(messages) if message.role == "system" or place >= last]
        assert tokens(optimize(needed).messages) == error.tokens == limit + error.excess > limit
        return
    assert result.tokens_after == tokens(result.messages) <= min(limit, result.tokens_before)
    assert result.saved == sum(result.saved_by_rule.values())
    assert result.messages[-1].role == "user"
    systems = [message for message in result.messages if message.role == "system"]
    assert len(systems) == sum(message.role == "system" for message in messages)
    calls = [part.id for message in result.messages for part in message.parts if isinstance(part, ToolCall)]
    answers = [part.id for message in result.messages for part in message.parts if isinstance(part, ToolCallResponse)]
    assert calls == answers
    order = [part.id for message in messages for part in message.parts if isinstance(part, ToolCall)]
    assert [call for call in order if call in calls] == calls
    assert optimize(result.messages, limit).messages == result.messages


def dialogue(turns, words=40):
    for turn in range(turns):
        yield Message("user", f"Question {turn}: " + "why " * words)
        yield Message("assistant", f"Answer {turn}: " + "so " * words)


def test_the_oldest_exchanges_go_in_big_steps_and_the_prefix_stays():
    messages = [Message("system", "Be brief.")]
    starts = []
    for message in dialogue(40, words=15):
        messages.append(message)
        if message.role == "user":
            result = optimize(messages, 400)
            starts.append(result.messages[1].text[:12])
            assert result.messages[0] is messages[0]
            assert result.messages[-1].text == message.text.rstrip() or result.messages[-1] is message
    changes = sum(one != other for one, other in zip(starts, starts[1:], strict=False))
    assert 3 <= changes <= 13, "40 exchanges, of which about three go at a time"


def test_a_cut_depends_on_what_came_before_only():
    messages = [*dialogue(30, words=15)]
    by_length = {}
    for end in range(1, len(messages), 2):
        result = optimize(messages[:end], 350)
        by_length[end] = result.removed
    assert sorted(by_length.values()) == [*by_length.values()]
    extended = optimize([*messages[:41], Message("assistant", "x"), Message("user", "y")], 350)
    assert extended.removed in (by_length[41], by_length[43])


def test_consecutive_turns_of_the_user_belong_together():
    messages = [*dialogue(6), Message("user", "A document. " * 30), Message("user", "What does it say?")]
    result = optimize(messages, 300)
    assert [message.role for message in result.messages[-2:]] == ["user", "user"]


def test_too_long_is_a_sentence_with_the_number():
    with pytest.raises(PromptTooLongError, match=r"is [\d,]+ tokens too long: .*max_tokens=20 is the most") as raised:
        optimize([*dialogue(3), Message("user", "word " * 100)], 20)
    error = raised.value
    assert isinstance(error, ConfigurationError)
    assert error.excess == error.tokens - 20 > 0
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "word word" not in str(error)


class TestWhatStays:
    def test_raw_parts_answers_media_arguments_and_cache_points(self):
        raw = Raw("anthropic", {"type": "text", "text": "a   b"})
        messages = [
            Message(
                "user",
                [Text("Two  of  them are here,   as you see.", raw), CachePoint("1h"), Blob(b"a   b", "text/plain")],
            ),
            Message("assistant", [Text("An  answer  with   blanks in it."), ToolCall("1", "f", {"x": "a   b"})]),
            Message("tool", [ToolCallResponse("1", "The  result  of this,   as text.", raw=raw)]),
            Message("user", "And  now,   what do we do?"),
        ]
        result = optimize(messages)
        assert all(new is old for new, old in zip(result.messages[:3], messages[:3], strict=True))
        assert result.messages[3].text == "And now, what do we do?"

    def test_system_messages_and_answers_keep_repeated_passages_and_count_as_first(self):
        messages = [("system", LONG), ("user", "Hi"), ("assistant", LONG), ("user", f"{LONG.strip()} Why?")]
        result = optimize(messages)
        assert [message.text for message in result.messages[:3]] == [LONG.rstrip() + " ", "Hi", LONG]
        assert result.messages[3].text.startswith("[Repeated from above: The cat sat on the")

    def test_nothing_of_the_callers_changes(self):
        parts = [Text("Two  of  them are here,   as you see.")]
        messages = [Message("user", parts)]
        optimize(messages)
        assert messages[0].parts[0] is parts[0]
        assert parts[0].text == "Two  of  them are here,   as you see."

    def test_texts_of_one_message_are_seen_as_one(self):
        parts = [Text("```\na   b"), Text("\n\n\n\nc   d\n```\n\n\n\nAnd  prose that   follows the code.")]
        (message,) = optimize([Message("user", parts)]).messages
        assert message.parts == (parts[0], Text("\n\n\n\nc   d\n```\n\n\n\nAnd prose that follows the code."))

    def test_a_repeated_tool_result(self):
        exchange = lambda number: [  # noqa: E731
            Message("assistant", [ToolCall(number, "read", {})]),
            Message("tool", [ToolCallResponse(number, LONG.strip())]),
        ]
        messages = [Message("user", "Read it."), *exchange("1"), *exchange("2")]
        first, second = optimize(messages).messages[2::2]
        assert first.text == LONG.strip()
        assert second.text.startswith("[Repeated from above:")
        assert len(second.text) < 120


class TestSummaries:
    def test_it_takes_the_place_of_what_is_left_out_and_chains(self):
        seen = []

        def summarize(removed):
            seen.append([message.text[:12] for message in removed])
            return f"Summary number {len(seen)}, in a few words."

        messages = [Message("system", "Be brief."), *dialogue(20), Message("user", "Last")]
        result = optimize(messages, 600, summarize=summarize)
        assert result.messages[0] is messages[0]
        assert (
            result.messages[1].text
            == f"Summary of the earlier conversation:\n\nSummary number {len(seen)}, in a few words."
        )
        assert result.summary == f"Summary number {len(seen)}, in a few words."
        assert seen[0][0].startswith("Question 0")
        assert all(one[0].startswith("Summary of") for one in seen[1:])
        assert result.tokens_after <= 600

    def test_async_functions_responses_and_long_texts(self):
        async def summarize(removed):
            await asyncio.sleep(0)
            return Response((Text("word " * 5_000),), "stop", None, "m", "p", "r", None, ())

        messages = [*dialogue(20), Message("user", "Last")]
        for _ in range(2):
            result = optimize(messages, 600, summarize=summarize)
            assert result.summary.startswith("word word")
            assert result.tokens_after <= 600

    @pytest.mark.parametrize("summary", [None, 3, "", "  ", ZeroDivisionError])
    def test_one_that_fails_leaves_no_summary(self, summary, caplog):
        def summarize(removed):
            if isinstance(summary, type):
                raise summary("secret")
            return summary

        result = optimize([*dialogue(20), Message("user", "Last")], 600, summarize=summarize)
        assert result.removed
        assert result.summary == ""
        assert "secret" not in caplog.text

    def test_a_router_summarizes(self):
        class Fake:
            def generate(self, transcript, **options):
                assert transcript.startswith("[user]\nQuestion 0")
                assert options["max_tokens"] == 50
                return Response((Text("They talked."),), "stop", None, "m", "p", "r", None, ())

        result = optimize([*dialogue(8), Message("user", "Last")], 600, summarize=summarize_with(Fake(), max_tokens=50))
        assert result.summary == "They talked."


def test_the_result_shows_itself():
    result = optimize([*dialogue(20), Message("user", "Last")], 600)
    assert "trimming" in str(result)
    assert "messages left out" in str(result)
    assert "<table" in result._repr_html_()
    assert "Question" not in repr(result)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_tokens": 0}, "max_tokens=0 is not valid"),
        ({"max_tokens": True}, "max_tokens=True is not valid"),
        ({"trim_to": 0}, "trim_to=0 is not valid"),
        ({"rules": ["white"]}, "did you mean 'whitespace'"),
        ({"rules": 3}, "rules=3 is not valid"),
        ({"summarize": "x", "max_tokens": 9}, "summarize='x' is not valid"),
        ({"summarize": print}, "without max_tokens"),
        ({"summary_timeout": -1}, "summary_timeout=-1 is not valid"),
        ({"model": 3}, "model=3 is not valid"),
    ],
)
def test_bad_settings(settings, match):
    with pytest.raises(ConfigurationError, match=match):
        PromptOptimizer(**settings)
    with pytest.raises(ConfigurationError, match=match):
        optimize("Hello", **settings)


def test_bad_arguments():
    with pytest.raises(ConfigurationError, match="no messages"):
        optimize([])
    with pytest.raises(ConfigurationError, match="did you mean 'rules'"):
        optimize("Hello", rule=["whitespace"])
    with pytest.raises(ConfigurationError, match="optimizer"):
        optimize("Hello", 30, optimizer=PromptOptimizer())
    with pytest.raises(ConfigurationError, match="optimizer=True is not valid; expected a PromptOptimizer"):
        optimize("Hello", optimizer=cast("Any", True))


def test_counts():
    tool = {"name": "look", "description": "Looks around.", "parameters": {"type": "object", "properties": {}}}
    assert count_tokens("Hello").tokens == tokens([Message("user", "Hello")])
    assert int(count_tokens("Hello", tools=[tool])) > int(count_tokens("Hello"))
    assert count_tokens("Hello", model="anthropic:claude-haiku-5-5").method == "estimate"
    assert not count_tokens("Hello").exact


def test_counts_with_tiktoken(monkeypatch):
    from importlib.util import find_spec
    from pathlib import Path

    from multiroute_core.prompts import counting

    package = find_spec("llama_index.core")
    assert package is not None
    assert package.origin is not None
    counting._load_encoding.cache_clear()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nonexistent")
    assert count_tokens("Hello", model="gpt-4").method == "estimate", "no file, and no download"
    counting._load_encoding.cache_clear()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(Path(package.origin).parent / "_static" / "tiktoken_cache"))
    count = count_tokens("tiktoken counts these words <|endoftext|>", model="openai:gpt-4")
    assert count.method == "tiktoken"
    import tiktoken

    words = tiktoken.get_encoding("cl100k_base").encode_ordinary("tiktoken counts these words <|endoftext|>")
    assert count.tokens == len(words) + token_count.PER_MESSAGE + 1
    assert count_tokens("x", model="openai:llama").method == "estimate"
    result = optimize("Many  words   with blanks,  for the encoding to count.", model="gpt-4")
    assert 0 < result.saved == sum(result.saved_by_rule.values())
    counting._load_encoding.cache_clear()
