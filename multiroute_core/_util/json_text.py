"""JSON parsing with a bound on nesting: what comes from outside never exhausts the interpreter's stack.

How this works: parsers recurse once a bracket, and so does whatever walks the value later (a `repr`, a `deepcopy`, an
encoder, a framework's validation). Where the parser's own limit lies depends on how deep the caller's stack is, so a
value just below it would fail somewhere else. A fixed bound keeps all of them far from the limit. A text with few
brackets is not looked at twice.
"""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

MAX_DEPTH = 128
"""Levels of nesting that are read; serde_json has the same bound, protobuf's JSON reader one of 100."""

_decode = msgspec.json.Decoder().decode


class NestingError(ValueError):
    """JSON that is nested deeper than `MAX_DEPTH`."""

    def __init__(self) -> None:
        super().__init__(f"it is nested deeper than {MAX_DEPTH} levels")


NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, NestingError)
"""What `decode_json` raises."""


def decode_json(data: bytes | str) -> Any:
    """The value of a JSON text, strictly by the standard.

    Raises:
        NestingError: it is nested too deep.
        msgspec.DecodeError, UnicodeDecodeError: it is no JSON. All three are in `NO_JSON`.
    """
    try:
        value = _decode(data)
    except RecursionError:
        raise NestingError from None
    # In place, since every piece of a stream comes by; what is nested too deep opens and closes so many brackets.
    if len(data) > 2 * MAX_DEPTH:
        brackets = data.count(b"[") + data.count(b"{") if isinstance(data, bytes) else _count_brackets(data)
        if brackets > MAX_DEPTH and nests_too_deep(value):
            raise NestingError
    return value


def load_json(text: str) -> Any:
    """The value of a JSON text as Python's own `json` reads it, which takes NaN and infinity as well.

    Raises:
        ValueError: it is no JSON, or it is nested too deep.
    """
    try:
        value: Any = json.loads(text)
    except RecursionError:
        raise NestingError from None
    if _count_brackets(text) > MAX_DEPTH and nests_too_deep(value):
        raise NestingError
    return value


def nests_too_deep(value: Any) -> bool:
    """Whether dicts and lists in `value` are nested deeper than `MAX_DEPTH`."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (cast("dict[Any, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one))
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def prune(value: Any, levels: int = 16) -> Any:
    """`value` with what is nested deeper than `levels` replaced by None."""
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return {name: prune(inner, levels - 1) for name, inner in members.items()} if levels else None
    if isinstance(value, list):
        return [prune(inner, levels - 1) for inner in cast("list[Any]", value)] if levels else None
    return value


def _count_brackets(text: str) -> int:
    return text.count("[") + text.count("{")
