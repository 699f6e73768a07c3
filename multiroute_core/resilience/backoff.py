"""Backoff before a retry: exponential with full jitter.

Full jitter spreads callers that failed together best (Amazon's "Exponential backoff and jitter").
"""

from __future__ import annotations

BASE_SECONDS = 0.5
CAP_SECONDS = 20.0


def backoff(round_: int, random: float) -> float:
    """Return the seconds before round `round_` (1 is the first retry), for a `random` number from 0 to 1."""
    round_ = min(round_, 64)  # 2.0 ** 1024 is too large for a float
    return random * min(CAP_SECONDS, BASE_SECONDS * 2.0 ** (round_ - 1))
