"""In-memory state: shared by all threads and event loops of this process."""

from __future__ import annotations

import itertools
import random as randomness
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Literal, cast

from multiroute_core.resilience import circuit_breaker as breakers
from multiroute_core.resilience import rate_limits as limits
from multiroute_core.resilience import retry_budget as budgets
from multiroute_core.resilience.admission import Outcome, Permit, Place, Rejection, Verdict
from multiroute_core.resilience.circuit_breaker import Breaker, BreakerSettings
from multiroute_core.resilience.latency import Latencies
from multiroute_core.resilience.rate_limits import RateLimitSettings, RateLimitState
from multiroute_core.route import Route
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO
from multiroute_core.state.breaker_log import BreakerLog, find_opening

SLOT_SECONDS = 900.0
"""The maximum time that a call holds its slot in flight, in seconds: an abandoned call may never release it."""

TYPICAL = 0.5
"""The quantile used as the typical latency."""


_ABANDONED = Outcome(Verdict.NONE)


class _SlotReference(weakref.ref[Place]):
    """A weak reference to a held slot; its callback runs when the caller's last reference is gone."""

    __slots__ = ("permit", "route", "until")
    permit: Permit
    route: Route
    until: float


class _Quota:
    """The state that the routes of one rate limit group share."""

    __slots__ = ("allowance", "route_states", "settings")

    def __init__(self) -> None:
        self.settings = RateLimitSettings()
        self.allowance = RateLimitState()
        self.route_states: list[_RouteState] = []

    def merge_limits(self, route: Route) -> None:
        settings = self.settings
        self.settings = RateLimitSettings(
            route.rpm or settings.rpm, route.tpm or settings.tpm, route.max_concurrency or settings.max_concurrency
        )

    def in_flight(self) -> int:
        return sum(len(route_state.slots) for route_state in self.route_states)


class _RouteState:
    """The state of one route."""

    __slots__ = ("answers", "breaker", "first_tokens", "name", "quota", "slots")

    def __init__(self, name: str, quota: _Quota) -> None:
        self.name = name
        self.quota = quota
        self.breaker = Breaker()
        self.slots: dict[int, _SlotReference] = {}
        self.first_tokens = Latencies()
        self.answers = Latencies()


