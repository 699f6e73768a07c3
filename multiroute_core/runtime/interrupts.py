"""Cleanup after an interrupt: what a sync call holds is released when the interrupt leaves it.

An interrupt (Ctrl-C, a timer signal whose handler raises, an exception raised from another thread) may occur between
any two steps of a call, also where no `finally` block yet covers what the previous step acquired. So what a call
acquires is referenced only by objects in the frames of the call: slots in flight, reservations, single-flight
leadership. This module clears those frames, because a traceback that is kept, as IPython does, would keep them alive.
Then the connections of the dead call are closed.

In CPython signals are handled, and asynchronous exceptions raised, only after calls, at the beginning of functions and
at backward jumps (`eval_breaker` in Python/ceval.c). So a few plain assignments in a row happen all or not at all, and
`with lock:` on a lock of `threading` never leaves it locked, which `acquire` before a `try` may.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable

from multiroute_core.runtime.deadline import current

LOOK_SECONDS = 0.001
"""The poll interval for a lock that another thread holds, in seconds."""

sweepers: list[Callable[[], object]] = []
"""Called after an interrupt: each closes resources without an owner."""


def wait_until_free(lock: threading.Lock, seconds: float) -> bool:
    """Wait for a lock to be free, before `with lock:`; return whether it is.

    Not `acquire` with a timeout: an interrupt between it and its `try` would leave the lock locked forever.

    Args:
        lock: A lock that is held for a short time only.
        seconds: How long to wait; 0 checks once.
    """
    until = time.monotonic() + seconds
    while lock.locked():
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def clean_up(error: BaseException) -> None:
    """Release what the call held that `error` ended; call it in the frame in which the call began."""
    if (trace := error.__traceback__) is not None:
        traceback.clear_frames(trace.tb_next)
    while (context := error.__context__) is not None and type(context).__module__.startswith("multiroute_core"):
        error = context  # of an attempt that failed just before
        traceback.clear_frames(error.__traceback__)
    current.set(None)  # as outside of every awaited step
    for sweep in sweepers:
        with contextlib.suppress(Exception):
            sweep()
