"""Rate limits and cooldown of a route: retry-after, provider headers, requests and tokens per minute, concurrency.

The state belongs to one route, or to several routes with the same `Route.rate_limit_group`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from multiroute_core.resilience import adaptive_concurrency, token_bucket
from multiroute_core.resilience import provider_limits as levels
from multiroute_core.resilience.adaptive_concurrency import Concurrency
from multiroute_core.resilience.admission import Rejection
from multiroute_core.resilience.provider_limits import RateLimitHeaders

POLL_SECONDS = 0.05
"""Poll interval in seconds at the concurrency limit: the end of the next call is unknown."""


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """The configured requests and tokens per minute and concurrent calls; None for no limit."""

    rpm: float | None = None
    tpm: float | None = None
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """The state of one rate limit group. Times are moments on the caller's clock, in seconds.

    Attributes:
        cooldown_until: The end of the cooldown that the provider requested.
        requests: When the `rpm` bucket is full again.
        tokens: When the `tpm` bucket is full again.
        taken: All tokens ever taken from `tpm`. A permit keeps a copy, so that its settlement knows what was taken
            later.
        concurrency: The adaptive concurrency limit.
        headroom: The remaining limits reported by the provider's headers.
    """

    cooldown_until: float = 0.0
    requests: float = 0.0
    tokens: float = 0.0
    taken: float = 0.0
    concurrency: Concurrency = field(default_factory=Concurrency)
    headroom: RateLimitHeaders | None = None


def admit(
    allowance: RateLimitState,
    settings: RateLimitSettings,
    now: float,
    *,
    tokens: int,
    in_flight: int,
    reserve: float = 0.0,
) -> tuple[RateLimitState, Rejection | None]:
    """Admit one request of `tokens` tokens beside `in_flight` others.

    `reserve` is the share of each limit that must be left afterwards, 0 to 1; see `token_bucket.required`.

    Returns:
        The new state and None; or the unchanged state and the rejection.
    """
    if now < allowance.cooldown_until:
        return allowance, Rejection("rate_limit", allowance.cooldown_until - now)
    rpm = settings.rpm
    tpm = settings.tpm
    room = allowance.headroom
    if room is not None:
        room, wait = levels.take(room, now, tokens, reserve)
        if wait:
            return allowance, Rejection("rate_limit", wait)
    requests, wait = (
        (allowance.requests, 0.0) if rpm is None else token_bucket.take(allowance.requests, rpm, 1.0, now, reserve)
    )
    refill_time, longer = (
        (allowance.tokens, 0.0) if tpm is None else token_bucket.take(allowance.tokens, tpm, tokens, now, reserve)
    )
    if wait or longer:
        return allowance, Rejection("limit", max(wait, longer))
    if not adaptive_concurrency.admits(allowance.concurrency, settings.max_concurrency, in_flight, reserve):
        return allowance, Rejection("busy", POLL_SECONDS)
    if room is None and rpm is None and tpm is None:
        return allowance, None
    asked_for = 0.0 if tpm is None else min(tokens, tpm)
    left = RateLimitState(
        cooldown_until=allowance.cooldown_until,
        requests=requests,
        tokens=refill_time,
        taken=allowance.taken + asked_for,
        concurrency=allowance.concurrency,
        headroom=room,
    )
    return left, None


def requests_left(allowance: RateLimitState, settings: RateLimitSettings, now: float) -> float | None:
    """Return the requests accepted now, regardless of cooldown and concurrency; None if unknown."""
    room = allowance.headroom
    return _least(
        None if settings.rpm is None else token_bucket.left(allowance.requests, settings.rpm, now),
        None if room is None else levels.requests_left(room, now),
    )


def tokens_left(allowance: RateLimitState, settings: RateLimitSettings, now: float) -> float | None:
    """Return the tokens accepted now, regardless of cooldown and concurrency; None if unknown."""
    room = allowance.headroom
    return _least(
        None if settings.tpm is None else token_bucket.left(allowance.tokens, settings.tpm, now),
        None if room is None else levels.tokens_left(room, now),
    )


def _least(*known: float | None) -> float | None:
    return min((number for number in known if number is not None), default=None)


def settle(
    allowance: RateLimitState,
    settings: RateLimitSettings,
    now: float,
    *,
    tokens: int,
    used: int | None,
    mark: float,
    outcome: Literal["success", "rate_limited", "other"],
    retry_after: float | None,
    headroom: RateLimitHeaders | None,
    in_flight: int,
) -> RateLimitState:
    """Settle a request that was sent and return the new state.

    Args:
        allowance: The current state.
        settings: The configured limits.
        now: The current time.
        tokens: The tokens reserved for it.
        used: The tokens it used; None if unknown, which keeps the reservation.
        mark: `taken` as it was after its admission.
        outcome: Whether it was answered, rejected for the rate, or ended otherwise.
        retry_after: The cooldown in seconds that the provider requested; the caller's default for a rejection
            without one.
        headroom: The remaining limits reported by the headers.
        in_flight: The calls in flight, this one included.
    """
    left = allowance.tokens
    total_tokens = allowance.taken
    if settings.tpm is not None and used is not None and used != tokens:
        left = token_bucket.settle(left, settings.tpm, tokens, used, now, total_tokens - mark)
        total_tokens += max(0.0, used - min(tokens, settings.tpm))
    flight = allowance.concurrency
    if outcome == "success":
        flight = adaptive_concurrency.record_answer(flight, now, in_flight)
    elif outcome == "rate_limited":
        flight = adaptive_concurrency.limited(flight, now, in_flight, retry_after)
    if retry_after is None and headroom is None and left == allowance.tokens and flight is allowance.concurrency:
        return allowance
    return RateLimitState(
        cooldown_until=allowance.cooldown_until
        if retry_after is None
        else max(allowance.cooldown_until, now + retry_after),
        requests=allowance.requests,
        tokens=left,
        taken=total_tokens,
        concurrency=flight,
        headroom=allowance.headroom if headroom is None else levels.learn(allowance.headroom, headroom, now),
    )
