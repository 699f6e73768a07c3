"""Limiter: admits the calls of a router to the limits of their tenants and labels.

How this works:

* A call has a `CallSlot`, which only its own frames hold. The limiter watches it from before the admission on, so that
  an interrupt between any two steps of a call frees its places: the next call, or the next status, does it.
* `CallPermit.settle` frees the places at the end, and charges the tokens that the attempts used.
* In the child of a fork the calls of the parent are forgotten: they belong to the parent, also on Redis.
"""

from __future__ import annotations

import secrets
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from multiroute_core.display.text import describe_value
from multiroute_core.errors import LimitExceededError
from multiroute_core.limits.accounts import Admitted, LimitAccounts, LimitClaim, Refused
from multiroute_core.limits.limit import MOST, Limit
from multiroute_core.limits.status import LimitStatus, LimitStatuses
from multiroute_core.options import Options
from multiroute_core.resilience.call_limits import CallLimitSettings, Refusal
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO


class CallSlot(str):
    """The name under which one call is admitted; its places end with the last reference to it."""

    __slots__ = ("__weakref__",)


class _SlotReference(weakref.ref[CallSlot]):
    """A watched slot; its callback runs when the call's last reference is gone."""

    __slots__ = ("claims", "name")
    claims: Sequence[LimitClaim]
    name: str


@dataclass(frozen=True, slots=True)
class CallPermit:
    """The admission of one call.

    Attributes:
        limiter: The limiter that issued it.
        slot: Holds its places.
        claims: What it takes from each account.
        admitted: The accounts' reply.
        generation: The number of forks before it was issued.
    """

    limiter: Limiter
    slot: CallSlot
    claims: Sequence[LimitClaim]
    admitted: Admitted
    generation: int

    def settle(self, used: int | None) -> None:
        """End the call, which used so many tokens; None keeps what it reserved. Safe inside a finalizer."""
        if self.generation == forks.generation():
            self.limiter.settle(self, used)


