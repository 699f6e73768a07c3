"""Outbox: sends items off the request path, from a queue and on one thread.

If the receiver is down, items are queued and sent later, in order. `put` never blocks or raises; dropped items are
counted and logged once.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from multiroute_core.telemetry.delivery import DeliveryQueue, DeliveryResult, Timing

PATIENCE = 3.0
"""Shutdown timeout in seconds: of all outboxes together at exit, and of one outbox whose owner is gone."""

T = TypeVar("T")


class Outbox(Generic[T]):
    """Sends items off the request path, in order, and retries as often as needed.

    The first item starts one daemon thread. It ends, after a last attempt, when the outbox is closed or
    garbage-collected. At exit, queued items are sent for up to `PATIENCE` seconds. A forked child starts with an empty
    outbox and its own thread.

    Args:
        deliver: Sends a batch and returns its result; called in the outbox's thread, never concurrently. An exception
            counts as a rejection of the whole batch. It must not reference the outbox or its owner.
        what: The name in logs, without secrets.
        batch: Maximum number of items per call.
        max_pending: Maximum number of queued items; beyond it, the oldest are dropped and counted.
        timing: The clock, for tests.

    Example:
        >>> sent = []
        >>> outbox = Outbox(lambda batch: sent.extend(batch) or DeliveryResult(), "the list", batch=10)
        >>> outbox.put([1, 2, 3])
        >>> outbox.flush(5.0), sent
        (True, [1, 2, 3])
        >>> outbox.close()
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[T]], DeliveryResult[T]],
        what: str,
        *,
        batch: int = 1,
        max_pending: int = 10_000,
        timing: Timing | None = None,
    ) -> None:
        self._line: DeliveryQueue[T] = DeliveryQueue(deliver, what, batch, max_pending, timing or Timing())
        _lines.add(self._line)
        weakref.finalize(self, self._line.leave, PATIENCE).atexit = False

    def put(self, items: Iterable[T]) -> None:
        """Queues items. Never blocks or raises, except for a short wait at the very end of the program."""
        line = self._line
        _part_from_a_pool()
        line.put(list(items))
        if _ended and not line.flush(0.0 if line.tries else PATIENCE):
            _lost(line)

    @property
    def dropped(self) -> int:
        """Number of dropped items: rejected, over the limit, or unsent at shutdown."""
        return self._line.dropped

    @property
    def pending(self) -> int:
        """Number of items not sent yet."""
        line = self._line
        with line.lock:
            return len(line.pending) + len(line.sending)

    def drop(self, count: int, why: str) -> None:
        """Counts, and logs once, items that cannot be queued."""
        with self._line.lock:
            self._line.drop(count, "refused", why)
        self._line.say()

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends queued items and waits; returns whether all were sent.

        Args:
            timeout: Maximum wait in seconds. A retry delay requested by the receiver is still respected.
        """
        return self._line.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Sends queued items and stops the thread. Items queued afterwards are dropped and counted.

        Args:
            timeout: Maximum wait in seconds; items not sent by then are dropped too.
        """
        self._line.flush(timeout)
        self._line.leave(0.0)
        self._line.say()


_lines: weakref.WeakSet[DeliveryQueue[Any]] = weakref.WeakSet()
_ended = False
_parting: set[int] = set()  # processes with a registered exit handler


@atexit.register
def _at_exit() -> None:
    global _ended  # noqa: PLW0603
    # A ledger flushed after this queues items that have no other chance to be sent.
    _ended = True
    until = time.monotonic() + PATIENCE
    lines = list(_lines)
    for line in lines:
        line.hurry()
    for line in lines:
        if not line.flush(until - time.monotonic()):
            _lost(line)


def _lost(line: DeliveryQueue[Any]) -> None:
    with line.lock:
        line.lose("the program ended first", in_hand=len(line.sending))
    line.say()


def _part_from_a_pool() -> None:
    """Processes forked by `multiprocessing` do not run `atexit` handlers."""
    if (here := os.getpid()) in _parting:
        return
    _parting.add(here)
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=-1)  # after the ledger's, which has 0


def _in_child() -> None:
    for line in list(_lines):
        line.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
