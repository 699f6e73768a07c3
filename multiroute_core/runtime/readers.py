"""Abandoned streams: cancels a sync stream when the AnyIO task that reads it in a worker thread is cancelled.

Web servers on AnyIO (Starlette, FastAPI, Litestar) read a sync generator in worker threads for a task of their event
loop. When the client disconnects they cancel that task, but neither close nor release the generator: AnyIO keeps the
cancelled task's exception, and with it the frames that hold the generator, in a reference cycle that only the garbage
collector breaks (anyio 4.16.0, `TaskGroup`'s `task_done`; read 2026-11-29). Until then the call would go on, hold its
slot in flight and its budget reservation, and the provider would go on sending.

So each step records the task that it runs for; if that is cancelled and no further step follows, the call is closed.
AnyIO exposes a task's cancel scope to its worker thread under a private name. Without it, streams are closed when their
last reference is dropped, as all others are.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import Any

from multiroute_core.runtime.deadline import current

BEAT_SECONDS = 0.02
"""The interval between checks of the reading tasks, in seconds. A stream is cancelled after one idle interval."""

ABANDONED = "The task that read this stream was cancelled, which ended the call."


class Reader:
    """The reader of a stream.

    Args:
        context: The context of every step of the stream.
        close: Closes the stream, between two steps.

    Attributes:
        scope: The cancel scope of the reading task; None outside of AnyIO, and after the end.
        called_off: Whether the call was cancelled.
    """

    __slots__ = ("__weakref__", "called_off", "close", "context", "scope", "steps", "suspected")

    def __init__(self, context: Context, close: Callable[[], object]) -> None:
        self.context = context
        self.close = close
        self.scope: Any = None
        self.called_off = False
        self.steps = 0
        self.suspected = -1

    def read_in(self, scope: Any) -> None:
        """Record that the next step runs for the task of `scope`; None outside of AnyIO's threads."""
        self.scope = scope
        self.steps += 1
        if (task := getattr(scope, "_host_task", None)) is not None:
            loop = task.get_loop()
            loop.call_soon_threadsafe(_watch, loop, self)

    def is_abandoned(self) -> bool:
        """Whether the task is cancelled, was so at the last check, and no step has run since."""
        if not _is_cancelled(self.scope):
            return False
        before = self.suspected
        self.suspected = self.steps
        return before == self.steps

    def call_off(self) -> None:
        """Cancel the call, from any thread. A thread that is reading is woken and ends it."""
        self.called_off = True
        if (limit := self.context.get(current)) is not None:
            limit.cancel()
        try:
            self.context.run(self.close)
        except RuntimeError:  # a thread is in this context: it is reading, and will see the cancellation
            return


def call_off_within(loop: Any, scope: Any) -> None:
    """Cancel the calls that are read within a cancel scope at once, in threads; runs in the loop's thread.

    Call it when the result is not read any further: a loop that is about to end does not look again, and the process
    would wait for the thread that reads.
    """
    readers = _watched.get(loop, weakref.WeakSet[Reader]())
    for reader in list(readers):
        if _is_within(reader.scope, scope):
            readers.discard(reader)
            threading.Thread(target=reader.call_off, daemon=True).start()


def _is_within(inner: Any, scope: Any) -> bool:
    while inner is not None and inner is not scope:
        inner = getattr(inner, "_parent_scope", None)
    return inner is not None


def worker_locals() -> Any:
    """Return the thread locals of AnyIO's worker threads; None if AnyIO is not loaded."""
    return getattr(sys.modules.get("anyio._core._eventloop"), "threadlocals", None)


def _is_cancelled(scope: Any) -> bool:
    inner = scope
    while inner is not None:
        if getattr(inner, "cancel_called", False):
            return True
        if getattr(inner, "shield", False):
            break
        inner = getattr(inner, "_parent_scope", None)
    task = getattr(scope, "_host_task", None)
    return task is not None and task.done() and (task.cancelled() or task.exception() is not None)


_watched: weakref.WeakKeyDictionary[Any, weakref.WeakSet[Reader]] = weakref.WeakKeyDictionary()


def _watch(loop: Any, reader: Reader) -> None:
    """Start to check a reader; runs in the loop's thread."""
    readers = _watched.setdefault(loop, weakref.WeakSet())
    if not readers:
        loop.call_later(BEAT_SECONDS, _look, loop)
    readers.add(reader)


def _look(loop: Any) -> None:
    readers = _watched.get(loop, weakref.WeakSet[Reader]())
    for reader in list(readers):
        if reader.scope is None:
            readers.discard(reader)
        elif reader.is_abandoned():
            readers.discard(reader)
            # It may wait for a cache or a lock, which an event loop must not.
            threading.Thread(target=reader.call_off, daemon=True).start()
    if readers:
        loop.call_later(BEAT_SECONDS, _look, loop)
