"""Live view: the last minutes of a ledger, refreshed on screen."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

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
MOST_TENANTS = 5

ReadBreakers: TypeAlias = Callable[[], Mapping[str, str]]
"""Returns the states of the routes' circuit breakers in words, by name; empty if they are not known."""


def no_breakers() -> Mapping[str, str]:
    """Return no breakers: processes that keep them in memory show them to nobody else."""
    return {}


@dataclass(slots=True)
class Streak:
    """How many of a route's last attempts have failed, whatever the order in which they are added."""

    _attempts: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])

    def add(self, record: Record | RecordRow) -> None:
        """Add an attempt; one that the caller cancelled says nothing about the route."""
        if record.outcome != "cancelled":
            self._attempts.append((record.ended_at, is_failure(record.outcome)))

    @property
    def failures(self) -> int:
        """The number of failures since the last answer."""
        last_answer = max((at for at, has_failed in self._attempts if not has_failed), default=-math.inf)
        return sum(at > last_answer for at, has_failed in self._attempts if has_failed)


def watch(
    source: Source,
    console: Console,
    minutes: float,
    *,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], object] = time.sleep,
    read_breakers: ReadBreakers = no_breakers,
) -> None:
    """Shows the last minutes until Ctrl-C, or until `pause` returns True.

    Args:
        source: The source of the records.
        console: A rich console.
        minutes: The number of minutes.
        now: Returns the time in seconds since 1970.
        pause: Sleeps for a number of seconds; returns True to stop.
        read_breakers: Returns the states of the routes' circuit breakers.

    Raises:
        ConfigurationError: if rich is not installed.
        MultiRouteError: if the first read fails. Later failures are shown, and the read is retried.
    """
    picture = frame(source, minutes, now(), console.width, read_breakers())
    with terminal.module("live").Live(picture, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                if pause(BEAT_SECONDS) is True:
                    return
                try:
                    picture = frame(source, minutes, now(), console.width, read_breakers())
                    problem = ""
                except MultiRouteError as error:
                    problem = printable(f"Not up to date: {error}")
                words = terminal.module("text").Text(problem, style="bold red")
                live.update(terminal.module("console").Group(words, picture) if problem else picture, refresh=True)
        except KeyboardInterrupt:
            pass


def frame(
    source: Source,
    minutes: float,
    now: float,
    width: int | None = None,
    breakers: Mapping[str, str] | None = None,
) -> RenderableType:
    """Renders the last minutes before `now`.

    Args:
        source: The source of the records.
        minutes: The number of minutes.
        now: The time in seconds since 1970.
        width: The width in columns: where a table does not fit, it shows fewer columns, and whole names. None for any.
        breakers: The states of the routes' circuit breakers in words, by name; None if they are not known.
    """
    breakers = breakers or {}
    errors: list[Record | RecordRow] = []
    streaks: dict[str, Streak] = {}

    def read_records() -> Iterator[Record | RecordRow]:
        for record in source.read(since=now - 60 * minutes):
            if is_failure(record.outcome):
                errors.append(record)
            streaks.setdefault(record.route, Streak()).add(record)
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
    sections = [_routes(summary, streaks, breakers)] if summary.routes or breakers else []
    if any(tenant.name is not None for tenant in summary.tenants):
        sections.append(_tenants(summary))
    if errors:
        sections.append(_errors(heapq.nlargest(LAST_ERRORS, errors, key=lambda record: record.ended_at)))
    for section in sections:
        parts += [words(""), terminal.section(section, width)]
    return terminal.module("console").Group(*parts)


def _routes(summary: report.Report, streaks: Mapping[str, Streak], breakers: Mapping[str, str]) -> Section:
    """Returns the routes; without their breakers, which processes keep in memory, what the last attempts say."""
    times = {latency.route: latency for latency in summary.latencies}
    places = numbers.decimal_places(route.cost for route in summary.routes)
    rows: list[tuple[str, ...]] = []
    for route in summary.routes:
        latency = times.get(route.name or "")
        rows.append(
            (
                formats.name(route.name),
                _describe_state(streaks.get(route.name or ""), breakers.get(route.name or "")),
                f"{route.attempts:,}",
                f"{route.failed:,}",
                numbers.share(route.failed, route.attempts),
                numbers.seconds(latency and latency.median),
                numbers.seconds(latency and latency.p95),
                formats.cost(route, places),
            )
        )
    seen = {route.name for route in summary.routes}
    for name, breaker in breakers.items():
        if name not in seen:
            rows.append((formats.name(name), _describe_state(None, breaker), "0", "0", "", "", "", ""))
    heads = ("", "breaker" if breakers else "now", "attempts", "failed", "", "median", "p95", "cost")
    return Section("Routes", heads, tuple(rows), words=(0, 1))


def _describe_state(streak: Streak | None, breaker: str | None) -> str:
    if breaker is not None:
        return printable(breaker)
    if streak is None or not streak.failures:
        return "answers" if streak is not None else ""
    return f"{numbers.format_count(streak.failures, 'failure')} in a row"


def _tenants(summary: report.Report) -> Section:
    slices = summary.tenants[:MOST_TENANTS]
    places = numbers.decimal_places(tenant.cost for tenant in slices)
    rows = [
        (formats.name(one.name), f"{one.attempts:,}", f"{one.failed:,}", formats.cost(one, places)) for one in slices
    ]
    if (others := len(summary.tenants) - len(slices)) > 0:
        rows.append((numbers.format_count(others, "other"), "", "", ""))
    return Section("Tenants", ("", "attempts", "failed", "cost"), tuple(rows))


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
    return Section("Last errors", ("time", "route", "error", "tenant", "after"), rows, words=(0, 1, 2, 3), least=2)
