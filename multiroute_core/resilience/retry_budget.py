"""How many tries may be made besides the first ones: retries and hedges pay for them out of one purse.

A share of every request goes in, a try takes one out, and a reserve keeps a quiet program going (Finagle's
`RetryBudget`). So a provider that is in trouble gets a fifth more at most, and not three times as much. To ask a route
for the first time costs nothing: it adds no load where it hurts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryBudgetSettings:
    """How full a purse gets.

    Attributes:
        share: What every request puts in.
        reserve: How many tries are there without any request.
        per_second: How fast the reserve comes back.
        most: What a purse holds at most.
    """

    share: float
    reserve: float
    per_second: float
    most: float


RETRIES = RetryBudgetSettings(share=0.2, reserve=10.0, per_second=1.0, most=50.0)


def hedges(share: float) -> RetryBudgetSettings:
    """The purse of hedges: nothing but their share."""
    return RetryBudgetSettings(share=share, reserve=1.0, per_second=0.0, most=10.0)


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """What is left. `at` is the moment on the caller's clock, in seconds; None before the first one."""

    left: float = 0.0
    at: float | None = None


def deposit(purse: RetryBudget, settings: RetryBudgetSettings, now: float) -> RetryBudget:
    """A request begins."""
    return RetryBudget(min(settings.most, _left(purse, settings, now) + settings.share), now)


def withdraw(purse: RetryBudget, settings: RetryBudgetSettings, now: float) -> tuple[RetryBudget, bool]:
    """Pay for a try; False where there is not enough left."""
    left = _left(purse, settings, now)
    return (RetryBudget(left, now), False) if left < 1.0 else (RetryBudget(left - 1.0, now), True)


def _left(purse: RetryBudget, settings: RetryBudgetSettings, now: float) -> float:
    if purse.at is None:
        return settings.reserve
    if purse.left >= settings.reserve:
        return purse.left
    return min(settings.reserve, purse.left + (now - purse.at) * settings.per_second)
