"""Latency statistics: quantiles of a route's recent responses."""

from __future__ import annotations

import math
from collections import deque

SAMPLES = 200
"""The number of recorded responses: enough for the 99th percentile, few enough to forget a bad hour."""

FEWEST = 20
"""The minimum number of samples for a quantile that decisions may use."""


class Latencies:
    """The recent latencies of one kind on one route. Appending is atomic; no lock is needed."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def __len__(self) -> int:
        return len(self._samples)

    def record(self, seconds: float) -> None:
        """Record a latency in seconds."""
        self._samples.append(seconds)

    def quantile(self, share: float, *, fewest: int = FEWEST) -> float | None:
        """Return the latency that `share` (0 to 1) of the responses did not exceed; None below `fewest` samples."""
        samples = list(self._samples)
        if len(samples) < max(1, fewest):
            return None
        ordered = sorted(samples)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0 else 0)]
