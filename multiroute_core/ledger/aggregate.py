"""What the ledger's records come to: in groups, and in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from multiroute_core._util import table
from multiroute_core.ledger.record import CACHED, CANCELLED, Record, is_failure

GROUPS = ("model", "provider", "route", "tenant", "task", "label", "day", "month", "outcome")
"""By what records can be grouped."""

NONE = "–"
"""The name of the group of those that have none."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in a span of time.

    Attributes:
        usd: What all tries were charged, in USD: their cost, or an estimate where it is unknown.
        tokens: All tokens read and written.
    """

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.usd + other.usd, self.tokens + other.tokens)


class Spending(Protocol):
    """What a record says of its spending."""

    @property
    def cost(self) -> float | None:
        """In USD; None for unknown."""
        ...

    @property
    def charged(self) -> float | None:
        """The cost, or an estimate of it; None where there is no price, and in records of older versions."""
        ...

    @property
    def input_tokens(self) -> int | None:
        """All tokens read."""
        ...

    @property
    def output_tokens(self) -> int | None:
        """All tokens written."""
        ...


def sum_spending(records: Iterable[Spending]) -> Spent:
    """What `records` come to."""
    usd = 0.0
    tokens = 0
    for record in records:
        usd += record.cost or 0.0 if record.charged is None else record.charged
        tokens += (record.input_tokens or 0) + (record.output_tokens or 0)
    return Spent(usd, tokens)


@dataclass(frozen=True, slots=True)
class Group:
    """What a group of records comes to.

    Attributes:
        name: What they have in common.
        requests: Whose they are: how many requests.
        attempts: How many tries.
        failed: How many of those ended with an error.
        cancelled: How many were called off: another route was quicker, or the caller left.
        cached: How many answers came out of the cache.
        input_tokens: All tokens read.
        output_tokens: All tokens written.
        cost: What they were charged, in USD: their cost, or an estimate where it is unknown.
        estimated_cost: Part of `cost` that is estimated.
        unknown: How many records with tokens have no price at all.
        saved_cost: What the cache spared, in USD.
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


class Groups(tuple[Group, ...]):
    """Groups of records, the dearest first. They print as a table, in notebooks too."""

    __slots__ = ()

    def __str__(self) -> str:
        return table.text(_TITLES, self._rows(), (0,))

    def _repr_html_(self) -> str:
        return table.html(_TITLES, self._rows(), (0,))

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                group.name,
                f"{group.requests:,}",
                f"{group.attempts:,}",
                f"{group.failed:,}",
                f"{group.cancelled:,}",
                f"{group.cached:,}",
                f"{group.input_tokens:,}",
                f"{group.output_tokens:,}",
                f"${group.cost:,.6f}" + ("" if not group.unknown else f" + {group.unknown} unknown"),
                f"${group.saved_cost:,.6f}",
            )
            for group in self
        ]


_TITLES = ("", "requests", "attempts", "failed", "cancelled", "cached", "tokens in", "tokens out", "cost", "saved")


class _Sums:
    """What a group comes to while its records are read."""

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
    """`records` by what they have in common, read once.

    Args:
        records: In any order.
        by: One of `GROUPS`. By `"label"`, a record counts in the group of each of its labels, so that the groups
            together may come to more than was spent.
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
