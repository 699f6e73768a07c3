"""Budget accounts in Redis, shared by all processes of a fleet: an amount reserved by one is unavailable to others.

While Redis is down, claims with a cap are rejected, as the spending of other processes is unknown. Other calls proceed,
and Redis receives their spending once it is back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from multiroute_core.budgets.accounts import (
    LEASE_SECONDS,
    AccountBalance,
    ReservationReply,
    ReservationRequest,
    Settled,
    UnavailableError,
)
from multiroute_core.display.text import printable
from multiroute_core.runtime.io import IO
from multiroute_core.state.link import Down, Link, Refused, key_name
from multiroute_core.state.scripts import script

KEEP_SECONDS = 3600.0
"""Minimum time in seconds that Redis keeps an account after its period."""

MOST = 2**53
"""The largest amount of one call, as Lua's numbers are doubles: nine million USD, or 9e15 tokens."""

logger = logging.getLogger("multiroute_core")


class _Answer(msgspec.Struct):
    balances: list[AccountBalance]
    refused: int | None = None
    fresh: tuple[int, ...] = ()


class RedisAccounts:
    """The accounts of a fleet. Each operation is one script and one round trip; settling does not block the caller.

    Args:
        link: The connection to Redis; its prefix identifies the fleet.
        wall: Returns the time in seconds since 1970; a period begins once this clock and Redis's agree on it.
    """

    def __init__(self, link: Link, wall: Callable[[], float]) -> None:
        self._link = link
        self._wall = wall
        # Clock of the scripts: None for Redis's own. Injectable for tests only.
        self._clock: Callable[[], float | None] = lambda: None

    async def reserve(self, io: IO, claims: Sequence[ReservationRequest], slot: str) -> ReservationReply:
        payload = _encode_claims(claims, slot, self._wall, self._clock(), lease=LEASE_SECONDS)
        try:
            reply = _read(await self._link.call(io, script("reserve"), self._keys(claims), payload))
        except (Down, Refused) as error:
            if isinstance(error, Down) and error.was_sent:
                self.settle(claims, slot, (0,) * len(claims), _nobody)
            if isinstance(error, Refused):
                logger.warning("Redis rejected a budget reservation: %s", printable(str(error)))
            if any(claim.cap is not None for claim in claims):
                raise UnavailableError(str(error)) from error
            return ReservationReply()
        except BaseException:  # cancelled: release what may have been reserved
            self.settle(claims, slot, (0,) * len(claims), _nobody)
            raise
        return ReservationReply(tuple(reply.balances), reply.refused, reply.fresh)

    def settle(self, claims: Sequence[ReservationRequest], slot: str, took: Sequence[int], on_settle: Settled) -> None:
        keys = self._keys(claims)
        wall = self._wall
        clock = self._clock

        # It is kept while Redis is away, and must not reference the link: a link that is dropped ends its thread.
        def command(again: bool) -> tuple[Any, ...]:  # noqa: FBT001  (it is a `Command`)
            return script("spent"), keys, _encode_claims(claims, slot, wall, clock(), took, again=again)

        def learn(reply: Any, error: BaseException | None) -> None:
            if error is None:
                on_settle(_read(reply).balances)

        self._link.send(command, learn, keep=True)

    def close(self) -> None:
        """Do nothing; the link belongs to its creator."""

    def _keys(self, claims: Sequence[ReservationRequest]) -> tuple[str, ...]:
        tag = f"{{{self._link.prefix}}}:budget"  # one script reads several keys, which must share a cluster slot
        # The name of the budget, in which a colon is escaped, and the scope value: see `ReservationRequest`.
        names = [f"{tag}:{key_name(*claim.account.split(':', 1))}" for claim in claims]
        return tuple(key for name in names for key in (name, f"{name}:places"))


def _encode_claims(
    claims: Sequence[ReservationRequest],
    slot: str,
    wall: Callable[[], float],
    clock: float | None,
    took: Sequence[int] = (),
    **more: Any,
) -> bytes:
    now = wall() if clock is None else clock
    entries = [
        {
            "amount": min(claim.amount, MOST),
            "cap": claim.cap if claim.cap is None or claim.cap <= MOST else float(claim.cap),
            "starts": claim.starts,
            "known": claim.baseline and (claim.baseline[0], min(claim.baseline[1], MOST * 512)),
            "opened": claim.allow_new,
            "keep": max(0.0, claim.starts[-1] - now) + KEEP_SECONDS,
            **({"took": min(took[place], MOST)} if took else {}),
        }
        for place, claim in enumerate(claims)
    ]
    return msgspec.msgpack.encode(
        {"claims": entries, "slot": str(slot), "wall": now, **({} if clock is None else {"now": clock}), **more}
    )


_read = msgspec.msgpack.Decoder(_Answer).decode


def _nobody(balances: Sequence[AccountBalance]) -> None:
    """Ignore the balances."""
