"""I/O on a running event loop: cancellation, timeouts and tracebacks are Python's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
import types
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.runtime import tasks
from multiroute_core.runtime.deadline import Deadline, Expired, current
from multiroute_core.runtime.io import END
from multiroute_core.runtime.run_sync import outcome
from multiroute_core.runtime.tasks import TaskRunner
from multiroute_core.runtime.thread_start import start_thread


class AsyncIO:
    """Awaits on the running loop."""

    native = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    async def wait(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        timer = asyncio.timeout(limit.remaining())
        token = current.set(limit)
        # The loop's time is read last: read first, it makes the timer fire before the limit.
        limit.moved = lambda until: timer.reschedule(until - limit.clock() + loop.time())
        try:
            async with timer:
                return await call(*args, **kwargs)
        except TimeoutError as error:
            if timer.expired():
                raise Expired(limit.phase) from error
            raise
        finally:
            limit.moved = None
            current.reset(token)

    async def next(self, limit: Deadline, source: Any, /) -> Any:
        steps: Any = anext(source, END).__await__()
        try:
            waiting = steps.send(None)
        except StopIteration as stop:  # it was available at once, as most chunks are: no timer needed
            return stop.value
        timer = asyncio.timeout(limit.remaining())
        try:
            async with timer:
                return await _go_on(steps, waiting)
        except TimeoutError as error:
            if timer.expired():
                raise Expired(limit.phase) from error
            raise

    async def thread(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await self.await_callback(
            limit, lambda tell: start_thread(lambda: tell(*outcome(call, *args, **kwargs)))
        )

    async def await_callback(
        self, limit: Deadline, begin: Callable[[Callable[[Any, BaseException | None], None]], None]
    ) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def finish(value: Any, error: BaseException | None) -> None:
            if not done.done():
                done.set_exception(error) if error is not None else done.set_result(value)

        def tell(value: Any, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its waiters with it
                loop.call_soon_threadsafe(finish, value, error)

        begin(tell)
        try:
            return await self.wait(limit, lambda: done)
        except Exception as error:
            if isinstance(error, Expired) or limit.remaining() > 0:
                raise
            raise Expired(limit.phase) from error  # the thread noticed the end first, by a timeout of its own

    async def close(self, source: Any, /) -> None:
        closer = getattr(source, "aclose", None) or source.close
        await closer()

    def start(self, generator: AsyncGenerator[Any, None], limit: Deadline) -> TaskRunner:
        return TaskRunner(generator)

    async def first(self, runners: Sequence[TaskRunner], seconds: float | None) -> TaskRunner | None:
        return await tasks.first(runners, seconds)


@types.coroutine
def _go_on(steps: Any, waiting: Any) -> Generator[Any, Any, Any]:
    """Await the rest of `steps`, whose first step was already sent and waits for `waiting`."""
    try:
        while True:
            try:
                reply = yield waiting
            except BaseException as error:
                waiting = steps.throw(error)
            else:
                waiting = steps.send(reply)
    except StopIteration as stop:
        return stop.value
