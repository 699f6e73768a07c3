"""Retry-After: how long a provider requests to wait, from headers, members of the body, or the message.

The forms beyond the standard's two (seconds, or a date): Azure's `x-ms-retry-after-ms`, moments in seconds or
milliseconds since 1970 (openclaw/clawhub#407, 2026-02), spans such as `1m30s`, resets of the limits that are used up,
also those that OpenRouter repeats in `metadata.headers`, Gemini's RetryInfo, also inside another server's string
(Aider-AI/aider#3694, 2025-03), and sentences (openai/codex#5956, 2025-10). Read on 2026-11-30.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import math
import re
import time
from collections.abc import Iterator, Mapping

_UNIT = r"(?:ms|milliseconds?|minutes?|mins?|m|hours?|hrs?|h|days?|d|seconds?|secs?|s)"
RETRY_IN = re.compile(
    r"(?:try again|try your request again|retry(?:ing)?|please wait|replenished|resets?|back) "
    r"(?:(?:in|after|for|about|at least|approximately|another):? )*"
    rf"((?:\d+(?:\.\d+)? ?{_UNIT}\b,? ?(?:and )?)+|(?:\d+(?:\.\d+)?(?:ms|[dhms]))+)",
    re.IGNORECASE,
)
SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(ms|milli|[dhms])", re.IGNORECASE)
SPANS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+", re.IGNORECASE)
SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
CLOCK = re.compile(
    r"(?:again|replenished|resets?|retry) (?:in|after) (?:(\d{1,3})\.)?(\d{1,2}):(\d\d):(\d\d)\b", re.IGNORECASE
)
"""A span as .NET writes it, `days.hours:minutes:seconds`: Azure API Management."""
MOMENT = re.compile(
    r"(?:again|resets?|retry) (?:at|after|on) (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))",
    re.IGNORECASE,
)
CHINESE = re.compile(r"(\d+(?:\.\d+)?) ?(秒|分钟|小时)[之以]?后")
CHINESE_SECONDS = {"秒": 1.0, "分钟": 60.0, "小时": 3600.0}
RETRY_INFO = re.compile(r'"retryDelay\\*": ?\\*"(\d+(?:\.\d+)?)s\\*"')
RETRY_INFO_PARTS = re.compile(r'"retryDelay": ?\{"seconds": ?"?(\d+)"?(?:, ?"nanos": ?(\d+))?')
MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
LIMIT_RESET = re.compile(r"rate-?limit.*reset")
LONGEST_WAIT = 3600.0
"""Maximum wait in seconds. A wrong clock or a server error could otherwise disable a route for good, while one rejected
request per hour costs little.
"""
NEAR = 400 * 86400.0
"""Numbers this close to the present, in seconds since 1970, are moments and not spans."""


def read_retry_after(headers: Mapping[str, str], words: str, *, limited: bool = False) -> float | None:
    """Returns the seconds to wait, at most `LONGEST_WAIT`; None if not given.

    Args:
        headers: The response headers, by lower-case name.
        words: All text of the error body.
        limited: Whether a rate limit refused the request, so that the reset of a used-up limit is the wait.
    """
    wait = _wait(headers, words)
    if wait is None and limited:
        wait = max(_resets(headers), default=None)
    return None if wait is None else min(wait, LONGEST_WAIT)


def _wait(headers: Mapping[str, str], words: str) -> float | None:
    for name in MILLISECONDS:
        if (value := _number(headers.get(name))) is not None:
            return value / 1000
    for name in ("retry-after", "x-retry-after"):
        if (value := headers.get(name)) is not None and (seconds := _span(value)) is not None:
            return seconds
    if match := RETRY_INFO.search(words):
        return float(match[1])
    if match := RETRY_INFO_PARTS.search(words):
        return float(match[1]) + int(match[2] or 0) / 1e9
    return _in_words(words)


def _in_words(words: str) -> float | None:
    """Returns the wait that a sentence states."""
    if match := RETRY_IN.search(words):
        return sum(float(amount) * SECONDS[unit.lower()] for amount, unit in SPAN.findall(match[1]))
    if match := CLOCK.search(words):
        days, hours, minutes, seconds = (int(piece or 0) for piece in match.groups())
        return days * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds
    if match := MOMENT.search(words):
        return _until(match[1])
    if match := CHINESE.search(words):
        return float(match[1]) * CHINESE_SECONDS[match[2]]
    return None


def _span(text: str, unit: float = 1.0) -> float | None:
    """Returns the seconds in a number, a span (`1m30s`), a moment or a date; None for anything else.

    Args:
        text: A header's value.
        unit: What a bare number counts, in seconds.
    """
    if (number := _number(text)) is not None:
        now = time.time()
        for moment in (number, number / 1000):
            if abs(moment - now) < NEAR:
                return max(0.0, moment - now)
        return number * unit
    if SPANS.fullmatch(text := text.strip()):
        return sum(float(amount) * SECONDS[kind.lower()] for amount, kind in SPAN.findall(text))
    with contextlib.suppress(ValueError, OverflowError):
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:  # HTTP dates are in GMT; the oldest format omits the zone
            moment = moment.replace(tzinfo=dt.UTC)
        return max(0.0, moment.timestamp() - time.time())
    return _until(text)


def _until(text: str) -> float | None:
    """Returns the seconds until an RFC 3339 timestamp."""
    with contextlib.suppress(ValueError, OverflowError):
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return max(0.0, moment.timestamp() - time.time())
    return None


def _resets(headers: Mapping[str, str]) -> Iterator[float]:
    """Yield the seconds until each limit that is used up resets; a limit that says what remains is not, unless by 0."""
    for name, value in headers.items():
        if not LIMIT_RESET.search(name):
            continue
        remaining = _number(headers.get(name.replace("reset", "remaining")))
        if remaining:
            continue
        # Azure also sends a renewal period, and resets in milliseconds without a unit.
        unit = 0.001 if name.replace("reset", "renewalperiod") in headers else 1.0
        if (seconds := _span(value, unit)) is not None:
            yield seconds


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < math.inf else None
