"""Outbox: the queue and the thread that send items off the request path, with retries and backoff.

`put` never blocks or raises. If the receiver is down, items are queued and sent later, in order; dropped items are
counted and logged once.

Exporters derive from `Outbox`. The queue and its thread are an object of their own, `DeliveryQueue`, which does not
reference the outbox: so the garbage collector can collect an outbox whose thread is still sending, and the queue ends
once everything is sent.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import random as randomness
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from multiroute_core.runtime.thread_start import is_started, start

PATIENCE = 3.0
"""Shutdown timeout in seconds: of all outboxes together at exit, and of one outbox whose owner is gone."""

BASE_SECONDS = 0.5
CAP_SECONDS = 60.0
"""The first and the longest retry delay; each is twice the previous one, minus jitter of up to a half."""

QUIET = 60.0
"""Seconds before a warning of the same kind is logged again; it must also have cleared in between."""

T = TypeVar("T")

logger = logging.getLogger("multiroute_core")


@dataclass(frozen=True, slots=True)
class DeliveryResult(Generic[T]):
    """The result of sending a batch. By default, the whole batch was accepted.

    Attributes:
        unsent: Items to send again, in order.
        rejected: Number of items that will never be accepted.
        reason: The reason for either, without secrets, for logs.
        seconds: Minimum delay in seconds before the next attempt; None for the queue's own backoff.
    """

    unsent: Sequence[T] = ()
    rejected: int = 0
    reason: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, randomness and sleep, replaceable in tests.

    Attributes:
        clock: A monotonic clock, in seconds.
        random: Returns random numbers from 0 to 1.
        sleep: Waits on a condition, which may end the wait early, for a number of seconds.
    """

    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = randomness.random
    sleep: Callable[[threading.Condition, float], object] = threading.Condition.wait


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
        self._queue: DeliveryQueue[T] = DeliveryQueue(deliver, what, batch, max_pending, timing or Timing())
        _queues.add(self._queue)
        weakref.finalize(self, self._queue.stop, PATIENCE).atexit = False

    def put(self, items: Iterable[T]) -> None:
        """Queues items. Never blocks or raises, except for a short wait at the very end of the program."""
        queue = self._queue
        _register_in_pool_process()
        queue.put(list(items))
        if _ended and not queue.flush(0.0 if queue.tries else PATIENCE):
            _drop_unsent(queue)

    @property
    def dropped(self) -> int:
        """Number of dropped items: rejected, over the limit, or unsent at shutdown."""
        return self._queue.dropped

    @property
    def pending(self) -> int:
        """Number of items not sent yet."""
        queue = self._queue
        with queue.lock:
            return len(queue.pending) + len(queue.sending)

    def _drop(self, count: int, why: str) -> None:
        """Counts, and logs once, items that cannot be queued."""
        with self._queue.lock:
            self._queue.drop(count, "refused", why)
        self._queue.write_log()

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends queued items and waits; returns whether all were sent.

        Args:
            timeout: Maximum wait in seconds. A retry delay requested by the receiver is still respected.
        """
        return self._queue.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Sends queued items and stops the thread. Items queued afterwards are dropped and counted.

        Args:
            timeout: Maximum wait in seconds; items not sent by then are dropped too.
        """
        self._queue.flush(timeout)
        self._queue.stop(0.0)
        self._queue.write_log()


