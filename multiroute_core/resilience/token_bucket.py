"""So many a minute, requests or tokens: a token bucket that holds one minute's worth, as the vendors' own buckets do.

It is kept as one number, the moment at which the bucket is full again (GCRA, the generic cell rate algorithm): what is
taken moves the moment on, time catches up with it, and it is never more than a minute ahead when something is let
through. So in every span of t seconds at most `per_minute * (1 + t / 60)` are let through.

Tokens are reserved before they are known, and settled afterwards. What is given back late is given back only as far as
it would still be there: a bucket that was full in between has lost it.
"""

from __future__ import annotations

SECONDS = 60.0
"""The span of a limit, and what the bucket holds."""

GRACE = 1e-6
"""Seconds that nobody is sent away for: the rounding of a clock that counts from 1970."""


def take(tat: float, per_minute: float, amount: float, now: float) -> tuple[float, float]:
    """Take an amount, or be told to wait.

    Args:
        tat: The moment at which the bucket is full again; 0.0 for a new one.
        amount: What is wanted. More than the bucket holds counts as all that it holds: otherwise it would never be let
            through.

    Returns:
        The new moment and 0.0; or the old one and the seconds until there is enough.
    """
    due = max(tat, now) + min(amount, per_minute) * SECONDS / per_minute
    wait = due - now - SECONDS
    return (tat, wait) if wait > GRACE else (due, 0.0)


def settle(tat: float, per_minute: float, reserved: float, used: float, now: float, since: float) -> float:
    """Charge what was used beyond the reservation, or give back what was not used.

    Args:
        tat: The moment at which the bucket is full again.
        reserved: What was asked of `take`.
        used: What it came to.
        since: What was taken from the bucket after the reservation. So much is missing from it at the most if the
            reservation was for nothing; it tells what a late return may give back.

    Returns:
        The new moment.
    """
    more = (used - min(reserved, per_minute)) * SECONDS / per_minute
    if more >= 0.0:
        return tat + more
    return max(tat + more, min(tat, now + since * SECONDS / per_minute))


def left(tat: float, per_minute: float, now: float) -> float:
    """What could be taken now."""
    return max(0.0, SECONDS - max(0.0, tat - now)) * per_minute / SECONDS
