"""Terminal-safe text: replaces control characters in names and in text from providers before display.

Escape sequences control a terminal (they clear it, set its title, or put text into its input), a carriage return or a
backspace overwrites the text before it, and characters that change the writing direction reorder the text beside them
(https://trojansource.codes, read 2026-11-29).
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""Return `text` as one terminal-safe line: line breaks and tabs become spaces, other controls `�`.

    Example:
        >>> printable("a\x1b[2Jb\nc")
        'a�[2Jb c'
    """
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub("\ufffd", _SPACE.sub(" ", text))


def printable_lines(text: str) -> str:
    """Apply `printable` to each line."""
    return "\n".join(map(printable, text.split("\n")))
