"""State in this process, for every thread and event loop in it."""

from __future__ import annotations

import threading
from collections import deque

from multiroute_core.rules import breaker as rule
from multiroute_core.rules.breaker import Breaker, BreakerSettings, Permit, Shut, Verdict


class MemoryState:
    """Breakers of this process. The lock is held for microseconds, never across a call."""

    def __init__(self, breaker: BreakerSettings | None = None) -> None:
        self.settings = breaker or BreakerSettings()
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()
        # A generator may be finalized by the collector in a thread that is inside the lock. So what is settled goes
        # into a queue, and whoever has the lock next works it off.
        self._settled: deque[tuple[str, float, Permit, Verdict, float | None]] = deque()

    async def admit(self, route: str, now: float, *, early: bool = False) -> Permit | Shut:
        with self._lock:
            self._work_off()
            state, answer = rule.admit(self._breakers.get(route, _NEW), self.settings, now, early=early)
            self._breakers[route] = state
            return answer

    async def settle(self, route: str, now: float, permit: Permit, verdict: Verdict, door: float | None = None) -> None:
        self._settled.append((route, now, permit, verdict, door))
        if self._lock.acquire(blocking=False):
            try:
                self._work_off()
            finally:
                self._lock.release()

    async def breaker(self, route: str) -> Breaker:
        with self._lock:
            self._work_off()
            return self._breakers.get(route, _NEW)

    def _work_off(self) -> None:
        while self._settled:
            route, now, permit, verdict, door = self._settled.popleft()
            old = self._breakers.get(route, _NEW)
            self._breakers[route] = rule.settle(old, self.settings, now, permit, verdict, door)


_NEW = Breaker()
