"""Aggregation of records: internal; what totals and reports need, in memory that grows with the number of groups.

A summary is the same whatever the order of its records, and summaries of parts of the records can be merged: integers
and timelines add up, sums of money are exact, and quantiles are found in sorted runs. Only distinct requests do not add
up if a request has records in several parts; the counts then need the correction that `segments` makes.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from multiroute_core.ledger.quantiles import find_quantiles
from multiroute_core.ledger.request_counts import Kind, RequestCounter, RequestCounts, StoredRequests, count_requests
from multiroute_core.ledger.sums import ANSWERED, CLASSES, FAILED, Sums, merge_into, sum_by
from multiroute_core.ledger.timeline import StoredTimeline, Timeline

FIELDS = (
    "ended_at", "request_id", "route", "provider", "model", "outcome", "seconds", "first_token_seconds",
    "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "cost", "estimated", "saved_cost",
    "stream", "tenant", "task", "charged", "prompt_cache_saving", "labels",
)  # fmt: skip
"""The fields of a record that are summarized."""

_TIME = FIELDS.index("ended_at")
_REQUEST = FIELDS.index("request_id")
_MODEL = FIELDS.index("model")
_OUTCOME = FIELDS.index("outcome")
_COST = FIELDS.index("cost")
_CHARGED = FIELDS.index("charged")
_LATENCY = [FIELDS.index(name) for name in ("route", "seconds", "first_token_seconds", "stream")]
_KIND = [FIELDS.index(name) for name in Kind._fields[:-1]]

_SCOPES = ("tenant", "task", "label")

CHUNK = 10_000
"""Records that are summarized at once."""

DAY = 86_400

SHARES = (0.5, 0.95)
"""The quantiles of latencies."""

RouteKey: TypeAlias = tuple[str, str, str, str]
"""The route, provider, model and outcome."""

Run: TypeAlias = "tuple[tuple[str, bool], array[float]]"
"""The route, whether these are the times to the first token, and the seconds of its answers, ascending."""

_Name: TypeAlias = str | None


class _Stored(msgspec.Struct, array_like=True):
    """A summary in its stored form."""

    first: float
    last: float
    routes: list[tuple[RouteKey, Sums]]
    tenants: list[tuple[_Name, Sums]]
    tasks: list[tuple[_Name, Sums]]
    labels: list[tuple[_Name, Sums]]
    days: list[tuple[int, Sums]]
    requests: StoredRequests


_decoder = msgspec.msgpack.Decoder(_Stored)
_timeline_decoder = msgspec.msgpack.Decoder(StoredTimeline)


class Summary:
    """Sums over records.

    Attributes:
        first: The time of the earliest record, in seconds since 1970; None without records.
        last: The time of the latest record.
        routes: The sums by route, provider, model and outcome.
        tenants: By tenant.
        tasks: By task.
        labels: By label; a record with several labels counts in each, and one without labels under None.
        days: By the number of the UTC day since 1970.
        requests: The numbers of requests.
        timeline: The numbers and costs over time.
        latencies: By route, and whether to the first token: the number of answers, and their median and 95th percentile
            in seconds.
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.routes: dict[RouteKey, Sums] = {}
        self.tenants: dict[_Name, Sums] = {}
        self.tasks: dict[_Name, Sums] = {}
        self.labels: dict[_Name, Sums] = {}
        self.days: dict[int, Sums] = {}
        self.requests = RequestCounts()
        self.timeline = Timeline()
        self.latencies: dict[tuple[str, bool], tuple[int, list[float]]] = {}

    def add(
        self, rows: Sequence[Sequence[Any]], counter: RequestCounter | None = None, by: str | None = None
    ) -> list[Run]:
        """Adds records.

        Args:
            rows: Their values, in the order of `FIELDS`; at least one.
            counter: Counts their requests; None if no request has records elsewhere.
            by: The only dimension that is needed, as in `GROUPS`; None for all, the timeline and the latencies.

        Returns:
            The latencies of their answers.
        """
        columns = list(zip(*rows, strict=True))
        times = columns[_TIME]
        outcomes = columns[_OUTCOME]
        days = [int(time // DAY) for time in times]
        self._span(min(times), max(times))
        one_day = days[0] if len(set(days)) == 1 else None
        by_class: dict[str, list[Sequence[Any]]] = {}
        for outcome_class, row in zip([CLASSES.get(outcome, FAILED) for outcome in outcomes], rows, strict=True):
            by_class.setdefault(outcome_class, []).append(row)
        runs: list[Run] = []
        for outcome_class, class_rows in by_class.items():
            class_columns = columns if len(by_class) == 1 else list(zip(*class_rows, strict=True))
            self._add_class(outcome_class, class_columns, one_day, by)
            if outcome_class == ANSWERED and by is None:
                runs = _sort_latencies(class_columns)
        if by is None:
            charges = [
                cost if charge is None else charge
                for cost, charge in zip(columns[_COST], columns[_CHARGED], strict=True)
            ]
            self.timeline.add(times, columns[_MODEL], outcomes, charges)
        kinds = [columns[place] for place in _KIND]
        if counter is None:
            self.requests.merge(count_requests(columns[_REQUEST], [*kinds, days]).to_stored())
        else:
            counter.add(columns[_REQUEST], zip(*kinds, days, strict=True))
        return runs

    def _add_class(
        self, outcome_class: str, columns: Sequence[tuple[Any, ...]], day: int | None, by: str | None
    ) -> None:
        """Adds columns of records whose outcomes are of one class; `day` if all records are of one."""
        (times, _, routes, providers, models, outcomes, _, _, inputs, outputs, cache_reads, reasonings,
         costs, estimates, savings, _, tenants, tasks, charged, prompt_savings, labels) = columns  # fmt: skip
        charges = [cost if charge is None else charge for cost, charge in zip(costs, charged, strict=True)]
        counts = (inputs, outputs, cache_reads, reasonings)
        figures = list(zip(*counts, charges, estimates, savings, prompt_savings, strict=True))
        if by not in _SCOPES:
            route_sums = sum_by(zip(routes, providers, models, outcomes, strict=True), figures, outcome_class)
            for key, sums in route_sums:
                merge_into(self.routes, key, sums)
            if day is not None:
                for _, sums in route_sums:
                    merge_into(self.days, day, sums)
        if day is None and by in (None, "day", "month"):
            for number, sums in sum_by([int(time // DAY) for time in times], figures, outcome_class):
                merge_into(self.days, number, sums)
        for name, own, names in (("tenant", self.tenants, tenants), ("task", self.tasks, tasks)):
            if by in (None, name):
                for key, sums in sum_by(names, figures, outcome_class):
                    merge_into(own, key, sums)
        if by in (None, "label"):
            for names, sums in sum_by(labels, figures, outcome_class):
                for label in set(names) or (None,):
                    merge_into(self.labels, label, sums)

    def merge(self, stored: bytes) -> None:
        """Adds a summary in its stored form, without its timeline.

        Raises:
            msgspec.DecodeError: if it is damaged.
        """
        other = _decoder.decode(stored)
        self._span(other.first, other.last)
        for own, pairs in zip(self._dimensions(), (other.routes, *self._scopes(other)), strict=True):
            for key, sums in pairs:
                merge_into(own, key, sums)
        self.requests.merge(other.requests)

    def merge_timeline(self, stored: bytes) -> None:
        """Adds a timeline in its stored form.

        Raises:
            msgspec.DecodeError: if it is damaged.
        """
        self.timeline.merge(_timeline_decoder.decode(stored))

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Returns the stored forms of the summary and of its timeline."""
        first = self.first or 0.0
        last = self.last or 0.0
        routes, tenants, tasks, labels, days = (list(sums.items()) for sums in self._dimensions())
        stored = _Stored(first, last, routes, tenants, tasks, labels, days, self.requests.to_stored())
        return msgspec.msgpack.encode(stored), msgspec.msgpack.encode(self.timeline.to_stored())

    def _dimensions(self) -> tuple[dict[Any, Sums], ...]:
        return self.routes, self.tenants, self.tasks, self.labels, self.days

    @staticmethod
    def _scopes(stored: _Stored) -> tuple[list[tuple[Any, Sums]], ...]:
        return stored.tenants, stored.tasks, stored.labels, stored.days

    def _span(self, first: float, last: float) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


def _sort_latencies(columns: Sequence[tuple[Any, ...]]) -> list[Run]:
    """Returns the latencies of attempts with a response."""
    durations: defaultdict[str, list[float]] = defaultdict(list)
    firsts: defaultdict[str, list[float]] = defaultdict(list)
    for route, seconds, first, stream in zip(*(columns[place] for place in _LATENCY), strict=True):
        durations[route].append(seconds)
        if stream and first is not None:
            firsts[route].append(first)
    runs = [((route, False), array("d", sorted(values))) for route, values in durations.items()]
    return runs + [((route, True), array("d", sorted(values))) for route, values in firsts.items()]


_values: Callable[[Any], tuple[Any, ...]] = attrgetter(*FIELDS)


def to_rows(records: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Returns the values of records in the order of `FIELDS`."""
    return map(_values, records)


def split(rows: Iterable[tuple[Any, ...]], size: int = CHUNK) -> Iterator[list[tuple[Any, ...]]]:
    """Splits rows into non-empty chunks."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def summarize_rows(rows: Iterable[tuple[Any, ...]], by: str | None = None) -> Summary:
    """Returns the summary of rows in any order; they are read once.

    Two things grow with the number of rows: the requests, about 150 bytes each, and the latencies, 16 bytes each.

    Args:
        rows: The values of `FIELDS`.
        by: As in `Summary.add`.
    """
    summary = Summary()
    counter = RequestCounter()
    runs: list[Run] = []
    for chunk in split(rows):
        runs += summary.add(chunk, counter, by)
    summary.requests = counter.counts()
    summary.latencies = find_quantiles(lambda: runs, SHARES)
    return summary
