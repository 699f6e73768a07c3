"""Retry budget: limits the extra load of retries; hedging has a budget of its own.

Every request deposits a share of an attempt, a retry withdraws one, and a reserve serves programs with little traffic
(Finagle's `RetryBudget`). So a failing provider gets a fifth more load at most, and not three times as much. The first
attempt on a route is free: it adds no load where it hurts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryBudgetSettings:
    """The size of a retry budget.

    Attributes:
        share: What every request deposits.
        reserve: The retries available without any request.
        per_second: How fast the reserve is refilled.
        most: The maximum balance.
    """

    share: float
    reserve: float
    per_second: float
    most: float


RETRIES = RetryBudgetSettings(share=0.2, reserve=10.0, per_second=1.0, most=50.0)


def hedges(share: float) -> RetryBudgetSettings:
    """Return the settings of the hedge budget: only its share, and one attempt at the start."""
    return RetryBudgetSettings(share=share, reserve=1.0, per_second=0.0, most=10.0)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """The balance. `at` is the moment on the caller's clock, in seconds; None before the first one."""

    left: float = 0.0
    at: float | None = None


def deposit(budget: RetryBudget, settings: RetryBudgetSettings, now: float) -> RetryBudget:
    """Deposit the share of a new request."""
    return RetryBudget(min(settings.most, _left(budget, settings, now) + settings.share), now)


def withdraw(budget: RetryBudget, settings: RetryBudgetSettings, now: float) -> tuple[RetryBudget, bool]:
    """Withdraw one attempt; False if the balance is too low."""
    left = _left(budget, settings, now)
    return (RetryBudget(left, now), False) if left < 1.0 else (RetryBudget(left - 1.0, now), True)


def _left(budget: RetryBudget, settings: RetryBudgetSettings, now: float) -> float:
    if budget.at is None:
        return settings.reserve
    if budget.left >= settings.reserve:
        return budget.left
    return min(settings.reserve, budget.left + (now - budget.at) * settings.per_second)
