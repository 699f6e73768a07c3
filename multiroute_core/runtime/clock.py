"""Time and chance, as a router takes them from the world around it; a rehearsal puts others in their place."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


def _elapsed() -> float:
    """Seconds on a clock that nobody sets; where the system has one, it goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


@dataclass(slots=True)
class Clock:
    """Where time and chance come from.

    Attributes:
        now: The clock of every limit and rule, in seconds; it never goes back.
        wall: The time in seconds since 1970.
        sleep: Waits for so many seconds, in sync code.
        random: Random numbers from 0 to 1.
        elapsed: A clock that counts the seconds for which the machine sleeps as well.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    elapsed: Callable[[], float] = _elapsed
    _started: tuple[float, float] | None = None

    def draw(self) -> float:
        """A random number, by whatever `random` is then."""
        return self.random()

    def read_wall(self) -> float:
        """The time since 1970, by whatever `wall` is then."""
        return self.wall()

    def steady(self) -> float:
        """The time since 1970 by which the periods of budgets begin and end.

        It is the wall clock's as of its first call, and goes on with the time that passes. So a wall clock that jumps,
        because it is set or was wrong, begins no period anew.
        """
        if self._started is None:
            self._started = self.wall(), self.elapsed()
        wall, elapsed = self._started
        return wall + (self.elapsed() - elapsed)
