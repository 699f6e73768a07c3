"""Texts that are numbers: from environment variables, and from YAML, whose version 1.1 reads `3e-7` as a text."""

from __future__ import annotations


def parse_number(text: str) -> int | float | str:
    """Return a text as a number; the text itself if it is none.

    Example:
        >>> parse_number("60"), parse_number("3e-7"), parse_number("x")
        (60, 3e-07, 'x')
    """
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
