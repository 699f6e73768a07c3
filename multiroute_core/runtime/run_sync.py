"""Coroutines that never suspend, run without an event loop.

So sync calls work inside Jupyter, LangGraph and any other running loop, and context variables stay the caller's.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from multiroute_core.runtime.deadline import Cancelled
from multiroute_core.runtime.interrupts import clean_up
from multiroute_core.runtime.io import END, End
from multiroute_core.runtime.readers import ABANDONED, Reader, worker_locals

T = TypeVar("T")

LOCK_SECONDS = 0.2
"""After so long a lock that is held for microseconds was left locked."""


class Suspended(BaseException):
    """A flow that runs without an event loop awaited something that needs one: a bug, never a fault to route around."""


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    """What `call` returned, or raised: for a thread that hands it to another."""
    try:
        return call(*args, **kwargs), None
    except BaseException as error:
        return None, error


def unwrap(completion: tuple[T, BaseException | None]) -> T:
    """The value of an `outcome`; its error is raised."""
    value, error = completion
    if error is not None:
        raise error
    return value


def start_thread(work: Callable[[], Any]) -> None:
    """Run `work` in a daemon thread, in the caller's context.

    Not in a pool: pool threads are joined at exit, so one abandoned call would hold the interpreter up.
    """
    start(threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True))


def start(thread: threading.Thread) -> None:
    """Start a thread; where that is interrupted, it begins all the same, and so ends."""
    try:
        thread.start()
    except Exception:
        raise
    except BaseException:
        _unlock(thread)
        raise


def _unlock(thread: threading.Thread) -> None:
    """Free the lock that an interrupt may have left locked in the `start` of a thread.

    `Thread.start` waits for an `Event`, whose lock is taken in Python code: an interrupt there leaves it locked, and
    the new thread would wait for it for ever.
    """
    condition = getattr(getattr(thread, "_started", None), "_cond", None)
    lock = getattr(condition, "_lock", None)
    if lock is not None:
        lock.acquire(timeout=LOCK_SECONDS)  # the thread may have it for a moment
        lock.release()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return what it returns.

    A running loop registers every async generator that starts as its own, and cuts it off silently when the loop ends.
    So its hooks are set aside.
    """
    hooks = sys.get_asyncgen_hooks()
    try:
        sys.set_asyncgen_hooks(None, None)
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    except (Exception, Cancelled):
        raise
    except BaseException as error:  # an interrupt
        coroutine.close()
        clean_up(error)
        raise
    finally:
        sys.set_asyncgen_hooks(*hooks)
    raise _suspended(coroutine)


def iterate(flow: AsyncGenerator[T, None], context: contextvars.Context) -> Generator[T, None, None]:
    """Iterate an async generator that never suspends, every step in the same context.

    The steps may come from different threads, one at a time.
    """
    step: Callable[[], T | End] = lambda: _step(flow)  # noqa: E731
    reader = Reader(context, lambda: run(flow.aclose()))
    worker = worker_locals()
    try:
        while True:
            if (scope := getattr(worker, "current_cancel_scope", None)) is not reader.scope:
                reader.read_in(scope)
            item = context.run(step)
            if isinstance(item, End) or reader.called_off:
                return
            yield item
            if reader.called_off:
                raise RuntimeError(ABANDONED)  # noqa: TRY301  (a generator's way to end)
    except (Exception, GeneratorExit):
        raise
    except Cancelled:
        if not reader.called_off:
            raise
    except BaseException as error:  # an interrupt
        context.run(run, flow.aclose())
        clean_up(error)
        raise
    finally:
        reader.scope = None
        context.run(run, flow.aclose())


def _step(flow: AsyncGenerator[T, None]) -> T | End:
    """What `run(anext(flow, END))` does, without a coroutine around it: this is done for every chunk."""
    hooks = sys.get_asyncgen_hooks()
    step: Any = None
    try:
        sys.set_asyncgen_hooks(None, None)
        step = flow.__anext__()
        step.send(None)
    except StopIteration as stop:
        return stop.value
    except StopAsyncIteration:
        return END
    finally:
        sys.set_asyncgen_hooks(*hooks)
    raise _suspended(step)


def _suspended(coroutine: Any) -> Suspended:
    # Thrown in, not only raised, so that the traceback names the await that is to blame.
    coroutine.throw(Suspended("A sync call awaited something that needs an event loop; see the await above."))
    return Suspended("A sync call awaited something that needs an event loop.")
