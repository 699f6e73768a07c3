"""Prompt cache breakpoints for Anthropic's Messages API: where the router sets `cache_control`.

How this works: a prefix is written to the cache only at a breakpoint, and a later request finds it only at one of its
own breakpoints or up to 19 blocks before one. The router marks the end of the tools, the end of the system text, the
end of the conversation, and the end that the previous request had: there the previous request's entry is found however
many blocks a turn adds. A request takes four marks, and the caller's own come first; what is left goes to the end of
the conversation, the system text, the previous end and the tools, in this order.

Sources, all read on 2026-11-30: order of the prefix, four marks, the window of 20 blocks, entries only at marks, longer
expiries before shorter ones: https://platform.claude.com/docs/en/build-with-claude/prompt-caching. No mark on a tool
with `defer_loading`, which is not in the prefix:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-use-with-prompt-caching. A text as a string is short
for a list of one text block: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from multiroute_core.providers.anthropic.turns import UNMARKABLE, Block, Turn

Mode: TypeAlias = bool | Literal["1h"] | None
"""The option `prompt_cache`."""

MARKS = 4
"""Maximum number of cache breakpoints per request. If there are more, the last ones are kept, as they save the most."""

WORTH_CACHING = 4_096
"""Minimum prompt length in characters for marks that were not asked for. Prompts below about a thousand tokens are not
cached."""

_MARK = "cache_control"


def set_breakpoints(
    tools: Sequence[Block],
    system: Sequence[Block],
    turns: Sequence[Turn],
    extra: Mapping[str, Any],
    mode: Mode,
) -> bool:
    """Set the router's breakpoints on a request, in the free places that the caller's marks leave.

    Args:
        tools: The tool definitions; changed in place, like `system` and `turns`.
        system: The system blocks.
        turns: The conversation.
        extra: The caller's own fields of the body. A `cache_control` among them is the caller's mark on the last block.
        mode: The option `prompt_cache`. None marks only long prompts that will be repeated, and only if the caller has
            set no mark.

    Returns:
        Whether a mark was set.
    """
    if mode is False:
        return False
    blocks = [*tools, *system, *(block for turn in turns for block in turn["content"])]
    expiries = [_find_expiries(block) for block in blocks]
    taken = sum(map(len, expiries))
    if mode is None:
        if taken or _count_marks(extra) or not _is_worth_caching(tools, system, turns):
            return False
        head = len(tools) + len(system)
        last_turn = len(blocks) - len(turns[-1]["content"]) if turns else len(blocks)
        targets = [
            _last_markable(blocks, head, len(tools) if system else 0),
            _last_markable(blocks, len(blocks), last_turn),
        ]
    else:
        if any(_count_marks(value) for name, value in extra.items() if name != _MARK):
            return False  # the caller replaces parts of the body, and has marked them
        if isinstance(automatic := extra.get(_MARK), Mapping):
            expiries[-1].append(_expiry(cast("Mapping[str, Any]", automatic)))
            taken += 1
        targets = _find_targets(tools, system, turns, blocks, is_end_taken=_MARK in extra)
    is_set = False
    for target in targets:
        if taken >= MARKS or target is None or expiries[target]:
            continue
        if (expiry := _choose_expiry(expiries, target, "1h" if mode == "1h" else "5m")) is None:
            continue
        blocks[target][_MARK] = {"type": "ephemeral"} if expiry == "5m" else {"type": "ephemeral", "ttl": expiry}
        expiries[target].append(expiry)
        taken += 1
        is_set = True
    return is_set


def _find_targets(
    tools: Sequence[Block],
    system: Sequence[Block],
    turns: Sequence[Turn],
    blocks: Sequence[Block],
    *,
    is_end_taken: bool,
) -> list[int | None]:
    """Return the indices of the blocks to mark, the most useful first."""
    head = len(tools) + len(system)
    ends = [head]
    for turn in turns:
        ends.append(ends[-1] + len(turn["content"]))
    last = len(turns)
    if last > 1 and turns[-1]["role"] == "assistant" and turns[-1]["content"][-1]["type"] == "text":
        last -= 1  # the next request replaces a prefill by the whole answer
    # The previous request ended before the latest answer: with the last user turn that another one follows.
    earlier = [place for place in range(last) if turns[place]["role"] == "user" and place < last - 1]
    return [
        None if is_end_taken else _last_markable(blocks, ends[last], head),
        _last_markable(blocks, head, len(tools)),
        _last_markable(blocks, ends[earlier[-1] + 1], head) if earlier else None,
        _last_markable(blocks, len(tools), 0),
    ]


def _last_markable(blocks: Sequence[Block], end: int, start: int) -> int | None:
    """Return the index of the last block in a range that takes a mark; None if there is none."""
    for place in range(end - 1, start - 1, -1):
        block = blocks[place]
        if block.get("type") not in UNMARKABLE and not block.get("defer_loading"):
            return place
    return None


def _choose_expiry(expiries: Sequence[Sequence[str]], target: int, wanted: str) -> str | None:
    """Return the expiry of a new mark, so that no longer one follows a shorter one; None if none fits.

    A mark before a longer one of the caller's takes that expiry, which costs nothing: the API bills everything up to
    the last mark of one hour at that rate anyway.
    """
    after_short = any("5m" in each for each in expiries[:target])
    before_long = any("1h" in each for each in expiries[target:])
    if after_short and before_long:
        return None
    if before_long:
        return "1h"
    return "5m" if after_short else wanted


def _find_expiries(block: Mapping[str, Any]) -> list[str]:
    """Return the expiries of the marks on a block and on the blocks inside it."""
    expiries: list[str] = []
    content = block.get("content")
    if isinstance(content, list):
        for inner in cast("list[Any]", content):
            if isinstance(inner, Mapping):
                expiries += _find_expiries(cast("Mapping[str, Any]", inner))
    if isinstance(control := block.get(_MARK), Mapping):
        expiries.append(_expiry(cast("Mapping[str, Any]", control)))
    return expiries


def _expiry(control: Mapping[str, Any]) -> str:
    return "1h" if control.get("ttl") == "1h" else "5m"


def _count_marks(value: Any) -> int:
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value)
        return (inner.get(_MARK) is not None) + sum(map(_count_marks, inner.values()))
    return sum(map(_count_marks, cast("list[Any]", value))) if isinstance(value, list) else 0


def _is_worth_caching(tools: Sequence[Block], system: Sequence[Block], turns: Sequence[Turn]) -> bool:
    """Return whether a prompt is long enough, and likely repeated by the next request."""
    if not tools and all(turn["role"] == "user" for turn in turns):
        return False
    blocks: Iterable[Block] = [*system, *(block for turn in turns for block in turn["content"])]
    return sum(map(_characters, blocks)) + sum(len(str(tool)) for tool in tools) >= WORTH_CACHING


def _characters(block: Any) -> int:
    """Return the length of a block's texts; the result of a server tool is an object, a list or a string."""
    if isinstance(block, str):
        return len(block)
    if isinstance(block, Mapping):
        inner = cast("Mapping[str, Any]", block)
        return _characters(inner.get("text") or inner.get("content"))
    return sum(map(_characters, cast("list[Any]", block))) if isinstance(block, list) else 0
