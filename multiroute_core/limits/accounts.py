"""Limit accounts, which record admitted calls: the protocol, and the implementation for one process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from multiroute_core.limits.limit import Limit
from multiroute_core.resilience import call_limits
from multiroute_core.resilience.call_limits import CallLimitSettings, CallLimitState, Refusal
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO

LEASE_SECONDS = 900.0
"""Maximum duration of a place in flight in seconds; a call whose process was killed never frees it."""

ROOM = 10_000
"""Number of accounts above which those are removed that are full and without calls."""


@dataclass(frozen=True, slots=True)
class LimitClaim:
    """What one call takes from one account.

    Attributes:
        limit: The limit.
        scope_value: The tenant or label; empty for calls without one.
        settings: The limits alone.
        tokens: The estimated tokens of the call.
    """

    limit: Limit
    scope_value: str
    settings: CallLimitSettings
    tokens: int

    @property
    def account(self) -> tuple[str, str]:
        """The account's name."""
        return self.limit.name, self.scope_value


class Admitted(NamedTuple):
    """An admitted call.

    Attributes:
        marks: All tokens ever taken from each account of this process, in the order of the claims.
        shared_marks: The same of the accounts on Redis; None if this process has decided by itself.
    """

    marks: tuple[float, ...]
    shared_marks: tuple[float, ...] | None = None


class Refused(NamedTuple):
    """A refused call: the claims that were refused, each with its index and reason."""

    refusals: tuple[tuple[int, Refusal], ...]


class AccountStatus(NamedTuple):
    """What is left of an account; None where it has no such limit."""

    requests_left: float | None
    tokens_left: float | None
    in_flight: int


class LimitAccounts(Protocol):
    """Rates and calls in flight. A call is admitted under a `slot` and settled under the same slot, once."""

    async def admit(
        self, io: IO, claims: Sequence[LimitClaim], slot: str, now: float, *, reserve: float = 0.0
    ) -> Admitted | Refused:
        """Admit a call on all accounts, or on none of them; `now` is the moment on the clock of `io`."""
        ...

    def settle(
        self, claims: Sequence[LimitClaim], slot: str, admitted: Admitted | None, used: int | None, now: float
    ) -> None:
        """Free the call's places and charge what it used; safe inside a finalizer, and without effect if repeated.

        Args:
            claims: The claims.
            slot: The slot.
            admitted: The admission; None if its reply is unknown.
            used: The tokens used; None keeps the reservation.
            now: The current time.
        """
        ...

    async def read(self, io: IO, now: float) -> list[tuple[LimitClaim, AccountStatus]]:
        """Return what is left of each account that this process knows."""
        ...


class _Account:
    __slots__ = ("claim", "places", "state")

    def __init__(self, claim: LimitClaim) -> None:
        self.claim = claim
        self.state = CallLimitState()
        self.places: dict[str, float] = {}

    def drop_expired(self, now: float) -> None:
        """Free places that are held for too long, oldest first."""
        while self.places:
            slot = next(iter(self.places))
            if self.places[slot] > now:
                return
            del self.places[slot]

    def is_new(self, now: float) -> bool:
        """Whether a new account would decide the same from now on, whatever follows."""
        return not self.places and call_limits.lasts(self.state, now) <= 0.0


class _Settlement(NamedTuple):
    claims: Sequence[LimitClaim]
    slot: str
    marks: tuple[float, ...]
    used: int | None
    now: float


