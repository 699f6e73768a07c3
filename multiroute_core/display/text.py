"""Terminal-safe text: replaces control characters in names and in text from providers, and aligns wide characters.

Escape sequences control a terminal (they clear it, set its title, or put text into its input), a carriage return or a
backspace overwrites the text before it, and characters that change the writing direction reorder the text beside them
(https://trojansource.codes, read 2026-11-29).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

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


def display_width(text: str) -> int:
    """Return the number of terminal columns that a printable text takes.

    East Asian characters and emoji take two columns, combining marks none (Unicode Standard Annex #11). A sequence of
    emoji that a font joins into one picture counts as the sum of its parts.

    Example:
        >>> display_width("naïve"), display_width("日本")
        (5, 4)
    """
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def align(text: str, width: int, *, right: bool = False) -> str:
    """Pad a text with spaces to a width in terminal columns; a longer one stays as it is."""
    padding = " " * (width - display_width(text))
    return padding + text if right else text + padding


def shorten(text: str, length: int) -> str:
    """Cut a text to `length` characters; an ellipsis marks the cut.

    Example:
        >>> shorten("a long name", 7)
        'a long…'
    """
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def is_right_to_left(text: str) -> bool:
    """Return whether the text contains right-to-left characters."""
    return not text.isascii() and any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def describe_value(value: object, limit: int = 120) -> str:
    """Return `value` for an error message: plain data as written in code, any other object by its type alone.

    The repr of a client, a model or a response has hundreds of characters, and may hold a key.

    Example:
        >>> describe_value({"a": [1, object()]})
        "{'a': [1, object(...)]}"
    """
    text = _describe(value, depth=3)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _describe(value: Any, *, depth: int) -> str:
    if value is None or value is ... or isinstance(value, str | bytes | bool | int | float | complex):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if depth and type(value) in (list, tuple, set, frozenset):
        return _describe_collection(cast("list[Any]", value), depth=depth - 1)
    if depth and isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        inner = (f"{_describe(k, depth=depth - 1)}: {_describe(v, depth=depth - 1)}" for k, v in members)
        return f"{{{', '.join(inner)}}}"
    if callable(value) and (name := getattr(value, "__name__", None)) is not None:
        return str(name)
    return f"{type(value).__name__}(...)"


def _describe_collection(values: Any, *, depth: int) -> str:
    inner = ", ".join(_describe(value, depth=depth) for value in values)
    if isinstance(values, list):
        return f"[{inner}]"
    if isinstance(values, tuple):
        return f"({inner}{',' if len(cast('tuple[Any, ...]', values)) == 1 else ''})"
    braces = f"{{{inner}}}" if values else "set()"
    return braces if isinstance(values, set) else f"frozenset({braces if values else ''})"


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
