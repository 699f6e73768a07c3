"""Single-flight: coalesces identical concurrent requests into one, whose response all of them receive.

No lock is held: each step is a single atomic operation of the interpreter. A generator finalized by the garbage
collector may therefore end a flight at any point.
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
    """A request in flight, and its waiters.

    Attributes:
        answer: The response as an entry's bytes; None while in flight, and if there is none.
        failed: Whether it ended with an error; then all waiters send their own request instead of waiting for the next
            one to fail. If it was cancelled instead, the next waiter takes over.
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
        """Whether waiting for this flight would deadlock.

        A half-read stream advances only when its reader continues, in the same task or thread; and a sync call blocks
        everything else in its thread.

        Args:
            native: Whether the waiter runs on an event loop.
        """
        if threading.get_ident() != self._thread:
            return False
        return not native or self._task is None or self._task is _task()

    def join(self, tell: Tell) -> None:
        """Call `tell` when the flight ends; immediately if it has ended."""
        self._waiting.append(tell)
        if self._landed:
            self._wake()

    def land(self, answer: bytes | None = None, *, failed: bool = False) -> None:
        """End the flight and notify all waiters. Only the first call has an effect."""
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
            except IndexError:  # another thread took the last waiter
                return
            tell(self.answer, None)


class Leader:
    """Permission to send the request while identical requests wait.

    It applies to this process, and to all processes if `token` is set.

    The flight ends when the last reference to the leader is gone, so that no request waits for a leader that was
    interrupted.
    """

    __slots__ = ("__weakref__", "flight", "token")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.token: str | None = None


class Flights:
    """The requests of one cache that are in flight in this process, by key."""

    __slots__ = ("__weakref__", "_flights")

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        forks.renew(self, _flights=dict)  # the parent's flights end in the parent

    def board(self, key: str) -> tuple[Flight, Leader | None]:
        """Return the flight of a key, and a `Leader` if the flight is new."""
        mine = Flight()
        lead = Leader(mine)
        mine.leader = weakref.ref(lead, partial(_land, self._flights, key))
        flight = self._flights.setdefault(key, mine)
        if flight is mine:
            return flight, lead
        mine.leader = None
        return flight, None

    def land(self, key: str, flight: Flight, answer: bytes | None = None, *, failed: bool = False) -> None:
        """End a flight."""
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
        flight.land(answer, failed=failed)


def _land(flights: dict[str, Flight], key: str, leader: weakref.ref[Leader]) -> None:
    """End the flight of a leader that was garbage-collected without ending it."""
    flight = flights.get(key)
    if flight is not None and flight.leader is leader:
        flights.pop(key, None)
        flight.land()


def _task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
