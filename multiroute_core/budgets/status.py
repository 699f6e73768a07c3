"""Budget status, with a table for display."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from multiroute_core._util.table import PrintableTable


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The status of a budget for one scope value.

    Attributes:
        budget: The budget's name.
        scope_value: The tenant, label, route or task; empty for a shared budget, or for calls without a value.
        spent: Spending in this period, in USD or tokens.
        remaining: Remaining amount; below 0 if a soft budget is overspent.
        limit: The limit.
        unit: The unit of the amounts.
        hard: Whether the budget rejects calls.
        resets_at: The end of the period, in seconds since 1970; None if it never resets.
    """

    budget: str
    scope_value: str
    spent: float
    remaining: float
    limit: float
    unit: Literal["usd", "tokens"]
    hard: bool
    resets_at: float | None


class BudgetStatuses(PrintableTable, tuple[BudgetStatus, ...]):
    """The budgets with spending, the lowest remaining share first. Prints as a table, also in notebooks."""

    __slots__ = ()

    _TITLES: ClassVar = ("budget", "scope", "spent", "limit", "remaining", "used", "resets")
    _TEXT_COLUMNS: ClassVar = (0, 1, 6)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                f"{one.budget}{' (hard)' if one.hard else ''}",
                one.scope_value,
                _format_amount(one.spent, one.unit),
                _format_amount(one.limit, one.unit),
                _format_amount(one.remaining, one.unit),
                f"{one.spent / one.limit:.0%}" if one.limit else "",
                "" if one.resets_at is None else f"{datetime.fromtimestamp(one.resets_at, UTC):%Y-%m-%d %H:%M} UTC",
            )
            for one in self
        ]


def _format_amount(amount: float, unit: str) -> str:
    return f"${amount:,.6f}" if unit == "usd" else f"{amount:,.0f} tokens"
