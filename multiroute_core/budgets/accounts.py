"""Where it stands what is spent: the seam, and the accounts of this process."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeAlias, cast

from multiroute_core.resilience import spend_account
from multiroute_core.resilience.spend_account import Account
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO

LEASE_SECONDS = 900.0
"""How long money is held for a call at most: one whose process was killed never settles."""

ROOM = 10_000
"""From so many accounts on, those whose period is over are given up."""


class ReservationSlot(str):
    """The name under which one call reserves; its reservations end with the last reference to it.

    So an interrupt between any two steps of a call leaves nothing reserved, though no `finally` knows of it yet.
    """

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """What one call wants of one account.

    Attributes:
        account: Its name.
        amount: What the call may take, in billionths of a USD or in tokens.
        cap: What may be spent in a period; None where it is not refused, only counted.
        starts: When the periods around now begin, in seconds since 1970; the last one is the end of this one.
        known: When a period began, and what is known to have been spent in it.
        opened: Whether the account may be new: what was spent before it was there has been looked up.
    """

    account: str
    amount: int
    cap: int | None
    starts: tuple[float, ...]
    baseline: tuple[float, int] | None = None
    allow_new: bool = False


class AccountBalance(NamedTuple):
    """How an account stands.

    Attributes:
        period: When its period began, in seconds since 1970; -1 where the account is gone, so that nothing was
            booked.
        spent: What was spent in it.
        held: What is reserved for calls on their way.
        before: What was spent before that which has just been settled.
    """

    period: float
    spent: int
    held: int
    before: int = 0


class ReservationReply(NamedTuple):
    """What came of an attempt to reserve.

    Attributes:
        balances: How the accounts stood before, in the claims' order.
        refused: The place of the first claim for which too little is left; None where there is enough.
        fresh: The places of claims on accounts that are not there. Nothing was reserved then: look up what was spent,
            and ask again with `opened`.
    """

    balances: tuple[AccountBalance, ...] = ()
    refused_index: int | None = None
    fresh: tuple[int, ...] = ()


Settled: TypeAlias = Callable[[Sequence[AccountBalance]], None]
"""Hears how the accounts stand after something was settled, in the claims' order; in any thread."""


class UnavailableError(Exception):
    """The accounts cannot be read, so that nothing with a cap can be reserved."""


class Accounts(Protocol):
    """What is spent and reserved. A claim is made under a `slot`, and settled under the same."""

    async def reserve(self, io: IO, claims: Sequence[ReservationRequest], slot: str) -> ReservationReply:
        """Reserve all claims, or none of them.

        Raises:
            UnavailableError: one of them has a cap, and the accounts cannot be read.
        """
        ...

    def settle(self, claims: Sequence[ReservationRequest], slot: str, took: Sequence[int], on_settle: Settled) -> None:
        """What was reserved is free, and what the call took is spent. Safe inside a finalizer."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class _Reservation(weakref.ref[ReservationSlot]):
    """What is held for one call; it is told when nobody has the call's slot any more."""

    __slots__ = ("account", "amount", "name", "until")
    account: str
    amount: int
    name: str
    until: float


_LASTING = ReservationSlot()
"""Stands for names that are plain strings, which cannot be watched."""


class _Kept:
    __slots__ = ("account", "ends", "places")

    def __init__(self) -> None:
        self.account = Account()
        self.ends = 0.0
        self.places: dict[str, _Reservation] = {}

    def lapse(self, now: float) -> None:
        """Free what is held for too long; who came first lapses first."""
        while self.places:
            reservation = next(iter(self.places.values()))
            if reservation.until > now:
                return
            self.free(reservation)

    def free(self, reservation: _Reservation) -> None:
        """Let go of a reservation of which nothing was spent."""
        if self.places.get(reservation.name) is reservation:
            account = spend_account.settle(self.account, reservation.amount, 0)
            del self.places[reservation.name]  # no call from here on, which an interrupt could cut
            self.account = account


