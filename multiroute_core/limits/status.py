"""Limit status, with a table for display."""

from __future__ import annotations

from dataclasses import dataclass

from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """The status of a limit for one tenant or label.

    Attributes:
        limit: The limit's name.
        scope_value: The tenant or label; empty for calls without one.
        requests_left: The requests that would be admitted now; None without `rpm`.
        tokens_left: The tokens that would be admitted now; None without `tpm`.
        in_flight: The calls in flight.
        rpm: The limit in requests per minute; None for none.
        tpm: The limit in tokens per minute; None for none.
        concurrency: The limit in calls at once; None for none.
    """

    limit: str
    scope_value: str
    requests_left: float | None
    tokens_left: float | None
    in_flight: int
    rpm: float | None
    tpm: float | None
    concurrency: int | None

    @property
    def used(self) -> float:
        """The used share of the limit that is used the most, 0 to 1."""
        shares = [0.0]
        for left, limit in ((self.requests_left, self.rpm), (self.tokens_left, self.tpm)):
            if left is not None and limit is not None:
                shares.append(1.0 - left / limit)
        if self.concurrency is not None:
            shares.append(self.in_flight / self.concurrency)
        return min(1.0, max(shares))


class LimitStatuses(Displayable, tuple[LimitStatus, ...]):
    """The limits of recent callers, the most used first. Prints as a table, also in notebooks."""

    __slots__ = ()

    def _display(self) -> list[Table]:
        rows = [
            (
                one.limit,
                one.scope_value,
                _format_left(one.requests_left, one.rpm),
                _format_left(one.tokens_left, one.tpm),
                f"{one.in_flight:,}" if one.concurrency is None else f"{one.in_flight:,} of {one.concurrency:,}",
                f"{one.used:.0%}",
            )
            for one in self
        ]
        titles = ("limit", "scope", "requests left", "tokens left", "in flight", "used")
        return [
            Table(titles, rows, (0, 1), empty="No call has been counted.", optional=("requests left", "tokens left"))
        ]


def _format_left(left: float | None, limit: float | None) -> str:
    return "" if left is None or limit is None else f"{int(left):,} of {limit:,.12g}"
