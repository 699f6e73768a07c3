"""Runs coroutines that never suspend, without an event loop.

How this works:

* In sync code the async implementation awaits only `SyncIO`, which blocks instead of suspending. So one `send(None)`
  runs a coroutine to its end, and `StopIteration` carries its result (`run`).
* `iterate` does the same for an async generator: one `send` per item, all of them in the same context.
* No loop is started, so sync calls work inside Jupyter, LangGraph and any other running loop, and context variables
  stay the caller's.
* A running loop's hooks for async generators are suspended during each step.
* A coroutine that suspends all the same is a bug; `Suspended` is thrown into it to name the await.
* After an interrupt the coroutine is closed and `clean_up` releases what the call held.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.runtime.deadline import Cancelled
from multiroute_core.runtime.interrupts import clean_up
from multiroute_core.runtime.io import END, End
from multiroute_core.runtime.readers import ABANDONED, Reader, worker_locals

T = TypeVar("T")


class Suspended(BaseException):
    """Code without an event loop awaited something that needs one: a bug, which must not cause a fallback."""


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    """Return what `call` returned or raised, for transfer to another thread."""
    try:
        return call(*args, **kwargs), None
    except BaseException as error:
        return None, error


def unwrap(completion: tuple[T, BaseException | None]) -> T:
    """Return the value of an `outcome`, or raise its error."""
    value, error = completion
    if error is not None:
        raise error
    return value


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return its result.

    A running loop registers every async generator that starts as its own, and cuts it off silently when the loop ends.
    So its hooks are suspended.
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
    """Do what `run(anext(flow, END))` does, without the extra coroutine: it runs once per chunk."""
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
    # Thrown in, not only raised, so that the traceback names the await at fault.
    coroutine.throw(Suspended("A sync call awaited something that needs an event loop; see the await above."))
    return Suspended("A sync call awaited something that needs an event loop.")
