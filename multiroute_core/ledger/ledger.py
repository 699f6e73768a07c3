"""Ledger: records every attempt and every cache hit with its tokens and cost, by route, tenant, task and label.

The ledger is a hook that receives the router's events. On the request path it only appends to a queue; the events are
converted to records and written when the ledger is read, when a batch is full, or by a background thread.
"""

from __future__ import annotations

import contextlib
import importlib
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import Any

from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.events import AttemptEnded, Event, RequestEnded
from multiroute_core.ledger.aggregate import GROUPS, Groups, Spent, build_groups, sum_spending
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import NAMES, Record
from multiroute_core.ledger.store import MemoryStore, RowSelection, Store, SummarizingStore
from multiroute_core.ledger.summary import Summary
from multiroute_core.ledger.writer import BATCH, PATIENCE, LedgerWriter, Sink
from multiroute_core.options import unknown

__all__ = ["BATCH", "Ledger", "LedgerUnavailableError", "MemoryStore", "Store"]


class LedgerUnavailableError(MultiRouteError):
    """The records cannot be read at the moment. New records are still queued, up to the queue's limit."""


class Ledger:
    """Keeps a record of every attempt of the routers it is attached to. Copies of a router share it.

    Args:
        store: Where records are stored: `"memory"`, `"sqlite:///path"`, `"redis://host:6379/0"` for a fleet (also
            `rediss://` and `unix://`), or a custom store.
        export: Sinks that also receive the records, in batches and off the request path:
            `multiroute_core.telemetry.BigQuery`, `JSONLines`, or any callable that takes a sequence of records.
        wall: Returns the time in seconds since 1970.

    Raises:
        ConfigurationError: if the store does not exist or cannot be used.

    Example:
        >>> ledger = Ledger("sqlite:///ledger.db")  # doctest: +SKIP
        >>> router = Router([...], on_event=[ledger])  # doctest: +SKIP
        >>> print(ledger.totals("model"))  # doctest: +SKIP
    """

    def __init__(
        self,
        store: str | Store = "memory",
        *,
        export: Sequence[Sink] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store: Store = _open_store(store) if isinstance(store, str) else store
        self._wall = wall
        self._writer = LedgerWriter(self.store, export)
        weakref.finalize(self, self._writer.flush).atexit = False

    event_types = AttemptEnded, RequestEnded

    def __call__(self, event: Event) -> None:
        """Handles an event."""
        if isinstance(event, AttemptEnded):
            self._writer.add_event((self._wall(), event), self)
        elif isinstance(event, RequestEnded):
            response = event.response
            if response is not None and response.cached and not event.attempts:
                self._writer.add_event((self._wall(), event), self)

    @property
    def dropped(self) -> int:
        """Number of records that were dropped because the queue was full or they could not be written."""
        return self._writer.dropped + self.store.dropped

    def flush(self) -> None:
        """Writes the queued records."""
        self._writer.flush(PATIENCE)

    def query(self, *, since: float | None = None, until: float | None = None, **equal: Any) -> list[Record]:
        """Returns matching records, oldest first.

        Args:
            since: From this moment on (inclusive), in seconds since 1970.
            until: Before this moment (exclusive).
            **equal: Field values to match, such as `model="gpt-6-luna"`, `tenant="a"` or `outcome="success"`; None
                matches records without a value. Also `label="x"` for records that have this label among others, and
                `day="2026-11-28"` and `month="2026-11"`, in UTC.

        Raises:
            ConfigurationError: if a record has no such field, or the value is not valid for the field.
            LedgerUnavailableError: if the records cannot be read at the moment.
        """
        return list(self._read(LedgerQuery.of(since, until, equal)))

    def spent(
        self,
        *,
        since: float,
        until: float | None = None,
        tenant: str | None = None,
        route: str | None = None,
        label: str | None = None,
        task: str | None = None,
    ) -> Spent:
        """Returns the spend of a period: US dollars, as far as known, and tokens, including estimates.

        Args:
            since: From this moment on (inclusive), in seconds since 1970.
            until: Before this moment (exclusive); None for now.
            tenant: Only this tenant; an empty string for records without a tenant, None for all. The same holds for the
                other filters.
            route: Only this route.
            label: Only records with this label.
            task: Only this task.

        Raises:
            LedgerUnavailableError: if the records cannot be read at the moment.

        Example:
            >>> Ledger().spent(since=0.0)
            Spent(usd=0.0, tokens=0)
        """
        filters = {"tenant": tenant, "route": route, "task": task}
        equal: dict[str, Any] = {name: value or None for name, value in filters.items() if value is not None}
        if label is not None:
            equal |= {"label": label} if label else {"labels": ()}
        which = LedgerQuery.of(since, until, equal)
        with self._reading(), self._writer.hold_writes() as waiting:
            return self.store.read_spending(which) + sum_spending(filter(which.takes, waiting))

    def to_dicts(self, **which: Any) -> list[dict[str, Any]]:
        """Returns the records of `query` as plain JSON values."""
        return [record.to_dict() for record in self.query(**which)]

    def to_pandas(self, **which: Any) -> Any:
        """Returns the records of `query` as a `pandas.DataFrame`; `ended_at` is a UTC timestamp.

        Raises:
            ConfigurationError: if pandas is not installed.
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError as error:
            raise ConfigurationError("to_pandas needs pandas; run: pip install pandas") from error
        frame = pandas.DataFrame(self.to_dicts(**which), columns=list(NAMES))
        frame["ended_at"] = pandas.to_datetime(frame["ended_at"], unit="s", utc=True)
        return frame

    def totals(
        self, by: str = "model", *, since: float | None = None, until: float | None = None, **equal: Any
    ) -> Groups:
        """Returns the totals of the records of `query`, by group; sums of money are exact and rounded once.

        Args:
            by: `"model"`, `"provider"`, `"route"`, `"tenant"`, `"task"`, `"label"`, `"day"` or `"month"` (UTC), or
                `"outcome"`. A record with several labels counts under each of them.
            since: As in `query`.
            until: As in `query`.
            **equal: As in `query`.

        Raises:
            ConfigurationError: if the group, field or value is not valid.
            LedgerUnavailableError: if the records cannot be read at the moment.
        """
        if by not in GROUPS:
            raise unknown("group", by, GROUPS)
        return build_groups(self._summarize(LedgerQuery.of(since, until, equal), by), by)

    def close(self) -> None:
        """Writes the queued records and closes the store."""
        self.flush()
        self.store.close()

    def _summarize(self, which: LedgerQuery, by: str | None = None) -> Summary:
        """Returns the sums from which totals and reports are built; `by` is as in `Summary.add`."""
        with self._reading():
            with self._writer.hold_writes() as waiting:
                more = list(filter(which.takes, waiting))
                if isinstance(self.store, SummarizingStore):
                    selection = self.store.select(which, more)
                else:
                    selection = RowSelection(chain(self.store.read(which), more))
            return selection.summarize(by)

    def _read(self, which: LedgerQuery) -> Iterator[Record]:
        with self._reading():
            with self._writer.hold_writes() as waiting:
                records = self.store.read(which)
            yield from records
            yield from filter(which.takes, waiting)

    @contextlib.contextmanager
    def _reading(self) -> Generator[None, None, None]:
        try:
            yield
        except (MultiRouteError, GeneratorExit):
            raise
        except Exception as error:
            raise LedgerUnavailableError(f"The ledger {self.store!r} cannot be read: {error}") from error

    def __copy__(self) -> Ledger:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as the store's location; records in memory are not included."""
        return Ledger, (self.store,)

    def __repr__(self) -> str:
        return f"Ledger({getattr(self, 'store', None)!r})"


def summarize(ledger: Ledger, which: LedgerQuery) -> Summary:
    """Returns the sums from which reports are built.

    Raises:
        LedgerUnavailableError: if the records cannot be read at the moment.
    """
    # The class is public, and its summaries are not.
    return ledger._summarize(which)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _open_store(store: str) -> Store:
    if store == "memory":
        return MemoryStore()
    scheme = store.partition(":")[0]
    if scheme == "sqlite":
        from multiroute_core.ledger.sqlite import SQLiteStore

        return SQLiteStore(store)
    if scheme in ("redis", "rediss", "unix"):
        from multiroute_core.ledger.redis import RedisStore

        return RedisStore(store)
    raise ConfigurationError(
        f"ledger={scheme!r} is not a valid ledger; expected 'memory', 'sqlite:///path' or 'redis://host:6379/0'."
    )
