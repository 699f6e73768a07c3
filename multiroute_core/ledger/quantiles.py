"""Exact quantiles of many sorted runs, in memory that does not grow with their lengths: internal.

Every `GAP`-th value of each run is a sample. The samples bound each quantile from both sides, and a second pass over
the runs reads only the few values between the bounds.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

GAP = 64
"""Distance between two samples of a run."""

Key = TypeVar("Key")


def find_quantiles(
    read_runs: Callable[[], Iterable[tuple[Key, array[float]]]], shares: Sequence[float]
) -> dict[Key, tuple[int, list[float]]]:
    """Returns for each key the number of values, and the smallest value that each share of them does not exceed.

    Args:
        read_runs: Returns the runs of all keys, each ascending. It is called twice, and must return the same runs.
        shares: Above 0, up to 1.
    """
    samples: defaultdict[Key, array[float]] = defaultdict(lambda: array("d"))
    counts: defaultdict[Key, int] = defaultdict(int)
    runs: defaultdict[Key, int] = defaultdict(int)
    for key, run in read_runs():
        if run:
            samples[key] += run[::GAP]
            counts[key] += len(run)
            runs[key] += 1
    windows = {
        key: [_Window(sorted(samples[key]), math.ceil(share * counts[key]), runs[key]) for share in shares]
        for key in counts
    }
    for key, run in read_runs():
        for window in windows.get(key, ()):
            window.add(run)
    return {key: (counts[key], [window.value() for window in windows[key]]) for key in counts}


class _Window:
    """The values around one rank.

    Args:
        samples: All samples, ascending.
        rank: The rank of the value that is sought, from 1.
        runs: The number of runs.
    """

    def __init__(self, samples: list[float], rank: int, runs: int) -> None:
        self._rank = rank
        # A run with s samples up to v has at most GAP * s values up to v, and more than GAP * (s - 1).
        below = (rank - 1) // GAP
        above = (rank + runs * (GAP - 1) + GAP - 1) // GAP
        if below < len(samples):
            below = min(below, bisect_left(samples, samples[below]))  # samples equal to the bound count with it
        self._low = samples[below - 1] if below else -math.inf
        self._high = samples[above - 1] if above <= len(samples) else math.inf
        self._below = 0
        self._values: Counter[float] = Counter()

    def add(self, run: array[float]) -> None:
        start = bisect_right(run, self._low)
        self._below += start
        self._values.update(run[start : bisect_right(run, self._high)])

    def value(self) -> float:
        rank = self._rank - self._below
        for value, count in sorted(self._values.items()):
            rank -= count
            if rank <= 0:
                return value
        raise ValueError("The runs have changed between the passes.")
