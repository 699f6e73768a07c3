"""The router's state under watch: every permit is followed, and every verdict compared with what was really so."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from multiroute_core.errors import RouteError
from multiroute_core.resilience import rate_limits
from multiroute_core.resilience.admission import Outcome, Permit, Rejection, Verdict
from multiroute_core.testing.scripted import RecordedCall, provider_of

if TYPE_CHECKING:
    from multiroute_core.route import Route
    from tests.simulation.callers import Caller
    from tests.simulation.world import World

MOST_STEPS = 200_000
"""A world takes some thousands; one that takes so many does not come to its end."""

asking: ContextVar[Caller] = ContextVar("asking")
"""Who asks in the running task."""


class Endless(BaseException):
    """Something goes on for ever."""


class WatchedState:
    """Hands everything on to the real state.

    Attributes:
        wrongs: The laws that were broken, in words.
        requests: Whose each request is, by its id.
        admitted: How many permits were given, and `settled` how many came back.
        retries: When a try was paid for that asks a route again, and `hedges` when one beside another was.
    """

    def __init__(self, inner: Any, world: World) -> None:
        self.inner, self.world = inner, world
        self.wrongs: list[str] = []
        self.requests: dict[str, Caller] = {}
        self.admitted: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.retries: list[float] = []
        self.hedges: list[float] = []
        self._out: dict[int, tuple[str, Permit, float]] = {}
        self._ended: defaultdict[str, list[RecordedCall]] = defaultdict(list)
        self._tokens = {route.rate_limit_group: Bucket(route.tpm) for route in world.routes if route.tpm is not None}
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def ended(self, take: RecordedCall) -> None:
        """A provider says that a call is over."""
        self._ended[take.asked.route].append(take)

    async def admit(
        self, io: Any, route: Route, now: float, *, tokens: int = 0, early: bool = False, reserve: float = 0.0
    ) -> Permit | Rejection:
        self._step(now)
        name = route.name
        breaker = self._breaker(name)
        answer = await self.inner.admit(io, route, now, tokens=tokens, early=early, reserve=reserve)
        if not isinstance(answer, Permit):
            return answer
        self.admitted[name] += 1
        if breaker is not None and breaker.opened_until is not None:
            lease = self.inner.settings.probe
            if not answer.probe:
                self._wrong(now, f"{name} was asked while its breaker is not closed, and not as a probe")
            probes = [at for where, permit, at in self._out.values() if where == name and permit.probe]
            if any(now < at + lease for at in probes):
                self._wrong(now, f"two probes of {name} are out at once")
            if now < breaker.opened_until:
                if not early:
                    self._wrong(now, f"{name} was asked {breaker.opened_until - now:g} s before its break is over")
                self._all_shut(name, now, tokens)
        if (bucket := self._tokens.get(route.rate_limit_group)) is not None and not bucket.take(now, tokens):
            self._wrong(now, f"{name} was given {tokens} tokens, which its {bucket.per_minute:g} a minute do not hold")
        self._out[id(answer)] = (name, answer, now)
        return answer

    async def confirm(self, io: Any, route: Route, now: float, permit: Permit) -> Permit:
        fresh = await self.inner.confirm(io, route, now, permit)
        name, _, at = self._out.pop(id(permit))
        self._out[id(fresh)] = (name, fresh, at)
        return fresh

    async def settle(self, io: Any, route: Route, now: float, permit: Permit, outcome: Outcome) -> None:
        name = route.name
        self.settled[name] += 1
        if self._out.pop(id(permit), None) is None:
            self._wrong(now, f"a permit for {name} was settled twice, or never given")
        if (bucket := self._tokens.get(route.rate_limit_group)) is not None and outcome.used is not None:
            bucket.settle(now, permit.tokens, outcome.used)
        self._judge(name, now, outcome)
        await self.inner.settle(io, route, now, permit, outcome)
        if outcome.shared:
            for other in self.world.routes:
                if (
                    other.rate_limit_group == route.rate_limit_group
                    and other is not route
                    and self._breaker(other.name).opened_until is None
                ):
                    self._wrong(now, f"the quota of {name} is spent, and {other.name} goes on")

    async def afford(self, io: Any, now: float, *, hedge: bool = False) -> bool:
        self._step(now)
        paid = await self.inner.afford(io, now, hedge=hedge)
        if paid:
            (self.hedges if hedge else self.retries).append(now)
        return paid

    @property
    def out(self) -> list[str]:
        """Routes of permits that have not come back."""
        return [name for name, _, _ in self._out.values()]

    def _breaker(self, name: str) -> Any:
        line = self.inner._route_states.get(name)
        return None if line is None else line.breaker

    def _all_shut(self, name: str, now: float, tokens: int) -> None:
        """An early probe is for a time when nobody else may be asked, and nobody else has not failed this caller."""
        caller = asking.get()
        asked = [
            take for r in self.world.routes for take in provider_of(r).takes if self.world.caller_of(take) is caller
        ]
        if any(isinstance(take.error, RouteError) and take.error.code == "context_overflow" for take in asked):
            return  # who would overflow as well is no candidate any more
        for route in self.world.routes:
            if route.name == name or route.name not in caller.candidates:
                continue
            line = self.inner._find_route_state(route)
            quota = line.quota
            _, shut = rate_limits.admit(
                quota.allowance, quota.settings, now, tokens=tokens, in_flight=quota.in_flight()
            )
            breaker = line.breaker
            well = breaker.opened_until is None or (now >= breaker.opened_until and breaker.probe_until is None)
            if well and shut is None and not any(take.asked.route == route.name for take in asked):
                self._wrong(now, f"{name} was probed early, though {route.name} could be asked")

    def _judge(self, name: str, now: float, outcome: Outcome) -> None:
        if not self._ended[name]:
            if outcome.verdict is not Verdict.NONE:
                self._wrong(now, f"a verdict on {name} without a call")
            return
        take = self._ended[name].pop(0)
        caller = self.world.caller_of(take)
        right = verdicts(take)
        if self._lost(take, now):
            right = {Verdict.NONE}
        late = now >= caller.began + caller.deadline - 1e-9
        gone = caller.end != "" or late or caller.leaves == "cancel" or self.world.settings["hedge_budget"] is not None
        if outcome.verdict not in right and not (gone and outcome.verdict is Verdict.NONE):
            self._wrong(now, f"the verdict on call {take.asked.number} of {name} is {outcome.verdict}, not {right}")
        if caller.end in ("close", "drop") and not (take.finish_reason or take.error or take.cut):
            if outcome.verdict in (Verdict.FAILURE, Verdict.PERMANENT):
                self._wrong(now, f"{name} is blamed for a caller that walked away")
        error = take.error
        if isinstance(error, RouteError) and error.retry_after is not None and outcome.verdict is not Verdict.SUCCESS:
            if outcome.retry_after is None and not gone:
                self._wrong(now, f"{name} asked to be left alone for {error.retry_after:g} s, and nobody keeps it")

    def _lost(self, take: RecordedCall, now: float) -> bool:
        """Whether it was called off because another one has begun to answer the same caller."""
        settings = self.world.settings
        if settings["hedge_budget"] is None or take.finish_reason or take.error is not None or take.cut:
            return False
        if any(limit and abs(now - take.asked.at - limit) < 1e-6 for limit in settings.values()):
            return False  # its time was over in the same moment
        caller = self.world.caller_of(take)
        others = (t for route in self.world.routes for t in provider_of(route).takes if t is not take)
        mine = [other for other in others if other.ended in (None, now) and self.world.caller_of(other) is caller]
        if not take.asked.stream:
            return any(other.finish_reason is not None for other in mine)
        return not take.parts and any(other.parts and other.ended is None for other in mine)

    def _step(self, now: float) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise Endless(f"it never ends: {self._steps} steps by {now:g} s")

    def _wrong(self, now: float, what: str) -> None:
        self.wrongs.append(f"at {now:g} s {what}")


class Bucket:
    """So many tokens a minute: what was reserved goes out, what was not used comes back."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute, self.left, self.at = per_minute, per_minute, 0.0

    def take(self, now: float, tokens: int) -> bool:
        """Whether there was enough."""
        self._pass(now)
        self.left -= min(tokens, self.per_minute)
        return self.left > -1e-6

    def settle(self, now: float, tokens: int, used: int) -> None:
        """So many were used of those that were taken."""
        self._pass(now)
        self.left += min(tokens, self.per_minute) - used

    def _pass(self, now: float) -> None:
        self.left = min(self.per_minute, self.left + (now - self.at) * self.per_minute / 60)
        self.at = now


def verdicts(take: RecordedCall) -> set[Verdict]:
    """What may be said about a route after this call, whose caller stayed."""
    error = take.error
    if error is None and take.finish_reason is not None:
        return (
            {Verdict.SUCCESS}
            if take.finish_reason not in ("refusal", "content_filter")
            else {Verdict.SUCCESS, Verdict.NONE}
        )
    if isinstance(error, RouteError):
        if not error.counts_against_breaker:
            return {Verdict.NONE}
        return {Verdict.PERMANENT} if error.permanent else {Verdict.FAILURE}
    return {Verdict.FAILURE}
