"""Text for terminals: control characters in names and in what providers say are replaced before they are shown.

Escape sequences drive a terminal (they clear it, set its title, or put text into its input), a carriage return or a
backspace writes over what stands before it, and the characters that change the direction of writing turn around what
stands beside them (https://trojansource.codes, read 2026-11-29).
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""`text` in one line, without what drives a terminal: line breaks and tabs become blanks, the rest `�`.

    Example:
        >>> printable("a\x1b[2Jb\nc")
        'a�[2Jb c'
    """
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub("\ufffd", _SPACE.sub(" ", text))


def printable_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(printable, text.split("\n")))
