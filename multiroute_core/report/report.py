"""Usage report of a ledger: shown in notebooks and terminals, or saved as an HTML page."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from multiroute_core.display.blocks import Block
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import format_count
from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.ledger import Ledger, summarize
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.summary import Summary, summarize_rows, to_rows
from multiroute_core.report import formats, notebook, page, tally, terminal
from multiroute_core.report.figures import ReportData
from multiroute_core.report.moments import moment
from multiroute_core.report.tally import RecordRow

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Report(ReportData, Displayable):
    """Totals of a ledger's records. Prints as tables; notebooks also show charts.

    Attributes:
        since: The start of the requested period, in seconds since 1970; None for all records.
        until: The end of the requested period; None for all records.
        first: The time of the earliest record, in seconds since 1970; None if no records exist.
        last: The time of the latest record.
        total: Totals of all records.
        requests: Outcomes of the requests.
        step: The length of the timeline's buckets.
        buckets: The timeline, from the first record to the last, without gaps.
        models: Totals by model, by descending cost; the same order applies to the other groups.
        providers: By provider.
        routes: By route.
        tenants: By tenant; the name is None for calls without a tenant.
        tasks: By task.
        labels: By label. A record with several labels counts in each of them, so they may add up to more than the
            total.
        latencies: Latency by route, by descending number of responses.
        failures: Errors by route and code, most frequent first.
        dropped: Number of records that the ledger dropped: these figures do not include them.
    """

    def __repr__(self) -> str:
        return f"<Report: {format_count(self.requests.count, 'request')}, {formats.cost(self.total)}>"

    def _text(self) -> str:
        return terminal.text(self)

    def __rich__(self) -> RenderableType:
        """Renders the report for rich's consoles."""
        return terminal.renderable(self)

    def _display(self) -> list[Block]:
        return notebook.blocks(self, page.time_lines(self) if self.buckets else [])

    def save(self, path: str | Path) -> Path:
        """Writes the report as one self-contained HTML page, without network access or scripts.

        Args:
            path: The target; an existing file is replaced.

        Returns:
            The path.

        Raises:
            OSError: if the file cannot be written.

        Example:
            >>> router.report(since="7d").save("report.html")  # doctest: +SKIP
        """
        path = Path(path)
        path.write_text(page.document(self), encoding="utf-8")
        return path


def of(
    records: Ledger | Iterable[Record | RecordRow],
    *,
    since: float | str | datetime | None = None,
    until: float | str | datetime | None = None,
    dropped: int | None = None,
) -> Report:
    """Builds the report of a ledger or of records.

    Args:
        records: A ledger, or records in any order; they are read once.
        since: From this moment on (inclusive): seconds since 1970, `"7d"` ago, `"2026-11-01"` (UTC), or a `datetime`.
            All by default.
        until: Before this moment (exclusive).
        dropped: Number of dropped records; None to take it from the ledger.

    Raises:
        ConfigurationError: if `since` or `until` is not valid, or `since` is later than `until`.

    Example:
        >>> print(of(router.ledger, since="7d"))  # doctest: +SKIP
    """
    start, end = parse_period(since, until, ("since", "until"))
    if isinstance(records, Ledger):
        summary = summarize(records, LedgerQuery(start, end))
        dropped = records.dropped if dropped is None else dropped
    else:
        summary = summarize_rows(
            to_rows(
                record
                for record in records
                if (start is None or record.ended_at >= start) and (end is None or record.ended_at < end)
            )
        )
    return build(summary, since=start, until=end, dropped=dropped or 0)


def parse_period(
    since: float | str | datetime | None, until: float | str | datetime | None, names: tuple[str, str]
) -> tuple[float | None, float | None]:
    """Returns the period in seconds since 1970; `names` are those of its arguments, for errors.

    Raises:
        ConfigurationError: if a time is not valid, or `since` is later than `until`.
    """
    now = time.time()
    start = None if since is None else moment(names[0], since, now)
    end = None if until is None else moment(names[1], until, now)
    if start is not None and end is not None and start > end:
        raise ConfigurationError(f"{names[0]}={since!r} is later than {names[1]}={until!r}.")
    return start, end


def build(summary: Summary, *, since: float | None = None, until: float | None = None, dropped: int = 0) -> Report:
    """Builds the report of summarized records.

    Args:
        summary: The summary.
        since: The start of the requested period, in seconds since 1970; None for all records.
        until: Its end.
        dropped: Number of dropped records.
    """
    step, buckets = tally.build_buckets(summary.timeline)
    labels = ((name, sums) for name, sums in summary.labels.items() if name is not None)
    return Report(
        since=since,
        until=until,
        first=summary.first,
        last=summary.last,
        total=tally.build_total(summary),
        requests=tally.build_requests(summary),
        step=step,
        buckets=buckets,
        models=tally.build_routes(summary, lambda key: key[2]),
        providers=tally.build_routes(summary, lambda key: key[1]),
        routes=tally.build_routes(summary, lambda key: key[0]),
        tenants=tally.build_slices(summary.tenants.items()),
        tasks=tally.build_slices(summary.tasks.items()),
        labels=tally.build_slices(labels),
        latencies=tally.build_latencies(summary),
        failures=tally.build_failures(summary),
        dropped=dropped,
    )
