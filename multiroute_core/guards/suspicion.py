"""Guard against prompt injection: blocks or flags texts that the classifier takes for one."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import Literal

from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.guard import Block, Flag, Guard, GuardedText, Origin, Verdict

CHUNK_CHARACTERS = 4_000
"""Longer texts are scored in pieces of at most so many characters: the correction for the number of windows would hide
one planted sentence in a long document."""

_END = re.compile(r"[.!?。！？]\s|\n")

STRICTNESS = ("one_percent", "three_percent")


def detect_injection(
    *,
    action: Literal["block", "flag"] = "block",
    false_alarms: Literal["one_percent", "three_percent"] = "one_percent",
    origins: Collection[Origin] = ("user", "tool_result", "retrieved"),
) -> Guard:
    """Return a guard against prompt injection, by the classifier in `multiroute_core.guards.injection`.

    A user's text and one of a tool or document have thresholds of their own. `docs/guards_injection.md` has the error
    rates: count the flags of your own traffic before you block.

    Args:
        action: `"block"` ends the request; `"flag"` sends an event only.
        false_alarms: Which threshold counts: that for at most 1 %, or for at most 3 % of harmless texts.
        origins: The texts that it checks; what users, tools and documents say by default.

    Raises:
        ConfigurationError: A value is invalid.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[detect_injection(action="flag")])  # doctest: +SKIP
    """
    if action not in ("block", "flag"):
        raise ConfigurationError(f"action={describe_value(action)} is not valid; expected 'block' or 'flag'.")
    if false_alarms not in STRICTNESS:
        expected = " or ".join(map(repr, STRICTNESS))
        raise ConfigurationError(f"false_alarms={describe_value(false_alarms)} is not valid; expected {expected}.")
    return Guard(functools.partial(_suspect, action, false_alarms), "detect_injection", origins)


def _suspect(action: str, false_alarms: str, text: GuardedText) -> Verdict | None:
    from multiroute_core.guards.injection.classifier import THRESHOLDS, score_injection

    source = "tool" if text.origin in ("tool_result", "retrieved") else "user"
    threshold = getattr(THRESHOLDS[source], false_alarms)
    score = max((score_injection(piece, origin=source) for piece in split_text(text.text)), default=0.0)
    if score <= threshold:
        return None
    reason = f"a suspected prompt injection (score {score:.2f})"
    return Block(reason) if action == "block" else Flag(reason)


def split_text(text: str, size: int = CHUNK_CHARACTERS) -> Iterator[str]:
    """Yield the pieces in which a text is scored, cut at ends of sentences where there are any.

    Args:
        text: The text.
        size: The most characters of a piece.
    """
    start = 0
    while len(text) - start > size:
        end = start + size
        # The last quarter of a piece is searched, so that no piece is much shorter than the others.
        ends = [match.end() for match in _END.finditer(text, end - size // 4, end)]
        cut = ends[-1] if ends else end
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]
