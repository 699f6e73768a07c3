"""Budget accounts, which record spending and reservations: the protocol, and the implementation for one process."""

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
"""Maximum duration of a reservation in seconds; a call whose process was killed never settles."""

ROOM = 10_000
"""Number of accounts above which expired ones are removed."""


class ReservationSlot(str):
    """The name under which one call reserves; its reservations end with the last reference to it.

    So an interrupt between any two steps of a call leaves nothing reserved, even if no `finally` covers it yet.
    """

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """What one call requests from one account.

    Attributes:
        account: The account's name: that of the budget, in which `%` and `:` are escaped, a colon and the scope value.
        amount: The most that the call may spend, in billionths of a USD or in tokens.
        cap: The limit per period; None if spending is counted but not limited.
        starts: Starts of the previous, current and next period, in seconds since 1970; the last one is the end of the
            current period.
        baseline: The start of a period, and the known spending in it.
        allow_new: Whether the account may be created, because earlier spending has been looked up.
    """

    account: str
    amount: int
    cap: int | None
    starts: tuple[float, ...]
    baseline: tuple[float, int] | None = None
    allow_new: bool = False


class AccountBalance(NamedTuple):
    """The state of an account.

    Attributes:
        period: Start of its period, in seconds since 1970; -1 if the account does not exist, so that nothing was
            booked.
        spent: Spending in the period.
        held: Amount reserved for calls in progress.
        before: Spending before the amount that was just settled.
    """

    period: float
    spent: int
    held: int
    before: int = 0


class ReservationReply(NamedTuple):
    """The result of an attempt to reserve.

    Attributes:
        balances: The accounts before the reservation, in the order of the claims.
        refused_index: Index of the first claim that exceeds the remaining amount; None if all fit.
        fresh: Indexes of claims on missing accounts. Nothing was reserved then: look up earlier spending, and retry
            with `allow_new`.
    """

    balances: tuple[AccountBalance, ...] = ()
    refused_index: int | None = None
    fresh: tuple[int, ...] = ()


Settled: TypeAlias = Callable[[Sequence[AccountBalance]], None]
"""Called with the account balances after a settlement, in the order of the claims; in any thread."""


class UnavailableError(Exception):
    """The accounts cannot be read, so claims with a cap cannot be reserved."""


class Accounts(Protocol):
    """Spending and reservations. Claims are reserved under a `slot` and settled under the same slot."""

    async def reserve(self, io: IO, claims: Sequence[ReservationRequest], slot: str) -> ReservationReply:
        """Reserve all claims, or none of them.

        Raises:
            UnavailableError: If one of them has a cap and the accounts cannot be read.
        """
        ...

    def settle(self, claims: Sequence[ReservationRequest], slot: str, took: Sequence[int], on_settle: Settled) -> None:
        """Release the reservations and book the actual spending. Safe inside a finalizer."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...


class _Reservation(weakref.ref[ReservationSlot]):
    """The amount held for one call; its callback runs once the call's slot is garbage-collected."""

    __slots__ = ("account", "amount", "name", "until")
    account: str
    amount: int
    name: str
    until: float


_LASTING = ReservationSlot()
"""Used for slots that are plain strings, which do not support weak references."""


class _Settlement:
    """A queued settlement, and how much of it is booked: an interrupt may come between two of its accounts."""

    __slots__ = ("balances", "booked", "claims", "on_settle", "slot", "took")

    def __init__(
        self, claims: Sequence[ReservationRequest], slot: str, took: Sequence[int], on_settle: Settled
    ) -> None:
        self.claims = claims
        self.slot = slot
        self.took = took
        self.on_settle = on_settle
        self.balances = [AccountBalance(-1.0, 0, 0)] * len(claims)
        self.booked = 0


class _Kept:
    __slots__ = ("account", "ends", "places")

    def __init__(self) -> None:
        self.account = Account()
        self.ends = 0.0
        self.places: dict[str, _Reservation] = {}

    def lapse(self, now: float) -> None:
        """Release expired reservations, oldest first."""
        while self.places:
            reservation = next(iter(self.places.values()))
            if reservation.until > now:
                return
            self.free(reservation)

    def free(self, reservation: _Reservation) -> None:
        """Release a reservation of which nothing was spent."""
        if self.places.get(reservation.name) is reservation:
            account = spend_account.settle(self.account, reservation.amount, 0)
            del self.places[reservation.name]  # no calls below, so an interrupt cannot separate these two lines
            self.account = account


class MemoryAccounts:
    """The accounts of this process.

    Args:
        wall: Returns the time in seconds since 1970.
        shared: Whether threads share the accounts. The accounts of a single call are not shared, so a fork never finds
            them locked.
    """

    def __init__(self, wall: Callable[[], float], *, shared: bool = True) -> None:
        self._wall = wall
        self._accounts: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        # A finalizer may run in the middle of a locked section, in the same thread, so settlements go into a queue.
        self._settled: deque[_Settlement] = deque()
        # Reservations whose call ended without settling; appended by a C function, which no interrupt can split.
        self._orphans: deque[weakref.ref[ReservationSlot]] = deque()
        if shared:
            forks.renew(self, _lock=threading.Lock, _settled=deque, _orphans=deque)

    def forked(self) -> None:
        """Release all reservations, as they belong to calls of the parent process."""
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
        self._settled.append(_Settlement(claims, slot, took, on_settle))
        # Not `acquire(blocking=False)`: an interrupt between it and its `try` would leave the lock locked forever.
        if self._lock.locked():
            return  # the holder of the lock processes the queue, or the next caller does
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
                # No calls below: an interrupt arrives before or after this block, not within it.
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
        """Book queued settlements; returns the callbacks to run and their balances."""
        notices: list[tuple[Settled, list[AccountBalance]]] = []
        while self._orphans:
            orphan = cast("_Reservation", self._orphans[0])
            if (entry := self._accounts.get(orphan.account)) is not None:
                entry.free(orphan)
            self._orphans.popleft()
        while self._settled:
            settlement = self._settled[0]
            for number in range(settlement.booked, len(settlement.claims)):
                self._book(settlement, number, now)
            notices.append((settlement.on_settle, settlement.balances))
            self._settled.popleft()
        return notices

    def _book(self, settlement: _Settlement, number: int, now: float) -> None:
        """Book a settlement at one of its accounts."""
        claim = settlement.claims[number]
        if claim.account not in self._accounts:
            settlement.booked = number + 1
            return
        slot = settlement.slot
        entry = self._open_entry(claim, now)
        before = entry.account.spent
        reservation = entry.places.get(slot)
        reserved = 0 if reservation is None else reservation.amount
        account = spend_account.settle(entry.account, reserved, settlement.took[number])
        balance = AccountBalance(account.period, account.spent, account.held, before)
        # No calls below, so an interrupt comes before all of it, or after; `pop` would be one.
        if reservation is not None:
            del entry.places[slot]
        entry.account = account
        settlement.balances[number] = balance
        settlement.booked = number + 1


def _tell(notices: list[tuple[Settled, list[AccountBalance]]]) -> None:
    for on_settle, balances in notices:
        on_settle(balances)


def with_baseline(claim: ReservationRequest, baseline: tuple[float, int]) -> ReservationRequest:
    """Return `claim` with the looked-up earlier spending."""
    if claim.baseline is not None and claim.baseline[0] == baseline[0]:
        baseline = max(claim.baseline, baseline)
    return replace(claim, baseline=baseline, allow_new=True)