class MemoryAccounts:
    """The accounts of this process.

    Args:
        wall: The time in seconds since 1970.
        shared: Whether threads share them; those of one call are its own, so no fork finds them locked.
    """

    def __init__(self, wall: Callable[[], float], *, shared: bool = True) -> None:
        self._wall = wall
        self._accounts: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        # A finalizer may come in the middle of it, in the same thread: what is settled goes into a queue.
        self._settled: deque[tuple[Sequence[ReservationRequest], str, Sequence[int], Settled]] = deque()
        # Reservations whose call has gone without a word; put here by a function in C, which no interrupt can cut.
        self._orphans: deque[weakref.ref[ReservationSlot]] = deque()
        if shared:
            forks.renew(self, _lock=threading.Lock, _settled=deque, _orphans=deque)

    def forked(self) -> None:
        """What is reserved is for calls of the parent."""
        for entry in self._accounts.values():
            for reservation in list(entry.places.values()):
                entry.free(reservation)

    async def reserve(self, io: IO, claims: Sequence[ReservationRequest], slot: str) -> ReservationReply:
        now = self._wall()
        with self._lock:
            notices = self._work_off(now)
            reply = self._reserve(claims, slot, now)
        _tell(notices)
        return reply

    def settle(self, claims: Sequence[ReservationRequest], slot: str, took: Sequence[int], on_settle: Settled) -> None:
        self._settled.append((claims, slot, took, on_settle))
        # Not `acquire(blocking=False)`: an interrupt between it and its `try` would leave the lock locked for ever.
        if self._lock.locked():
            return  # whoever has it works it off, or the next one
        with self._lock:
            notices = self._work_off(self._wall())
        _tell(notices)

    def close(self) -> None:
        pass

    def _reserve(self, claims: Sequence[ReservationRequest], slot: str, now: float) -> ReservationReply:
        fresh = [n for n, claim in enumerate(claims) if claim.account not in self._accounts and not claim.allow_new]
        if fresh:
            return ReservationReply(fresh=tuple(fresh))
        balances: list[AccountBalance] = []
        after: list[Account | None] = []
        for claim in claims:
            entry = self._open_entry(claim, now)
            entry.lapse(now)
            balances.append(AccountBalance(entry.account.period, entry.account.spent, entry.account.held))
            after.append(spend_account.reserve(entry.account, claim.cap, claim.amount))
        if None in after:
            return ReservationReply(tuple(balances), after.index(None))
        for claim, account in zip(claims, after, strict=True):
            if account is not None:
                entry = self._accounts[claim.account]
                watched = slot if isinstance(slot, ReservationSlot) else _LASTING
                name = str(slot)
                reservation = _Reservation(watched, self._orphans.append)
                # No call from here on: an interrupt comes before all of it, or after.
                reservation.account = claim.account
                reservation.amount = claim.amount
                reservation.name = name
                reservation.until = now + LEASE_SECONDS
                entry.places[name] = reservation
                entry.account = account
        return ReservationReply(tuple(balances))

    def _open_entry(self, claim: ReservationRequest, now: float) -> _Kept:
        if (entry := self._accounts.get(claim.account)) is None:
            if len(self._accounts) >= ROOM:
                self._accounts = {n: k for n, k in self._accounts.items() if k.places or k.ends > now}
            entry = self._accounts[claim.account] = _Kept()
        entry.ends = claim.starts[-1]
        entry.account = spend_account.current(entry.account, claim.starts, now, claim.baseline)
        return entry

    def _work_off(self, now: float) -> list[tuple[Settled, list[AccountBalance]]]:
        """Book what was settled; who is to hear of it, and what."""
        notices: list[tuple[Settled, list[AccountBalance]]] = []
        while self._orphans:
            orphan = cast("_Reservation", self._orphans[0])
            if (entry := self._accounts.get(orphan.account)) is not None:
                entry.free(orphan)
            self._orphans.popleft()
        while self._settled:
            claims, slot, took, on_settle = self._settled.popleft()
            balances: list[AccountBalance] = []
            for claim, amount in zip(claims, took, strict=True):
                if claim.account not in self._accounts:
                    balances.append(AccountBalance(-1.0, 0, 0))
                    continue
                entry = self._open_entry(claim, now)
                before = entry.account.spent
                reservation = entry.places.get(slot)
                account = spend_account.settle(entry.account, 0 if reservation is None else reservation.amount, amount)
                entry.places.pop(slot, None)
                entry.account = account
                balances.append(AccountBalance(account.period, account.spent, account.held, before))
            notices.append((on_settle, balances))
        return notices


def _tell(notices: list[tuple[Settled, list[AccountBalance]]]) -> None:
    for on_settle, balances in notices:
        on_settle(balances)


def with_baseline(claim: ReservationRequest, baseline: tuple[float, int]) -> ReservationRequest:
    """`claim`, when it has been looked up what was spent before."""
    if claim.baseline is not None and claim.baseline[0] == baseline[0]:
        baseline = max(claim.baseline, baseline)
    return replace(claim, baseline=baseline, allow_new=True)
