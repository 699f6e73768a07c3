"""The last requests as a table, and its live view in notebooks."""

from __future__ import annotations

import contextvars
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, overload

from multiroute_core.display import numbers
from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable, in_notebook
from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.options import invalid, seconds
from multiroute_core.report import formats
from multiroute_core.request_log.record import RequestRecord
from multiroute_core.runtime.thread_start import start_thread

WATCH_SECONDS = 600.0
"""How long a live view is refreshed, in seconds, unless it is stopped before."""

REFRESH_SECONDS = 1.0
"""Seconds between two refreshes."""

SHOWN_CHARACTERS = 40


class RecentRequests(Displayable, Sequence[RequestRecord]):
    """The last requests of a router, the latest first: a sequence that prints as a table.

    Example:
        >>> router.requests()  # doctest: +SKIP
        >>> router.requests()[0]  # the latest one, with its attempts  # doctest: +SKIP
        >>> live = router.requests().watch()  # updates in the notebook  # doctest: +SKIP
    """

    __slots__ = ("_read", "_records")

    def __init__(self, read: Callable[[], Sequence[RequestRecord]]) -> None:
        self._read = read
        self._records = read()

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RequestRecord]: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | Sequence[RequestRecord]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<RecentRequests: {numbers.format_count(len(self), 'request')}>"

    def watch(self, for_seconds: float = WATCH_SECONDS) -> Watch:
        """Show the table in the notebook and keep it up to date, while other cells run.

        Args:
            for_seconds: How long, in seconds.

        Raises:
            ConfigurationError: This is not a notebook, or `for_seconds` is not a positive number.

        Example:
            >>> live = router.requests().watch()  # doctest: +SKIP
            >>> live.stop()  # doctest: +SKIP
        """
        for_seconds = seconds("for_seconds", for_seconds)
        if not in_notebook():
            raise ConfigurationError(
                "watch() updates a table in a notebook; in a terminal, print(router.requests()), or run "
                "`multiroute watch` on the router's ledger."
            )
        return Watch(self._read, for_seconds)

    def _display(self) -> list[Table]:
        faded = [record.state in ("cached", "cancelled") for record in self._records]
        return [Table(_TITLES, self._rows(), (1, 2, 3, 7), faded, empty="No requests yet.")]

    def _rows(self) -> list[tuple[str, ...]]:
        now = time.time()
        rows: list[tuple[str, ...]] = []
        for number, record in enumerate(self._records):
            elapsed = max(0.0, now - record.started_at) if record.seconds is None else record.seconds
            prompt = record.prompt[-1][1] if record.prompt else None
            about = record.error or prompt or ", ".join(filter(None, (record.tenant, record.task, *record.labels)))
            rows.append(
                (
                    str(number),
                    formats.clock(record.started_at),
                    record.state,
                    formats.name(record.route),
                    str(len(record.attempts)),
                    numbers.seconds(elapsed),
                    numbers.NOTHING if record.cost is None else numbers.usd(record.cost),
                    _shorten(about),
                )
            )
        return rows


_TITLES = ("", "time", "state", "route", "attempts", "takes", "cost", "about")


class Watch:
    """A live view of a router's requests, in the output of the cell that made it. `stop` ends its refreshes."""

    def __init__(self, read: Callable[[], Sequence[RequestRecord]], for_seconds: float) -> None:
        display: Any = importlib.import_module("IPython.display")
        self._stopped = threading.Event()
        handle = display.display(RecentRequests(read), display_id=True)
        stopped = self._stopped

        def refresh() -> None:
            until = time.monotonic() + for_seconds
            shown = ""
            while not stopped.wait(REFRESH_SECONDS) and time.monotonic() < until:
                try:
                    requests = RecentRequests(read)
                    picture = requests._repr_html_()  # pyright: ignore[reportPrivateUsage]
                    if picture != shown:
                        handle.update(requests)
                        shown = picture
                except MultiRouteError:  # a ledger that cannot be read at the moment
                    continue
                except Exception:  # the front end is gone
                    return

        # In a context of its own: its messages then belong to the cell that runs, and nbclient reads no others
        # (findings/nbclient_drops_display_updates_of_tasks.sh).
        contextvars.Context().run(start_thread, refresh)

    def stop(self) -> None:
        """Stop refreshing; the last table stays."""
        self._stopped.set()

    def __repr__(self) -> str:
        return f"<live view of requests: {'stopped' if self._stopped.is_set() else 'running; .stop() ends it'}>"


def validate_last(last: Any) -> int:
    """Validate a number of requests."""
    if isinstance(last, bool) or not isinstance(last, int) or last < 1:
        raise invalid("last", last, "an integer of at least 1")
    return last


def _shorten(text: str) -> str:
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
