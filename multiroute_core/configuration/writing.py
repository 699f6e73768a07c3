"""Writing of configuration files: plain data as TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast


def write_toml(data: Mapping[str, Any]) -> str:
    """Return plain data as TOML: single values first, then tables.

    Args:
        data: Texts, numbers, truth values, lists, and tables in lists or by name; no None.

    Example:
        >>> print(write_toml({"deadline": 20, "routes": [{"route": "groq:a"}]}), end="")
        deadline = 20
        <BLANKLINE>
        [[routes]]
        route = "groq:a"
    """
    lines = [f"{_write_key(key)} = {_write(value)}" for key, value in data.items() if not _is_tables(value)]
    for key, value in data.items():
        if not _is_tables(value):
            continue
        tables = cast("list[Any]", value) if isinstance(value, list) else [value]
        head = f"[[{_write_key(key)}]]" if isinstance(value, list) else f"[{_write_key(key)}]"
        for table in tables:
            members = cast("Mapping[str, Any]", table).items()
            lines += ["", head, *(f"{_write_key(name)} = {_write(one)}" for name, one in members)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _is_tables(value: Any) -> bool:
    """Return whether a value is a table, or a list of tables alone."""
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return bool(entries) and all(isinstance(one, Mapping) for one in entries)
    return isinstance(value, Mapping)


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ("nan" if math.isnan(value) else f"{value}")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_write, cast('list[Any]', value)))}]"
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value).items()
        return f"{{ {', '.join(f'{_write_key(key)} = {_write(one)}' for key, one in members)} }}"
    return _write_text(str(value))


def _write_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _write_text(key)


def _write_text(text: str) -> str:
    """Return a basic string of TOML: it has JSON's escapes, and forbids one character more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
