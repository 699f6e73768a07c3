"""Rate limit headers: the remaining requests and tokens that a provider reports with an answer.

OpenAI, and the many APIs compatible with it, report durations until each limit resets; Anthropic reports timestamps.
The IETF draft's headers are read if a policy accompanies them. Malformed and impossible values are ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime

from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders

NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
SPAN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|[dhms])")
SPANS = re.compile(rf"(?:{SPAN.pattern})+")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
ITEM = re.compile(r'"([^"]*)"((?:\s*;\s*[a-z]+=(?:"[^"]*"|[^;,"]*))*)')
PARAMETER = re.compile(r';\s*([a-z]+)=("[^"]*"|[^;,\s]*)')

ROUNDING_SECONDS = 1.0
"""Tolerance for timestamps in whole seconds: a reset that just passed counts as now."""

LONGEST_SECONDS = 32 * 86400.0
"""A longer reset is ignored: some servers send Unix timestamps there."""

SOONEST_SECONDS = 0.001
"""Minimum reset time, for a limit that has already reset."""


def headroom(headers: Mapping[str, str], now: float, wall: float) -> RateLimitHeaders | None:
    """Returns the rate limits in `headers`; None if they contain none.

    Args:
        headers: The response headers.
        now: Time of the answer on the caller's clock, in seconds.
        wall: The same time as a Unix timestamp, in seconds.
    """
    rate_headers = _select_rate_headers(headers)
    if not rate_headers:
        return None
    levels = (
        _openai(rate_headers, "requests", now)
        or _anthropic(rate_headers, "requests", now, wall)
        or _draft(rate_headers, now),
        _openai(rate_headers, "tokens", now) or _anthropic(rate_headers, "tokens", now, wall),
        _anthropic(rate_headers, "input-tokens", now, wall),
        _anthropic(rate_headers, "output-tokens", now, wall),
    )
    return RateLimitHeaders(*levels) if any(levels) else None


def _select_rate_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the rate limit headers, by lower-case name."""
    raw: list[tuple[bytes, bytes]] | None = getattr(headers, "raw", None)
    if raw is not None:  # httpx decodes names and values at each access, which takes 20 µs
        return {
            lower.decode("latin-1"): value.decode("latin-1")
            for name, value in raw
            if b"ratelimit" in (lower := name.lower())
        }
    return {lower: headers[name] for name in headers if "ratelimit" in (lower := name.lower())}


def _openai(rate_headers: Mapping[str, str], what: str, now: float) -> Level | None:
    if (limit := rate_headers.get(f"x-ratelimit-limit-{what}")) is None:
        return None
    # Azure also sends a renewal period, and resets in milliseconds without a unit.
    bare = 0.001 if f"x-ratelimit-renewalperiod-{what}" in rate_headers else 1.0
    reset = _span(rate_headers.get(f"x-ratelimit-reset-{what}", ""), bare)
    return _level(_number(rate_headers.get(f"x-ratelimit-remaining-{what}", "")), _number(limit), reset, now)


def _anthropic(rate_headers: Mapping[str, str], what: str, now: float, wall: float) -> Level | None:
    start = f"anthropic-ratelimit-{what}-"
    if (limit := rate_headers.get(start + "limit")) is None:
        return None
    reset = _until(rate_headers.get(start + "reset", ""), wall)
    return _level(_number(rate_headers.get(start + "remaining", "")), _number(limit), reset, now)


def _draft(rate_headers: Mapping[str, str], now: float) -> Level | None:
    """Returns the tightest of the policies that count requests."""
    if "ratelimit" not in rate_headers:
        return None
    policies = _items(rate_headers.get("ratelimit-policy", ""))
    levels: list[Level] = []
    for name, parameters in _items(rate_headers.get("ratelimit", "")).items():
        policy = policies.get(name, {})
        if policy.get("qu", '"requests"') == '"requests"':
            remaining = _number(parameters.get("r", ""))
            limit = _number(policy.get("q", ""))
            if (level := _level(remaining, limit, _number(parameters.get("t", "")), now)) is not None:
                levels.append(level)
    return min(levels, key=lambda level: level.remaining, default=None)


def _level(remaining: float | None, limit: float | None, seconds: float | None, now: float) -> Level | None:
    if remaining is None or seconds is None or not limit or remaining > limit:
        return None
    if not -ROUNDING_SECONDS < seconds <= LONGEST_SECONDS:
        return None
    return Level(remaining, limit, now + max(seconds, SOONEST_SECONDS), now)


# The same few texts come with every answer.


@functools.lru_cache(maxsize=1024)
def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text := text.strip()) else None


@functools.lru_cache(maxsize=1024)
def _span(text: str, bare: float) -> float | None:
    """Returns the seconds in `6m0s` or `20ms`, or in a number without a unit, which is multiplied by `bare`."""
    if SPANS.fullmatch(text := text.strip()):
        return sum(float(amount) * SECONDS[unit] for amount, unit in SPAN.findall(text))
    number = _number(text)
    return None if number is None else number * bare


def _until(text: str, wall: float) -> float | None:
    """Returns the seconds until an RFC 3339 timestamp."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp() - wall


def _items(text: str) -> dict[str, dict[str, str]]:
    """Parse a list of structured fields: each name with its parameters."""
    return {name: dict(PARAMETER.findall(parameters)) for name, parameters in ITEM.findall(text)}
