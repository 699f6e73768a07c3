"""Limit accounts in Redis, shared by all processes of a fleet.

Each operation is one script and one round trip, by Redis's clock; settling does not block the caller. While Redis is
away this process decides by itself. Its own accounts follow every call that Redis admits, so they do not start empty.

A tenant that calls far too often costs the others nothing: until the moment at which its account has room again, as
Redis said when it refused a call, further calls are refused here without a round trip.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from multiroute_core.display.text import printable
from multiroute_core.limits.accounts import (
    LEASE_SECONDS,
    ROOM,
    AccountStatus,
    Admitted,
    LimitClaim,
    MemoryLimitAccounts,
    Refused,
)
from multiroute_core.resilience.call_limits import LimitKind, Refusal
from multiroute_core.runtime.io import IO
from multiroute_core.state import link as links
from multiroute_core.state.link import Down, Link, key_name
from multiroute_core.state.scripts import script

STATUS_ROWS = 1_000
"""Maximum number of accounts whose status is read from Redis."""

logger = logging.getLogger("multiroute_core")


class _Admission(msgspec.Struct):
    marks: tuple[float, ...] = ()
    refusals: list[tuple[int, LimitKind, float]] = []


class _Statuses(msgspec.Struct):
    rows: list[_Row]


class _Row(msgspec.Struct):
    in_flight: int
    requests_left: float | None = None
    tokens_left: float | None = None


class _Remembered(NamedTuple):
    """A refusal by Redis, which holds until a moment for calls that need as much or more."""

    claim: LimitClaim
    until: float
    limit: LimitKind
    reserve: float

    def refuses(self, claim: LimitClaim, now: float, reserve: float) -> bool:
        if now >= self.until or reserve < self.reserve:
            return False
        return self.limit != "tpm" or claim.tokens >= self.claim.tokens


class RedisLimitAccounts:
    """The accounts of a fleet.

    Args:
        link: The connection to Redis; its prefix identifies the fleet.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._local = MemoryLimitAccounts()
        self._remembered: dict[tuple[str, str], _Remembered] = {}
        self._sweep_at = ROOM
        # Clock of the scripts: None for Redis's own. Injectable for tests only.
        self._clock: float | None = None

    async def admit(
        self, io: IO, claims: Sequence[LimitClaim], slot: str, now: float, *, reserve: float = 0.0
    ) -> Admitted | Refused:
        if (refused := self._recall(claims, now, reserve)) is not None:
            return refused
        payload = _encode(claims, self._clock, slot=slot, reserve=reserve)
        try:
            reply = await self._link.call(io, script("limit_admit"), self._keys(claims), payload)
        except (Down, links.Refused) as error:
            if isinstance(error, Down) and error.was_sent:
                self._send_settlement(claims, slot, (0.0,) * len(claims), None)
            elif isinstance(error, links.Refused):
                logger.warning("Redis rejected the admission of a call to its limits: %s", printable(str(error)))
            return await self._local.admit(io, claims, slot, now, reserve=reserve)
        except BaseException:  # cancelled: free what may have been taken
            self._send_settlement(claims, slot, (0.0,) * len(claims), None)
            raise
        admission = _read_admission(reply)
        if admission.refusals:
            refusals = [(number, Refusal(limit, seconds)) for number, limit, seconds in admission.refusals]
            for number, refusal in refusals:
                self._remember(claims[number], refusal, now, reserve)
            return Refused(tuple(refusals))
        return Admitted(self._local.follow(claims, slot, now), admission.marks)

    def settle(
        self, claims: Sequence[LimitClaim], slot: str, admitted: Admitted | None, used: int | None, now: float
    ) -> None:
        self._local.settle(claims, slot, admitted, used, now)
        if admitted is None:
            self._send_settlement(claims, slot, (0.0,) * len(claims), None)
        elif admitted.shared_marks is not None:
            self._send_settlement(claims, slot, admitted.shared_marks, used)
        for claim in claims:  # there may be room again
            self._remembered.pop(claim.account, None)

    async def read(self, io: IO, now: float) -> list[tuple[LimitClaim, AccountStatus]]:
        statuses = {claim.account: (claim, status) for claim, status in await self._local.read(io, now)}
        claims = [claim for claim, _ in statuses.values()]
        claims += [one.claim for account, one in list(self._remembered.items()) if account not in statuses]
        claims = claims[-STATUS_ROWS:]
        if not claims:
            return []
        try:
            reply = await self._link.call(io, script("limit_status"), self._keys(claims), _encode(claims, self._clock))
        except (Down, links.Refused):
            return list(statuses.values())
        rows = _read_statuses(reply).rows
        return [
            (claim, AccountStatus(row.requests_left, row.tokens_left, row.in_flight))
            for claim, row in zip(claims, rows, strict=True)
        ]

    def _recall(self, claims: Sequence[LimitClaim], now: float, reserve: float) -> Refused | None:
        """Return the refusal that still holds for one of the claims."""
        if not self._remembered:
            return None
        refusals = [
            (number, Refusal(one.limit, one.until - now))
            for number, claim in enumerate(claims)
            if (one := self._remembered.get(claim.account)) is not None and one.refuses(claim, now, reserve)
        ]
        return Refused(tuple(refusals)) if refusals else None

    def _remember(self, claim: LimitClaim, refusal: Refusal, now: float, reserve: float) -> None:
        if len(self._remembered) >= self._sweep_at:
            self._remembered = {name: one for name, one in list(self._remembered.items()) if one.until > now}
            self._sweep_at = max(ROOM, 2 * len(self._remembered))
        self._remembered[claim.account] = _Remembered(claim, now + refusal.seconds, refusal.limit, reserve)

    def _send_settlement(
        self, claims: Sequence[LimitClaim], slot: str, marks: tuple[float, ...], used: int | None
    ) -> None:
        start = time.monotonic()
        keys = self._keys(claims)
        clock = self._clock

        # It is kept while Redis is away, and must not reference the link: a link that is dropped ends its thread.
        def command(_: bool) -> tuple[Any, ...]:  # noqa: FBT001  (it is a `Command`)
            age = time.monotonic() - start if clock is None else 0.0
            return script("limit_settle"), keys, _encode(claims, clock, marks, slot=slot, used=used, age=age)

        self._link.send(command, keep=True)

    def _keys(self, claims: Sequence[LimitClaim]) -> tuple[str, ...]:
        tag = f"{{{self._link.prefix}}}:limit"  # one script reads several keys, which must share a cluster slot
        names = [f"{tag}:{key_name(*claim.account)}" for claim in claims]
        return tuple(key for name in names for key in (name, f"{name}:places"))


def _encode(claims: Sequence[LimitClaim], clock: float | None, marks: Sequence[float] = (), **more: Any) -> bytes:
    entries = [
        {"tokens": claim.tokens, "limits": claim.settings, **({"mark": marks[place]} if marks else {})}
        for place, claim in enumerate(claims)
    ]
    now = {} if clock is None else {"now": clock}
    return msgspec.msgpack.encode({"claims": entries, "lease": LEASE_SECONDS, **now, **more})


_read_admission = msgspec.msgpack.Decoder(_Admission).decode
_read_statuses = msgspec.msgpack.Decoder(_Statuses).decode
