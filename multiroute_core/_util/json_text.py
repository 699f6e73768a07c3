"""JSON parsing with a nesting limit: untrusted input cannot exhaust the interpreter's stack.

How this works: parsers recurse once per bracket, and so does everything that walks the value later (`repr`, `deepcopy`,
an encoder, a framework's validation). The parser's own limit depends on the depth of the caller's stack, so a value
just below it would fail somewhere else. A fixed limit keeps all of them far from that point. A text with few brackets
skips the depth check.
"""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

MAX_DEPTH = 128
"""Maximum nesting depth; serde_json has the same limit, protobuf's JSON reader one of 100."""

_CONTAINERS = (dict, list)

_decode = msgspec.json.Decoder().decode


class NestingError(ValueError):
    """JSON that is nested deeper than `MAX_DEPTH`."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, NestingError)
"""The exceptions that `decode_json` raises."""


def decode_json(data: bytes | str) -> Any:
    """Decode a JSON text, strictly by the standard.

    Raises:
        NestingError: The value is nested too deep.
        msgspec.DecodeError, UnicodeDecodeError: The text is not JSON. All three are in `NO_JSON`.
    """
    try:
        value = _decode(data)
    except RecursionError:
        raise NestingError from None
    # Inlined, since it runs for every stream chunk. A value that is too deep has more than `MAX_DEPTH` brackets.
    if len(data) > 2 * MAX_DEPTH:
        brackets = data.count(b"[") + data.count(b"{") if isinstance(data, bytes) else _count_brackets(data)
        if brackets > MAX_DEPTH and nests_too_deep(value):
            raise NestingError
    return value


def load_json(text: str) -> Any:
    """Decode a JSON text with Python's `json`, which also accepts NaN and infinity.

    Raises:
        ValueError: The text is not JSON, or it is nested too deep.
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
    level: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return False
        # No `cast`, which is a function call: this runs for every entry of a cache.
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)  # pyright: ignore[reportUnknownVariableType]
            if isinstance(inner, _CONTAINERS)
        ]
    return bool(level)


def prune(value: Any, levels: int = 16) -> Any:
    """Return `value` with everything nested deeper than `levels` replaced by None."""
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return {name: prune(inner, levels - 1) for name, inner in members.items()} if levels else None
    if isinstance(value, list):
        return [prune(inner, levels - 1) for inner in cast("list[Any]", value)] if levels else None
    return value


def _count_brackets(text: str) -> int:
    return text.count("[") + text.count("{")
