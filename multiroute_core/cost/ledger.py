"""Every try and every hit, with its tokens and its cost: what was spent, on whom, and for what.

The ledger is a hook: the router tells it what happens. On the way of a request it only appends to a queue; records are
made of that, and written, when somebody looks or a batch is full.
"""

from __future__ import annotations

import atexit
import importlib
import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from multiroute_core.cost.groups import GROUPS, Totals, total
from multiroute_core.cost.record import NAMES, Record, of_attempt, of_hit
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import AttemptEnded, Event, RequestEnded, RequestStarted
from multiroute_core.options import unknown

BEAT_SECONDS = 1.0
"""How long a record waits at most before it is written."""

PATIENCE = 5.0
"""Seconds for which another thread that writes is waited for, by whoever wants to read or to end."""

BATCH = 256
"""How many events wait to be made into records at most."""

ON_THEIR_WAY = 100_000
"""How many requests that have not ended are remembered at most: an abandoned one never does."""

About: TypeAlias = tuple[bool, str | None, str | None]
"""Of a request: whether it is streamed, the tenant, the task."""

_NOBODY = (False, None, None)


class Store(Protocol):
    """Where records are kept."""

    dropped: int
    """How many records had to be given up."""

    quick: bool
    """Whether `append` takes so little that it may be called on the way of a request."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep records; called under a lock, off the way of a request as a rule."""
        ...

    def read(self) -> Iterator[Record]:
        """All records, the oldest first."""
        ...

    def close(self) -> None:
        """Write what is to be written, and let go."""
        ...


class MemoryStore:
    """Records in this process: the last ones.

    Args:
        max_records: How many; of more, the oldest are given up. 100,000 by default, some 60 MB.
    """

    def __init__(self, max_records: int = 100_000) -> None:
        self.dropped, self.quick = 0, True
        self._records: deque[Record] = deque(maxlen=max_records)

    def append(self, records: Sequence[Record]) -> None:
        most = self._records.maxlen or 0
        self.dropped += max(0, len(self._records) + len(records) - most)
        self._records.extend(records)

    def read(self) -> Iterator[Record]:
        return iter(tuple(self._records))

    def close(self) -> None:
        pass


