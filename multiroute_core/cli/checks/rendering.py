"""Rendering of a check for terminals: a table where it fits, a paragraph for each route where it does not.

Names of routes are never cut: they are what a reader looks for.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from multiroute_core.cli.checks.results import CheckResult, RouteResult
from multiroute_core.display import numbers, plain
from multiroute_core.display.text import display_width, printable, printable_lines
from multiroute_core.errors import ConfigurationError
from multiroute_core.report import terminal
from multiroute_core.report.sections import Section

HEADS = (
    "route",
    "package",
    "key",
    "model",
    "answer",
    "USD per 1M in/out",
    "window",
    "capabilities",
    "limits",
    "retires",
)
_GAP = 3


def render(result: CheckResult, width: int) -> str:
    """Return the result as text of a width in columns."""
    rows = [_build_cells(route) for route in result.routes]
    parts: list[str] = []
    if rows:
        places = _find_columns(rows)
        widths = [max(display_width(row[place]) for row in [HEADS, *rows]) for place in places]
        if sum(widths) + _GAP * len(widths) <= width:
            cells = [[row[place] for place in places] for row in rows]
            parts.append(plain.table([HEADS[place] for place in places], cells, range(len(places))))
        else:
            parts.append("\n".join(_render_route(row, width) for row in rows))
    parts += [_render_problems(result)]
    return "\n\n".join(filter(None, parts))


def build_section(result: CheckResult) -> Section:
    """Return the routes as a table for rich."""
    rows = [_build_cells(route) for route in result.routes]
    places = _find_columns(rows)
    cells = tuple(tuple(row[place] for place in places) for row in rows)
    return Section("", tuple(HEADS[place] for place in places), cells, words=tuple(range(len(places))))


def fits(result: CheckResult, width: int) -> bool:
    """Return whether the table fits into a width in columns."""
    rows = [_build_cells(route) for route in result.routes]
    widths = [max(display_width(row[place]) for row in [HEADS, *rows]) for place in _find_columns(rows)]
    return sum(widths) + _GAP * len(widths) <= width


def summarize(result: CheckResult) -> str:
    """Return the last line: how many routes, problems and warnings."""
    warnings = sum(problem.is_warning for problem in result.problems)
    problems = len(result.problems) - warnings
    routes = numbers.format_count(len(result.routes), "route")
    words = numbers.format_count(problems, "problem") if problems else "no problem"
    paid = [route.cost for route in result.routes if route.cost is not None]
    cost = f"; the answers cost {numbers.usd(sum(paid))}" if paid else ""
    more = f", {numbers.format_count(warnings, 'warning')}" if warnings else ""
    return f"{routes}: {words}{more}{cost}."


def print_result(result: CheckResult) -> None:
    """Print with rich where it is installed, and plain otherwise."""
    try:
        console = terminal.module("console").Console(highlight=False)
    except ConfigurationError:  # rich is not installed
        print(render(result, shutil.get_terminal_size((100, 24)).columns))  # noqa: T201
        return
    text = terminal.module("text").Text
    if result.routes and fits(result, console.width):
        console.print(terminal.section(build_section(result)))
    elif result.routes:
        for route in result.routes:
            console.print(text(_render_route(_build_cells(route), console.width)), soft_wrap=True)
    for problem in sorted(result.problems, key=lambda one: one.is_warning):
        style = "yellow" if problem.is_warning else "bold red"
        sign = "warning" if problem.is_warning else "problem"
        words = text.assemble((sign, style), f"  {printable_lines(result.describe(problem))}")
        console.print(words, soft_wrap=True)
    console.print(text(summarize(result), style="green" if result.is_good else "bold red"), soft_wrap=True)


def _build_cells(route: RouteResult) -> tuple[str, ...]:
    key = route.key if route.key_status == "not tested" else f"{route.key}, {route.key_status}"
    if route.key in ("missing", "?", "not needed"):
        key = route.key
    seconds = "" if route.seconds is None else f" in {numbers.seconds(route.seconds)}"
    prices = "?" if route.prices is None else f"{numbers.usd(route.prices[0])} / {numbers.usd(route.prices[1])}"
    retires = "" if route.retires_on is None else str(route.retires_on)
    successor = f", then {route.successor}" if route.successor else ""
    cells = (
        route.route,
        route.package,
        key,
        route.model_status,
        f"{route.answer}{seconds}",
        prices,
        "?" if route.window is None else f"{route.window:,}",
        ", ".join(route.capabilities),
        route.limits,
        f"{retires}{successor}",
    )
    return tuple(map(printable, cells))


def _find_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns with something in them."""
    return [place for place in range(len(HEADS)) if any(row[place] for row in rows)]


def _render_route(row: Sequence[str], width: int) -> str:
    facts = "; ".join(f"{head} {cell}" for head, cell in zip(HEADS[1:], row[1:], strict=True) if cell)
    lines = textwrap.wrap(
        facts,
        max(width, 20),
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join((row[0], *lines))


def _render_problems(result: CheckResult) -> str:
    lines = [
        f"{'warning' if problem.is_warning else 'problem'}  {printable_lines(result.describe(problem))}"
        for problem in sorted(result.problems, key=lambda one: one.is_warning)
    ]
    return "\n".join((*lines, summarize(result)))
