"""Where the ledger's records are kept, and the place that every process has: its memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Any, Protocol

from multiroute_core.ledger.aggregate import Spent, sum_spending
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record, values


class Store(Protocol):
    """Where records are kept."""

    dropped: int
    """How many records had to be given up, for want of room."""

    quick: bool
    """Whether `append` takes so little that it may be called on the way of a request."""

    def append(self, records: Sequence[Record], first: int) -> None:
        """Keep records, or raise: then they come again, at the front of those that have come since.

        One thread at a time calls it, off the way of a request as a rule.

        Args:
            records: The oldest first.
            first: The number of the first of them, counted from the ledger's beginning in this process. A number that
                comes again is the same record.
        """
        ...

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        """Records, the oldest first: those that are kept when this is called, not those that come while they are read.

        Raises:
            Exception: they cannot be read now.
        """
        ...

    def read_spending(self, which: LedgerQuery) -> Spent:
        """What those records come to.

        Raises:
            Exception: they cannot be read now.
        """
        ...

    def forked(self) -> None:
        """This is the child of a fork: what its parent has open is the parent's."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class MemoryStore:
    """Records in this process: the last ones.

    Args:
        max_records: How many; of more, the oldest are given up. 100,000 by default, some 60 MB.
    """

    def __init__(self, max_records: int = 100_000) -> None:
        self.dropped = 0
        self.quick = True
        # Tuples of plain values, since the collector soon looks at those no more.
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=max_records)

    def append(self, records: Sequence[Record], first: int) -> None:
        most = self._rows.maxlen or 0
        self.dropped += max(0, len(self._rows) + len(records) - most)
        self._rows.extend(map(values, records))

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        return filter(which.takes, starmap(Record, tuple(self._rows)))

    def read_spending(self, which: LedgerQuery) -> Spent:
        return sum_spending(self.read(which))

    def forked(self) -> None:
        """A child keeps what it was born with."""

    def close(self) -> None:
        """Its records can still be read."""

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles without its records."""
        return MemoryStore, (self._rows.maxlen,)

    def __repr__(self) -> str:
        return "'memory'"
