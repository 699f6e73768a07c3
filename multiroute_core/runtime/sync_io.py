"""I/O in sync code: blocks the thread where an event loop would suspend."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.runtime import threads
from multiroute_core.runtime.deadline import Cancelled, Deadline, Expired, current
from multiroute_core.runtime.io import END
from multiroute_core.runtime.run_sync import outcome, unwrap
from multiroute_core.runtime.thread_start import start_thread
from multiroute_core.runtime.threads import ThreadRunner


class SyncIO:
    """Awaits by blocking the thread; no method ever suspends."""

    native = False

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.now = clock
        self._sleep = sleep

    async def sleep(self, seconds: float) -> None:
        self._sleep(max(seconds, 0.0))

    async def wait(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return _within(limit, call, *args, **kwargs)

    async def next(self, limit: Deadline, source: Any, /) -> Any:
        # What `_within` does, without its call: this runs for every chunk of a stream.
        token = current.set(limit)
        try:
            value = next(source, END)
        except Exception as error:
            if (reason := _why_ended(limit)) is not None:
                raise reason from error
            raise
        finally:
            current.reset(token)
        if limit.cancelled:  # a socket that was shut down looks like a clean end
            raise Cancelled
        return value

    async def thread(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await self.await_callback(
            limit, lambda tell: start_thread(lambda: tell(*outcome(call, *args, **kwargs)))
        )

    async def await_callback(
        self, limit: Deadline, begin: Callable[[Callable[[Any, BaseException | None], None]], None]
    ) -> Any:
        box: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        begin(lambda value, error: box.put((value, error)))
        limit.interrupt = lambda: box.put((None, Cancelled()))
        try:
            reply = box.get(timeout=min(max(limit.remaining(), 0.0), threading.TIMEOUT_MAX))
        except queue.Empty:
            raise Expired(limit.phase) from None
        finally:
            limit.interrupt = None
        if isinstance(error := reply[1], Exception) and (reason := _why_ended(limit)) is not None:
            raise reason from error  # the thread noticed the end first, by a timeout of its own
        return unwrap(reply)

    async def close(self, source: Any, /) -> None:
        source.close()

    def start(self, generator: AsyncGenerator[Any, None], limit: Deadline) -> ThreadRunner:
        return ThreadRunner(generator, limit)

    async def first(self, runners: Sequence[ThreadRunner], seconds: float | None) -> ThreadRunner | None:
        return await threads.first(runners, seconds)


def _within(limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = current.set(limit)
    try:
        value = call(*args, **kwargs)
    except Exception as error:
        if (reason := _why_ended(limit)) is not None:
            raise reason from error
        raise
    finally:
        current.reset(token)
    if limit.cancelled:  # a socket that was shut down looks like a clean end
        if (close := getattr(value, "close", None)) is not None:  # a stream without a reader
            with contextlib.suppress(Exception):
                close()
        raise Cancelled
    return value


def _why_ended(limit: Deadline) -> BaseException | None:
    """Return the cancellation or the passed deadline that explains an error; None if the error stands for itself.

    The error itself is not passed: a frame of its traceback would hold it, and so the request with its key.
    """
    if limit.cancelled:
        return Cancelled()
    return Expired(limit.phase) if limit.expired or limit.remaining() <= 0 else None
