"""Clock and randomness, injectable for tests."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


def _elapsed() -> float:
    """Return seconds on a monotonic clock that keeps running during system sleep, if the system has one."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


@dataclass(slots=True)
class Clock:
    """The sources of time and randomness.

    Attributes:
        now: The clock of all timeouts and rules, in seconds; it never goes back.
        wall: The time in seconds since 1970.
        sleep: Sleeps for some seconds, in sync code.
        random: Random numbers from 0 to 1.
        elapsed: A clock that also counts the seconds of system sleep.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    elapsed: Callable[[], float] = _elapsed
    _started: tuple[float, float] | None = None

    def draw(self) -> float:
        """Return a random number from the current `random`."""
        return self.random()

    def read_now(self) -> float:
        """Return the time from the current `now`."""
        return self.now()

    def read_wall(self) -> float:
        """Return the time since 1970 from the current `wall`."""
        return self.wall()

    def steady(self) -> float:
        """Return the time since 1970 that defines budget periods.

        It is the wall clock at the first call plus the time elapsed since. So a wall clock that jumps, because it is
        set or was wrong, does not restart a period.
        """
        if self._started is None:
            self._started = self.wall(), self.elapsed()
        wall, elapsed = self._started
        return wall + (self.elapsed() - elapsed)
