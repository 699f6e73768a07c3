"""SQLite rows of ledger records: internal; how they are checked, decoded and selected."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any, cast

from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import KINDS, LATEST, MOST, NAMES

REQUIRED = NAMES[:7]
"""The fields that every record has."""

_RANGES = {
    "ended_at": f"0 AND {LATEST!r}",
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is float and name != "ended_at"], "-1e15 AND 1e15"),
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is int], f"-{MOST} AND {MOST}"),
}


def build_row_check(names: Iterable[str] = NAMES) -> str:
    """Builds a SQL condition that excludes rows that are damaged or were written by other software.

    SQLite does not enforce column types, and a value of the wrong type would fail far from here. A text or blob is
    outside any numeric range.

    Args:
        names: The columns to check.
    """
    checks: list[str] = []
    for name in names:
        null = "" if name in REQUIRED else f"{name} IS NULL OR "
        if name in _RANGES:
            checks.append(f"({null}{name} BETWEEN {_RANGES[name]})")
        elif KINDS[name] is tuple:
            checks.append(f"({null}{name} LIKE '[%')")
        elif KINDS[name] is str:
            checks.append(f"({null}typeof({name}) = 'text')")
    return " AND ".join(checks)


def parse_labels(labels: Any) -> tuple[str, ...]:
    """Parses the labels of a record; empty if they are not a JSON array of strings."""
    try:
        value: Any = json.loads(labels)
    except (ValueError, TypeError, RecursionError):
        return ()
    return (
        tuple(label for label in cast("list[Any]", value) if isinstance(label, str)) if isinstance(value, list) else ()
    )


ROW_CHECK = build_row_check()
"""The condition for all columns."""


def build_where(which: LedgerQuery) -> tuple[str, list[Any]]:
    """Returns a query as a SQL clause and its parameters."""
    clauses = list[str]()
    parameters = list[Any]()
    for clause, value in (
        ("ended_at >= ?", which.since),
        ("ended_at < ?", which.until),
        ("instr(labels, ?)", which.label and _quoted(which.label)),
    ):
        if value is not None:
            clauses.append(clause)
            parameters.append(value)
    for name, value in which.equal:
        clauses.append(f"{name} IS ?")
        parameters.append(encode_labels(value) if name == "labels" else value)
    return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), parameters


@functools.lru_cache(1024)
def encode_labels(labels: tuple[str, ...]) -> str | None:
    """Encodes labels as a JSON array."""
    return f"[{','.join(map(_quoted, labels))}]" if labels else None


def _quoted(label: str) -> str:
    """Encodes a label so that its JSON matches only a complete array element.

    Quotes and commas within it are escaped.
    """
    inner = json.dumps(label, ensure_ascii=False)[1:-1].replace('\\"', "\\u0022").replace(",", "\\u002c")
    return f'"{inner}"'
