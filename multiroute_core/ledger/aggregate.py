"""Aggregation of ledger records: totals and groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from multiroute_core.display.blocks import Bar, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import NOTHING, decimal_places, usd
from multiroute_core.ledger import exact_sum
from multiroute_core.ledger.request_counts import NONE, name_day
from multiroute_core.ledger.summary import Summary, summarize_rows, to_rows
from multiroute_core.ledger.sums import Sums, merge_into

GROUPS = ("model", "provider", "route", "tenant", "task", "label", "day", "month", "outcome")
"""The keys by which records can be grouped."""


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
        prompt_cache_saving: What the providers' prompt caches saved in USD, writes deducted.
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
    prompt_cache_saving: float = 0.0


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


def grouped(records: Iterable[Any], by: str) -> Groups:
    """Groups `records`, in any order, in a single pass; as `build_groups`."""
    return build_groups(summarize_rows(to_rows(records), by), by)


def build_groups(summary: Summary, by: str) -> Groups:
    """Returns the groups of summarized records, by descending cost, then by descending number of attempts, and name.

    Sums of money are those of the exact values, rounded once, so they do not depend on the order of the records.

    Args:
        summary: The summary.
        by: One of `GROUPS`. With `"label"`, a record counts in the group of each of its labels, so the groups may add
            up to more than the total spend.
    """
    sums_by_name: dict[str, Sums] = {}
    for name, sums in _name_sums(summary, by):
        merge_into(sums_by_name, name, sums)
    surplus = summary.requests.surplus[by]
    groups = [_build_group(name, sums, surplus[name]) for name, sums in sums_by_name.items()]
    return Groups(sorted(groups, key=lambda group: (-group.cost, -group.attempts, group.name)))


def _name_sums(summary: Summary, by: str) -> Iterable[tuple[str, Sums]]:
    """Returns the sums with the name of their group; a name may occur several times."""
    if by in ("route", "provider", "model", "outcome"):
        place = ("route", "provider", "model", "outcome").index(by)
        return [(key[place] or NONE, sums) for key, sums in summary.routes.items()]
    if by in ("day", "month"):
        length = len("2026-11-28" if by == "day" else "2026-11")
        return [(name_day(day)[:length], sums) for day, sums in summary.days.items()]
    if by == "label":
        return [(NONE if label is None else label, sums) for label, sums in summary.labels.items()]
    names = summary.tenants if by == "tenant" else summary.tasks
    return [(name or NONE, sums) for name, sums in names.items()]


def _build_group(name: str, sums: Sums, surplus: int) -> Group:
    return Group(
        name=name,
        requests=sums.attempts + sums.cached - surplus,
        attempts=sums.attempts,
        failed=sums.failed,
        cancelled=sums.cancelled,
        cached=sums.cached,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cost=exact_sum.total(sums.cost),
        estimated_cost=exact_sum.total(sums.estimated_cost),
        unknown=sums.unknown,
        saved_cost=exact_sum.total(sums.saved_cost),
        prompt_cache_saving=exact_sum.total(sums.prompt_cache_saving),
    )
