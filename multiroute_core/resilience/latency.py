"""How fast a route is lately: quantiles of its last answers."""

from __future__ import annotations

import math
from collections import deque

SAMPLES = 200
"""How many answers are remembered: enough for the 99th percentile, few enough to forget a bad hour."""

FEWEST = 20
"""How many there must be before a quantile is worth a decision."""


class Latencies:
    """The last answers of one kind of one route. Appending is atomic; no lock is needed."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def __len__(self) -> int:
        return len(self._samples)

    def record(self, seconds: float) -> None:
        """An answer took `seconds`."""
        self._samples.append(seconds)

    def quantile(self, share: float, *, fewest: int = FEWEST) -> float | None:
        """The seconds within which `share` (0 to 1) of the answers came; None where too few are known."""
        samples = list(self._samples)
        if len(samples) < max(1, fewest):
            return None
        ordered = sorted(samples)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0 else 0)]
