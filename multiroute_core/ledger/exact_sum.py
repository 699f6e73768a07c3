"""Exact summation of floats: internal; sums that do not depend on the order or on how the values are split.

A sum is kept as a list of floats whose exact sum is that of all values (Shewchuk's expansions,
https://people.eecs.berkeley.edu/~jrs/papers/robustr.pdf, 1997), and `math.fsum` rounds it once, when it is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SHORT = 4
"""Lists up to this length are not compressed."""

LONG = 256
"""Length at which a growing list is compressed."""


def compress(values: Sequence[float]) -> list[float]:
    """Returns a short list of floats with exactly the same sum; usually two or three."""
    if len(values) <= SHORT:
        return list(values)
    parts = list[float]()
    rest = list(values)
    try:
        while part := math.fsum(rest):
            parts.append(part)
            rest.append(-part)
    except (OverflowError, ValueError):  # infinities, which only a custom store can hold
        return [sum(values)]
    return parts if all(map(math.isfinite, parts)) else [sum(values)]


def extend(parts: list[float], values: Sequence[float]) -> None:
    """Adds values, or another sum's parts, to a sum."""
    parts += values
    if len(parts) > LONG:
        parts[:] = compress(parts)


def total(parts: Sequence[float]) -> float:
    """Returns the correctly rounded sum."""
    try:
        return math.fsum(parts)
    except (OverflowError, ValueError):
        return sum(parts)
