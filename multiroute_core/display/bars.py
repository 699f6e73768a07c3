"""Bars and sparklines of block characters, which need neither styles nor scripts.

Page sanitizers (JupyterLab for untrusted notebooks, GitHub) remove styles, classes and SVG, but not characters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from multiroute_core.display.blocks import Bar

EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"
LIGHT = "░"
WIDTH = 12
"""Characters of a bar in a table."""

MOST_HEIGHTS = 60
"""Maximum characters of a sparkline."""


def draw(bar: Bar, width: int = WIDTH) -> tuple[str, str, str]:
    """Return the parts of a bar: the empty and the light part before it, the bar itself, and the empty rest.

    A bar that is not empty shows at least an eighth of a character. The parts together have `width` characters.
    """
    begin = _limit(bar.begin)
    end = max(begin, _limit(bar.end))
    start = min(int(begin * width), width - 1)
    eighths = round((end * width - start) * 8)
    if eighths <= 0 and end > 0:
        eighths = 1
    eighths = min(eighths, 8 * (width - start))
    body = "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    lead = start if bar.lead is None else min(int(_limit(bar.lead) * width), start)
    return " " * lead + LIGHT * (start - lead), body, " " * (width - start - len(body))


def sparkline(values: Sequence[float], most: int = MOST_HEIGHTS) -> str:
    """Draw values as a line of blocks; neighbours are added up where there are more than `most`.

    Example:
        >>> sparkline([0, 1, 4, 8])
        ' ▁▄█'
    """
    pace = math.ceil(len(values) / most) or 1
    sums = [math.fsum(values[place : place + pace]) for place in range(0, len(values), pace)]
    highest = max(sums, default=0.0)
    if highest <= 0:
        return " " * len(sums)
    return "".join(HEIGHTS[min(max(math.ceil(8 * value / highest) - 1, 0), 7)] if value > 0 else " " for value in sums)


def _limit(value: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)
