"""Token bucket rate limiter (GCRA): requests or tokens per minute; it holds one minute, like the providers' own.

The state is one number, the moment at which the bucket is full again (GCRA, the generic cell rate algorithm): taking
moves it forward, time catches up with it, and it is never more than a minute ahead when a request is admitted. So in
any span of t seconds at most `per_minute * (1 + t / 60)` are admitted.

Tokens are reserved before their number is known, and settled afterwards. A late refund is limited to what the bucket
would still hold: a bucket that was full in between has lost it.
"""

from __future__ import annotations

SECONDS = 60.0
"""The period of a limit and the capacity of the bucket, in seconds."""

GRACE = 1e-6
"""Waits below this many seconds are ignored: rounding of a clock that counts from 1970."""


def required(amount: float, limit: float, reserve: float) -> float:
    """Return how much of a limit must be left to admit an amount.

    A call of low priority leaves a share of the limit to others, and at least as much as it takes itself: so that one
    more call of its size can start at once. The whole limit is always enough: otherwise it would never be admitted.

    Args:
        amount: The amount.
        limit: The limit.
        reserve: The share to leave, 0 to 1; 0.0 leaves nothing.
    """
    return min(amount + max(amount, reserve * limit) if reserve else amount, limit)


def take(tat: float, per_minute: float, amount: float, now: float, reserve: float = 0.0) -> tuple[float, float]:
    """Take an amount, or return how long to wait.

    Args:
        tat: The moment at which the bucket is full again; 0.0 for a new one.
        per_minute: The rate and capacity.
        amount: The amount. More than the capacity counts as the capacity: otherwise it would never be admitted.
        now: The current time.
        reserve: The share of the capacity that must be left afterwards, 0 to 1; see `required`.

    Returns:
        The new moment and 0.0; or the old one and the seconds until there is enough.
    """
    start = max(tat, now)
    due = start + min(amount, per_minute) * SECONDS / per_minute
    least = due if not reserve else start + required(amount, per_minute, reserve) * SECONDS / per_minute
    wait = least - now - SECONDS
    return (tat, wait) if wait > GRACE else (due, 0.0)


def settle(tat: float, per_minute: float, reserved: float, used: float, now: float, since: float) -> float:
    """Charge what exceeds the reservation, or refund what was not used.

    Args:
        tat: The moment at which the bucket is full again.
        per_minute: The rate and capacity.
        reserved: The amount that was passed to `take`.
        used: The actual amount.
        now: The current time.
        since: What was taken from the bucket after the reservation. If the reservation was unused, the bucket lacks at
            most this much; it limits a late refund.

    Returns:
        The new moment.
    """
    more = (used - min(reserved, per_minute)) * SECONDS / per_minute
    if more >= 0.0:
        return tat + more
    return max(tat + more, min(tat, now + since * SECONDS / per_minute))


def left(tat: float, per_minute: float, now: float) -> float:
    """Return what could be taken now."""
    return max(0.0, SECONDS - max(0.0, tat - now)) * per_minute / SECONDS
