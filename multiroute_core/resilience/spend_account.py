"""What may be spent in a period: what is spent, and what is held for calls that are on their way. Pure.

A call reserves what it may take before it is made, and settles what it took when it is over: so callers who come at
the same moment cannot spend the same money twice. Amounts are whole numbers, of billionths of a USD or of tokens: sums
of them are exact, here and in Lua.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """The account of one budget and of one who spends.

    Attributes:
        period: When its period began, in seconds since 1970.
        spent: What was spent in that period.
        held: What is reserved for calls on their way.
    """

    period: float = 0.0
    spent: int = 0
    held: int = 0


def current(account: Account, starts: Sequence[float], now: float, prior: tuple[float, int] | None = None) -> Account:
    """The account as of now: a new period begins with nothing spent, and none begins twice.

    Args:
        account: As it was.
        starts: When the periods around now begin, in seconds since 1970, ascending; the first one is in the past.
        now: In seconds since 1970.
        known: When a period began, and what is known to have been spent in it, from elsewhere. What was spent grows and
            never shrinks within a period; so the larger figure is the truer one.
    """
    start = starts[0]
    for other in starts[1:]:
        if other <= now:
            start = other
    start = max(start, account.period)  # a clock that is set back gives no period again
    amount = account.spent if account.period == start else 0
    if prior is not None and prior[0] == start and prior[1] > amount:
        amount = prior[1]
    return Account(start, amount, account.held)


def reserve(account: Account, cap: int | None, amount: int) -> Account | None:
    """Hold `amount`; None where that may be more than is left of `cap`. Without a cap there is always enough."""
    if cap is not None and account.spent + account.held + amount > cap:
        return None
    return Account(account.period, account.spent, account.held + amount)


def settle(account: Account, hold: int, amount: int) -> Account:
    """A call is over: what was held for it is free, and what it took is spent."""
    return Account(account.period, account.spent + amount, max(0, account.held - hold))
