"""Retry-After: how long a provider requests to wait, from headers, Gemini's RetryInfo, or the message."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import math
import re
import time
from collections.abc import Mapping

RETRY_IN = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)? ?(?:ms|minutes?|m|hours?|h|seconds?|s)\b ?)+|"
    r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+)",
    re.IGNORECASE,
)
SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(ms|[hms])", re.IGNORECASE)
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
RETRY_INFO = re.compile(r'"retryDelay": ?"(\d+(?:\.\d+)?)s"')
LONGEST_WAIT = 3600.0
"""Maximum wait in seconds. A wrong clock or a server error could otherwise disable a route for good, while one rejected
request per hour costs little.
"""


def read_retry_after(headers: Mapping[str, str], words: str) -> float | None:
    """Returns the seconds to wait, at most `LONGEST_WAIT`; None if not given.

    Args:
        headers: The response headers, by lower-case name.
        words: All text of the error body.
    """
    wait = _wait(headers, words)
    return None if wait is None else min(wait, LONGEST_WAIT)


def _wait(headers: Mapping[str, str], words: str) -> float | None:
    if (value := _number(headers.get("retry-after-ms"))) is not None:
        return value / 1000
    if (value := headers.get("retry-after")) is not None:
        if (seconds := _number(value)) is not None:
            return seconds
        with contextlib.suppress(ValueError, OverflowError):
            moment = email.utils.parsedate_to_datetime(value)
            if moment.tzinfo is None:  # HTTP dates are in GMT; the oldest format omits the zone
                moment = moment.replace(tzinfo=dt.UTC)
            return max(0.0, moment.timestamp() - time.time())
    if match := RETRY_INFO.search(words):
        return float(match[1])
    if match := RETRY_IN.search(words):
        return sum(float(amount) * SECONDS[unit.lower()] for amount, unit in SPAN.findall(match[1]))
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < math.inf else None
