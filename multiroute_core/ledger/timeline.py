"""Timeline: internal; counts and costs per time bucket, with buckets that become coarser as the period grows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from multiroute_core.ledger import exact_sum

Step: TypeAlias = Literal["minute", "ten minutes", "hour", "day", "month"]
"""The lengths of a timeline's buckets."""

STEPS: tuple[tuple[Step, int], ...] = (("minute", 60), ("ten minutes", 600), ("hour", 3600), ("day", 86400))
"""The bucket lengths, in seconds. Each is a multiple of the one before, so that buckets can be merged."""

MOST_BUCKETS = 150
"""Maximum buckets of a timeline, unless they are days or months."""

FACTORS = [longer // shorter for (_, shorter), (_, longer) in pairwise(STEPS)]

CellKey: TypeAlias = tuple[int, str, str]
"""The number of the bucket since 1970, the model, the outcome."""

StoredTimeline: TypeAlias = tuple[int, list[tuple[int, str, str, int, list[float]]]]
"""The level, and the cells."""


class Timeline:
    """The number and cost of records per bucket, model and outcome.

    The buckets are the shortest ones of which `MOST_BUCKETS` span all records, so they do not depend on the order in
    which records are added.

    Attributes:
        level: The index of the bucket length in `STEPS`.
        low: The number of the first bucket; None without records.
        high: The number of the last bucket.
        cells: The number and the cost of the records, as in `exact_sum`.
    """

    def __init__(self) -> None:
        self.level = 0
        self.low: int | None = None
        self.high = 0
        self.cells: dict[CellKey, tuple[int, list[float]]] = {}

    @property
    def seconds(self) -> int:
        """The length of a bucket."""
        return STEPS[self.level][1]

    def add(
        self, times: Sequence[float], models: Iterable[str], outcomes: Iterable[str], charges: Iterable[float | None]
    ) -> None:
        """Adds records, given as columns; times in seconds since 1970."""
        self._span(int(min(times) // self.seconds), int(max(times) // self.seconds))
        seconds = self.seconds
        keys = list(zip([int(time // seconds) for time in times], models, outcomes, strict=True))
        costs: defaultdict[CellKey, list[float]] = defaultdict(list)
        for key, charge in zip(keys, charges, strict=True):
            if charge:
                costs[key].append(charge)
        for key, count in Counter(keys).items():
            self._add_cell(key, count, exact_sum.compress(costs.get(key, ())))

    def merge(self, stored: StoredTimeline) -> None:
        """Adds the cells of another timeline."""
        level, cells = stored
        if not cells:
            return
        self._coarsen(level)
        numbers = [cell[0] for cell in cells]
        factor = self.seconds // STEPS[level][1]
        self._span(min(numbers) // factor, max(numbers) // factor)
        factor = self.seconds // STEPS[level][1]
        for number, model, outcome, count, cost in cells:
            self._add_cell((number // factor, model, outcome), count, cost)

    def to_stored(self) -> StoredTimeline:
        """Returns what `merge` accepts, as plain values."""
        return self.level, [(*key, count, cost) for key, (count, cost) in self.cells.items()]

    def _add_cell(self, key: CellKey, count: int, cost: list[float]) -> None:
        if (cell := self.cells.get(key)) is None:
            self.cells[key] = count, list(cost)
        else:
            exact_sum.extend(cell[1], cost)
            self.cells[key] = cell[0] + count, cell[1]

    def _span(self, low: int, high: int) -> None:
        """Includes buckets, and makes all coarser if they are too many."""
        if self.low is not None:
            low = min(self.low, low)
            high = max(self.high, high)
        self.low = low
        self.high = high
        while self.high - self.low >= MOST_BUCKETS and self.level < len(FACTORS):
            self._coarsen(self.level + 1)

    def _coarsen(self, level: int) -> None:
        while self.level < level:
            factor = FACTORS[self.level]
            self.level += 1
            if self.low is not None:
                self.low //= factor
                self.high //= factor
            cells = self.cells
            self.cells = {}
            for (number, model, outcome), (count, cost) in cells.items():
                self._add_cell((number // factor, model, outcome), count, cost)
