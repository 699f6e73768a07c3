"""Ledger query: filters that select records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from multiroute_core.ledger.record import KINDS, NAMES, to_encodable
from multiroute_core.options import invalid, unknown, word, words

FILTERS = (*NAMES, "label", "day", "month")
"""The names of the filters."""

_FORMS = {"day": "%Y-%m-%d", "month": "%Y-%m"}
_ACCEPTED: dict[type, tuple[type, ...]] = {str: (str,), float: (int, float), int: (int, float), bool: (bool, int)}


@dataclass(frozen=True, slots=True)
class LedgerQuery:
    """Conditions that a record must meet.

    Attributes:
        since: From this moment on (inclusive), in seconds since 1970; None for no lower limit.
        until: Before this moment (exclusive); None for no upper limit.
        label: A label that the record must have.
        equal: Field names, each with its required value.
    """

    since: float | None = None
    until: float | None = None
    label: str | None = None
    equal: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, since: float | None, until: float | None, filters: Mapping[str, Any]) -> Self:
        """Builds a query from validated filters.

        Args:
            since: As in the class.
            until: As in the class.
            filters: Further filters, by the names in `FILTERS`. `day` and `month` are in UTC.

        Raises:
            ConfigurationError: if a field does not exist or a value is not valid.
        """
        for name, moment in (("since", since), ("until", until)):
            if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int | float)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise invalid(name, moment, "a time in seconds since 1970")
        label: str | None = None
        equal: list[tuple[str, Any]] = []
        for name, value in filters.items():
            if name not in FILTERS:
                raise unknown("field", name, FILTERS)
            if name == "label":
                label = to_encodable(word(name, value))
            elif name in _FORMS:
                first, end = _span(name, value)
                since = first if since is None else max(first, since)
                until = end if until is None else min(end, until)
            elif name == "labels":
                equal.append((name, tuple(sorted(map(to_encodable, words(name, value))))))
            elif value is not None and not isinstance(value, _ACCEPTED[KINDS[name]]):
                raise invalid(name, value, f"a {KINDS[name].__name__}, as in the records")
            else:  # a lone surrogate is replaced, as in the records
                equal.append((name, to_encodable(value) if isinstance(value, str) else value))
        return cls(since, until, label, tuple(equal))

    def takes(self, record: Any) -> bool:
        """Returns whether `record` matches."""
        return (
            (self.since is None or record.ended_at >= self.since)
            and (self.until is None or record.ended_at < self.until)
            and (self.label is None or self.label in record.labels)
            and all(getattr(record, name) == value for name, value in self.equal)
        )


def _span(name: str, value: Any) -> tuple[float, float]:
    """Returns the start of a day or month in UTC and the start of the next one."""
    try:
        first = datetime.strptime(value, _FORMS[name]).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        example = datetime(2026, 11, 28, tzinfo=UTC).strftime(_FORMS[name])
        raise invalid(name, value, f"a {name} in UTC, such as {example!r}") from None
    if name == "day":
        return first.timestamp(), first.timestamp() + 86_400
    year, month = divmod(first.year * 12 + first.month, 12)
    return first.timestamp(), datetime(year, month + 1, 1, tzinfo=UTC).timestamp()
