"""Starts threads such that an interrupt of the start leaves nothing behind.

`Thread.start` lists the thread, creates the system's thread, and waits until that one runs. Interrupted before the
second step, the thread stays listed forever, and with it what its function holds: the slot in flight of a call that
never ran. Interrupted in the third, a lock may stay locked for which the new thread waits.
"""

from __future__ import annotations

import contextvars
import dis
import sys
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any

LOCK_SECONDS = 0.2
"""A lock that is normally held for microseconds and is still locked after this many seconds was abandoned."""

_SYSTEM_STARTS = frozenset({"_start_new_thread", "_start_joinable_thread"})
"""What `Thread.start` calls to create the system's thread: the first until Python 3.12, the second from 3.13."""


def start_thread(work: Callable[[], Any]) -> None:
    """Run `work` in a daemon thread, in the caller's context.

    Not in a thread pool: pool threads are joined at exit, so one abandoned call would block the interpreter's exit.
    """
    start(threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True))


def start(thread: threading.Thread) -> None:
    """Start a thread; if this is interrupted, the thread either runs all the same or never exists (`is_started`)."""
    handled = sys.exc_info()[1]
    try:
        thread.start()
    except BaseException as error:
        if (interrupt := _interrupt_behind(error, handled)) is None:
            raise
        if _has_system_thread(thread, error):
            _unlock(thread)
        else:
            getattr(threading, "_limbo", {}).pop(thread, None)
        if error is interrupt:
            raise
        raise interrupt from None


def is_started(thread: threading.Thread) -> bool:
    """Whether a thread runs, will run or ran, also if `start` was interrupted."""
    return thread.ident is not None or thread in threading.enumerate()


def _interrupt_behind(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """Return the interrupt that ended `Thread.start`; None if it ended by an error of its own.

    Interrupted while its event's lock is released, it raises "release unlocked lock" in place of the interrupt.

    Args:
        error: What `Thread.start` raised.
        handled: What the caller was handling before; the contexts of `error` end with it.
    """
    context: BaseException | None = error
    while context is not None and context is not handled:
        if not isinstance(context, Exception):
            return context
        context = context.__context__
    return None


def _has_system_thread(thread: threading.Thread, error: BaseException) -> bool:
    """Whether `Thread.start`, which this error left, had created the system's thread.

    The thread itself says so only when it runs, which may be later. So the place in `Thread.start` decides.
    """
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name == "start" and not _SYSTEM_STARTS.isdisjoint(code.co_names):
            return trace.tb_lasti >= _system_start(code)
        trace = trace.tb_next
    return thread.ident is not None


def _system_start(code: CodeType) -> int:
    """Return the position of the call that creates the system's thread."""
    is_loaded = False
    for instruction in dis.get_instructions(code):
        if is_loaded and instruction.opname.startswith("CALL"):
            return instruction.offset
        is_loaded = is_loaded or instruction.argval in _SYSTEM_STARTS
    return sys.maxsize


def _unlock(thread: threading.Thread) -> None:
    """Release the lock of the event for which `Thread.start` waits: it is taken in Python code."""
    condition = getattr(getattr(thread, "_started", None), "_cond", None)
    lock = getattr(condition, "_lock", None)
    if lock is not None:
        lock.acquire(timeout=LOCK_SECONDS)  # the thread may hold it for a moment
        lock.release()
