"""Formats of numbers, times and names for display. Names from users are sanitized here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

from multiroute_core._util.display import printable
from multiroute_core.report.figures import Slice, Step

NOTHING = "–"
"""The placeholder for unknown or missing values."""

LONGEST_NAME = 60
"""Maximum displayed characters of a name."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def name(value: str | None) -> str:
    """Formats a name for terminals and HTML: without control characters, and truncated."""
    if not value:
        return NOTHING
    text = printable(value[: 4 * LONGEST_NAME]).strip() or NOTHING
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def leftward(text: str) -> bool:
    """Returns whether the text contains right-to-left characters."""
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def digits(values: Iterable[float]) -> int:
    """Returns the decimal places for the amounts of one column: cents, or three digits of the largest."""
    largest = max((abs(value) for value in values), default=0.0)
    return 2 if largest >= 1 or not largest else min(2 - math.floor(math.log10(largest)), 12)


def usd(value: float, places: int | None = None) -> str:
    """Formats an amount as `$1,234.50`; one too small for its decimal places as `<$0.01`."""
    places = digits((value,)) if places is None else places
    least = 10.0**-places
    if not value:
        return "$0"
    return f"<${least:.{places}f}" if 0 < value < least / 2 else f"${value:,.{places}f}"


def cost(of: Slice, places: int | None = None) -> str:
    """Formats a cost; a question mark stands for an unknown part."""
    if not of.unknown:
        return usd(of.cost, places)
    return f"{usd(of.cost, places)}\u00a0+\u00a0?" if of.cost else "unknown"


def short(count: float) -> str:
    """Formats a large count briefly, as `48.2M`."""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit * 0.9995:
            in_units = count / unit
            return f"{in_units:.0f}{letter}" if in_units >= 99.95 else f"{in_units:.1f}{letter}"
    return f"{count:,.0f}"


def share(part: float, total: float) -> str:
    """Formats a share in per cent; only zero is 0 %, and only the whole is 100 %."""
    if not total:
        return NOTHING
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """Formats a duration."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} s" if value >= 99.95 else f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s"


def format_count(count: int, noun: str, nouns: str | None = None) -> str:
    """Formats a count with its noun: `1 try`, `2 tries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def moment(at: float) -> str:
    """Formats a time, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def clock(at: float) -> str:
    """Formats a time of day, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def period(first: float, last: float) -> str:
    """Formats a period, in UTC."""
    begin = moment(first)
    end = moment(last)
    if begin[:10] == end[:10]:
        end = end[11:]
    return f"{begin} UTC" if begin.endswith(end) else f"{begin} to {end} UTC"


def tick(at: float, step: Step) -> str:
    """Formats the label of a timeline's bar."""
    time = datetime.fromtimestamp(at, UTC)
    if step == "month":
        return f"{MONTHS[time.month - 1]} {time.year}"
    date = f"{MONTHS[time.month - 1]} {time.day}"
    if step == "day":
        return date
    return f"{date}, {time:%H:%M}" if step == "hour" else f"{time:%H:%M}"
