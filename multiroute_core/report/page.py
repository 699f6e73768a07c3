"""HTML rendering of a report as a self-contained page."""

from __future__ import annotations

import functools
import importlib.resources
import math
import re
from collections.abc import Callable, Sequence
from html import escape

from multiroute_core.display.numbers import decimal_places, usd
from multiroute_core.report import charts, formats
from multiroute_core.report.charts import Series
from multiroute_core.report.figures import Bucket, ReportData
from multiroute_core.report.sections import Section, headlines, notes, sections, title

# Long names may break after these characters, but not after the semicolon of an entity.
_JOINT = re.compile(r"(?<=[:/_.@-])(?=\w{3})")
_BREAK = "<wbr/>"


def document(report: ReportData) -> str:
    """Renders a complete page, which is also well-formed XML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
        f"<title>Language model calls: {escape(title(report))}</title>"
        f'<style>{_style()}</style></head><body class="multiroute-page">{_body(report)}</body></html>\n'
    )


def _body(report: ReportData) -> str:
    tiles = "".join(
        f"<div><dt>{escape(line.title)}</dt><dd>{escape(line.figure)}</dd><dd>{escape(line.detail)}</dd></div>"
        for line in headlines(report)
    )
    labels = [formats.tick(bucket.start, report.step) for bucket in report.buckets]
    lines = time_lines(report) if report.buckets else []
    note_items = "".join(f"<li>{escape(note)}</li>" for note in notes(report))
    parts = (
        f"<header><h1>Language model calls</h1><p>{escape(title(report))}</p></header>",
        f'<dl class="tiles">{tiles}</dl>' if tiles else "",
        f'<ul class="notes">{note_items}</ul>' if note_items else "",
        *(charts.columns(name, labels, series, figures) for name, series, figures in lines),
        f'<div class="tables">{"".join(map(_table, sections(report)))}</div>' if report.buckets else "",
        "<footer>Made by MultiRoute from its ledger. Days and times are UTC; costs are in US dollars.</footer>",
    )
    return f'<main class="multiroute-report">{"".join(parts)}</main>'


def time_lines(report: ReportData) -> list[tuple[str, Sequence[Series], Callable[[float], str]]]:
    """Returns the title, the series and the number format of each chart over time."""
    lines: list[tuple[str, Sequence[Series], Callable[[float], str]]] = []
    if report.total.cost > 0:
        places = decimal_places(bucket.cost for bucket in report.buckets)
        lines.append((f"Spending per {report.step}", _by_model(report), lambda value: usd(value, places)))

    def counts(of: str) -> tuple[float, ...]:
        return tuple(float(getattr(bucket, of)) for bucket in report.buckets)

    fresh = tuple(float(bucket.answers - bucket.cached) for bucket in report.buckets)
    outcomes = (
        Series("answers from models", fresh, "good"),
        Series("answers from the cache", counts("cached"), "cached"),
        Series("failed attempts", counts("failed"), "bad"),
    )
    lines.append(
        (
            f"Answers and failed attempts per {report.step}",
            [each for each in outcomes if any(each.values)] or outcomes[:1],
            lambda value: f"{value:,.0f}" if value == int(value) else "",
        )
    )
    return lines


def _by_model(report: ReportData) -> list[Series]:
    """Returns one series for each of the most expensive models, and one for all others."""
    names = [group.name or "" for group in report.models if group.cost > 0]
    alone = names if len(names) <= charts.COLOURS - 1 else names[: charts.COLOURS - 1]
    series = [
        Series(formats.name(each), tuple(bucket.costs.get(each, 0.0) for bucket in report.buckets), str(colour))
        for colour, each in enumerate(alone)
    ]
    if len(names) > len(alone):

        def sum_other_costs(bucket: Bucket) -> float:
            return math.fsum(cost for model, cost in bucket.costs.items() if model not in alone)

        others = f"{len(names) - len(alone):,} others"
        series.append(Series(others, tuple(map(sum_other_costs, report.buckets)), str(charts.COLOURS - 1)))
    return series


def _table(part: Section) -> str:
    def cell(tag: str, place: int, text: str, more: str = "") -> str:
        kind = ' class="word"' if place in part.words else ""
        inner = f"<bdi>{_JOINT.sub(_BREAK, escape(text))}</bdi>" if kind else escape(text)
        return f"<{tag}{kind}>{inner}{more}</{tag}>"

    heads = "".join(cell("th", place, head) for place, head in enumerate(part.heads))
    bars = [charts.bar(part.mark, *ends) for ends in part.bars] or [""] * len(part.rows)
    rows = "".join(
        f"<tr>{''.join(cell('td', place, text, '' if place else bar) for place, text in enumerate(row))}</tr>"
        for row, bar in zip(part.rows, bars, strict=True)
    )
    return (
        f'<section class="of-{part.mark}"><h2>{escape(part.title)}</h2>'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


@functools.cache
def _style() -> str:
    return importlib.resources.files("multiroute_core.report").joinpath("page.css").read_text(encoding="utf-8")