class MemoryLimitAccounts:
    """The accounts of this process. Its lock is held for microseconds, never across a call."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._sweep_at = ROOM
        self._lock = threading.Lock()
        # A finalizer may run in the middle of a locked section, in the same thread, so settlements go into a queue.
        self._settled: deque[_Settlement] = deque()
        forks.renew(self, _lock=threading.Lock, _settled=deque)

    def forked(self) -> None:
        """Free all places, as they belong to calls of the parent process."""
        for account in self._accounts.values():
            account.places = {}

    async def admit(
        self, io: IO, claims: Sequence[LimitClaim], slot: str, now: float, *, reserve: float = 0.0
    ) -> Admitted | Refused:
        with self._lock:
            self._work_off()
            accounts = self._open_all(claims, now)
            states: list[CallLimitState] = []
            refusals: list[tuple[int, Refusal]] = []
            for number, (claim, account) in enumerate(zip(claims, accounts, strict=True)):
                state, refusal = call_limits.admit(
                    account.state,
                    claim.settings,
                    now,
                    tokens=claim.tokens,
                    in_flight=len(account.places),
                    reserve=reserve,
                )
                states.append(state)
                if refusal is not None:
                    refusals.append((number, refusal))
            # Calls in a `return` within `with` would be outside of its protection from interrupts.
            reply = Refused(tuple(refusals)) if refusals else Admitted(tuple([state.taken for state in states]))
            if not refusals:
                self._take(accounts, states, slot, now)
        return reply

    def follow(self, claims: Sequence[LimitClaim], slot: str, now: float) -> tuple[float, ...]:
        """Charge a call that Redis has admitted, so that these accounts can decide while it is away."""
        with self._lock:
            self._work_off()
            accounts = self._open_all(claims, now)
            states = [
                call_limits.charge(account.state, claim.settings, now, tokens=claim.tokens)
                for claim, account in zip(claims, accounts, strict=True)
            ]
            marks = tuple([state.taken for state in states])
            self._take(accounts, states, slot, now)
        return marks

    def settle(
        self, claims: Sequence[LimitClaim], slot: str, admitted: Admitted | None, used: int | None, now: float
    ) -> None:
        if admitted is None:
            self._settled.append(_Settlement(claims, slot, (), None, now))
        else:
            self._settled.append(_Settlement(claims, slot, admitted.marks, used, now))
        # Not `acquire(blocking=False)`: an interrupt between it and its `try` would leave the lock locked forever.
        if self._lock.locked():
            return  # the next call processes the queue
        with self._lock:
            self._work_off()

    async def read(self, io: IO, now: float) -> list[tuple[LimitClaim, AccountStatus]]:
        with self._lock:
            self._work_off()
            accounts = list(self._accounts.values())
        return [
            (
                account.claim,
                AccountStatus(
                    call_limits.requests_left(account.state, account.claim.settings, now),
                    call_limits.tokens_left(account.state, account.claim.settings, now),
                    len(account.places),
                ),
            )
            for account in accounts
        ]

    def _open_all(self, claims: Sequence[LimitClaim], now: float) -> list[_Account]:
        if len(self._accounts) >= self._sweep_at:
            self._sweep(now)
        accounts: list[_Account] = []
        for claim in claims:
            if (account := self._accounts.get(claim.account)) is None:
                account = self._accounts[claim.account] = _Account(claim)
            elif account.claim.limit is not claim.limit:
                account.claim = claim  # the limits of the router have changed
            account.drop_expired(now)
            accounts.append(account)
        return accounts

    def _sweep(self, now: float) -> None:
        """Remove the accounts that equal new ones; so often that it costs each new account a constant time."""
        for account in self._accounts.values():
            account.drop_expired(now)
        self._accounts = {name: one for name, one in self._accounts.items() if not one.is_new(now)}
        self._sweep_at = max(ROOM, 2 * len(self._accounts))

    def _take(self, accounts: list[_Account], states: list[CallLimitState], slot: str, now: float) -> None:
        until = now + LEASE_SECONDS
        for account, state in zip(accounts, states, strict=True):
            # No calls within the loop: an interrupt comes between two accounts, and then a settlement frees the first.
            account.places[slot] = until
            account.state = state

    def _work_off(self) -> None:
        """Book queued settlements, each removed only when it is booked: an interrupt may come in between."""
        while self._settled:
            settlement = self._settled[0]
            marks = settlement.marks or (0.0,) * len(settlement.claims)
            for claim, mark in zip(settlement.claims, marks, strict=True):
                account = self._accounts.get(claim.account)
                if account is None or settlement.slot not in account.places:
                    continue  # settled already, or its lease is over
                state = call_limits.settle(
                    account.state,
                    claim.settings,
                    settlement.now,
                    tokens=claim.tokens,
                    used=settlement.used,
                    mark=mark,
                )
                places = account.places
                del places[settlement.slot]  # no calls from here on, so an interrupt cannot separate these two lines
                account.state = state
            self._settled.popleft()
