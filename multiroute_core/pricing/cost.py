"""Costs in USD that carry the source of their price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

OWN = "the route's own"
FREE_OF_CHARGE = "free"
STATED = "stated by the provider"


class Cost(float):
    """A cost in USD: a plain float with the `source` of its price.

    Args:
        usd: The amount.
        source: The source of the price, and since when it applies: `"genai-prices 0.2.3 (2026-10-03)"`,
            `"the route's own"`, `"stated by the provider"`, `"free"`.

    Example:
        >>> Cost(0.5, "the route's own") + 1
        1.5
    """

    __slots__ = ("source",)

    source: str

    def __new__(cls, usd: float, source: str) -> Self:
        cost = super().__new__(cls, usd)
        cost.source = source
        return cost

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return float(self), self.source


NOTHING = Cost(0.0, FREE_OF_CHARGE)


def priced(usd: float | None, source: str) -> Cost | None:
    """Return the amount with its source; None if unknown."""
    return None if usd is None else Cost(usd, source)


def source_of(snapshot: DataSnapshot) -> str:
    """Return the name of the `genai-prices` data in records: the version, or the date of newer data."""
    from genai_prices import __version__, data

    if snapshot.providers is data.providers:
        return f"genai-prices {__version__}"
    return f"genai-prices of {snapshot.timestamp:%Y-%m-%d}"


def dated(source: str, constraints: Sequence[object], met: Sequence[bool]) -> str:
    """Return `source` with the start date of its prices, if known: that of the last constraint that is met.

    Args:
        source: As returned by `source_of`.
        constraints: Conditions that select the prices; those with a `start_date` have a date.
        met: For each constraint, whether it is met.
    """
    days = [getattr(one, "start_date", None) for one, holds in zip(constraints, met, strict=True) if holds]
    latest = max((day for day in days if isinstance(day, date)), default=None)
    return source if latest is None else f"{source} ({latest})"
