"""Redis state: shared by all processes of a fleet; in-memory rules while Redis is unavailable.

Every operation is one Lua script and one round trip, by Redis's clock. Settlements and retry budget deposits do not
block the caller: they are sent before later commands. While Redis is unavailable the process uses its own rules, and
limits hold for each process by itself. These rules do not start empty: they have seen the verdicts on the process's own
calls, and the latest replies of Redis. Settlements in the meantime are sent when Redis is back. Latencies stay in the
process, since they depend on where it runs.
"""

from __future__ import annotations

import logging
import random as randomness
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import msgspec

from multiroute_core.resilience import retry_budget
from multiroute_core.resilience.admission import Outcome, Permit, Rejection, RejectionReason, Verdict
from multiroute_core.resilience.circuit_breaker import BreakerSettings
from multiroute_core.route import Route
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.runtime.io import IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.exchange import (
    Quota,
    Settled,
    Settling,
    encode,
    of_breaker,
    read_admission,
    read_health,
    read_settled,
    since,
)
from multiroute_core.state.link import Down, Link, Refused
from multiroute_core.state.memory import SLOT_SECONDS, MemoryState
from multiroute_core.state.scripts import script

KEEP_SECONDS = 3600.0
"""The minimum time that Redis keeps unused keys, in seconds."""

LASTS = ("open", "rate_limit", "limit")
"""Reasons of a rejection that ends at a known time; such a reply stays valid while Redis is unavailable."""

_log = logging.getLogger("multiroute_core")


