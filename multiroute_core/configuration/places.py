"""Places in a configuration file: dotted keys, and the lines on which they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

Lines: TypeAlias = Mapping[KeyPath, int]
"""The line of each key, counted from 1, where it is known."""

_LONGEST_KEY = 200
"""The most characters of a key that are shown."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'")


def show_path(path: KeyPath) -> str:
    """Return a path as a dotted key.

    Example:
        >>> show_path(("routes", 1, "timeout"))
        'routes[1].timeout'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if len(part) <= _LONGEST_KEY else f"{part[:_LONGEST_KEY]}…"
            name = shown if _BARE.fullmatch(shown) else json.dumps(shown, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def find_toml_lines(text: str) -> dict[KeyPath, int]:
    """Return the lines of the tables and keys of a valid TOML text.

    The parser does not tell them. Keys within inline tables have the line of their table; a text of several lines is
    skipped.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    text_end: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if text_end is not None:
            if text_end in line:
                text_end = None
            continue
        if (header := _HEADER.match(line)) is not None:
            table = _resolve(_split(header[2]), counts)
            if header[1] == "[[":
                parent = table if not isinstance(table[-1], int) else table[:-1]
                counts[parent] = counts.get(parent, -1) + 1
                table = (*parent, counts[parent])
                lines.setdefault(parent, number)
            lines.setdefault(table, number)
        elif (key := _KEY.match(line)) is not None:
            path: KeyPath = (*table, *_split(key[1]))
            lines.setdefault(path, number)
        text_end = _open_text(line)
    return lines


def find_line(lines: Lines, path: KeyPath) -> int | None:
    """Return the line of a key, or of the closest table around it; None if none is known."""
    while path:
        if (line := lines.get(path)) is not None:
            return line
        path = path[:-1]
    return None


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _resolve(names: tuple[str, ...], counts: Mapping[KeyPath, int]) -> KeyPath:
    """Return the path of a table header, in which an array of tables stands for its latest table."""
    path: KeyPath = ()
    for name in names:
        path = (*path, name)
        if path in counts and len(path) - sum(isinstance(part, int) for part in path) < len(names):
            path = (*path, counts[path])
    return path


def _open_text(line: str) -> str | None:
    """Return the quotes that end a text of several lines, if one begins in this line and does not end in it."""
    for quotes in ('"""', "'''"):
        if line.count(quotes) % 2:
            return quotes
    return None
