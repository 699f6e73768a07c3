"""Thread runners: generators in threads of their own, in sync code; not a thread pool, which would join them at exit.

The threads communicate only through queues implemented in C: the locks of `threading`'s semaphores, conditions and
events are taken in Python code, where an interrupt may leave them locked.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import weakref
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from multiroute_core.runtime.deadline import Cancelled, Deadline
from multiroute_core.runtime.io import END
from multiroute_core.runtime.run_sync import iterate, unwrap
from multiroute_core.runtime.thread_start import start_thread

PARTING_SECONDS = 1.0
"""How long to wait for a cancelled call, in seconds. A socket wakes at once; foreign code may not."""


class ThreadRunner:
    """A generator that never suspends, in a thread of its own. Dropping the last reference to the runner cancels it."""

    def __init__(self, generator: AsyncGenerator[Any, None], limit: Deadline) -> None:
        self._work = work = _Work(limit)
        work.runner = weakref.ref(self, work.call_off)
        self._over = False
        start_thread(partial(work.run, generator))

    @property
    def is_ready(self) -> bool:
        """Whether a result is available."""
        return self._work.begun

    async def next(self) -> Any:
        if self._over:
            return END
        outcome = self._work.items.get()
        self._work.room.put(None)
        self._over = outcome[0] is END
        return unwrap(outcome)

    async def close(self) -> None:
        work = self._work
        work.call_off()
        with contextlib.suppress(queue.Empty):
            work.ended.get(timeout=PARTING_SECONDS)
            work.ended.put(None)  # `close` may be called twice

    def tell(self, bell: queue.SimpleQueue[None]) -> None:
        """Put an item into `bell` when a result is available."""
        self._work.bells.append(bell)
        if self._work.begun:
            bell.put(None)


class _Work:
    """The thread's part: it does not reference the runner."""

    def __init__(self, limit: Deadline) -> None:
        self.items: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.room.put(None)
        self.ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.bells: list[queue.SimpleQueue[None]] = []
        self.runner: weakref.ref[ThreadRunner] | None = None
        self.begun = self.over = self.closed = False
        self.limit = limit

    def call_off(self, _: object = None) -> None:
        """Cancel the generator: its reader is gone."""
        self.closed = True
        if not self.over:
            self.limit.cancel()
        self.room.put(None)

    def run(self, generator: AsyncGenerator[Any, None]) -> None:
        failure: BaseException | None = None
        steps = iterate(generator, contextvars.copy_context())
        try:
            for item in steps:
                self.room.get()
                if self.closed:
                    break
                self._put(item, None)
        except Cancelled:
            pass
        except BaseException as error:  # passed on to the reader
            failure = error
        finally:
            try:
                steps.close()
            finally:
                self.over = True
                self.runner = None  # breaks the reference cycle through the callback
                self.ended.put(None)
        self._put(END, failure)

    def _put(self, item: Any, error: BaseException | None) -> None:
        self.items.put((item, error))
        self.begun = True
        for bell in self.bells:
            bell.put(None)


async def first(runners: Sequence[ThreadRunner], seconds: float | None) -> ThreadRunner | None:
    """Return the first runner with a result, or None after a timeout."""
    bell: queue.SimpleQueue[None] = queue.SimpleQueue()
    for runner in runners:
        runner.tell(bell)
    try:
        bell.get(timeout=seconds)
    except queue.Empty:
        return None
    return next((runner for runner in runners if runner.is_ready), None)
