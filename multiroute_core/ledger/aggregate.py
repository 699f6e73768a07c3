"""Aggregation of ledger records: totals and groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from multiroute_core.display.blocks import Bar, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import NOTHING, decimal_places, usd
from multiroute_core.ledger.record import CACHED, CANCELLED, Record, is_failure

GROUPS = ("model", "provider", "route", "tenant", "task", "label", "day", "month", "outcome")
"""The keys by which records can be grouped."""

NONE = "–"
"""The group name of records without a value for the key."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Spend within a period.

    Attributes:
        usd: The charge for all attempts, in USD: their cost, or an estimate if the cost is unknown.
        tokens: Input and output tokens.
    """

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.usd + other.usd, self.tokens + other.tokens)


class Spending(Protocol):
    """The fields of a record that describe its spend."""

    @property
    def cost(self) -> float | None:
        """In USD; None if unknown."""
        ...

    @property
    def charged(self) -> float | None:
        """The cost, or an estimate of it; None if no price is known, and in records of older versions."""
        ...

    @property
    def input_tokens(self) -> int | None:
        """All input tokens."""
        ...

    @property
    def output_tokens(self) -> int | None:
        """All output tokens."""
        ...


def sum_spending(records: Iterable[Spending]) -> Spent:
    """Returns the total spend of `records`."""
    usd = 0.0
    tokens = 0
    for record in records:
        usd += record.cost or 0.0 if record.charged is None else record.charged
        tokens += (record.input_tokens or 0) + (record.output_tokens or 0)
    return Spent(usd, tokens)


@dataclass(frozen=True, slots=True)
class Group:
    """The totals of one group of records.

    Attributes:
        name: The value that the records share.
        requests: Number of distinct requests.
        attempts: Number of attempts.
        failed: Number of attempts that ended with an error.
        cancelled: Number of cancelled attempts: another route was faster, or the caller cancelled.
        cached: Number of responses from the cache.
        input_tokens: All input tokens.
        output_tokens: All output tokens.
        cost: The charge in USD: the cost, or an estimate if the cost is unknown.
        estimated_cost: The estimated part of `cost`.
        unknown: Number of records with tokens but without a price.
        saved_cost: The cost saved by the cache, in USD.
    """

    name: str
    requests: int
    attempts: int
    failed: int
    cancelled: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float
    estimated_cost: float
    unknown: int
    saved_cost: float


class Groups(Displayable, tuple[Group, ...]):
    """Groups of records, sorted by descending cost. They print as a table, also in notebooks."""

    __slots__ = ()

    def _display(self) -> list[Table]:
        most = max((group.cost for group in self), default=0.0)
        places = decimal_places(group.cost for group in self)
        rows = [
            (
                group.name,
                f"{group.requests:,}",
                f"{group.attempts:,}",
                _count_or_nothing(group.failed),
                _count_or_nothing(group.cancelled),
                _count_or_nothing(group.cached),
                f"{group.input_tokens:,}",
                f"{group.output_tokens:,}",
                _format_cost(group, places),
                Bar(0.0, group.cost / most) if group.cost > 0 else "",
                usd(group.saved_cost) if group.saved_cost else NOTHING,
            )
            for group in self
        ]
        return [Table(_TITLES, rows, (0, 9), empty="No records.", optional=("", NOTHING))]


_TITLES = (
    "",
    "requests",
    "attempts",
    "failed",
    "cancelled",
    "cached",
    "tokens in",
    "tokens out",
    "cost",
    "",
    "saved",
)


def _count_or_nothing(count: int) -> str:
    return f"{count:,}" if count else NOTHING


def _format_cost(group: Group, places: int) -> str:
    """Format the cost; a sum without its unknown part says so."""
    if not group.unknown:
        return usd(group.cost, places)
    return f"{usd(group.cost, places)} + {group.unknown:,} unknown" if group.cost else f"{group.unknown:,} unknown"


class _Sums:
    """Accumulates the totals of one group."""

    __slots__ = (
        "attempts",
        "cached",
        "cancelled",
        "cost",
        "estimated",
        "failed",
        "input_tokens",
        "output_tokens",
        "requests",
        "saved",
        "unknown",
    )

    def __init__(self) -> None:
        self.requests: set[str] = set()
        self.attempts = self.failed = self.cancelled = self.cached = 0
        self.input_tokens = self.output_tokens = self.unknown = 0
        self.cost = self.estimated = self.saved = 0.0

    def add(self, record: Record) -> None:
        self.requests.add(record.request_id)
        if record.outcome == CACHED:
            self.cached += 1
        else:
            self.attempts += 1
            self.failed += is_failure(record.outcome)
            self.cancelled += record.outcome == CANCELLED
        self.input_tokens += record.input_tokens or 0
        self.output_tokens += record.output_tokens or 0
        charged = record.cost if record.charged is None else record.charged
        if charged is not None:
            self.cost += charged
            self.estimated += charged if record.estimated else 0.0
        elif record.input_tokens or record.output_tokens:
            self.unknown += 1
        self.saved += record.saved_cost or 0.0

    def group(self, name: str) -> Group:
        return Group(
            name=name,
            requests=len(self.requests),
            attempts=self.attempts,
            failed=self.failed,
            cancelled=self.cancelled,
            cached=self.cached,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=self.cost,
            estimated_cost=self.estimated,
            unknown=self.unknown,
            saved_cost=self.saved,
        )


def grouped(records: Iterable[Record], by: str) -> Groups:
    """Groups `records` in a single pass.

    Args:
        records: In any order.
        by: One of `GROUPS`. With `"label"`, a record counts in the group of each of its labels, so the groups may add
            up to more than the total spend.
    """
    sums: defaultdict[str, _Sums] = defaultdict(_Sums)
    for record in records:
        if by != "label":
            sums[getattr(record, by) or NONE].add(record)
        else:
            for label in record.labels or (NONE,):
                sums[label].add(record)
    groups = [own.group(name) for name, own in sums.items()]
    return Groups(sorted(groups, key=lambda group: -group.cost))
