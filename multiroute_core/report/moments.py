"""Time parsing: relative times such as `7d`, and dates."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from multiroute_core.errors import ConfigurationError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
"""Seconds per unit."""

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")


def moment(name: str, value: float | str | datetime, now: float) -> float:
    """Converts a time to seconds since 1970.

    Args:
        name: The argument's name, for the error.
        value: Seconds since 1970; a relative time in the past, `"90m"`, `"7d"` (units `s`, `m`, `h`, `d`, `w`); an ISO
            8601 date or time, `"2026-11-01"`, `"2026-11-01T12:00+01:00"`; or a `datetime`. UTC if it has no time zone.
        now: The current time in seconds since 1970.

    Raises:
        ConfigurationError: if the value is not valid.

    Example:
        >>> moment("since", "1h", 10_000.0)
        6400.0
    """
    try:
        if isinstance(value, str):
            if ago := _AGO.fullmatch(value.strip().lower()):
                return now - float(ago[1]) * SECONDS[ago[2]]
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
        if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ConfigurationError(
        f"{name}={value!r:.100} is not a valid time; expected an age such as '7d', '12h' or '30m', or a "
        "date such as '2026-11-01' (UTC)."
    )