class MemoryState:
    """The state of this process. Its lock is held for microseconds, never across a call.

    Args:
        settings: The breakers' settings.
        hedge_budget: The share of extra load that hedging may cost, 0 to 1; None for none.
        random: Random numbers from 0 to 1, for jitter.
        wall: The time in seconds since 1970.

    Attributes:
        log: The failures of the routes.
    """

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        hedge_budget: float | None = None,
        random: Callable[[], float] = randomness.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or BreakerSettings()
        self.random = random
        self.log = BreakerLog(wall)
        self._notices = self.log.notices
        self._retries = self._hedges = budgets.RetryBudget()
        self._hedging = None if hedge_budget is None else budgets.hedges(hedge_budget)
        self._route_states: dict[str, _RouteState] = {}
        self._quotas: dict[str, _Quota] = {}
        self._slots = itertools.count(1)
        self._lock = threading.Lock()
        # The garbage collector may finalize a generator in a thread that holds the lock. So settlements go into a
        # queue, and the next owner of the lock processes it.
        self._settled: deque[tuple[Route, float, Permit, Outcome, bool]] = deque()
        # Slots of calls that ended without settling: an interrupt came where no `finally` covered them yet. A function
        # in C puts them here, which no interrupt can split.
        self._orphans: deque[weakref.ref[Place]] = deque()
        forks.renew(self, _lock=threading.Lock, _settled=deque, _orphans=deque)

    def forked(self) -> None:
        """Drop what is in flight: it belongs to the parent."""
        for route_state in self._route_states.values():
            route_state.slots = {}
            if route_state.breaker.probe_until is not None:
                route_state.breaker = replace(
                    route_state.breaker, probe_until=None, generation=route_state.breaker.generation + 1
                )

    def know(self, routes: Sequence[Route]) -> None:
        with self._lock:
            for route in routes:
                self._find_route_state(route)

    def renew(self, routes: Sequence[Route], changed: Collection[str], hedge_budget: float | None) -> None:
        """Take over the limits of these routes; what is in flight, measured or learned stays.

        Args:
            routes: All routes.
            changed: The names of those that lead to another model, address or key; their breakers close.
            hedge_budget: The share of extra load that hedging may cost, 0 to 1; None for none.
        """
        with self._lock:
            self._work_off()
            for quota in self._quotas.values():
                quota.settings = RateLimitSettings()
            for route in routes:
                route_state = self._find_route_state(route)
                quota = self._quotas.setdefault(route.rate_limit_group, _Quota())
                if route_state.quota is not quota:
                    route_state.quota.route_states.remove(route_state)
                    quota.route_states.append(route_state)
                    route_state.quota = quota
                quota.merge_limits(route)
                if route.name in changed:
                    route_state.breaker = Breaker(generation=route_state.breaker.generation + 1)
                    route_state.first_tokens = Latencies()
                    route_state.answers = Latencies()
                    self.log.forget(route.name)
            self._hedging = None if hedge_budget is None else budgets.hedges(hedge_budget)

    async def begin_request(self, io: IO, now: float) -> None:
        with self._lock:
            self._retries = budgets.deposit(self._retries, budgets.RETRIES, now)
            if self._hedging is not None:
                self._hedges = budgets.deposit(self._hedges, self._hedging, now)

    async def afford(self, io: IO, now: float, *, hedge: bool = False) -> bool:
        with self._lock:
            retries, enough = budgets.withdraw(self._retries, budgets.RETRIES, now)
            if enough and hedge:  # a hedge is paid from both budgets
                if self._hedging is None:
                    return False
                hedges, enough = budgets.withdraw(self._hedges, self._hedging, now)
                if enough:
                    self._hedges = hedges
            if enough:
                self._retries = retries
            return enough

    async def admit(
        self, io: IO, route: Route, now: float, *, tokens: int = 0, early: bool = False, reserve: float = 0.0
    ) -> Permit | Rejection:
        try:
            with self._lock:
                self._work_off()
                route_state = self._find_route_state(route)
                quota = route_state.quota
                settings = quota.settings
                in_flight = quota.in_flight()
                left, shut = limits.admit(
                    quota.allowance, settings, now, tokens=tokens, in_flight=in_flight, reserve=reserve
                )
                if shut is not None and shut.reason == "busy" and self._abandoned(quota, now):
                    in_flight = quota.in_flight()
                    left, shut = limits.admit(
                        quota.allowance, settings, now, tokens=tokens, in_flight=in_flight, reserve=reserve
                    )
                if shut is not None:
                    return shut
                state, answer = breakers.admit(route_state.breaker, self.settings, now, early=early)
                if isinstance(answer, Rejection):
                    return answer
                slot = next(self._slots)
                place = Place()
                permit = Permit(answer.generation, answer.probe, slot, tokens, left.taken, place)
                alone = Permit(answer.generation, answer.probe, slot, tokens, left.taken)
                reference = _SlotReference(place, self._orphans.append)
                # No call from here on: an interrupt comes before all of it, or after.
                reference.route = route
                reference.permit = alone
                reference.until = now + SLOT_SECONDS
                route_state.slots[slot] = reference
                route_state.breaker = state
                quota.allowance = left
                return permit
        finally:
            if self._notices:
                self.log.emit()

    async def confirm(self, io: IO, route: Route, now: float, permit: Permit) -> Permit:
        with self._lock:
            self._work_off()
            route_state = self._find_route_state(route)
            before = route_state.breaker
            route_state.breaker = breakers.settle(before, self.settings, now, permit, Verdict.SUCCESS, self.random())
            if before.opened_until is not None and route_state.breaker.opened_until is None:
                self.log.record_recovery(route.name, now)
            permit = permit._replace(probe=False, generation=route_state.breaker.generation)
        self.log.emit()
        return permit

    async def settle(
        self, io: IO, route: Route, now: float, permit: Permit, outcome: Outcome, *, silent: bool = False
    ) -> None:
        """Settle a permit.

        Args:
            io: Sync or async I/O.
            route: The route.
            now: The moment on the clock of `io`.
            permit: The permit.
            outcome: The outcome of the attempt.
            silent: Whether the log ignores it: another state decides, and these rules only follow.
        """
        self._settled.append((route, now, permit, outcome, silent))
        # Not `acquire(blocking=False)`: an interrupt between it and its `try` would leave the lock locked forever.
        if not self._lock.locked():
            with self._lock:
                self._work_off()
            if self._notices:
                self.log.emit()

    async def standing(self, io: IO, route: Route, now: float) -> RouteHealth:
        with self._lock:
            self._work_off()
            route_state = self._find_route_state(route)
            quota = route_state.quota
            breaker = route_state.breaker
            _, closed = limits.admit(quota.allowance, quota.settings, now, tokens=0, in_flight=0)
            most = [m for m in (quota.settings.max_concurrency, quota.allowance.concurrency.limit) if m is not None]
            doors = [rejection.seconds for rejection in (closed, breakers.shut(breaker, now)) if rejection is not None]
            why = "open" if breaker.opened_until is not None else None if closed is None else closed.reason
            explanation = self.log.explain(route.name, now, why)
            standing = RouteHealth(
                breaker=breaker.condition(now),
                retry_in=max(doors, default=0.0),
                in_flight=quota.in_flight(),
                limit=min(most, default=None),
                time_to_first_token=route_state.first_tokens.quantile(TYPICAL, fewest=1),
                latency=route_state.answers.quantile(TYPICAL, fewest=1),
                samples=len(route_state.first_tokens) + len(route_state.answers),
                requests_left=limits.requests_left(quota.allowance, quota.settings, now),
                tokens_left=limits.tokens_left(quota.allowance, quota.settings, now),
                reason=explanation.reason,
                last_error=explanation.last_error,
                since=explanation.since,
            )
        self.log.emit()
        return standing

    async def hedge_after(self, io: IO, route: Route, share: float, *, stream: bool) -> float | None:
        route_state = self._find_route_state(route)
        return (route_state.first_tokens if stream else route_state.answers).quantile(1.0 - share)

    def _find_route_state(self, route: Route) -> _RouteState:
        route_state = self._route_states.get(route.name)
        if route_state is None:
            quota = self._quotas.setdefault(route.rate_limit_group, _Quota())
            quota.merge_limits(route)
            route_state = self._route_states[route.name] = _RouteState(route.name, quota)
            quota.route_states.append(route_state)
        return route_state

    def _abandoned(self, quota: _Quota, now: float) -> bool:
        """Release slots that are held for too long; return whether there were any."""
        before = quota.in_flight()
        for route_state in quota.route_states:
            route_state.slots = {
                slot: reference for slot, reference in route_state.slots.items() if now < reference.until
            }
        return quota.in_flight() < before

    def _work_off(self) -> None:
        while self._settled or self._orphans:
            if self._settled:
                route, now, permit, outcome, silent = self._settled.popleft()
                route_state = self._find_route_state(route)
            else:
                # removed only once its slot is free: an interrupt may come in between
                reference = cast("_SlotReference", self._orphans[0])
                route = reference.route
                permit = reference.permit
                outcome = _ABANDONED
                silent = True
                route_state = self._find_route_state(route)
                now = reference.until - SLOT_SECONDS
                if route_state.slots.get(permit.slot) is not reference:
                    self._orphans.popleft()
                    continue
            quota = route_state.quota
            quota.allowance = limits.settle(
                quota.allowance,
                quota.settings,
                now,
                tokens=permit.tokens,
                used=outcome.used,
                mark=permit.mark,
                outcome=_classify_outcome(outcome),
                retry_after=outcome.retry_after,
                headroom=outcome.headroom,
                in_flight=quota.in_flight(),
            )
            before = route_state.breaker
            route_state.breaker = breakers.settle(before, self.settings, now, permit, outcome.verdict, self.random())
            if outcome.verdict is not Verdict.SUCCESS or before.opened_until is not None or outcome.shared:
                changes = [(route.name, before, route_state.breaker)]
                if outcome.shared:
                    changes += self._share(route_state, now, outcome.verdict)
                if not silent:
                    self._report(changes, route, now, permit, outcome)
            if outcome.first_token is not None:
                route_state.first_tokens.record(outcome.first_token)
            if outcome.seconds is not None:
                route_state.answers.record(outcome.seconds)
            route_state.slots.pop(permit.slot, None)

    def _share(self, route_state: _RouteState, now: float, verdict: Verdict) -> list[tuple[str, Breaker, Breaker]]:
        """Apply a verdict to the other routes of a group; return their names and breakers before and after it."""
        changes: list[tuple[str, Breaker, Breaker]] = []
        for other in route_state.quota.route_states:
            if other is not route_state and breakers.shut(other.breaker, now) is None:  # otherwise its probe decides
                before = other.breaker
                permit = Permit(other.breaker.generation)
                other.breaker = breakers.settle(before, self.settings, now, permit, verdict, self.random())
                changes.append((other.name, before, other.breaker))
        return changes

    def _report(
        self,
        changes: list[tuple[str, Breaker, Breaker]],
        route: Route,
        now: float,
        permit: Permit,
        outcome: Outcome,
    ) -> None:
        """Record the breaker changes in the log."""
        _, before, after = changes[0]
        openings = [opening for change in changes if (opening := find_opening(*change, now)) is not None]
        if openings:
            self.log.record_openings(route, openings, outcome.failure, now)
        elif after.opened_until is None:
            if before.opened_until is not None:
                self.log.record_recovery(route.name, now)
            elif outcome.failure is not None and permit.generation == before.generation:
                self.log.record_failure(route.name, outcome.failure)


def _classify_outcome(outcome: Outcome) -> Literal["success", "rate_limited", "other"]:
    if outcome.limited:
        return "rate_limited"
    return "success" if outcome.verdict is Verdict.SUCCESS else "other"
