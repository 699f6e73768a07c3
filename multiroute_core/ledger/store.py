"""Ledger store: the interface, and the in-memory store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, starmap
from typing import Any, Protocol, runtime_checkable

from multiroute_core.ledger.aggregate import Spent, sum_spending
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record, values
from multiroute_core.ledger.summary import Summary, summarize_rows, to_rows


class Store(Protocol):
    """Stores the ledger's records."""

    dropped: int
    """Number of records that were dropped for lack of space."""

    quick: bool
    """Whether `append` is cheap enough for the request path."""

    def append(self, records: Sequence[Record], first: int) -> None:
        """Stores records, or raises; records that were not stored are passed again, before newer ones.

        Called by one thread at a time, usually off the request path.

        Args:
            records: Oldest first.
            first: The sequence number of the first record, counted from the start of the ledger in this process. The
                same number always denotes the same record.
        """
        ...

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        """Returns matching records, oldest first; records appended after the call are not included.

        Raises:
            Exception: if the records cannot be read at the moment.
        """
        ...

    def read_spending(self, which: LedgerQuery) -> Spent:
        """Returns the total spend of matching records.

        Raises:
            Exception: if the records cannot be read at the moment.
        """
        ...

    def forked(self) -> None:
        """Called in a forked child process: open resources belong to the parent."""
        ...

    def close(self) -> None:
        """Releases the store's resources."""
        ...


class Selection(Protocol):
    """The records that match a query, as they are when it is created."""

    def summarize(self, by: str | None = None) -> Summary:
        """Returns their summary; may be called once.

        Args:
            by: The only dimension that is needed, as in `GROUPS`; None for all, the timeline and the latencies.
        """
        ...


@runtime_checkable
class SummarizingStore(Store, Protocol):
    """A store that summarizes records itself; the ledger reads those of other stores one by one."""

    def select(self, which: LedgerQuery, more: Sequence[Record]) -> Selection:
        """Returns the matching records.

        Args:
            which: The query.
            more: Matching records that are not in the store.

        Raises:
            Exception: if the records cannot be read at the moment.
        """
        ...


class RowSelection:
    """A selection that reads records one by one.

    Args:
        records: Anything with the fields of records, in any order; it is read once.
    """

    def __init__(self, records: Iterable[Any]) -> None:
        self._records = records

    def summarize(self, by: str | None = None) -> Summary:
        return summarize_rows(to_rows(self._records), by)


class MemoryStore:
    """Keeps the latest records in this process.

    Args:
        max_records: Maximum number of records; beyond it, the oldest are dropped. 100,000 by default, about 60 MB.
    """

    def __init__(self, max_records: int = 100_000) -> None:
        self.dropped = 0
        self.quick = True
        # Tuples of plain values, because the garbage collector soon stops tracking them.
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=max_records)

    def append(self, records: Sequence[Record], first: int) -> None:
        most = self._rows.maxlen or 0
        self.dropped += max(0, len(self._rows) + len(records) - most)
        self._rows.extend(map(values, records))

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        return filter(which.takes, starmap(Record, tuple(self._rows)))

    def select(self, which: LedgerQuery, more: Sequence[Record]) -> RowSelection:
        return RowSelection(chain(self.read(which), more))

    def read_spending(self, which: LedgerQuery) -> Spent:
        return sum_spending(self.read(which))

    def forked(self) -> None:
        """Keeps the records inherited from the parent."""

    def close(self) -> None:
        """Records remain readable."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles without its records."""
        return MemoryStore, (self._rows.maxlen,)

    def __repr__(self) -> str:
        return "'memory'"
