"""What the calls came to, for people: in a notebook, in a terminal, and as a page to pass on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.ledger.record import Record
from multiroute_core.report import page, terminal
from multiroute_core.report.figures import Bucket, Failure, Latency, Requests, Slice, Step
from multiroute_core.report.moments import moment
from multiroute_core.report.tally import RecordRow, Tally

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What the records of a ledger come to. It prints as tables; notebooks show it with its charts.

    Attributes:
        since: From which moment on records were asked for, in seconds since 1970; None for all.
        until: Before which moment; None for all.
        first: When the first record's try ended, in seconds since 1970; None where there are no records.
        last: When the last one's did.
        total: What all of them come to.
        requests: What became of the requests.
        step: How long the buckets of the time line are.
        buckets: The time line, from the first record to the last, without gaps.
        models: What each model comes to, the dearest first; so the next ones.
        providers: By provider.
        routes: By route.
        tenants: By tenant; the name None is for calls on nobody's behalf.
        tasks: By task.
        labels: By label. A record with several counts in each of them, so that they may come to more than the total.
        latencies: How long each route takes, the one with the most answers first.
        failures: Errors by route and kind, the most frequent first.
        dropped: How many records the ledger had to give up: they are in none of these figures.
    """

    since: float | None
    until: float | None
    first: float | None
    last: float | None
    total: Slice
    requests: Requests
    step: Step
    buckets: tuple[Bucket, ...]
    models: tuple[Slice, ...]
    providers: tuple[Slice, ...]
    routes: tuple[Slice, ...]
    tenants: tuple[Slice, ...]
    tasks: tuple[Slice, ...]
    labels: tuple[Slice, ...]
    latencies: tuple[Latency, ...]
    failures: tuple[Failure, ...]
    dropped: int = 0

    def __repr__(self) -> str:
        return f"<Report: {self.requests.count:,} requests, ${self.total.cost:,.6f}>"

    def __str__(self) -> str:
        return terminal.text(self)

    def __rich__(self) -> RenderableType:
        """For the consoles of rich."""
        return terminal.renderable(self)

    def _repr_html_(self) -> str:
        return page.fragment(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001
        """For IPython in a terminal."""
        printer.text(repr(self) if cycle else str(self))

    def save(self, path: str | Path) -> Path:
        """Write the report as one HTML page that needs nothing else: no network, no script.

        Args:
            path: Where to; a file that is there is replaced.

        Returns:
            The path.

        Raises:
            OSError: the file cannot be written.

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
    """The report of a ledger, or of records.

    Args:
        records: A ledger, or records in any order; they are read once.
        since: From this moment on: seconds since 1970, `"7d"` ago, `"2026-11-01"` (UTC), or a `datetime`. All by
            default.
        until: Before this moment.
        dropped: How many records had to be given up; None asks the ledger.

    Raises:
        ConfigurationError: `since` or `until` is no moment, or lies behind the other.

    Example:
        >>> print(of(router.ledger, since="7d"))  # doctest: +SKIP
    """
    now = time.time()
    start = None if since is None else moment("since", since, now)
    end = None if until is None else moment("until", until, now)
    if start is not None and end is not None and start > end:
        raise ConfigurationError(f"since={since!r} lies behind until={until!r}.")
    if isinstance(records, Ledger):
        selection: Iterable[Record | RecordRow] = records.query(since=start, until=end)
        dropped = records.dropped if dropped is None else dropped
    else:
        selection = (
            record for record in records if (start is None or record.at >= start) and (end is None or record.at < end)
        )
    tally = Tally()
    tally.add(selection)
    step, buckets = tally.buckets()
    return Report(
        since=start,
        until=end,
        first=tally.first,
        last=tally.last,
        total=tally.total(),
        requests=tally.requests(),
        step=step,
        buckets=buckets,
        models=tally.groups(lambda kind: (kind.model,)),
        providers=tally.groups(lambda kind: (kind.provider,)),
        routes=tally.groups(lambda kind: (kind.route,)),
        tenants=tally.groups(lambda kind: (kind.tenant,)),
        tasks=tally.groups(lambda kind: (kind.task,)),
        labels=tally.groups(lambda kind: kind.labels),
        latencies=tally.latencies(),
        failures=tally.failures(),
        dropped=dropped or 0,
    )
