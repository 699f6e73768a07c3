"""What groups of the ledger's records come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multiroute_core import table
from multiroute_core.cost.record import CACHED, Record

GROUPS = ("model", "provider", "route", "tenant", "task", "day", "outcome")
"""By what records can be grouped."""


@dataclass(frozen=True, slots=True)
class Total:
    """What a group of records comes to.

    Attributes:
        name: What they have in common.
        requests: Whose they are: how many requests.
        attempts: How many tries.
        failed: How many of those gave no answer.
        cached: How many answers came out of the cache.
        input_tokens: All tokens read.
        output_tokens: All tokens written.
        cost: In USD, of all records whose cost is known.
        unknown: How many records with tokens have a cost that nobody knows.
        saved_cost: What the cache spared, in USD.
    """

    name: str
    requests: int
    attempts: int
    failed: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float
    unknown: int
    saved_cost: float


class Totals(tuple[Total, ...]):
    """The totals of some groups, the dearest first. It prints as a table, in notebooks too."""

    __slots__ = ()

    def __str__(self) -> str:
        return table.text(_TITLES, self._rows(), (0,))

    def _repr_html_(self) -> str:
        return table.html(_TITLES, self._rows(), (0,))

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                total.name,
                f"{total.requests:,}",
                f"{total.attempts:,}",
                f"{total.failed:,}",
                f"{total.cached:,}",
                f"{total.input_tokens:,}",
                f"{total.output_tokens:,}",
                f"${total.cost:,.6f}" + ("" if not total.unknown else f" + {total.unknown} unknown"),
                f"${total.saved_cost:,.6f}",
            )
            for total in self
        ]


_TITLES = ("", "requests", "attempts", "failed", "cached", "tokens in", "tokens out", "cost", "saved")


def total(name: str, records: Sequence[Record]) -> Total:
    """What `records`, which have `name` in common, come to."""
    tries = [record for record in records if record.outcome != CACHED]
    return Total(
        name=name,
        requests=len({record.request_id for record in records}),
        attempts=len(tries),
        failed=sum(record.outcome != "answered" for record in tries),
        cached=len(records) - len(tries),
        input_tokens=sum(record.input_tokens or 0 for record in records),
        output_tokens=sum(record.output_tokens or 0 for record in records),
        cost=sum(record.cost or 0.0 for record in records),
        unknown=sum(record.cost is None and bool(record.input_tokens or record.output_tokens) for record in records),
        saved_cost=sum(record.saved_cost or 0.0 for record in records),
    )
