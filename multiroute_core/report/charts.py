"""Charts of the HTML page, as resizable HTML and SVG: bars are drawn, labels and numbers stay text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 6
"""Number of series colours in the style sheet; the last one is for the remainder."""

MOST_TICKS = 5

LEAST_COLUMNS = 12
"""Minimum number of columns, so that a single one does not fill the chart."""


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart.

    Attributes:
        name: The series' name.
        values: Its share of each bar.
        paint: The colour's name in the style sheet: `"0"` to `"5"`, `"good"`, `"cached"`, `"bad"`.
    """

    name: str
    values: tuple[float, ...]
    paint: str


def columns(title: str, labels: Sequence[str], series: Sequence[Series], format_value: Callable[[float], str]) -> str:
    """Renders stacked columns over time.

    Args:
        title: The chart's title.
        labels: The label of each column.
        series: From bottom to top.
        format_value: Formats a value; an empty result leaves the value out of the scale.
    """
    heights = [math.fsum(values) for values in zip(*(each.values for each in series), strict=True)]
    ceiling = scale_end(max(heights, default=0.0))
    groups: list[str] = []
    for place, (label, height) in enumerate(zip(labels, heights, strict=True)):
        if height <= 0:
            continue
        parts = [f"{each.name}: {format_value(each.values[place])}" for each in reversed(series) if each.values[place]]
        tooltip = "\n".join((f"{label}: {format_value(height)}", *(parts if len(series) > 1 else ())))
        rects: list[str] = []
        below = 0.0
        for each in series:
            if (tall := 100 * each.values[place] / ceiling) > 0:
                below += tall
                rects.append(
                    f'<rect class="p{each.paint}" x="{place + 0.1:g}" y="{100 - below:.3f}" width="0.8" '
                    f'height="{tall:.3f}"/>'
                )
        groups.append(f"<g><title>{escape(tooltip)}</title>{''.join(rects)}</g>")
    scale = [(part, format_value(ceiling * part)) for part in (0, 0.5, 1)]
    grid = "".join(f'<i style="bottom:{100 * part:g}%"><b>{escape(value)}</b></i>' for part, value in scale if value)
    return (
        f"<section><h2>{escape(title)}</h2>{_legend(series)}"
        f'<div class="plot"><div class="grid">{grid}</div>'
        f'<svg viewBox="0 0 {max(len(labels), LEAST_COLUMNS)} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(groups)}</svg></div>'
        f'<div class="ticks">{_ticks(labels)}</div>'
        "</section>"
    )


def bar(mark: str, begin: float, end: float) -> str:
    """Renders a thin bar from `begin` to `end`, both from 0 to 1; `mark` is its class in the style sheet."""
    fill = f'<i style="left:{100 * begin:.2f}%;width:{100 * (end - begin):.2f}%"></i>' if end > 0 else ""
    return f'<span class="{mark}">{fill}</span>'


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    keys = "".join(f'<li><i class="p{each.paint}"></i><bdi>{escape(each.name)}</bdi></li>' for each in series)
    return f'<ul class="legend">{keys}</ul>'


def _ticks(labels: Sequence[str]) -> str:
    """Renders some labels, evenly spaced, each below its column's centre; those at the ends stay inside."""
    pace = math.ceil(len(labels) / MOST_TICKS)
    ticks: list[str] = []
    for place in range(pace // 2 if len(labels) > pace else 0, len(labels), pace or 1):
        middle = (place + 0.5) / max(len(labels), LEAST_COLUMNS)
        where = "left:0" if middle < 0.04 else "right:0" if middle > 0.94 else f"left:{100 * middle:.2f}%"
        kind = "" if where.endswith("%") else ' class="end"'
        ticks.append(f'<span{kind} style="{where}">{escape(labels[place])}</span>')
    return "".join(ticks)


def scale_end(most: float) -> float:
    """Returns the round number at which a scale ends."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(power * step for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if power * step >= most * 0.999999)
