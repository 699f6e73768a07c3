"""Formats of costs, times and names in a report. Names from users are sanitized here."""

from __future__ import annotations

from datetime import UTC, datetime

from multiroute_core.display.numbers import NOTHING, UNKNOWN, usd
from multiroute_core.display.text import printable, shorten
from multiroute_core.report.figures import Slice, Step

LONGEST_NAME = 60
"""Maximum displayed characters of a name."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def name(value: str | None) -> str:
    """Formats a name for terminals and HTML: without control characters, and truncated."""
    if not value:
        return NOTHING
    text = printable(value[: 4 * LONGEST_NAME]).strip() or NOTHING
    return shorten(text, LONGEST_NAME)


def cost(of: Slice, places: int | None = None) -> str:
    """Formats a cost; a question mark stands for an unknown part."""
    if not of.unknown:
        return usd(of.cost, places)
    return f"{usd(of.cost, places)}\u00a0+\u00a0?" if of.cost else UNKNOWN


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
