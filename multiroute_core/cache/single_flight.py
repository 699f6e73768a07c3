"""Equal requests fly once: whoever comes while one is on its way waits for its answer.

No lock is held: every step is one that the interpreter does in one piece. So a generator that the collector ends may
land a flight wherever it is.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

from multiroute_core.runtime import forks

Tell = Callable[[bytes | None, BaseException | None], None]


class Flight:
    """A request on its way, and who waits for it.

    Attributes:
        answer: What it brought, as an entry's bytes; None while it is on its way, and where it brought nothing.
        failed: Whether it came to its end without an answer: then everybody goes alone, for who would wait for the
            next one to fail? Where it was given up instead, the next one takes over.
    """

    __slots__ = ("_landed", "_task", "_thread", "_waiting", "answer", "failed", "leader")

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.failed = False
        self.leader: weakref.ref[Leader] | None = None
        self._landed = False
        self._waiting: deque[Tell] = deque()
        self._thread = threading.get_ident()
        self._task = _task()

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
        self.leader = None
        if not self._landed:
            self.answer = answer
            self.failed = failed
            self._landed = True
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            try:
                tell = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            tell(self.answer, None)


class Leader:
    """Leave to ask, while equal requests wait: within this process, and among processes where there is a `token`.

    The flight lands with the last reference to it, so that nobody waits for a leader that an interrupt has ended.
    """

    __slots__ = ("__weakref__", "flight", "token")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.token: str | None = None


class Flights:
    """The requests of one cache that are on their way in this process, by their keys."""

    __slots__ = ("__weakref__", "_flights")

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        forks.renew(self, _flights=dict)  # those of the parent land there

    def board(self, key: str) -> tuple[Flight, Leader | None]:
        """The flight of a key; and leave to lead it, where it is a new one."""
        mine = Flight()
        lead = Leader(mine)
        mine.leader = weakref.ref(lead, partial(_land, self._flights, key))
        flight = self._flights.setdefault(key, mine)
        if flight is mine:
            return flight, lead
        mine.leader = None
        return flight, None

    def land(self, key: str, flight: Flight, answer: bytes | None = None, *, failed: bool = False) -> None:
        """A flight is over."""
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
        flight.land(answer, failed=failed)


def _land(flights: dict[str, Flight], key: str, leader: weakref.ref[Leader]) -> None:
    """A leader has gone without a word."""
    flight = flights.get(key)
    if flight is not None and flight.leader is leader:
        flights.pop(key, None)
        flight.land()


def _task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
