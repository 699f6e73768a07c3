"""The flow in sync code, without an event loop.

So sync calls work inside Jupyter, LangGraph and any other running loop, and context variables stay the caller's.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from multiroute_core.drive.io import END, End
from multiroute_core.drive.limit import Expired, Limit, current

T = TypeVar("T")


class Suspended(BaseException):
    """A flow that runs without an event loop awaited something that needs one: a bug, never a fault to route around."""


class BlockingIO:
    """Awaits by blocking the thread; no method ever suspends."""

    native = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))  # noqa: ASYNC251  (blocking is what this IO is for)

    async def wait(self, limit: Limit, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        token = current.set(limit)
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if limit.expired or limit.remaining() <= 0:
                raise Expired(limit.phase) from error
            raise
        finally:
            current.reset(token)

    async def next(self, limit: Limit, source: Any, /) -> Any:
        return await self.wait(limit, next, source, END)

    async def thread(self, limit: Limit, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        box: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        start_thread(lambda: box.put(outcome(call, *args, **kwargs)))
        try:
            value, error = box.get(timeout=min(max(limit.remaining(), 0.0), threading.TIMEOUT_MAX))
        except queue.Empty:
            raise Expired(limit.phase) from None
        if error is not None:
            raise error
        return value

    async def close(self, source: Any, /) -> None:
        source.close()


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    """What `call` returned, or raised: for a thread that hands it to another."""
    try:
        return call(*args, **kwargs), None
    except BaseException as error:
        return None, error


def start_thread(work: Callable[[], Any]) -> None:
    """Run `work` in a daemon thread, in the caller's context.

    Not in a pool: pool threads are joined at exit, so one abandoned call would hold the interpreter up.
    """
    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return what it returns.

    A running loop registers every async generator that starts as its own, and cuts it off silently when the loop ends.
    So its hooks are set aside.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        sys.set_asyncgen_hooks(*hooks)
    # Thrown in, not raised here, so that the traceback names the await that is to blame.
    coroutine.throw(Suspended("A sync call awaited something that needs an event loop; see the await above."))
    raise Suspended("A sync call awaited something that needs an event loop.")


def iterate(flow: AsyncGenerator[T, None], context: contextvars.Context) -> Generator[T, None, None]:
    """Iterate an async generator that never suspends, every step in the same context.

    The steps may come from different threads, one at a time.
    """

    async def step() -> T | End:
        return await anext(flow, END)  # inside `run`: a generator is registered when `anext` is called

    try:
        while not isinstance(item := context.run(run, step()), End):
            yield item
    finally:
        context.run(run, flow.aclose())
