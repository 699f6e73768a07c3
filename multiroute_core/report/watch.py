"""What happens now: the last minutes of a ledger, on a screen that follows them."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from multiroute_core._util.display import printable
from multiroute_core.errors import MultiRouteError
from multiroute_core.ledger.record import CACHED, Record
from multiroute_core.report import formats, report, terminal
from multiroute_core.report.sections import Section
from multiroute_core.report.source import Source
from multiroute_core.report.tally import ANSWERED, CANCELLED, RecordRow

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BEAT_SECONDS = 1.0
"""How often the screen is made anew."""

LAST_ERRORS = 5


def watch(
    source: Source,
    console: Console,
    minutes: float,
    *,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show the last minutes until Ctrl-C.

    Args:
        source: Where the records are.
        console: Of rich.
        minutes: How many.
        now: The time in seconds since 1970.
        pause: What waits for some seconds.

    Raises:
        ConfigurationError: rich is not installed.
        MultiRouteError: the records cannot be read from the first. What fails later is shown, and tried again.
    """
    shown = frame(source, minutes, now())
    with terminal.module("live").Live(shown, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                pause(BEAT_SECONDS)
                try:
                    shown = frame(source, minutes, now())
                    problem = ""
                except MultiRouteError as error:
                    problem = printable(f"Not up to date: {error}")
                words = terminal.module("text").Text(problem, style="bold red")
                live.update(terminal.module("console").Group(words, shown) if problem else shown, refresh=True)
        except KeyboardInterrupt:
            pass


def frame(source: Source, minutes: float, now: float) -> RenderableType:
    """One picture of the last minutes before `now`."""
    errors: list[Record | RecordRow] = []

    def heard() -> Iterator[Record | RecordRow]:
        for record in source.read(since=now - 60 * minutes):
            if record.outcome not in (ANSWERED, CANCELLED, CACHED):
                errors.append(record)
            yield record

    made = report.of(heard())
    words = terminal.module("text").Text
    hourly = made.total.cost * 60 / minutes
    parts: list[Any] = [
        words.assemble(
            ("MultiRoute ", "bold"),
            (f"the last {minutes:g} minutes, at {formats.clock(now)} UTC", "dim"),
        ),
        words(
            f"{formats.counted(made.requests.count, 'request')}, "
            f"{made.requests.failed:,} failed, {made.requests.rescued:,} rescued by another try, "
            f"{made.total.cached:,} out of the cache"
        ),
        words.assemble(
            (f"{formats.usd(hourly)} an hour", "bold"),
            f" ({formats.usd(made.total.cost)} spent, {formats.usd(made.total.saved_cost)} saved by the cache)",
            (f"; the cost of {formats.counted(made.total.unknown, 'try', 'tries')} is unknown", "yellow")
            if made.total.unknown
            else "",
        ),
    ]
    if made.routes:
        parts += [words(""), terminal.section(_routes(made))]
    if errors:
        parts += [
            words(""),
            terminal.section(_errors(heapq.nlargest(LAST_ERRORS, errors, key=lambda record: record.at))),
        ]
    return terminal.module("console").Group(*parts)


def _routes(made: report.Report) -> Section:
    times = {latency.route: latency for latency in made.latencies}
    places = formats.digits(route.cost for route in made.routes)
    rows: list[tuple[str, ...]] = []
    for route in made.routes:
        latency = times.get(route.name or "")
        rows.append(
            (
                formats.name(route.name),
                f"{route.attempts:,}",
                f"{route.failed:,}",
                formats.share(route.failed, route.attempts),
                formats.seconds(latency and latency.median),
                formats.seconds(latency and latency.p95),
                formats.cost(route, places),
            )
        )
    heads = ("", "tries", "failed", "", "median", "95 %", "cost")
    return Section("Routes", heads, tuple(rows))


def _errors(errors: Iterable[Record | RecordRow]) -> Section:
    rows = tuple(
        (
            formats.clock(record.at),
            formats.name(record.route),
            formats.name(record.outcome).replace("_", " "),
            formats.name(record.tenant),
            formats.seconds(record.seconds),
        )
        for record in errors
    )
    return Section("Last errors", ("at", "route", "error", "tenant", "after"), rows, words=(0, 1, 2, 3))
