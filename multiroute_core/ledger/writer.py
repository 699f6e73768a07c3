"""Ledger writer: the queue of unwritten records and the thread that writes them."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from multiroute_core.display.text import printable
from multiroute_core.events import AttemptEnded, RequestEnded
from multiroute_core.ledger.record import Record, of_attempt, of_hit
from multiroute_core.ledger.store import Store
from multiroute_core.runtime.interrupts import wait_until_free
from multiroute_core.runtime.thread_start import is_started, start

BEAT_SECONDS = 1.0
"""Maximum seconds before a record is written."""

PATIENCE = 5.0
"""Seconds for which readers and shutdown wait for another thread that writes."""

BATCH = 256
"""Number of queued events that triggers a write."""

WAITING = 50_000
"""Maximum number of queued records while the store fails; beyond it, the oldest are dropped and counted."""

Sink: TypeAlias = Callable[[Sequence[Record]], object]
"""Receives records as they are written, off the request path; must return quickly."""

TimedEvent: TypeAlias = "tuple[float, AttemptEnded | RequestEnded]"
"""The time of an event, and the event."""

logger = logging.getLogger("multiroute_core")


class LedgerWriter:
    """Queues events and writes them as records. It outlives its ledger until everything is written.

    Args:
        store: Where records are stored.
        export: Sinks that also receive the records.

    Attributes:
        dropped: Number of records that were dropped because the queue was full.
    """

    def __init__(self, store: Store, export: Sequence[Sink] = ()) -> None:
        self.store = store
        self.export = tuple(export)
        self.dropped = 0
        self._writes_inline = store.quick and not export
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._events: deque[TimedEvent] = deque()
        self._waiting: deque[Record] = deque()
        self._first = 0
        self._failing = self._overflowed = self._running = self._reported_loss = False
        self._full: queue.SimpleQueue[None] = queue.SimpleQueue()  # an interrupt may leave an Event's lock locked
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._counting = threading.Lock()

    def add_event(self, entry: TimedEvent, owner: object) -> None:
        """Queues an event; runs on the request path.

        Args:
            entry: The event with its time.
            owner: The writer thread runs as long as this object is alive.
        """
        self._events.append(entry)
        if not self._running and not self._writes_inline:
            self._start(owner)
        if (many := len(self._events)) >= BATCH:
            if self._writes_inline:
                self.flush()
            elif self._full.empty():
                self._full.put(None)
            if many > WAITING:  # the writer is stuck
                with contextlib.suppress(IndexError):
                    self._events.popleft()
                    self._count_dropped(1)

    def flush(self, wait: float = 0.0) -> None:
        """Writes the queue, or leaves it to another thread that is writing if that takes longer than `wait` seconds.

        A finalizer may call this while the same thread is in it: it must not wait.
        """
        if wait_until_free(self._lock, wait):
            with self._lock:
                self._write()

    @contextlib.contextmanager
    def hold_writes(self) -> Generator[tuple[Record, ...], None, None]:
        """Writes the queue and blocks further writes within the block; yields the records that could not be written."""
        with self._lock:
            self._write()
            yield tuple(self._waiting)

    def _write(self) -> None:
        waiting = self._waiting
        records = list[Record]()
        try:
            while self._events:
                ended_at, event = self._events.popleft()
                if isinstance(event, AttemptEnded):
                    records.append(of_attempt(event.attempt, ended_at, event.request_id, event.about))
                elif event.response is not None:
                    records.append(of_hit(event.response, event.seconds, ended_at, event.request_id, event.about))
        finally:  # an interrupt loses at most one record
            waiting.extend(records)
        self._export(records)
        if over := max(0, len(waiting) - WAITING):
            for _ in range(over):
                waiting.popleft()
            self._first += over
            self._count_dropped(over)
        if not waiting:
            return
        try:
            self.store.append(tuple(waiting), self._first)
        except Exception as error:
            if not self._failing:
                logger.warning(
                    "The ledger %r cannot be written; records are queued: %s", self.store, printable(str(error))
                )
            self._failing = True
            return
        if self._failing:
            logger.warning("The ledger %r is written again; %d queued records were written.", self.store, len(waiting))
        self._failing = self._overflowed = False
        self._first += len(waiting)
        waiting.clear()

    def _export(self, records: Sequence[Record]) -> None:
        """Passes new records to the sinks, once, whether or not the store accepts them."""
        for sink in self.export if records else ():
            try:
                sink(records)
            except Exception:
                logger.exception("The exporter %r failed on %d records of the ledger.", sink, len(records))

    def _count_dropped(self, count: int) -> None:
        with self._counting:
            self.dropped += count
            has_warned = self._overflowed
            self._overflowed = True
        if not has_warned:
            logger.warning(
                "More than %d records are queued for the ledger %r; the oldest are dropped and counted in `dropped`.",
                WAITING,
                self.store,
            )

    def _start(self, owner: object) -> None:
        if self._starting.locked():  # another thread is starting it
            return
        with self._starting:
            if not self._running:
                thread = threading.Thread(
                    target=self._run, args=(weakref.ref(owner),), name="multiroute-ledger", daemon=True
                )
                try:
                    with contextlib.suppress(RuntimeError):  # the interpreter shuts down; the exit handler writes
                        start(thread)
                finally:
                    self._running = is_started(thread)
                _finish_in_pool_worker()

    def _run(self, owner: weakref.ref[object]) -> None:
        """Writes once a second, and when a batch is full."""
        while owner() is not None:
            with contextlib.suppress(queue.Empty):
                self._full.get(timeout=BEAT_SECONDS)
            self.flush()
        self.flush(PATIENCE)

    def finish(self) -> None:
        """Writes the queue at exit."""
        self.flush(PATIENCE)
        if (lost := len(self._waiting) + len(self._events)) and not self._reported_loss:
            self._reported_loss = True
            logger.warning(
                "The program ended before %d records of the ledger %r were written; they are lost.", lost, self.store
            )

    def forked(self) -> None:
        """Resets the writer in a forked child.

        The parent writes its own queue; its thread and locks do not survive the fork.
        """
        self._reset()
        self.store.forked()


_writers: weakref.WeakSet[LedgerWriter] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for writer in list(_writers):
        writer.finish()


def _finish_in_pool_worker() -> None:
    """Processes forked by `multiprocessing` do not run `atexit` handlers."""
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=0)


def _in_child() -> None:
    for writer in list(_writers):
        writer.forked()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
