"""Rate limit and concurrency limit of a caller's account: requests and tokens per minute, calls at once. Pure.

An account belongs to one limit and one tenant or label. It is charged once per call, not per attempt: a request, and
the estimated tokens of the call, which its actual usage corrects at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from multiroute_core.resilience import token_bucket
from multiroute_core.resilience.rate_limits import POLL_SECONDS

LimitKind: TypeAlias = Literal["rpm", "tpm", "concurrency"]


@dataclass(frozen=True, slots=True)
class CallLimitSettings:
    """The requests and tokens per minute and the calls at once of an account; None for no limit."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class CallLimitState:
    """The state of an account. Times are moments on the caller's clock, in seconds.

    Attributes:
        requests: When the `rpm` bucket is full again.
        tokens: When the `tpm` bucket is full again.
        taken: All tokens ever taken from `tpm`. A call keeps a copy, so that its settlement knows what was taken later.
    """

    requests: float = 0.0
    tokens: float = 0.0
    taken: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused call.

    Attributes:
        limit: What is used up.
        seconds: Until there is enough; at the concurrency limit the interval at which to try again, since the end of
            the next call is unknown.
    """

    limit: LimitKind
    seconds: float


def admit(
    state: CallLimitState,
    settings: CallLimitSettings,
    now: float,
    *,
    tokens: float,
    in_flight: int,
    reserve: float = 0.0,
) -> tuple[CallLimitState, Refusal | None]:
    """Admit one call of `tokens` estimated tokens beside `in_flight` others.

    `reserve` is the share of each limit that must be left afterwards, 0 to 1; see `token_bucket.required`.

    Returns:
        The new state and None; or the unchanged state and the refusal, that with the longest wait.
    """
    rpm = settings.rpm
    tpm = settings.tpm
    most = settings.concurrency
    requests, wait = (state.requests, 0.0) if rpm is None else token_bucket.take(state.requests, rpm, 1.0, now, reserve)
    refill_time, longer = (
        (state.tokens, 0.0) if tpm is None else token_bucket.take(state.tokens, tpm, tokens, now, reserve)
    )
    if longer > wait:
        return state, Refusal("tpm", longer)
    if wait:
        return state, Refusal("rpm", wait)
    if most is not None and in_flight + token_bucket.required(1.0, most, reserve) > most:
        return state, Refusal("concurrency", POLL_SECONDS)
    return CallLimitState(requests, refill_time, state.taken + (0.0 if tpm is None else min(tokens, tpm))), None


def charge(state: CallLimitState, settings: CallLimitSettings, now: float, *, tokens: float) -> CallLimitState:
    """Charge a call that was admitted elsewhere; no bucket is overdrawn by it."""
    rpm = settings.rpm
    tpm = settings.tpm
    full = now + token_bucket.SECONDS
    requests = state.requests
    refill_time = state.tokens
    if rpm is not None:
        requests = max(requests, min(full, max(requests, now) + token_bucket.SECONDS * min(1.0, rpm) / rpm))
    if tpm is not None:
        refill_time = max(refill_time, min(full, max(refill_time, now) + token_bucket.SECONDS * min(tokens, tpm) / tpm))
    return CallLimitState(requests, refill_time, state.taken + (0.0 if tpm is None else min(tokens, tpm)))


def settle(
    state: CallLimitState, settings: CallLimitSettings, now: float, *, tokens: float, used: float | None, mark: float
) -> CallLimitState:
    """Settle a call and return the new state.

    Args:
        state: The current state.
        settings: The limits.
        now: The current time.
        tokens: The tokens reserved for it.
        used: The tokens that all of its attempts used; None if unknown, which keeps the reservation.
        mark: `taken` as it was after its admission.
    """
    tpm = settings.tpm
    if tpm is None or used is None or used == tokens:
        return state
    refill_time = token_bucket.settle(state.tokens, tpm, tokens, used, now, max(0.0, state.taken - mark))
    return CallLimitState(state.requests, refill_time, state.taken + max(0.0, used - min(tokens, tpm)))


def lasts(state: CallLimitState, now: float) -> float:
    """Return for how many seconds the state differs from that of a new account; 0 or less if it does not."""
    return max(state.requests, state.tokens) - now


def requests_left(state: CallLimitState, settings: CallLimitSettings, now: float) -> float | None:
    """Return the requests that would be admitted now; None without a limit."""
    return None if settings.rpm is None else token_bucket.left(state.requests, settings.rpm, now)


def tokens_left(state: CallLimitState, settings: CallLimitSettings, now: float) -> float | None:
    """Return the tokens that would be admitted now; None without a limit."""
    return None if settings.tpm is None else token_bucket.left(state.tokens, settings.tpm, now)
