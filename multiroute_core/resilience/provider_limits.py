"""Remaining rate limits reported by provider headers; used to avoid a rejection in advance.

A response reports what remains of each limit and when the limit resets. Until the next response, each level is refilled
evenly and lowered by outgoing requests. A level is valid until its reset and for a minute at most, so that a wrong
header blocks requests no longer; an unknown level blocks none.
"""

from __future__ import annotations

from dataclasses import dataclass

from multiroute_core.resilience.token_bucket import required

GRACE = 1e-6
"""Waits below this many seconds are ignored: rounding of a clock."""

TRUSTED_SECONDS = 60.0
"""How long a level is valid at most, in seconds."""


@dataclass(frozen=True, slots=True)
class Level:
    """One limit as reported by a response. Times are moments on the caller's clock, in seconds.

    Attributes:
        remaining: What remained of it.
        limit: Its size.
        reset: When it is full again.
        at: When the response came.
        spent: What was sent since.
    """

    remaining: float
    limit: float
    reset: float
    at: float
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimitHeaders:
    """The limits of a provider; None for those it did not report."""

    requests: Level | None = None
    tokens: Level | None = None
    input_tokens: Level | None = None
    output_tokens: Level | None = None


def take(headroom: RateLimitHeaders, now: float, tokens: float, reserve: float = 0.0) -> tuple[RateLimitHeaders, float]:
    """Count a request of `tokens` tokens against the levels, or return how long to wait.

    The length of the answer is unknown in advance, so the output level must only not be empty. `reserve` is the share
    of each limit that must be left afterwards, 0 to 1; see `token_bucket.required`.

    Returns:
        The lowered levels and 0.0; or the old ones and the estimated seconds until there is enough.
    """
    wait = 0.0
    for level, amount in (
        (headroom.requests, 1.0),
        (headroom.tokens, tokens),
        (headroom.input_tokens, tokens),
        (headroom.output_tokens, 1.0),
    ):
        if level is not None:
            wait = max(wait, _wait(level, amount, now, reserve))
    return (headroom, wait) if wait > GRACE else (spend(headroom, 1.0, tokens), 0.0)


def spend(headroom: RateLimitHeaders, requests: float, tokens: float) -> RateLimitHeaders:
    """Lower the levels."""
    return RateLimitHeaders(
        _spend(headroom.requests, requests),
        _spend(headroom.tokens, tokens),
        _spend(headroom.input_tokens, tokens),
        headroom.output_tokens,
    )


def learn(headroom: RateLimitHeaders | None, headers: RateLimitHeaders, now: float) -> RateLimitHeaders:
    """Merge the levels of a response; a level older than the known one is ignored."""
    if headroom is None:
        return headers
    return RateLimitHeaders(
        _newer(headroom.requests, headers.requests, now),
        _newer(headroom.tokens, headers.tokens, now),
        _newer(headroom.input_tokens, headers.input_tokens, now),
        _newer(headroom.output_tokens, headers.output_tokens, now),
    )


def requests_left(headroom: RateLimitHeaders, now: float) -> float | None:
    """Return the requests that the provider accepts now; None if unknown or expired."""
    return _left(headroom.requests, now)


def tokens_left(headroom: RateLimitHeaders, now: float) -> float | None:
    """Return the tokens that a request may use now; None if unknown or expired."""
    output = _left(headroom.output_tokens, now)
    if output is not None and output < 1.0:
        return 0.0
    return min(
        (n for n in (_left(headroom.tokens, now), _left(headroom.input_tokens, now)) if n is not None), default=None
    )


def _left(level: Level | None, now: float) -> float | None:
    if level is None or now >= _until(level):
        return None
    return max(0.0, _estimate_remaining(level, now))


def _until(level: Level) -> float:
    """Return until when the level is valid."""
    return min(level.reset, level.at + TRUSTED_SECONDS)


def _estimate_remaining(level: Level, now: float) -> float:
    return level.remaining + _rate(level) * max(0.0, now - level.at) - level.spent


def _rate(level: Level) -> float:
    return (level.limit - level.remaining) / (level.reset - level.at)


def _wait(level: Level, amount: float, now: float, reserve: float) -> float:
    if now >= (until := _until(level)):
        return 0.0
    least = required(amount, level.limit, reserve) if reserve else min(amount, level.limit)
    short = least - _estimate_remaining(level, now)
    if short <= 0.0:
        return 0.0
    rate = _rate(level)
    return min(short / rate, until - now) if rate > 0.0 else until - now


def _spend(level: Level | None, amount: float) -> Level | None:
    # Without `replace`, which takes five times as long: this runs several times for every call.
    return None if level is None else Level(level.remaining, level.limit, level.reset, level.at, level.spent + amount)


def _newer(previous: Level | None, latest: Level | None, now: float) -> Level | None:
    if previous is None or latest is None:
        return previous or latest
    if latest.at < previous.at:
        return previous
    # Usage since the older response that the newer one does not include yet: assumed to be spread evenly over the time.
    late = (now - latest.at) / (now - previous.at) if now > previous.at else 0.0
    if late <= 0.0:
        return latest
    return Level(latest.remaining, latest.limit, latest.reset, latest.at, previous.spent * late)
