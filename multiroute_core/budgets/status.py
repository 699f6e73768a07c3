"""Budget status, with a table for display."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from multiroute_core.display.blocks import Bar, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import share, usd

NEARLY_SPENT = 0.8
"""The used share from which a budget is shown as nearly spent."""


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


class BudgetStatuses(Displayable, tuple[BudgetStatus, ...]):
    """The budgets with spending, the lowest remaining share first. Prints as a table, also in notebooks."""

    __slots__ = ()

    def _display(self) -> list[Table]:
        rows = [
            (
                f"{one.budget}{' (hard)' if one.hard else ''}",
                one.scope_value,
                _format_amount(one.spent, one.unit),
                _format_amount(one.limit, one.unit),
                _format_amount(one.remaining, one.unit),
                _bar(one),
                share(one.spent, one.limit),
                "" if one.resets_at is None else f"{datetime.fromtimestamp(one.resets_at, UTC):%Y-%m-%d %H:%M} UTC",
            )
            for one in self
        ]
        return [Table(_TITLES, rows, _TEXT_COLUMNS, empty="No budget has spending in this period.", optional=("",))]


_TITLES = ("budget", "scope", "spent", "limit", "remaining", "", "used", "resets")
_TEXT_COLUMNS = (0, 1, 5, 7)


def _bar(one: BudgetStatus) -> Bar | str:
    if not one.limit:
        return ""
    used = one.spent / one.limit
    return Bar(0.0, used, "bad" if used >= 1 else "warning" if used >= NEARLY_SPENT else "accent")


def _format_amount(amount: float, unit: str) -> str:
    return usd(amount) if unit == "usd" else f"{amount:,.0f} tokens"
