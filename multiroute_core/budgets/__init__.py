"""Budgets: spending limits, reservations and charges."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.budgets.budget import Budget, Period, Scope
    from multiroute_core.budgets.status import BudgetStatus, BudgetStatuses
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "budget": "Budget Period Scope",
            "status": "BudgetStatus BudgetStatuses",
        },
    )

__all__ = [
    "Budget",
    "BudgetStatus",
    "BudgetStatuses",
    "Period",
    "Scope",
]
