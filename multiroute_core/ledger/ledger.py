"""Every try and every hit, with its tokens and its cost: what was spent, on whom, and for what.

The ledger is a hook: the router tells it what happens. On the way of a request it only appends to a queue; records are
made of that, and written, when somebody looks or a batch is full.
"""

from __future__ import annotations

import contextlib
import importlib
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.events import AttemptEnded, Event, RequestEnded
from multiroute_core.ledger.aggregate import GROUPS, Groups, Spent, grouped, sum_spending
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import NAMES, Record
from multiroute_core.ledger.store import MemoryStore, Store
from multiroute_core.ledger.writer import BATCH, PATIENCE, LedgerWriter, Sink
from multiroute_core.options import unknown

__all__ = ["BATCH", "Ledger", "LedgerUnavailableError", "MemoryStore", "Store"]


class LedgerUnavailableError(MultiRouteError):
    """The records cannot be read now. Those that come are kept all the same, as long as there is room for them."""


class Ledger:
    """Keeps a record of every try of the routers that tell it what happens. It is shared by `copy`.

    Args:
        store: Where records are kept: `"memory"`, `"sqlite:///path"`, `"redis://host:6379/0"` for a fleet (also
            `rediss://` and `unix://`), or a store of your own.
        export: Who is told of records besides, in batches and beside the calls: `multiroute_core.telemetry.BigQuery`,
            `JSONLines`, or any callable that takes a sequence of records.
        wall: The time in seconds since 1970.

    Raises:
        ConfigurationError: there is no such store, or it cannot be used.

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
        self._book = LedgerWriter(self.store, export)
        weakref.finalize(self, self._book.flush).atexit = False

    event_types = AttemptEnded, RequestEnded

    def __call__(self, event: Event) -> None:
        """Hear what happens."""
        if isinstance(event, AttemptEnded):
            self._book.hear((self._wall(), event), self)
        elif isinstance(event, RequestEnded):
            response = event.response
            if response is not None and response.cached and not event.attempts:
                self._book.hear((self._wall(), event), self)

    @property
    def dropped(self) -> int:
        """How many records had to be given up, since there was no room or no way to write them."""
        return self._book.dropped + self.store.dropped

    def flush(self) -> None:
        """Write what is waiting."""
        self._book.flush(PATIENCE)

    def query(self, *, since: float | None = None, until: float | None = None, **equal: Any) -> list[Record]:
        """Records, the oldest first.

        Args:
            since: From this moment on, in seconds since 1970.
            until: Before this moment.
            **equal: What they must have in common: `model="gpt-6-luna"`, `tenant="a"`, `outcome="success"`; None for
                those that have none. Besides, `label="x"` for those with that label, whatever others they have, and
                `day="2026-11-28"` and `month="2026-11"`, in UTC.

        Raises:
            ConfigurationError: a record has no such field, or a field no such value.
            LedgerUnavailableError: they cannot be read now.
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
        """What the tries of a span of time came to: US dollars, as far as known, and tokens, estimates among them.

        Args:
            since: From this moment on, in seconds since 1970.
            until: Before this moment; None to now.
            tenant: Only of this tenant, or with an empty word of those without one; None of all. Likewise the others.
            route: Only of this route.
            label: Only what is booked under this label.
            task: Only for this task.

        Raises:
            LedgerUnavailableError: they cannot be read now.

        Example:
            >>> Ledger().spent(since=0.0)
            Spent(usd=0.0, tokens=0)
        """
        filters = {"tenant": tenant, "route": route, "task": task}
        equal: dict[str, Any] = {name: value or None for name, value in filters.items() if value is not None}
        if label is not None:
            equal |= {"label": label} if label else {"labels": ()}
        which = LedgerQuery.of(since, until, equal)
        with self._reading(), self._book.hold_writes() as waiting:
            return self.store.read_spending(which) + sum_spending(filter(which.takes, waiting))

    def to_dicts(self, **which: Any) -> list[dict[str, Any]]:
        """The records that `query` gives, as plain JSON."""
        return [record.to_dict() for record in self.query(**which)]

    def to_pandas(self, **which: Any) -> Any:
        """The records that `query` gives, as a `pandas.DataFrame`; `at` is a time in UTC.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError as error:
            raise ConfigurationError("to_pandas needs pandas; run: pip install pandas") from error
        frame = pandas.DataFrame(self.to_dicts(**which), columns=list(NAMES))
        frame["at"] = pandas.to_datetime(frame["at"], unit="s", utc=True)
        return frame

    def totals(
        self, by: str = "model", *, since: float | None = None, until: float | None = None, **equal: Any
    ) -> Groups:
        """What the records that `query` gives come to, in groups.

        Args:
            by: `"model"`, `"provider"`, `"route"`, `"tenant"`, `"task"`, `"label"`, `"day"` or `"month"` (UTC), or
                `"outcome"`. A record with several labels counts under each of them.
            since: As of `query`.
            until: As of `query`.
            **equal: As of `query`.

        Raises:
            ConfigurationError: there is no such group, field or value.
            LedgerUnavailableError: they cannot be read now.
        """
        if by not in GROUPS:
            raise unknown("group", by, GROUPS)
        return grouped(self._read(LedgerQuery.of(since, until, equal)), by)

    def close(self) -> None:
        """Write what is waiting, and let go of the store."""
        self.flush()
        self.store.close()

    def _read(self, which: LedgerQuery) -> Iterator[Record]:
        with self._reading():
            with self._book.hold_writes() as waiting:
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
            raise LedgerUnavailableError(f"The records of the ledger {self.store!r} cannot be read: {error}") from error

    def __copy__(self) -> Ledger:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles as where its records are, without those that are in memory."""
        return Ledger, (self.store,)

    def __repr__(self) -> str:
        return f"Ledger({getattr(self, 'store', None)!r})"


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
        f"ledger={scheme!r} is no place for records; give 'memory', 'sqlite:///path' or 'redis://host:6379/0'."
    )
