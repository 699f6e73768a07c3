"""What is sent elsewhere, off the way of a request: it waits in a queue, and one thread sends it.

Where the other end is down, things wait and are sent later, in order. Nobody who puts something in ever waits, and
nothing is raised there; what had to be given up is counted, and told once.
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
"""Seconds that all outboxes together have at the end of the program, and one has whose owner is gone."""

T = TypeVar("T")


class Outbox(Generic[T]):
    """Sends things off the way of a request, in order, each as often as it takes.

    One daemon thread is started at the first thing that is put in. It ends, after a last try, when the outbox is
    closed or nobody has it any more. At the end of the program what waits is sent, for `PATIENCE` seconds at most. The
    child of a fork begins with an empty outbox and a thread of its own.

    Args:
        deliver: Sends a batch and says what became of it; called in the outbox's thread, never twice at once. What it
            raises counts as a refusal of the whole batch. It must not hold the outbox or its owner.
        what: Its name in logs, without secrets.
        batch: How many things are sent at once, at most.
        max_waiting: How many may wait; of more, the oldest are given up, and counted.
        timing: The clock, for tests.

    Example:
        >>> sent = []
        >>> outbox = Outbox(lambda batch: sent.extend(batch) or Delivery(), "the list", batch=10)
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
        max_waiting: int = 10_000,
        timing: Timing | None = None,
    ) -> None:
        self._line: DeliveryQueue[T] = DeliveryQueue(deliver, what, batch, max_waiting, timing or Timing())
        _lines.add(self._line)
        weakref.finalize(self, self._line.leave, PATIENCE).atexit = False

    def put(self, items: Iterable[T]) -> None:
        """Let things be sent. It neither waits nor raises; only at the very end of the program it waits a little."""
        line = self._line
        _part_from_a_pool()
        line.put(list(items))
        if _ended and not line.flush(0.0 if line.tries else PATIENCE):
            _lost(line)

    @property
    def dropped(self) -> int:
        """How many things were given up: refused, or too many, or there was no time left to send them."""
        return self._line.dropped

    @property
    def waiting(self) -> int:
        """How many things are not sent yet."""
        line = self._line
        with line.lock:
            return len(line.pending) + len(line.sending)

    def drop(self, count: int, why: str) -> None:
        """Count, and tell once, what cannot even be put in."""
        with self._line.lock:
            self._line.drop(count, "refused", why)
        self._line.say()

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits now, and wait for that; whether all of it is sent.

        Args:
            timeout: Seconds to wait at most. What the other end said of when to come back is kept even so.
        """
        return self._line.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, and end the thread. What is put in afterwards is given up, and counted.

        Args:
            timeout: Seconds to wait at most; what is not sent by then is given up too.
        """
        self._line.flush(timeout)
        self._line.leave(0.0)
        self._line.say()


_lines: weakref.WeakSet[DeliveryQueue[Any]] = weakref.WeakSet()
_ended = False
_parting: set[int] = set()  # the processes that know how to end


@atexit.register
def _at_exit() -> None:
    global _ended  # noqa: PLW0603
    # A ledger that is flushed after this puts in what has no other chance.
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
    """A process that `multiprocessing` has forked ends without what `atexit` knows."""
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