class DeliveryQueue(Generic[T]):
    """The queue and the thread of an `Outbox`, which it outlives until everything is sent.

    `drop_pending`, `drop`, `warn`, `trim`, `start`, `pop_batch`, `postpone` and `mark_available` require the lock
    `changed` to be held.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[T]], DeliveryResult[T]],
        what: str,
        batch: int,
        max_pending: int,
        timing: Timing,
    ) -> None:
        self.deliver = deliver
        self.name = what
        self.batch = batch
        self.max_pending = max_pending
        self.timing = timing
        self.closed = False
        self.reset()

    def reset(self) -> None:
        """Resets the queue, also in a forked child: the parent sends its own items."""
        # An RLock, because a finalizer may run in the thread that holds it. Code acquires it directly instead of
        # through the condition, whose `__enter__` is Python code: an interrupt there would leave it locked.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.pending: deque[T] = deque()
        self.sending: Sequence[T] = ()
        self.running = False
        self.tries = 0
        self.not_before = 0.0
        self.retry_after_time = 0.0
        self.stop_time = float("inf")
        self.dropped = 0
        self.last_warnings: dict[str, tuple[float, bool]] = {}
        self.lines: deque[tuple[int, str]] = deque()

    def put(self, items: Sequence[T]) -> None:
        with self.lock:
            if self.closed:
                self.drop(len(items), "closed", "it is closed")
            else:
                self.pending.extend(items)
                self.trim()
                self.start()
                self.changed.notify_all()
        self.write_log()

    def trim(self) -> None:
        over = min(len(self.pending), len(self.pending) + len(self.sending) - self.max_pending)
        for _ in range(over):
            self.pending.popleft()
        self.drop(over, "overflow", f"more than {self.max_pending} are queued")

    def start(self) -> None:
        if not self.running and self.pending:
            thread = threading.Thread(target=self.run, name="multiroute-outbox", daemon=True)
            try:
                with contextlib.suppress(RuntimeError):  # the interpreter shuts down, or there are too many threads
                    start(thread)
            finally:
                self.running = is_started(thread)

    def run(self) -> None:
        try:
            while batch := self.wait_for_batch():
                self.send(batch)
        except BaseException as error:
            with self.lock:
                self.drop(len(self.sending), "refused", f"sending ended with {type(error).__name__}")
                self.running = False
                self.sending = ()
                self.changed.notify_all()
            raise

    def wait_for_batch(self) -> Sequence[T]:
        """Returns the next batch when it is due; empty if the thread may end."""
        with self.lock:
            while True:
                now = self.timing.clock()
                pause = max(self.not_before, self.retry_after_time) - now
                if now + max(0.0, pause) > self.stop_time:
                    self.drop_pending("it was closed before they were sent")
                if not self.pending and self.closed:
                    self.running = False
                    self.changed.notify_all()
                    break
                if not self.pending:
                    self.changed.wait()
                elif pause > 0:
                    self.timing.sleep(self.changed, pause)
                else:
                    return self.pop_batch()
        self.write_log()
        return ()

    def pop_batch(self) -> Sequence[T]:
        self.sending = [self.pending.popleft() for _ in range(min(self.batch, len(self.pending)))]
        return self.sending

    def send(self, batch: Sequence[T]) -> None:
        delivery: DeliveryResult[T]
        try:
            delivery = self.deliver(batch)
        except Exception as error:  # a bug, which would recur: it must not block the queue
            delivery = DeliveryResult(rejected=len(batch), reason=f"sending failed with {type(error).__name__}")
        with self.lock:
            self.sending = ()
            self.drop(delivery.rejected, "refused", delivery.reason)
            if delivery.unsent:
                self.postpone(delivery)
            else:
                self.mark_available(rejections=delivery.rejected)
            self.changed.notify_all()
        self.write_log()

    def postpone(self, delivery: DeliveryResult[T]) -> None:
        self.pending.extendleft(reversed(delivery.unsent))
        self.trim()
        self.tries += 1
        now = self.timing.clock()
        longest = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(self.tries - 1, 32))
        self.not_before = now + longest * (0.5 + 0.5 * self.timing.random())
        self.retry_after_time = 0.0 if delivery.seconds is None else now + delivery.seconds
        self.warn("down", f"{self.name} is unavailable; items are queued: {delivery.reason}.")

    def mark_available(self, *, rejections: int) -> None:
        self.tries = 0
        self.not_before = 0.0
        self.retry_after_time = 0.0
        if self.last_warnings.get("down", (0.0, False))[1]:
            self.lines.append((logging.INFO, f"{self.name} is available again."))
        for kind, (last_time, _) in list(self.last_warnings.items()):
            if kind != "refused" or not rejections:
                self.last_warnings[kind] = last_time, False

    def drop_pending(self, why: str, sending_count: int = 0) -> None:
        """Drops all pending items."""
        count = len(self.pending) + sending_count
        self.pending.clear()
        self.drop(count, "lost", why)

    def drop(self, count: int, kind: str, why: str) -> None:
        if count > 0:
            self.dropped += count
            self.warn(kind, f"{self.name}: {count} dropped ({self.dropped} in total): {why}.")

    def warn(self, kind: str, line: str) -> None:
        """Queues a log line for `write_log`, which logs outside the lock, because log handlers have locks too."""
        now = self.timing.clock()
        last_time, persists = self.last_warnings.get(kind, (now - QUIET, False))
        if not persists and now - last_time >= QUIET:
            self.last_warnings[kind] = now, True
            self.lines.append((logging.WARNING, line))

    def write_log(self) -> None:
        while True:
            try:
                level, line = self.lines.popleft()
            except IndexError:  # another thread was faster
                return
            logger.log(level, "%s", line)

    def retry_now(self) -> None:
        with self.lock:
            self.tries = 0
            self.not_before = 0.0
            self.start()
            self.changed.notify_all()

    def flush(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        self.retry_now()
        while True:
            with self.lock:
                done = not (self.pending or self.sending)
                left = until - time.monotonic()
                if done or left <= 0:
                    return done
                if self.running:
                    self.changed.wait(left)
                    continue
                if self.sending or self.timing.clock() < max(self.not_before, self.retry_after_time):
                    return False
                batch = self.pop_batch()  # no thread can be started any more
            self.send(batch)

    def stop(self, seconds: float) -> None:
        """Stops the thread within `seconds`."""
        with self.lock:
            self.closed, self.stop_time = True, min(self.stop_time, self.timing.clock() + seconds)
            self.tries = 0
            self.not_before = 0.0
            if not self.running or seconds <= 0:
                self.drop_pending("it was closed before they were sent")
            self.changed.notify_all()


_queues: weakref.WeakSet[DeliveryQueue[Any]] = weakref.WeakSet()
_ended = False
_registered_processes: set[int] = set()  # processes with a registered exit handler


@atexit.register
def _at_exit() -> None:
    global _ended  # noqa: PLW0603
    # A ledger flushed after this queues items that have no other chance to be sent.
    _ended = True
    until = time.monotonic() + PATIENCE
    queues = list(_queues)
    for queue in queues:
        queue.retry_now()
    for queue in queues:
        if not queue.flush(until - time.monotonic()):
            _drop_unsent(queue)


def _drop_unsent(queue: DeliveryQueue[Any]) -> None:
    with queue.lock:
        queue.drop_pending("the program ended first", sending_count=len(queue.sending))
    queue.write_log()


def _register_in_pool_process() -> None:
    """Processes forked by `multiprocessing` do not run `atexit` handlers."""
    if (here := os.getpid()) in _registered_processes:
        return
    _registered_processes.add(here)
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=-1)  # after the ledger's, which has 0


def _in_child() -> None:
    for queue in list(_queues):
        queue.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
