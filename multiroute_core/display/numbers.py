"""Formats of amounts, durations and counts. An unknown value is a word or a dash, never zero."""

from __future__ import annotations

import math
from collections.abc import Iterable

NOTHING = "–"
"""The placeholder for a value that does not exist."""

UNKNOWN = "unknown"
"""The placeholder for an amount that was not reported."""


def decimal_places(values: Iterable[float | None]) -> int:
    """Return the decimal places for the amounts of one column: cents, or three digits of the largest."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return 2 if largest >= 1 or not largest else min(2 - math.floor(math.log10(largest)), 12)


def usd(value: float | None, places: int | None = None) -> str:
    """Format an amount in USD.

    Args:
        value: The amount; None for an unknown one.
        places: The decimal places; None chooses them by the amount.

    Example:
        >>> usd(1234.5), usd(0.000321), usd(0.001, 2), usd(0.0), usd(None)
        ('$1,234.50', '$0.000321', '<$0.01', '$0', 'unknown')
    """
    if value is None:
        return UNKNOWN
    if not value:
        return "$0"
    places = decimal_places((value,)) if places is None else places
    least = 10.0**-places
    if 0 < value < least / 2:
        return f"<${least:.{places}f}"
    return f"{'-' if value < 0 else ''}${abs(value):,.{places}f}"


def seconds(value: float | None) -> str:
    """Format a duration: `0.35 s`, `12.5 s`, `1,234 s`."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} s" if value >= 99.95 else f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s"


def share(part: float, total: float) -> str:
    """Format a share in per cent; only zero is 0 %, and only the whole is 100 %."""
    if not total:
        return NOTHING
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def short(count: float) -> str:
    """Format a large count briefly, as `48.2M`."""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit * 0.9995:
            in_units = count / unit
            return f"{in_units:.0f}{letter}" if in_units >= 99.95 else f"{in_units:.1f}{letter}"
    return f"{count:,.0f}"


def format_count(count: int, noun: str, nouns: str | None = None) -> str:
    """Format a count with its noun: `1 try`, `2 tries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
