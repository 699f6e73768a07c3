"""Threaded iterator: applies a timeout to a stream that supports none."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.runtime import forks
from multiroute_core.runtime.deadline import current
from multiroute_core.runtime.io import END
from multiroute_core.runtime.thread_start import start_thread


class ThreadedIterator:
    """A foreign iterator, read in a thread of its own.

    Waiting for its next item obeys the current deadline. It is read ahead without a bound: a thread that waited for its
    reader would wait forever if the reader is gone.

    Args:
        begin: Opens the stream; called in that thread.
    """

    def __init__(self, begin: Callable[[], Iterator[Any]]) -> None:
        self._begin = begin
        self._items: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._closed = False
        self._generation = forks.generation()
        start_thread(self._read)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._generation != forks.generation():
            raise ConnectionError("The stream belongs to the parent process; open it after the fork.")
        limit = current.get()
        if limit is not None:
            limit.interrupt = lambda: self._items.put((None, TimeoutError("Cancelled.")))
        allowed = threading.TIMEOUT_MAX if limit is None else limit.remaining()
        try:
            item, error = self._items.get(timeout=min(max(allowed, 0.0), threading.TIMEOUT_MAX))
        except queue.Empty:
            raise TimeoutError("No chunk arrived in time.") from None
        finally:
            if limit is not None:
                limit.interrupt = None
        if error is not None:
            raise error
        if item is END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Make the thread close the stream when its current read returns."""
        self._closed = True

    def _read(self) -> None:
        source: Iterator[Any] | None = None
        try:
            source = self._begin()
            for item in source:
                if self._closed:
                    break
                self._items.put((item, None))
            self._items.put((END, None))
        except BaseException as error:
            self._items.put((None, error))
        finally:
            if (closer := getattr(source, "close", None)) is not None:
                closer()