class _Book:
    """What was heard and is not yet written. It outlives its ledger, for as long as it takes to write."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.heard: deque[tuple[float, AttemptEnded | RequestEnded, About]] = deque()
        self.full, self.writing = threading.Event(), False
        self._lock = threading.Lock()
        _books.add(self)

    def flush(self, wait: float = 0.0) -> None:
        """Write what is waiting, or leave it to whoever does so now, if that takes longer than `wait` seconds.

        A finalizer may come in the middle of it, in the same thread: it must not wait.
        """
        if not (self._lock.acquire(timeout=wait) if wait else self._lock.acquire(blocking=False)):
            return
        try:
            made: list[Record] = []
            while self.heard:
                at, event, about = self.heard.popleft()
                if isinstance(event, AttemptEnded):
                    made.append(of_attempt(event.attempt, at, event.request_id, about))
                elif event.response is not None:
                    made.append(of_hit(event.response, event.seconds, at, event.request_id, about))
            if made:
                self.store.append(made)
        finally:
            self._lock.release()

    def write(self, ledger: weakref.ref[Ledger]) -> None:
        """Write once a second and whenever there is much, as long as somebody has the ledger."""
        while ledger() is not None:
            self.full.wait(BEAT_SECONDS)
            self.full.clear()
            self.flush()
        self.flush(PATIENCE)

    def forked(self) -> None:
        """What the parent has heard, the parent writes; and its thread and its locks do not come along."""
        self.heard.clear()
        self._lock, self.full, self.writing = threading.Lock(), threading.Event(), False


_books: weakref.WeakSet[_Book] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for book in list(_books):
        book.flush(PATIENCE)


def _in_child() -> None:
    for book in list(_books):
        book.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class Ledger:
    """Keeps a record of every try of the routers that tell it what happens.

    Args:
        store: Where records are kept: `"memory"`, `"sqlite:///path"`, or a store of your own.
        wall: The time in seconds since 1970.

    Raises:
        ConfigurationError: there is no such store, or it cannot be used.

    Example:
        >>> ledger = Ledger("sqlite:///ledger.db")  # doctest: +SKIP
        >>> router = Router([...], on_event=[ledger])  # doctest: +SKIP
        >>> print(ledger.totals("model"))  # doctest: +SKIP
    """

    def __init__(self, store: str | Store = "memory", *, wall: Callable[[], float] = time.time) -> None:
        self.store: Store = _opened(store) if isinstance(store, str) else store
        self._wall = wall
        self._book = _Book(self.store)
        self._about: OrderedDict[str, About] = OrderedDict()
        weakref.finalize(self, self._book.flush).atexit = False

    def __call__(self, event: Event) -> None:
        """Hear what happens."""
        if isinstance(event, RequestStarted):
            self._about[event.request_id] = event.stream, event.tenant, event.task
            if len(self._about) > ON_THEIR_WAY:
                self._about.popitem(last=False)
        elif isinstance(event, AttemptEnded):
            self._hear(event, self._about.get(event.request_id, _NOBODY))
        elif isinstance(event, RequestEnded):
            about = self._about.pop(event.request_id, _NOBODY)
            if event.response is not None and event.response.cached and not event.attempts:
                self._hear(event, about)

    def _hear(self, event: AttemptEnded | RequestEnded, about: About) -> None:
        book = self._book
        book.heard.append((self._wall(), event, about))
        if not self.store.quick and not book.writing:
            book.writing = True
            threading.Thread(target=book.write, args=(weakref.ref(self),), daemon=True).start()
        if len(book.heard) >= BATCH:
            book.flush() if self.store.quick else book.full.set()

    @property
    def dropped(self) -> int:
        """How many records had to be given up, since there was no room or no way to write them."""
        return self.store.dropped

    def flush(self) -> None:
        """Write what is waiting."""
        self._book.flush(PATIENCE)

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles as where its records are, without those that are in memory."""
        return Ledger, (getattr(self.store, "url", "memory"),)

    def query(self, *, since: float | None = None, until: float | None = None, **equal: Any) -> list[Record]:
        """Records, the oldest first.

        Args:
            since: From this moment on, in seconds since 1970.
            until: Before this moment.
            **equal: What they must have in common: `model="gpt-6-luna"`, `tenant="a"`, `outcome="answered"`, `day=…`.

        Raises:
            ConfigurationError: a record has no such field.
        """
        for name in equal:
            if name not in (*NAMES, "day"):
                raise unknown("field", name, (*NAMES, "day"))
        self.flush()
        return [
            record
            for record in self.store.read()
            if (since is None or record.at >= since)
            and (until is None or record.at < until)
            and all(getattr(record, name) == value for name, value in equal.items())
        ]

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

    def totals(self, by: str = "model", **which: Any) -> Totals:
        """What the records that `query` gives come to, in groups.

        Args:
            by: `"model"`, `"provider"`, `"route"`, `"tenant"`, `"task"`, `"day"` (UTC) or `"outcome"`.
            **which: As of `query`.
        """
        if by not in GROUPS:
            raise unknown("group", by, GROUPS)
        groups: dict[str, list[Record]] = {}
        for record in self.query(**which):
            groups.setdefault(str(getattr(record, by) or "–"), []).append(record)
        return Totals(sorted((total(name, records) for name, records in groups.items()), key=lambda t: -t.cost))

    def close(self) -> None:
        """Write what is waiting, and let go of the store."""
        self.flush()
        self.store.close()


def _opened(store: str) -> Store:
    if store == "memory":
        return MemoryStore()
    if store.startswith("sqlite:"):
        from multiroute_core.cost.ledger_file import SQLiteStore

        return SQLiteStore(store)
    scheme = store.partition(":")[0]
    raise ConfigurationError(f"ledger={scheme!r} is no place for records; give 'memory' or 'sqlite:///path'.")
