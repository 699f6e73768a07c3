"""Generators in threads of their own, in sync code."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from multiroute_core.drive.io import END
from multiroute_core.drive.limit import Cancelled, Limit
from multiroute_core.drive.loopless import given, iterate, start_thread

PARTING_SECONDS = 1.0
"""How long a call that was called off is waited for. A socket wakes at once; a program of somebody else's may not."""


class ThreadRunner:
    """A generator that never suspends, in a thread of its own."""

    def __init__(self, generator: AsyncGenerator[Any, None], limit: Limit) -> None:
        self._items: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._room = threading.Semaphore(1)
        self._limit, self._over, self._closed = limit, False, False
        self._ended = threading.Event()
        self._bells: list[queue.SimpleQueue[None]] = []
        self.begun = False
        start_thread(lambda: self._work(generator))

    async def next(self) -> Any:
        if self._over:
            return END
        found = self._items.get()
        self._room.release()
        self._over = found[0] is END
        return given(found)

    async def close(self) -> None:
        self._closed = True
        if not self._ended.is_set():
            self._limit.cancel()
        self._room.release()
        self._ended.wait(PARTING_SECONDS)

    def tell(self, bell: queue.SimpleQueue[None]) -> None:
        """Ring `bell` when there is something, at once if there is."""
        self._bells.append(bell)
        if self.begun:
            bell.put(None)

    def _work(self, generator: AsyncGenerator[Any, None]) -> None:
        failure: BaseException | None = None
        steps = iterate(generator, contextvars.copy_context())
        try:
            for item in steps:
                self._room.acquire()
                if self._closed:
                    break
                self._put(item, None)
        except Cancelled:
            pass
        except BaseException as error:  # the reader's to see
            failure = error
        finally:
            try:
                steps.close()
            finally:
                self._ended.set()
        if not self._closed:
            self._room.acquire()
        self._put(END, failure)

    def _put(self, item: Any, error: BaseException | None) -> None:
        self._items.put((item, error))
        self.begun = True
        for bell in self._bells:
            bell.put(None)


async def first(runners: Sequence[ThreadRunner], seconds: float | None) -> ThreadRunner | None:
    """The first runner that has something, or None when the time is over."""
    bell: queue.SimpleQueue[None] = queue.SimpleQueue()
    for runner in runners:
        runner.tell(bell)
    try:
        bell.get(timeout=seconds)
    except queue.Empty:
        return None
    return next((runner for runner in runners if runner.begun), None)
