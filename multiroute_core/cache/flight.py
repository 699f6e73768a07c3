"""Equal requests fly once: whoever comes while one is on its way waits for its answer.

No lock is held: every step is one that the interpreter does in one piece. So a generator that the collector ends may
land a flight wherever it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

Tell = Callable[[bytes | None, BaseException | None], None]


class Flight:
    """A request on its way, and who waits for it.

    Attributes:
        answer: What it brought, as an entry's bytes; None while it is on its way, and where it brought nothing.
        failed: Whether it came to its end without an answer: then everybody goes alone, for who would wait for the
            next one to fail? Where it was given up instead, the next one takes over.
    """

    __slots__ = ("_landed", "_task", "_thread", "_waiting", "answer", "failed")

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.failed = False
        self._landed = False
        self._waiting: deque[Tell] = deque()
        self._thread, self._task = threading.get_ident(), _task()

    def waits_for_me(self, *, native: bool) -> bool:
        """Whether to wait for it would be to wait for oneself.

        A stream that is read halfway goes on only when its reader reads on, in the same task or thread; and a sync call
        holds up everything else in its thread.

        Args:
            native: Whether the one that would wait does so on an event loop.
        """
        if threading.get_ident() != self._thread:
            return False
        return not native or self._task is None or self._task is _task()

    def join(self, tell: Tell) -> None:
        """Have `tell` called when it has landed; at once where it has."""
        self._waiting.append(tell)
        if self._landed:
            self._wake()

    def land(self, answer: bytes | None = None, *, failed: bool = False) -> None:
        """It is over; whoever waits is told. The first word counts."""
        if not self._landed:
            self.answer, self.failed = answer, failed
            self._landed = True
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            try:
                tell = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            tell(self.answer, None)


class Flights:
    """The requests of one cache that are on their way in this process, by their keys."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def board(self, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether it is a new one, which the caller now leads."""
        mine = Flight()
        flight = self._flights.setdefault(key, mine)
        return flight, flight is mine

    def land(self, key: str, flight: Flight, answer: bytes | None = None, *, failed: bool = False) -> None:
        """A flight is over."""
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
        flight.land(answer, failed=failed)


def _task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
