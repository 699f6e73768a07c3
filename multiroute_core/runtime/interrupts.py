"""Cleanup after an interrupt: what a sync call held is free when the interrupt leaves it.

An interrupt (Ctrl-C, a timer's signal whose handler raises, an exception that another thread sends) may come between
any two steps of a call, also where no `finally` knows yet of what the step before it took. So what a call takes hangs
on objects that only the frames of the call hold: places in flight, reservations, leadership among equal requests. Here
those frames are cleared, since a traceback that somebody keeps, as IPython does, would keep them. Then connections are
closed whose call is gone.

In CPython signals are handled, and asynchronous exceptions raised, only after calls, at the beginning of functions
and at backward jumps (`eval_breaker` in Python/ceval.c). So a few plain assignments in a row happen all or not at all,
and `with lock:` on a lock of `threading` never leaves it locked, which `acquire` before a `try` may.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable

from multiroute_core.runtime.deadline import current

LOOK_SECONDS = 0.001
"""The pause between two looks at a lock that another thread holds."""

sweepers: list[Callable[[], object]] = []
"""Called after an interrupt: each closes what nobody has any more."""


def wait_until_free(lock: threading.Lock, seconds: float) -> bool:
    """Wait for a lock to be free, before `with lock:`; whether it is.

    Not `acquire` with a timeout: an interrupt between it and its `try` would leave the lock locked for ever.

    Args:
        lock: A lock that is held for a short time only.
        seconds: How long to wait; 0 looks once.
    """
    until = time.monotonic() + seconds
    while lock.locked():
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def clean_up(error: BaseException) -> None:
    """Free what a call held that `error` has ended; to be called in the frame that the call began in."""
    if (trace := error.__traceback__) is not None:
        traceback.clear_frames(trace.tb_next)
    while (context := error.__context__) is not None and type(context).__module__.startswith("multiroute_core"):
        error = context  # of a try that had failed just before
        traceback.clear_frames(error.__traceback__)
    current.set(None)  # as it is outside of every step that waits
    for sweep in sweepers:
        with contextlib.suppress(Exception):
            sweep()