class Limiter:
    """The limits of one router.

    Args:
        limits: The limits.
        accounts: Where the calls are counted.
        now: The clock of all rules, in seconds.
        previous: A limiter with the same accounts, whose calls are in flight.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        accounts: LimitAccounts,
        now: Callable[[], float],
        *,
        previous: Limiter | None = None,
    ) -> None:
        self.limits = tuple(limits)
        self.counts_tokens = any(limit.tpm is not None for limit in limits)
        self.accounts = accounts
        self._settings: list[tuple[Limit, CallLimitSettings]] = [
            (limit, CallLimitSettings(limit.rpm, limit.tpm, limit.concurrency)) for limit in limits
        ]
        self._now = now
        self._previous = previous
        self._watched: dict[str, _SlotReference] = {}
        # Slots of calls that ended without settling; appended by a C function, which no interrupt can split.
        self._orphans: deque[weakref.ref[CallSlot]] = deque()
        self._lock = threading.Lock()
        forks.renew(self, _watched=dict, _orphans=deque, _lock=threading.Lock)

    def with_limits(self, limits: Sequence[Limit]) -> Limiter:
        """Return a limiter with other limits; calls count on the same accounts, and those in flight still do."""
        return Limiter(limits, self.accounts, self._now, previous=self)

    @property
    def is_idle(self) -> bool:
        """Whether none of its calls is in flight."""
        return not self._watched and self._previous is None

    def claims(self, options: Options, tokens: int) -> list[LimitClaim]:
        """Return what a call takes from each account; empty if no limit applies to it."""
        tokens = min(tokens, MOST)
        return [
            LimitClaim(limit, value, settings, tokens)
            for limit, settings in self._settings
            for value in _scope_values(limit, options)
        ]

    async def admit(self, io: IO, claims: Sequence[LimitClaim], reserve: float) -> CallPermit | LimitExceededError:
        """Admit a call, or return the error that refuses it.

        Args:
            io: Sync or async I/O.
            claims: What it takes from each account.
            reserve: The share of each limit that must be left afterwards, 0 to 1.
        """
        self.free_orphans()
        name = f"{secrets.randbits(62):x}"
        slot = CallSlot(name)
        reference = _SlotReference(slot, self._orphans.append)
        reference.claims = claims
        reference.name = name
        self._watched[name] = reference
        del reference  # the callback of a refused call need not run
        reply = await self.accounts.admit(io, claims, name, io.now(), reserve=reserve)
        if isinstance(reply, Refused):
            self._watched.pop(name, None)
            return _build_error(claims, reply)
        return CallPermit(self, slot, claims, reply, forks.generation())

    def settle(self, permit: CallPermit, used: int | None) -> None:
        """Settle a permit; see `CallPermit.settle`."""
        used = None if used is None else min(used, MOST)  # a provider may send any number
        self.accounts.settle(permit.claims, str(permit.slot), permit.admitted, used, self._now())
        self._watched.pop(str(permit.slot), None)

    def free_orphans(self) -> None:
        """Free the places of calls that ended without settling."""
        if (previous := self._previous) is not None:
            previous.free_orphans()
            if previous.is_idle:
                self._previous = None
        if not self._orphans:
            return
        with self._lock:
            while self._orphans:
                # removed only once its places are free: an interrupt may come in between
                reference = cast("_SlotReference", self._orphans[0])
                if self._watched.get(reference.name) is reference:
                    self.accounts.settle(reference.claims, reference.name, None, None, self._now())
                    self._watched.pop(reference.name, None)
                self._orphans.popleft()

    async def read_status(self, io: IO) -> LimitStatuses:
        """Return what is left of the limits of recent callers."""
        self.free_orphans()
        names = {limit.name for limit in self.limits}
        statuses = [
            LimitStatus(
                claim.limit.name,
                claim.scope_value,
                status.requests_left,
                status.tokens_left,
                status.in_flight,
                claim.limit.rpm,
                claim.limit.tpm,
                claim.limit.concurrency,
            )
            for claim, status in await self.accounts.read(io, io.now())
            if claim.limit.name in names
        ]
        return LimitStatuses(sorted(statuses, key=lambda one: -one.used))


def _scope_values(limit: Limit, options: Options) -> Sequence[str]:
    """Return the tenant or the labels for which a call counts; `""` for a call without one."""
    values = (options.tenant or "",) if limit.scope == "tenant" else sorted(options.labels or ("",))
    only = limit.scope_values
    return values if only is None else [value for value in values if value in only]


_UNITS = {"rpm": "request{} per minute", "tpm": "token{} per minute", "concurrency": "call{} at once"}


def _build_error(claims: Sequence[LimitClaim], refused: Refused) -> LimitExceededError:
    """Return the error of a refused call: that of the account which has room the latest."""

    def seconds(entry: tuple[int, Refusal]) -> float:
        return entry[1].seconds

    number, refusal = max(refused.refusals, key=seconds)
    claim = claims[number]
    limit = claim.limit
    amount: float = getattr(limit, refusal.limit)
    unit = _UNITS[refusal.limit].format("" if amount == 1 else "s")
    caller = (
        f"{limit.scope} {describe_value(claim.scope_value, 100)}"
        if claim.scope_value
        else f"all calls without a {limit.scope}"
    )
    when = (
        "try again when one of them has ended"
        if refusal.limit == "concurrency"
        else f"try again in {max(refusal.seconds, 0.001):.3g} s"
    )
    return LimitExceededError(
        f"The limit {limit.name!r} of {caller} is reached: {amount:,.12g} {unit}; {when}, or send the "
        "call with priority='batch' to wait for its turn. Nothing was sent.",
        limit=limit.name,
        scope=limit.scope,
        scope_value=claim.scope_value,
        kind=refusal.limit,
        retry_after=refusal.seconds,
    )
