"""Terminal rendering of a report: tables of rich if it is installed, plain ones otherwise."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multiroute_core.display import bars
from multiroute_core.display import plain as aligned
from multiroute_core.display.text import display_width, is_right_to_left
from multiroute_core.errors import ConfigurationError
from multiroute_core.report.figures import ReportData
from multiroute_core.report.sections import Section, headlines, notes, sections, title

if TYPE_CHECKING:
    from rich.console import RenderableType


LEFT_TO_RIGHT = "\u200e"

GAP = 3
"""Columns between two columns of a table."""

NAME_WIDTH = 16
"""Columns that a name keeps where it is folded; a table with less room for it loses columns instead."""


def text(report: ReportData) -> str:
    """Renders the report as text, without colours."""
    try:
        console: Any = module("console").Console(
            file=io.StringIO(),
            color_system=None,
            highlight=False,
            force_jupyter=False,  # in a notebook, rich would display the report instead of writing it
        )
    except ConfigurationError:
        return plain(report)
    console.print(renderable(report))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def plain(report: ReportData) -> str:
    """Renders the report without rich."""
    parts = [title(report)]
    if lines := headlines(report):
        parts.append(aligned.table(("", "", ""), [(line.title, line.figure, line.detail) for line in lines], (0, 2)))
    parts += [f"{part.title}\n{aligned.table(part.heads, part.rows, part.words)}" for part in sections(report)]
    if footnotes := notes(report):
        parts.append("\n".join(f"* {note}" for note in footnotes))
    return "\n\n".join(parts)


def renderable(report: ReportData) -> RenderableType:
    """Renders the report for a rich console.

    Raises:
        ConfigurationError: if rich is not installed.
    """
    words = module("text").Text
    parts: list[Any] = [words(title(report), style="bold")]
    if lines := headlines(report):
        grid = module("table").Table.grid(padding=(0, 2, 0, 0))
        grid.add_column()
        grid.add_column(justify="right", style="bold")
        grid.add_column(style="dim")
        for line in lines:
            grid.add_row(words(line.title), words(line.figure), words(line.detail))
        parts += [words(""), grid]
    if any(bucket.answers or bucket.costs for bucket in report.buckets):
        parts += [words(""), _line(report)]
    for part in sections(report):
        parts += [words(""), _FoldedTable(part)]
    if footnotes := notes(report):
        parts += [words(""), *(words(f"• {note}", style="yellow") for note in footnotes)]
    return module("console").Group(*parts)


class _FoldedTable:
    """One table of a report, which folds its names to the width of the console."""

    def __init__(self, part: Section) -> None:
        self._part = part

    def __rich_console__(self, console: Any, options: Any) -> Iterator[RenderableType]:
        yield section(self._part, options.max_width, NAME_WIDTH)


def section(part: Section, width: int | None = None, name_width: int | None = None) -> RenderableType:
    """Renders one table.

    Args:
        part: The table.
        width: The width in columns: a table that does not fit loses columns from the right, until its names fit. None
            keeps all columns.
        name_width: The columns to which a name may be folded; None keeps names whole.
    """
    if width is not None:
        part = _narrow(part, width, name_width)
    words = module("text").Text
    grid = module("table").Table(
        title=part.title,
        title_justify="left",
        title_style="bold",
        box=module("box").SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
    )
    for place, head in enumerate(part.heads):
        if place in part.words:
            longest = max((display_width(row[place]) for row in part.rows), default=0)
            grid.add_column(head, overflow="fold", min_width=min(max(longest, 8), name_width or 8))
        else:
            grid.add_column(head, justify="right", no_wrap=True)
    for row in part.rows:
        grid.add_row(*(words(_framed(cell)) for cell in row))
    return grid


def module(name: str) -> Any:
    """Imports a module of rich.

    Raises:
        ConfigurationError: if rich is not installed.
    """
    try:
        return importlib.import_module(f"rich.{name}")
    except ImportError as error:
        raise ConfigurationError(
            f"This needs a package that is not installed ({error}); run: pip install 'multiroute-llm[report]'"
        ) from error


def _narrow(part: Section, width: int, name_width: int | None) -> Section:
    """Returns a table without the columns for which there is no room."""
    widths = [max(map(display_width, column)) + GAP for column in zip(part.heads, *part.rows, strict=True)]
    if name_width is not None:
        widths = [min(one, name_width + GAP) if place in part.words else one for place, one in enumerate(widths)]
    count = len(widths)
    while count > part.least and sum(widths[:count]) > width:
        count -= 1
    return replace(
        part,
        heads=part.heads[:count],
        rows=tuple(row[:count] for row in part.rows),
        words=tuple(place for place in part.words if place < count),
    )


def _framed(cell: str) -> str:
    """Isolates a right-to-left name, which would reorder the numbers after it in bidirectional terminals."""
    return f"{LEFT_TO_RIGHT}{cell}{LEFT_TO_RIGHT}" if is_right_to_left(cell) else cell


def _line(report: ReportData) -> Any:
    """Renders the timeline as one line of costs, or of responses if no cost is known."""
    costs = [bucket.cost for bucket in report.buckets]
    what = "spent" if any(costs) else "answers"
    heights = costs if any(costs) else [float(bucket.answers) for bucket in report.buckets]
    return module("text").Text.assemble((f"{what} over time  ", "dim"), (bars.sparkline(heights), "cyan"))
