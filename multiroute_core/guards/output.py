"""Output filters: banned texts, and a leaked system prompt."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.guard import Block, Guard, GuardedText, Origin, Rewrite, Verdict

ANSWER: frozenset[Origin] = frozenset({"answer"})

LEAK_WORDS = 12
"""Words of the system prompt in a row that count as a leak."""

_FEWEST_WORDS = 4
"""Fewer words of a system prompt are too common to be a leak."""


def ban_text(
    texts: str | Iterable[str],
    *,
    origins: Collection[Origin] = ANSWER,
    replacement: str | None = None,
    whole_words: bool = True,
) -> Guard:
    """Return a guard that blocks, or replaces, texts regardless of case and of the blanks between their words.

    Args:
        texts: The banned texts.
        origins: Where they are banned; in answers by default.
        replacement: What stands in place of a banned text; None blocks instead.
        whole_words: False finds them within words as well.

    Raises:
        ConfigurationError: There is no text, or one is empty.

    Example:
        >>> ban_text(["project nightingale"]).window
        39
    """
    banned = (texts,) if isinstance(texts, str) else tuple(texts)
    if not banned or not all(isinstance(text, str) and text.split() for text in banned):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("ban_text needs at least one text, and none of them empty.")
    words = [r"\s{1,20}".join(map(re.escape, text.split())) for text in sorted(banned, key=len, reverse=True)]
    edge_before, edge_after = (r"(?<!\w)", r"(?!\w)") if whole_words else ("", "")
    pattern = re.compile(f"{edge_before}(?:{'|'.join(words)}){edge_after}", re.IGNORECASE)
    longest = max(len("".join(text.split())) + 20 * (len(text.split()) - 1) for text in banned)
    check = functools.partial(_ban, pattern, replacement)
    # One more character, which shows whether a word goes on.
    return Guard(check, "banned_text", frozenset(origins), window=longest + 1, inline=True)


def _ban(pattern: re.Pattern[str], replacement: str | None, text: GuardedText) -> Verdict | None:
    said = text.before + text.text
    # At the end of what has come, a word may go on.
    end = len(said) if text.is_complete else len(said) - 1
    matches = [match.span() for match in pattern.finditer(said, len(text.before)) if match.end() <= end]
    if not matches:
        return None
    if replacement is None:
        return Block("a banned text")
    pieces: list[str] = []
    start = len(text.before)
    for first, last in matches:
        pieces += [said[start:first], replacement]
        start = last
    return Rewrite("".join([*pieces, said[start:]]), "a banned text")


def block_prompt_leaks(*, words: int = LEAK_WORDS) -> Guard:
    """Return a guard that blocks an answer with so many words in a row of the system prompt.

    Punctuation and case do not count. A system prompt with fewer words is compared as a whole, if it has at least four.

    Args:
        words: How many words in a row count as a leak; 12 by default.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[block_prompt_leaks()])  # doctest: +SKIP
    """
    if isinstance(words, bool) or not isinstance(words, int) or words < _FEWEST_WORDS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"words={words!r} is not valid; expected a whole number of at least {_FEWEST_WORDS}.")
    check = functools.partial(_find_leak, words)
    return Guard(check, "leaked_system_prompt", ANSWER, window=words * 16, inline=True)


def _find_leak(words: int, text: GuardedText) -> Verdict | None:
    runs = _runs_of(text.instructions, words)
    if not runs:
        return None
    size = len(next(iter(runs)))
    said = _WORD.findall((text.before + text.text).lower())
    leaks = any(tuple(said[start : start + size]) in runs for start in range(len(said) - size + 1))
    return Block("a part of the system prompt") if leaks else None


_WORD = re.compile(r"\w+")


@functools.lru_cache(maxsize=16)
def _runs_of(instructions: str, words: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of so many words of a system prompt, which is the same for many answers."""
    secret = _WORD.findall(instructions.lower())
    size = min(words, len(secret))
    if size < _FEWEST_WORDS:
        return frozenset()
    return frozenset(tuple(secret[start : start + size]) for start in range(len(secret) - size + 1))
