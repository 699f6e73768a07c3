"""Table columns of a record, derived from its dataclass, so that a new field becomes a new column."""

from __future__ import annotations

import inspect
import math
import re
import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

TIME = "ended_at"
"""The field with a time in seconds since 1970; its column is a TIMESTAMP."""

_KINDS = {bool: "BOOLEAN", int: "INTEGER", float: "FLOAT", str: "STRING"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, in BigQuery's terms.

    Attributes:
        name: The field's name.
        kind: `STRING`, `INTEGER`, `FLOAT`, `BOOLEAN` or `TIMESTAMP`.
        repeated: Whether it holds a list.
        description: The field's description in the class's docstring.
    """

    name: str
    kind: str
    repeated: bool
    description: str

    def value(self, field_value: Any) -> Any:
        """Converts a field's value to JSON for the column; None if it cannot be represented."""
        if self.repeated:
            return [self._one(each) for each in field_value or ()]
        return self._one(field_value)

    def _one(self, field_value: Any) -> Any:
        if field_value is None or (isinstance(field_value, float) and not math.isfinite(field_value)):
            return None
        if self.kind == "TIMESTAMP":
            try:
                return datetime.fromtimestamp(field_value, UTC).isoformat(timespec="microseconds")
            except (ValueError, OverflowError, OSError):
                return None
        return str(field_value).encode(errors="replace").decode() if self.kind == "STRING" else field_value


@cache
def columns(record: type[Any]) -> tuple[Column, ...]:
    """Returns the columns of a dataclass, in the order of its fields.

    Example:
        >>> from multiroute_core import Record
        >>> [(column.name, column.kind) for column in columns(Record)][:2]
        [('ended_at', 'TIMESTAMP'), ('request_id', 'STRING')]
    """
    hints = get_type_hints(record)
    descriptions = _descriptions(record)
    table_columns: list[Column] = []
    for each in fields(record):
        kind, repeated = _kind(hints[each.name])
        table_columns.append(
            Column(each.name, "TIMESTAMP" if each.name == TIME else kind, repeated, descriptions.get(each.name, ""))
        )
    return tuple(table_columns)


def _kind(hint: Any) -> tuple[str, bool]:
    origin = get_origin(hint)
    inner = get_args(hint)
    if origin in (Union, types.UnionType):
        return _kind(next(each for each in inner if each is not types.NoneType))
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _kind(inner[0])[0], True
    return _KINDS.get(hint, "STRING"), False


def _descriptions(record: type[Any]) -> dict[str, str]:
    """Returns the entries under `Attributes:`; empty if Python runs without docstrings."""
    _, _, section = (inspect.getdoc(record) or "").partition("Attributes:\n")
    descriptions: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", "\n" + section.partition("\n\n")[0]):
        name, _, text = entry.strip().partition(": ")
        descriptions[name] = _sentence(text.split())
    return descriptions


def _sentence(words: Sequence[str]) -> str:
    return " ".join(words)[:1024]
