"""What a quota may still take: a closed door, the provider's headers, requests and tokens a minute, and calls at once.

A quota is what one route has for itself, or what several routes with the same `Route.quota` share.
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
"""When to ask again where too many calls are in flight: nobody knows when the next one ends."""


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """What the user said: requests and tokens a minute, and calls at once; None for no limit."""

    rpm: float | None = None
    tpm: float | None = None
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """The state of one quota. Times are moments on the caller's clock, in seconds.

    Attributes:
        door_until: Until when the provider wants to be left alone.
        requests: When `rpm` is all there again.
        tokens: When `tpm` is all there again.
        taken: All tokens ever taken from `tpm`. It is kept with an admission, so that its settling knows what was taken
            after it.
        concurrency: How many calls may be in flight.
        headroom: What the provider's headers said.
    """

    door_until: float = 0.0
    requests: float = 0.0
    tokens: float = 0.0
    taken: float = 0.0
    concurrency: Concurrency = field(default_factory=Concurrency)
    headroom: RateLimitHeaders | None = None


def admit(
    allowance: RateLimitState, settings: RateLimitSettings, now: float, *, tokens: int, in_flight: int
) -> tuple[RateLimitState, Rejection | None]:
    """Ask for one request of so many tokens, beside `in_flight` others.

    Returns:
        The new state and None; or the state as it was, and why not.
    """
    if now < allowance.door_until:
        return allowance, Rejection("rate_limit", allowance.door_until - now)
    rpm = settings.rpm
    tpm = settings.tpm
    room = allowance.headroom
    if room is not None:
        room, wait = levels.take(room, now, tokens)
        if wait:
            return allowance, Rejection("rate_limit", wait)
    requests, wait = (allowance.requests, 0.0) if rpm is None else token_bucket.take(allowance.requests, rpm, 1.0, now)
    refill_time, longer = (
        (allowance.tokens, 0.0) if tpm is None else token_bucket.take(allowance.tokens, tpm, tokens, now)
    )
    if wait or longer:
        return allowance, Rejection("limit", max(wait, longer))
    if not adaptive_concurrency.admits(allowance.concurrency, settings.max_concurrency, in_flight):
        return allowance, Rejection("busy", POLL_SECONDS)
    if room is None and rpm is None and tpm is None:
        return allowance, None
    asked_for = 0.0 if tpm is None else min(tokens, tpm)
    left = RateLimitState(
        door_until=allowance.door_until,
        requests=requests,
        tokens=refill_time,
        taken=allowance.taken + asked_for,
        concurrency=allowance.concurrency,
        headroom=room,
    )
    return left, None


def requests_left(allowance: RateLimitState, settings: RateLimitSettings, now: float) -> float | None:
    """How many requests it would take now, its door and its places in flight aside; None for unknown."""
    room = allowance.headroom
    return _least(
        None if settings.rpm is None else token_bucket.left(allowance.requests, settings.rpm, now),
        None if room is None else levels.requests_left(room, now),
    )


def tokens_left(allowance: RateLimitState, settings: RateLimitSettings, now: float) -> float | None:
    """How many tokens it would take now, its door and its places in flight aside; None for unknown."""
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
    door: float | None,
    headroom: RateLimitHeaders | None,
    in_flight: int,
) -> RateLimitState:
    """A request that was sent is over.

    Args:
        tokens: What was reserved for it.
        used: What it took; None where nobody said, which leaves the reservation as it is.
        mark: `taken`, as it stood after it was let in.
        outcome: Whether an answer came, or a refusal for the rate, or something else.
        door: Seconds for which the provider wants to be left alone; for a refusal that names no time, the caller's.
        headroom: What the headers said.
        in_flight: How many calls there are, this one included.
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
        flight = adaptive_concurrency.limited(flight, now, in_flight, door)
    if door is None and headroom is None and left == allowance.tokens and flight is allowance.concurrency:
        return allowance
    return RateLimitState(
        door_until=allowance.door_until if door is None else max(allowance.door_until, now + door),
        requests=allowance.requests,
        tokens=left,
        taken=total_tokens,
        concurrency=flight,
        headroom=allowance.headroom if headroom is None else levels.learn(allowance.headroom, headroom, now),
    )
