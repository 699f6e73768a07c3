"""Live view: the last minutes of a ledger, refreshed on screen."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from multiroute_core.display import numbers
from multiroute_core.display.text import printable
from multiroute_core.errors import MultiRouteError
from multiroute_core.ledger.record import Record, is_failure
from multiroute_core.report import formats, report, terminal
from multiroute_core.report.sections import Section
from multiroute_core.report.source import Source
from multiroute_core.report.tally import RecordRow

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BEAT_SECONDS = 1.0
"""Seconds between two refreshes."""

LAST_ERRORS = 5


def watch(
    source: Source,
    console: Console,
    minutes: float,
    *,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Shows the last minutes until Ctrl-C.

    Args:
        source: The source of the records.
        console: A rich console.
        minutes: The number of minutes.
        now: Returns the time in seconds since 1970.
        pause: Sleeps for a number of seconds.

    Raises:
        ConfigurationError: if rich is not installed.
        MultiRouteError: if the first read fails. Later failures are shown, and the read is retried.
    """
    picture = frame(source, minutes, now())
    with terminal.module("live").Live(picture, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                pause(BEAT_SECONDS)
                try:
                    picture = frame(source, minutes, now())
                    problem = ""
                except MultiRouteError as error:
                    problem = printable(f"Not up to date: {error}")
                words = terminal.module("text").Text(problem, style="bold red")
                live.update(terminal.module("console").Group(words, picture) if problem else picture, refresh=True)
        except KeyboardInterrupt:
            pass


def frame(source: Source, minutes: float, now: float) -> RenderableType:
    """Renders the last minutes before `now`."""
    errors: list[Record | RecordRow] = []

    def read_records() -> Iterator[Record | RecordRow]:
        for record in source.read(since=now - 60 * minutes):
            if is_failure(record.outcome):
                errors.append(record)
            yield record

    summary = report.of(read_records())
    words = terminal.module("text").Text
    hourly = summary.total.cost * 60 / minutes
    parts: list[Any] = [
        words.assemble(
            ("MultiRoute ", "bold"),
            (f"the last {minutes:g} minutes, at {formats.clock(now)} UTC", "dim"),
        ),
        words(
            f"{numbers.format_count(summary.requests.count, 'request')}, "
            f"{summary.requests.failed:,} failed, {summary.requests.rescued:,} rescued by another attempt, "
            f"{summary.total.cached:,} from the cache"
        ),
        words.assemble(
            (f"{numbers.usd(hourly)} per hour", "bold"),
            f" ({formats.cost(summary.total)} spent, {numbers.usd(summary.total.saved_cost)} saved by the cache)",
            (f"; the cost of {numbers.format_count(summary.total.unknown, 'attempt')} is unknown", "yellow")
            if summary.total.unknown
            else "",
        ),
    ]
    if summary.routes:
        parts += [words(""), terminal.section(_routes(summary))]
    if errors:
        parts += [
            words(""),
            terminal.section(_errors(heapq.nlargest(LAST_ERRORS, errors, key=lambda record: record.ended_at))),
        ]
    return terminal.module("console").Group(*parts)


def _routes(summary: report.Report) -> Section:
    times = {latency.route: latency for latency in summary.latencies}
    places = numbers.decimal_places(route.cost for route in summary.routes)
    rows: list[tuple[str, ...]] = []
    for route in summary.routes:
        latency = times.get(route.name or "")
        rows.append(
            (
                formats.name(route.name),
                f"{route.attempts:,}",
                f"{route.failed:,}",
                numbers.share(route.failed, route.attempts),
                numbers.seconds(latency and latency.median),
                numbers.seconds(latency and latency.p95),
                formats.cost(route, places),
            )
        )
    heads = ("", "attempts", "failed", "", "median", "p95", "cost")
    return Section("Routes", heads, tuple(rows))


def _errors(errors: Iterable[Record | RecordRow]) -> Section:
    rows = tuple(
        (
            formats.clock(record.ended_at),
            formats.name(record.route),
            formats.name(record.outcome).replace("_", " "),
            formats.name(record.tenant),
            numbers.seconds(record.seconds),
        )
        for record in errors
    )
    return Section("Last errors", ("time", "route", "error", "tenant", "after"), rows, words=(0, 1, 2, 3))
