"""How figures, moments and names are written for people. What users have named is made harmless here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

from multiroute_core._util.display import printable
from multiroute_core.report.figures import Slice, Step

NOTHING = "–"
"""What stands where nothing is known or nothing was named."""

LONGEST_NAME = 60
"""Characters of a name that are shown."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def name(value: str | None) -> str:
    """A name that may stand in a terminal and in a page: without control characters, and cut."""
    if not value:
        return NOTHING
    text = printable(value[: 4 * LONGEST_NAME]).strip() or NOTHING
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def leftward(text: str) -> bool:
    """Whether some of it is written from the right to the left."""
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def digits(values: Iterable[float]) -> int:
    """How many digits sums of money in one column have behind the point: cents, or three digits of the largest."""
    largest = max((abs(value) for value in values), default=0.0)
    return 2 if largest >= 1 or not largest else min(2 - math.floor(math.log10(largest)), 12)


def usd(value: float, places: int | None = None) -> str:
    """A sum of money, `$1,234.50`; what is too little for its digits is `<$0.01`."""
    places = digits((value,)) if places is None else places
    least = 10.0**-places
    if not value:
        return "$0"
    return f"<${least:.{places}f}" if 0 < value < least / 2 else f"${value:,.{places}f}"


def cost(of: Slice, places: int | None = None) -> str:
    """What was spent; a question mark stands for what nobody knows."""
    if not of.unknown:
        return usd(of.cost, places)
    return f"{usd(of.cost, places)}\u00a0+\u00a0?" if of.cost else "unknown"


def short(count: float) -> str:
    """A large count in few letters, `48.2M`."""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit * 0.9995:
            in_units = count / unit
            return f"{in_units:.0f}{letter}" if in_units >= 99.95 else f"{in_units:.1f}{letter}"
    return f"{count:,.0f}"


def share(part: float, total: float) -> str:
    """A part of a whole in per cent; only nothing is 0 %, and only all of it is 100 %."""
    if not total:
        return NOTHING
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """A time that something took."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} s" if value >= 99.95 else f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s"


def format_count(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 try`, `2 tries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def moment(at: float) -> str:
    """A moment, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def clock(at: float) -> str:
    """A time of the day, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def period(first: float, last: float) -> str:
    """From when to when, in UTC."""
    begin = moment(first)
    end = moment(last)
    if begin[:10] == end[:10]:
        end = end[11:]
    return f"{begin} UTC" if begin.endswith(end) else f"{begin} to {end} UTC"


def tick(at: float, step: Step) -> str:
    """What stands under a bar of the time line."""
    time = datetime.fromtimestamp(at, UTC)
    if step == "month":
        return f"{MONTHS[time.month - 1]} {time.year}"
    date = f"{MONTHS[time.month - 1]} {time.day}"
    if step == "day":
        return date
    return f"{date}, {time:%H:%M}" if step == "hour" else f"{time:%H:%M}"