class RedisState:
    """The state of a fleet: breakers, limits, slots in flight and retry budgets that all of its processes share.

    `copy` returns the same object. It pickles as its settings, unless the URL contains credentials.

    Args:
        url: Where Redis is; see `Link`. Or a link, to share its connection.
        prefix: The prefix of all key names; processes with the same prefix form a fleet. A link has its own.
        timeout: Seconds without a response before local rules are used; see `Link`. A link has its own.
        settings: The breakers' settings.
        hedge_budget: The share of extra load that hedging may cost, 0 to 1; None for none.
        random: Random numbers from 0 to 1, for jitter.
        wall: The time in seconds since 1970.

    Raises:
        ConfigurationError: the URL is wrong, or Redis rejects the password; see `Link`.

    Example:
        >>> state = RedisState("redis://127.0.0.1:6379/0", prefix="shop")  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | Link,
        *,
        prefix: str = "multiroute",
        timeout: float = 0.02,
        settings: BreakerSettings | None = None,
        hedge_budget: float | None = None,
        random: Callable[[], float] = randomness.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.link = url if isinstance(url, Link) else Link(url, prefix=prefix, timeout=timeout)
        self._own = self.link is not url
        self.settings = settings or BreakerSettings()
        self.random = random
        self._hedge = hedge_budget
        self._local = MemoryState(self.settings, hedge_budget=hedge_budget, random=random, wall=wall)
        self._log = self._local.log
        self._breaker = msgspec.Raw(encode(self.settings))
        longest = max(self.settings.longest, self.settings.permanent, self.settings.forget, self.settings.window)
        self._keep = KEEP_SECONDS + 2 * longest + self.settings.probe
        self._retry_budgets: dict[str, dict[str, Any]] = {"retries": asdict(retry_budget.RETRIES)}
        if hedge_budget is not None:
            self._retry_budgets["hedges"] = asdict(retry_budget.hedges(hedge_budget))
        self._quotas: dict[str, Quota] = {}
        self._of: dict[str, Quota] = {}
        self._rejections: dict[str, tuple[RejectionReason, float]] = {}
        self._complaints: set[str] = set()
        # The clock of the scripts: None is Redis's own. Only tests replace it.
        self._clock: Callable[[float], float | None] = lambda _: None

    def know(self, routes: Sequence[Route]) -> None:
        self._local.know(routes)
        for route in routes:
            self._quota(route)

    def renew(self, routes: Sequence[Route], changed: Collection[str], hedge_budget: float | None) -> None:
        """Take over the limits of these routes; see `MemoryState.renew`. Breakers of the fleet stay as they are."""
        self._local.renew(routes, changed, hedge_budget)
        self._quotas = {}
        self._of = {}
        self._hedge = hedge_budget
        retry_budgets: dict[str, dict[str, Any]] = {"retries": self._retry_budgets["retries"]}
        if hedge_budget is not None:
            retry_budgets["hedges"] = asdict(retry_budget.hedges(hedge_budget))
        self._retry_budgets = retry_budgets
        for route in routes:
            self._quota(route)

    async def begin_request(self, io: IO, now: float) -> None:
        if self.link.away:
            await self._local.begin_request(io, now)
        else:
            self.link.send(
                (script("begun"), (self._retry_budget_key(),), self._build_payload(now, budgets=self._retry_budgets))
            )

    async def afford(self, io: IO, now: float, *, hedge: bool = False) -> bool:
        if hedge and "hedges" not in self._retry_budgets:
            return False
        budgets = self._retry_budgets if hedge else {"retries": self._retry_budgets["retries"]}
        try:
            payload = self._build_payload(now, budgets=budgets)
            return await self.link.call(io, script("afford"), (self._retry_budget_key(),), payload) == 1
        except (Down, Refused) as error:
            self._complain(error)
            return await self._local.afford(io, now, hedge=hedge)

    async def admit(
        self, io: IO, route: Route, now: float, *, tokens: int = 0, early: bool = False, reserve: float = 0.0
    ) -> Permit | Rejection:
        quota = self._quota(route)
        slot = secrets.randbits(62) + 1
        payload = self._build_payload(
            now,
            route=route.name,
            slot=str(slot),
            tokens=tokens,
            early=early,
            reserve=reserve,
            limits=quota.limits,
            breaker=self._breaker,
            lease=SLOT_SECONDS,
        )
        try:
            admission = read_admission(await self.link.call(io, script("admit"), quota.keys, payload))
        except (Down, Refused) as error:
            if isinstance(error, Down) and error.was_sent:
                self._withdraw(quota, route, slot)
            self._complain(error)
            return await self._admit_here(io, route, now, tokens=tokens, early=early, reserve=reserve)
        except BaseException:  # cancelled: no caller takes the permit
            self._withdraw(quota, route, slot)
            raise
        if admission.reason is not None:
            if admission.reason in LASTS and not reserve:  # without a reserve the call might be admitted
                self._rejections[route.name] = admission.reason, now + admission.seconds
            return Rejection(admission.reason, admission.seconds)
        self._rejections.pop(route.name, None)
        if not admission.probe and self._log.is_open(route.name):  # another process may have closed it
            self._log.record_recovery(route.name, now, admission.generation)
            self._log.emit()
        return Permit(admission.generation, admission.probe, slot, tokens, admission.mark)

    async def confirm(self, io: IO, route: Route, now: float, permit: Permit) -> Permit:
        if permit.slot < 0:
            return _local(await self._local.confirm(io, route, now, _local(permit)))
        payload = self._build_payload(
            now, route=route.name, permit=of_breaker(permit), breaker=self._breaker, random=self.random()
        )
        try:
            reply = await self.link.call(io, script("confirm"), (self._quota(route).keys[1],), payload)
        except (Down, Refused) as error:  # then its settlement will close the breaker
            self._complain(error)
            return permit
        admission = read_admission(reply)
        if admission.closed:
            self._log.record_recovery(route.name, now, admission.generation)
            self._log.emit()
        return permit._replace(probe=False, generation=admission.generation)

    async def settle(self, io: IO, route: Route, now: float, permit: Permit, outcome: Outcome) -> None:
        if permit.slot < 0:
            await self._local.settle(io, route, now, _local(permit), outcome)
            return
        quota = self._quota(route)
        payload: dict[str, Any] = {
            "route": route.name,
            "slot": str(permit.slot),
            "permit": of_breaker(permit),
            "verdict": outcome.verdict.value,
            "limited": outcome.limited,
            "shared": quota.routes if outcome.shared else None,
            "ended": {
                "tokens": permit.tokens,
                "used": outcome.used,
                "mark": permit.mark,
                "retry_after": outcome.retry_after,
                "headroom": since(outcome.headroom, now),
            },
            "limits": quota.limits,
            "breaker": self._breaker,
            "random": self.random(),
            **self._always(now),
        }

        def learn(reply: Any, error: BaseException | None) -> None:
            settlement = None if error is not None else read_settled(reply)
            self._learn(route, now, permit, outcome, is_counted=None if settlement is None else settlement.counted)
            if settlement is not None:
                self._report(route, now, outcome, settlement)

        self.link.send(Settling(quota.keys, payload, time.monotonic()), learn, keep=True)

    async def standing(self, io: IO, route: Route, now: float) -> RouteHealth:
        quota = self._quota(route)
        try:
            payload = self._build_payload(now, route=route.name, limits=quota.limits)
            health = read_health(await self.link.call(io, script("standing"), quota.keys, payload))
        except (Down, Refused) as error:
            self._complain(error)
            here = await self._local.standing(io, route, now)
            why, until = self._rejections.get(route.name, ("", now))
            if until <= now:
                return here
            reason = here.reason or self._log.explain(route.name, now, why).reason
            return replace(here, retry_in=max(here.retry_in, until - now), reason=reason)
        here = await self._local.standing(io, route, now)
        numbers = msgspec.structs.asdict(health)
        blocked = numbers.pop("blocked")
        explanation = self._log.explain(route.name, now, blocked if health.breaker == "closed" else "open")
        return replace(here, **numbers, **explanation._asdict())

    async def hedge_after(self, io: IO, route: Route, share: float, *, stream: bool) -> float | None:
        return await self._local.hedge_after(io, route, share, stream=stream)

    def close(self) -> None:
        """Send pending settlements and close the connection; local rules go on. A link passed in stays open."""
        if self._own:
            self.link.close()

    def __copy__(self) -> RedisState:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RedisState:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        link = self.link
        more = {"settings": self.settings, "hedge_budget": self._hedge}
        return partial(RedisState, prefix=link.prefix, timeout=link.timeout, **more), (link.url,)

    def __repr__(self) -> str:
        return f"RedisState({self.link!r})"

    async def _admit_here(
        self, io: IO, route: Route, now: float, *, tokens: int, early: bool, reserve: float
    ) -> Permit | Rejection:
        """Request a permit by this process's own rules."""
        if (word := self._rejections.get(route.name)) is not None:
            why, until = word
            if now < until and not (early and why == "open"):
                return Rejection(why, until - now)
        admission = await self._local.admit(io, route, now, tokens=tokens, early=early, reserve=reserve)
        return admission if isinstance(admission, Rejection) else _local(admission)

    def _learn(self, route: Route, now: float, permit: Permit, outcome: Outcome, *, is_counted: bool | None) -> None:
        """Apply a call that Redis admitted to this process's own rules.

        Args:
            route: The route.
            now: The moment on the call's clock.
            permit: The permit from Redis.
            outcome: The outcome of the attempt.
            is_counted: Whether Redis counted the verdict; None if it is unavailable.
        """
        # If Redis admitted the call, the local rules must as well: hence `early`. Without Redis the verdict may be
        # stale, and it opens nothing that is open already.
        admission = run(self._local.admit(_io, route, now, tokens=permit.tokens, early=is_counted is True))
        if isinstance(admission, Rejection):
            admission = Permit(-1)
            outcome = outcome._replace(verdict=Verdict.NONE, used=None)
        elif is_counted is False:
            outcome = outcome._replace(verdict=Verdict.NONE)
        run(self._local.settle(_io, route, now, admission, outcome, silent=is_counted is not None))

    def _report(self, route: Route, now: float, outcome: Outcome, settlement: Settled) -> None:
        """Record the breaker changes on Redis in the log: each opening is reported to one process of the fleet."""
        if settlement.opened:
            self._log.record_openings(route, settlement.opened, outcome.failure, now)
        elif settlement.generation is not None:
            self._log.record_recovery(route.name, now, settlement.generation)
        elif outcome.failure is not None and settlement.counted and not self._log.is_open(route.name):
            self._log.record_failure(route.name, outcome.failure)
        self._log.emit()

    def _withdraw(self, quota: Quota, route: Route, slot: int) -> None:
        payload = encode({"route": route.name, "slot": str(slot)})
        self.link.send((script("withdraw"), quota.keys[1:], payload), keep=True)

    def _build_payload(self, now: float, **fields: Any) -> bytes:
        return encode(fields | self._always(now))

    def _always(self, now: float) -> dict[str, float]:
        """Return the arguments of every script."""
        clock = self._clock(now)
        return {"keep": self._keep} if clock is None else {"keep": self._keep, "now": clock}

    def _quota(self, route: Route) -> Quota:
        if (quota := self._of.get(route.name)) is None:
            quota = self._quotas.setdefault(route.rate_limit_group, Quota(self.link.prefix, route.rate_limit_group))
            quota.know(route)
            self._of[route.name] = quota
        return quota

    def _retry_budget_key(self) -> str:
        return f"{{{self.link.prefix}}}:retry_budgets"

    def _complain(self, error: Exception) -> None:
        """Log an error that is not an outage, once."""
        if (
            isinstance(error, Refused)
            and (message := str(error)) not in self._complaints
            and len(self._complaints) < 100
        ):
            self._complaints.add(message)
            _log.warning("Redis rejected an operation (%s); local rules are used for it.", message)


_io = SyncIO()


def _local(permit: Permit) -> Permit:
    """Convert a permit of the local rules to its public form and back: its slot is negative."""
    return permit._replace(slot=-permit.slot)
