"""Spend account: what was spent in a budget period, and what is reserved for calls in flight. Pure.

A call reserves its maximum before it is sent and settles the actual amount at the end, so concurrent callers cannot
spend the same money twice. Amounts are integers, billionths of a USD or tokens: their sums are exact, here and in Lua.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """The account of one budget and one scope value.

    Attributes:
        period: When its period began, in seconds since 1970.
        spent: What was spent in that period.
        held: What is reserved for calls in flight.
    """

    period: float = 0.0
    spent: int = 0
    held: int = 0


def current(account: Account, starts: Sequence[float], now: float, prior: tuple[float, int] | None = None) -> Account:
    """Return the account as of `now`: a new period starts with nothing spent, and no period starts twice.

    Args:
        account: The previous state.
        starts: When the periods around now begin, in seconds since 1970, ascending; the first one is in the past.
        now: In seconds since 1970.
        prior: The start of a period, and the amount known from elsewhere to be spent in it. The amount spent never
            decreases within a period; so the larger figure is the correct one.
    """
    start = starts[0]
    for other in starts[1:]:
        if other <= now:
            start = other
    start = max(start, account.period)  # a clock that is set back does not restart a period
    amount = account.spent if account.period == start else 0
    if prior is not None and prior[0] == start and prior[1] > amount:
        amount = prior[1]
    return Account(start, amount, account.held)


def reserve(account: Account, cap: int | None, amount: int) -> Account | None:
    """Reserve `amount`; None if that may exceed `cap`. Without a cap it always succeeds."""
    if cap is not None and account.spent + account.held + amount > cap:
        return None
    return Account(account.period, account.spent, account.held + amount)


def settle(account: Account, hold: int, amount: int) -> Account:
    """Settle a call: release its reservation and add what it spent."""
    return Account(account.period, account.spent + amount, max(0, account.held - hold))
