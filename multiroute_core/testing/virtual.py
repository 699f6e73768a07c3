"""Virtual time: an event loop and a clock that jump to the next scheduled event.

Hours of outages pass in a second, and two runs with the same seed are identical, chunk by chunk. All waiting must
happen on the loop: threads and sockets use real time, which does not pass on this loop. What is sent to the loop's
executor runs at once, so chains with sync steps work.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from multiroute_core.router import Router

T = TypeVar("T")

DIGITS = 9
"""Times are rounded to nanoseconds, so that 0.1 + 0.2 is 0.3 and simultaneous events stay simultaneous."""


class Deadlock(RuntimeError):
    """All tasks are waiting, and no scheduled event could wake one."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to its next timer instead of waiting for it.

    Args:
        start: The initial time, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        super().__init__(_Jumping(self))
        self._measure()

    def time(self) -> float:
        """Returns the current time, in seconds."""
        return self._now

    def pass_time(self, seconds: float | None) -> None:
        """Advances the clock by the time that the loop would have slept."""
        if seconds is None:
            raise Deadlock(f"At {self._now:g} s all tasks wait, and nothing is scheduled: {self._who_waits()}.")
        self._now = round(self._now + max(seconds, 0.0), DIGITS)
        self._measure()

    def _measure(self) -> None:
        # At a time of months, floats are coarser than asyncio's nanosecond: a timer due now would never fire.
        self._clock_resolution = max(10.0**-DIGITS, math.ulp(self._now))

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Runs `func` at once, on the loop: no virtual time passes, and the order of events stays the same.

        LangChain's output parsers run in an executor, for example. A `func` that waits for the loop would wait for
        ever.
        """
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _who_waits(self) -> str:
        waits: list[str] = []
        for task in asyncio.all_tasks(self):
            frames = task.get_stack(limit=1)
            where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
            waits.append(f"{task.get_name()}{where}")
        return ", ".join(sorted(waits)) or "there are no tasks"


class _Jumping(selectors.SelectSelector):
    """A selector that never sleeps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._loop.pass_time(timeout)
        # A single entry is the pipe by which threads wake a sleeping loop; this loop never sleeps.
        files: Mapping[Any, Any] = self.get_map()
        return super().select(0) if len(files) > 1 else []


class VirtualClock:
    """A clock for code without an event loop; it advances when code sleeps on it."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    time = monotonic = __call__

    def sleep(self, seconds: float) -> None:
        """Advances the clock by `seconds`."""
        self._now = round(self._now + max(seconds, 0.0), DIGITS)


class Timed(Protocol):
    """An object with a clock: an event loop, or a `VirtualClock`."""

    def time(self) -> float:
        """Returns the current time, in seconds."""
        ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a new `VirtualLoop`, as `asyncio.run` does on a real one.

    Raises:
        Deadlock: if it waits for something that can never happen.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def run_in_virtual_time(router: Router, clock: Timed, seed: int = 0) -> None:
    """Makes `router` use `clock`, and random numbers seeded with `seed`.

    Must be called before the router's first request.
    """
    world = router._world  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (a seam for this, and for nothing else)
    world.now = world.wall = world.elapsed = clock.time
    world.random = random.Random(seed).random  # noqa: S311
    if isinstance(clock, VirtualClock):
        world.sleep = clock.sleep
