"""A report for notebook cells: tables and pictures that need no style sheet, so that an untrusted view keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from multiroute_core.display import bars
from multiroute_core.display.blocks import Bar, Block, Cell, Paragraph, Picture, Table
from multiroute_core.display.text import display_width, shorten
from multiroute_core.report import formats
from multiroute_core.report.charts import LEAST_COLUMNS, Series, scale_end
from multiroute_core.report.figures import ReportData
from multiroute_core.report.sections import Section, headlines, notes, sections, title

WIDTH = 760
"""Width of a chart in pixels."""

HEIGHT = 190

PAINTS = {
    **dict(zip("012345", ("#3b82f6", "#14a594", "#e8912d", "#c2508f", "#8b6fdc", "#8a94a3"), strict=True)),
    "good": "#5b84b8",
    "cached": "#9db4d0",
    "bad": "#e5484d",
}
"""Colours of the series, legible on light and dark pages: a picture does not know the theme of its notebook."""

INK = "#848d99"
_LONGEST_LABEL = 32
_LEFT = 62
_BOTTOM = 24


def blocks(report: ReportData, charts: Sequence[tuple[str, Sequence[Series], Callable[[float], str]]]) -> list[Block]:
    """Return what a notebook shows of a report.

    Args:
        report: The report.
        charts: The title, the series and the number format of each chart over time.
    """
    shown: list[Block] = [Paragraph(f"Language model calls, {title(report)}", strong=True)]
    if lines := headlines(report):
        shown.append(Table(("", "", ""), [(line.title, line.figure, line.detail) for line in lines], (0, 2)))
    if sentences := notes(report):
        shown.append(Paragraph("\n".join(f"• {sentence}" for sentence in sentences)))
    labels = [formats.tick(bucket.start, report.step) for bucket in report.buckets]
    shown += [_picture(name, labels, series, format_value) for name, series, format_value in charts]
    shown += map(_table, sections(report))
    return shown


def _table(part: Section) -> Table:
    tone = "bad" if part.mark == "bad" else "accent"
    rows: list[tuple[Cell, ...]] = [
        (*row, Bar(begin, end, tone, 0.0 if part.mark == "range" else None) if end > 0 else "")
        for row, (begin, end) in zip(part.rows, part.bars or [(0.0, 0.0)] * len(part.rows), strict=True)
    ]
    return Table((*part.heads, ""), rows, (*part.words, len(part.heads)), title=part.title, optional=("",))


def _picture(
    name: str, labels: Sequence[str], series: Sequence[Series], format_value: Callable[[float], str]
) -> Picture:
    heights = [math.fsum(values) for values in zip(*(each.values for each in series), strict=True)]
    lines = [f"{each.name}: {bars.sparkline(each.values)}" for each in series]
    return Picture(
        _svg(name, labels, series, heights, format_value).encode(), "image/svg+xml", "; ".join(lines), title=name
    )


def _svg(
    name: str,
    labels: Sequence[str],
    series: Sequence[Series],
    heights: Sequence[float],
    format_value: Callable[[float], str],
) -> str:
    """Draw stacked columns with a scale, labels and a legend."""
    top = scale_end(max(heights, default=0.0))
    drawing, legend_height = _legend(series if len(series) > 1 else ())
    head = legend_height + 8
    plot_height = HEIGHT - _BOTTOM - head
    pace = (WIDTH - _LEFT) / max(len(labels), LEAST_COLUMNS)
    for part in (0.0, 0.5, 1.0):
        level = head + plot_height * (1 - part)
        drawing.append(
            f'<path d="M{_LEFT} {level:.1f}H{WIDTH}" stroke="{INK}" stroke-opacity="0.3"/>'
            f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{escape(format_value(top * part))}</text>'
        )
    for place in range(len(labels)):
        level = float(head + plot_height)
        for each in series:
            if (tall := plot_height * each.values[place] / top) > 0:
                level -= tall
                drawing.append(
                    f'<rect x="{_LEFT + pace * (place + 0.1):.1f}" y="{level:.1f}" width="{pace * 0.8:.1f}" '
                    f'height="{tall:.1f}" fill="{PAINTS[each.paint]}"/>'
                )
    step = math.ceil(len(labels) / 6) or 1
    for place in range(0, len(labels), step):
        middle = _LEFT + pace * (place + 0.5)
        anchor = "start" if place == 0 else "end" if middle > WIDTH - 30 else "middle"
        drawing.append(f'<text x="{middle:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(labels[place])}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(name)}"><g font-family="system-ui,sans-serif" font-size="12" fill="{INK}">'
        f"{''.join(drawing)}</g></svg>"
    )


def _legend(series: Sequence[Series]) -> tuple[list[str], int]:
    """Draw the names of the series, on several lines where they need it; return the drawing and its height."""
    drawing: list[str] = []
    left = _LEFT
    line = 0
    for each in series:
        label = shorten(formats.name(each.name), _LONGEST_LABEL)
        width = 30 + 7 * display_width(label)
        if left + width > WIDTH and left > _LEFT:
            left = _LEFT
            line += 1
        drawing.append(
            f'<rect x="{left}" y="{16 * line + 3}" width="10" height="10" rx="2" fill="{PAINTS[each.paint]}"/>'
            f'<text x="{left + 14}" y="{16 * line + 12}">{escape(label)}</text>'
        )
        left += width
    return drawing, 16 * (line + 1)
