"""Time and chance, as a router takes them from the world around it; a rehearsal puts others in their place."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class World:
    """Where time and chance come from.

    Attributes:
        now: The clock of every limit and rule, in seconds; it never goes back.
        wall: The time in seconds since 1970.
        sleep: Waits for so many seconds, in sync code.
        random: Random numbers from 0 to 1.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def draw(self) -> float:
        """A random number, by whatever `random` is then."""
        return self.random()

    def told(self) -> float:
        """The time since 1970, by whatever `wall` is then."""
        return self.wall()
