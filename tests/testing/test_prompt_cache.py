"""The emulator of Anthropic's prompt cache keeps the documented rules.

Source of every rule: https://platform.claude.com/docs/en/build-with-claude/prompt-caching (2026-11-30).
"""

from __future__ import annotations

from typing import Any

import pytest

from multiroute_core.testing import InvalidPromptError, PromptCacheEmulator

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


class Caller:
    """Sends rows of user blocks; each block counts 1,000 tokens."""

    def __init__(self, model: str = "claude-sonnet-4-5", tokens: int = 1_100) -> None:
        self.time = 0.0
        self.model = model
        self.cache = PromptCacheEmulator(lambda: self.time, tokens_of=lambda _: tokens)

    def bill(self, *blocks: dict[str, Any], tools: Any = (), system: Any = (), **more: Any) -> tuple[int, int, int]:
        """The blocks that were read, written and neither."""
        content = [{"type": "text", "text": str(place), **block} for place, block in enumerate(blocks)]
        messages = [{"role": "user", "content": content}]
        body = {"model": self.model, "tools": list(tools), "system": list(system), "messages": messages}
        usage = self.cache.bill(body, **more)
        names = ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
        return tuple(usage[name] // self.cache.tokens_of("") for name in names)  # type: ignore[return-value]


def test_entries_are_written_only_at_marks():
    caller = Caller()
    assert caller.bill({}, MARK, {}) == (0, 2, 1)
    assert caller.bill({}, {}, MARK) == (2, 1, 0)
    assert caller.bill(MARK) == (0, 1, 0)


def test_a_look_up_checks_20_blocks_with_the_marks_own():
    caller = Caller()
    caller.bill(MARK)
    assert caller.bill(*[{}] * 20, MARK) == (0, 21, 0)
    other = Caller()
    other.bill(MARK)
    assert other.bill(*[{}] * 19, MARK) == (1, 19, 0)
    assert other.bill(MARK, *[{}] * 40, MARK) == (1, 41, 0)


@pytest.mark.parametrize(("mark", "seconds"), [(MARK, 300.0), (HOUR, 3_600.0)])
def test_entries_expire_and_a_read_renews_them(mark, seconds):
    caller = Caller()
    caller.bill(mark)
    caller.time += seconds - 1
    assert caller.bill(mark) == (1, 0, 0)
    caller.time += seconds - 1
    assert caller.bill(mark) == (1, 0, 0)
    caller.time += seconds
    assert caller.bill(mark) == (0, 1, 0)


def test_each_expiry_has_its_count():
    usage = Caller().cache.bill(
        {
            "model": "claude-sonnet-4-5",
            "system": [{"type": "text", "text": "a", **HOUR}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "b", **MARK}]}],
        }
    )
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 1_100, "ephemeral_1h_input_tokens": 1_100}


def test_a_change_loses_what_follows_in_the_order_tools_system_messages():
    def tool(name: str) -> dict[str, Any]:
        return {"name": name, "input_schema": {}, **MARK}

    def system(words: str) -> dict[str, Any]:
        return {"type": "text", "text": words, **MARK}

    caller = Caller()
    assert caller.bill(MARK, tools=[tool("f")], system=[system("a")]) == (0, 3, 0)
    assert caller.bill({"text": "other", **MARK}, tools=[tool("f")], system=[system("a")]) == (2, 1, 0)
    assert caller.bill(MARK, tools=[tool("f")], system=[system("b")]) == (1, 2, 0)
    assert caller.bill(MARK, tools=[tool("g")], system=[system("a")]) == (0, 3, 0)


@pytest.mark.parametrize(
    ("model", "minimum"),
    [("claude-opus-5", 512), ("claude-sonnet-4-5", 1_024), ("claude-opus-4-7", 2_048), ("claude-haiku-4-5", 4_096)],
)
def test_shorter_prefixes_are_not_cached(model, minimum):
    assert Caller(model, minimum).bill(MARK) == (0, 1, 0)
    assert Caller(model, minimum - 1).bill(MARK) == (0, 0, 1)


def test_models_and_workspaces_have_caches_of_their_own():
    caller = Caller()
    caller.bill(MARK)
    assert caller.bill(MARK, workspace="other") == (0, 1, 0)
    caller.model = "claude-sonnet-4-6"
    assert caller.bill(MARK) == (0, 1, 0)


@pytest.mark.parametrize(
    "blocks",
    [
        [MARK] * 5,
        [MARK, HOUR],
        [{"type": "thinking", "thinking": "Hm.", **MARK}],
        [{"text": "", **MARK}],
        [{"cache_control": {"type": "ephemeral", "ttl": "2h"}}],
    ],
)
def test_what_the_api_rejects(blocks):
    with pytest.raises(InvalidPromptError):
        Caller().bill(*blocks)


def test_a_string_is_one_text_block_and_marks_are_no_content():
    cache = PromptCacheEmulator(lambda: 0.0, tokens_of=lambda _: 2_000)
    listed = [{"type": "text", "text": "Hi", **MARK}]
    cache.bill({"model": "m", "messages": [{"role": "user", "content": listed}]})
    bill = cache.bill(
        {"model": "m", "cache_control": {"type": "ephemeral"}, "messages": [{"role": "user", "content": "Hi"}]}
    )
    assert bill["cache_read_input_tokens"] == 2_000
