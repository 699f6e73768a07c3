"""Aggregation for reports: sums records in one pass, in memory that grows with the number of groups.

Two things grow with the number of records, about 150 bytes each: the outcome of each request and the latency of each
response.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, cast

from multiroute_core.ledger.record import CACHED, CANCELLED, Record, is_failure
from multiroute_core.report.figures import Bucket, Failure, Latency, Requests, Slice, Step, quantile

STEPS: tuple[tuple[Step, int], ...] = (("minute", 60), ("ten minutes", 600), ("hour", 3600), ("day", 86400))
"""The bucket lengths of the timeline, in seconds."""

MOST_BUCKETS = 150
"""Maximum buckets of a timeline, unless they are months."""

ANSWERED = "success"
_ANSWER = 1
_ERROR = 2
_TRY = 4
"""The bits of a request's state: whether it has a response, whether an attempt failed, and the number of attempts."""


class Kind(NamedTuple):
    """The values that the records of one sum share."""

    route: str
    provider: str
    model: str
    tenant: str | None
    task: str | None
    labels: tuple[str, ...]
    outcome: str


class RecordRow(NamedTuple):
    """The fields of a record that a report needs, under the same names; created five times as fast as a `Record`."""

    ended_at: float
    request_id: str
    route: str
    provider: str
    model: str
    outcome: str
    seconds: float
    first_token_seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    estimated: bool
    saved_cost: float | None
    stream: bool
    tenant: str | None
    task: str | None
    charged: float | None = None
    labels: tuple[str, ...] = ()


_values: Callable[[Any], Any] = attrgetter(*RecordRow._fields)


class Tally:
    """Sums over records.

    Example:
        >>> tally = Tally()
        >>> tally.add(ledger.query())  # doctest: +SKIP
        >>> tally.requests().answered  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        # Per kind: count, input, output, cache read, reasoning, cost, unknown, estimated, estimated cost, saved.
        # Keyed by a plain tuple, which equals its Kind and is created in a third of the time.
        self._sums: dict[tuple[Any, ...], list[float]] = {}
        self._requests: dict[str, int] = {}
        self._times: dict[str, tuple[array[float], array[float]]] = {}
        self._line = _TimeLine()

    def add(self, records: Iterable[Record | RecordRow]) -> None:
        """Adds records, in any order."""
        sums = self._sums
        requests = self._requests
        times = self._times
        time_line = self._line
        for record in records:
            line = record if type(record) is RecordRow else _values(record)
            (ended_at, request, route, provider, model, outcome, seconds, first, input_tokens, output_tokens,
             cache_read, reasoning, cost, estimated, saved, stream, tenant, task, charged, labels) = line  # fmt: skip
            if charged is not None:
                cost = charged
            if self.first is None or self.last is None:
                self.first = self.last = ended_at
            elif ended_at > self.last:
                self.last = ended_at
            elif ended_at < self.first:
                self.first = ended_at
            key = (route, provider, model, tenant, task, labels, outcome)
            row = sums.get(key)
            if row is None:
                row = sums[Kind(*key)] = [0, 0, 0, 0, 0, 0.0, 0, 0, 0.0, 0.0]
            row[0] += 1
            if input_tokens:
                row[1] += input_tokens
            if output_tokens:
                row[2] += output_tokens
            if cache_read:
                row[3] += cache_read
            if reasoning:
                row[4] += reasoning
            if cost:
                row[5] += cost
            elif cost is None and (input_tokens or output_tokens or outcome == ANSWERED):
                row[6] += 1
            if estimated:
                row[7] += 1
                row[8] += cost or 0.0
            if saved:
                row[9] += saved
            state = requests.get(request, 0)
            if outcome == ANSWERED:
                state = (state | _ANSWER) + _TRY
                if (lists := times.get(route)) is None:
                    lists = times[route] = (array("d"), array("d"))
                lists[0].append(seconds)
                if stream and first is not None:
                    lists[1].append(first)
            elif outcome == CACHED:
                state |= _ANSWER
            elif outcome == CANCELLED:
                state += _TRY
            else:
                state = (state | _ERROR) + _TRY
            requests[request] = state
            cell = time_line.cells.get((int(ended_at // time_line.seconds), model, outcome))
            if cell is None:
                cell = time_line.cell(ended_at, model, outcome)
            cell[0] += 1
            if cost:
                cell[1] += cost

    def total(self) -> Slice:
        """Returns the totals of all records."""
        return _slice(None, self._rows())

    def groups(self, by: Callable[[Kind], Iterable[str | None]]) -> tuple[Slice, ...]:
        """Returns the totals per group, by descending cost, then by descending number of responses."""
        rows_by_name: dict[str | None, list[tuple[Kind, list[float]]]] = {}
        for kind, row in self._rows():
            for name in by(kind):
                rows_by_name.setdefault(name, []).append((kind, row))
        slices = [_slice(name, rows) for name, rows in rows_by_name.items()]
        return tuple(sorted(slices, key=lambda g: (-g.cost, -g.answers, -g.attempts, g.name is None, g.name or "")))

    def requests(self) -> Requests:
        """Returns the outcomes of the requests."""
        states = Counter(self._requests.values())

        def those(having: Callable[[int], bool]) -> int:
            return sum(count for state, count in states.items() if having(state))

        answer_count = those(lambda state: bool(state & _ANSWER))
        failed = those(lambda state: state & (_ANSWER | _ERROR) == _ERROR)
        return Requests(
            count=len(self._requests),
            answered=answer_count,
            failed=failed,
            cancelled=len(self._requests) - answer_count - failed,
            tried_again=those(lambda state: state >= 2 * _TRY),
            rescued=those(lambda state: state & (_ANSWER | _ERROR) == _ANSWER | _ERROR),
        )

    def latencies(self) -> tuple[Latency, ...]:
        """Returns the latency per route, by descending number of responses."""
        latency_list: list[Latency] = []
        for route, (durations, first) in self._times.items():
            seconds = sorted(durations)
            firsts = sorted(first)
            latency_list.append(
                Latency(
                    route=route,
                    answers=len(seconds),
                    median=quantile(seconds, 0.5) or 0.0,
                    p95=quantile(seconds, 0.95) or 0.0,
                    first_token_median=quantile(firsts, 0.5),
                    first_token_p95=quantile(firsts, 0.95),
                )
            )
        return tuple(sorted(latency_list, key=lambda latency: (-latency.answers, latency.route)))

    def failures(self) -> tuple[Failure, ...]:
        """Returns the errors by route and code, most frequent first."""
        counts: dict[tuple[str, str], int] = {}
        for kind, row in self._rows():
            if is_failure(kind.outcome):
                counts[kind.route, kind.outcome] = counts.get((kind.route, kind.outcome), 0) + int(row[0])
        failure_list = [Failure(route, kind, count) for (route, kind), count in counts.items()]
        return tuple(sorted(failure_list, key=lambda failure: (-failure.count, failure.route, failure.kind)))

    def _rows(self) -> Iterable[tuple[Kind, list[float]]]:
        return cast("dict[Kind, list[float]]", self._sums).items()

    def buckets(self) -> tuple[Step, tuple[Bucket, ...]]:
        """Returns the bucket length, and all buckets from the first record to the last, including empty ones."""
        return self._line.buckets()


class _TimeLine:
    """A timeline that becomes coarser as it grows.

    Attributes:
        seconds: The length of its buckets.
        cells: The number and cost of the records per bucket, model and outcome.
    """

    def __init__(self) -> None:
        self._level = 0
        self.seconds = STEPS[0][1]
        self.cells: dict[tuple[int, str, str], list[float]] = {}
        self._low: int | None = None
        self._high = 0

    def cell(self, at: float, model: str, outcome: str) -> list[float]:
        """Returns the cell of a time, created if missing."""
        low = high = int(at // self.seconds)
        if self._low is not None:
            low = min(self._low, low)
            high = max(self._high, high)
        while high - low >= MOST_BUCKETS and self._level < len(STEPS) - 1:
            self._level += 1
            factor = STEPS[self._level][1] // self.seconds
            self.seconds = STEPS[self._level][1]
            low = low // factor
            high = high // factor
            self.cells = self._folded(lambda number, factor=factor: number // factor)
        self._low = low
        self._high = high
        return self.cells.setdefault((int(at // self.seconds), model, outcome), [0, 0.0])

    def buckets(self) -> tuple[Step, tuple[Bucket, ...]]:
        """Returns all buckets."""
        if self._low is None:
            return "day", ()
        step, seconds = STEPS[self._level]
        low = self._low
        high = self._high
        cells = self.cells
        monthly = high - low >= MOST_BUCKETS
        if monthly:
            step = "month"
            low = _month(low * seconds)
            high = _month(high * seconds)
            cells = self._folded(lambda number: _month(number * seconds))
        costs: dict[int, dict[str, float]] = {}
        counts: dict[int, list[int]] = {}
        for (number, model, outcome), (count, cost) in cells.items():
            if cost:
                cost_by_model = costs.setdefault(number, {})
                cost_by_model[model] = cost_by_model.get(model, 0.0) + cost
            three = counts.setdefault(number, [0, 0, 0])
            three[0] += int(count) if outcome in (ANSWERED, CACHED) else 0
            three[1] += int(count) if outcome == CACHED else 0
            three[2] += int(count) if is_failure(outcome) else 0
        return step, tuple(
            Bucket(
                _first_of_month(number) if monthly else float(number * seconds),
                costs.get(number, {}),
                *counts.get(number, (0, 0, 0)),
            )
            for number in range(low, high + 1)
        )

    def _folded(self, into: Callable[[int], int]) -> dict[tuple[int, str, str], list[float]]:
        cells: dict[tuple[int, str, str], list[float]] = {}
        for (number, model, outcome), (count, cost) in self.cells.items():
            cell = cells.setdefault((into(number), model, outcome), [0, 0.0])
            cell[0] += count
            cell[1] += cost
        return cells


def _month(at: float) -> int:
    moment = datetime.fromtimestamp(at, UTC)
    return moment.year * 12 + moment.month - 1


def _first_of_month(number: int) -> float:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()


def _slice(name: str | None, rows: Iterable[tuple[Kind, list[float]]]) -> Slice:
    sums: list[Any] = [0] * 4 + [0.0, 0, 0, 0.0, 0.0]
    by_outcome = dict.fromkeys((ANSWERED, CACHED, CANCELLED, ""), 0)
    wasted = 0.0
    for kind, (count, *figures) in rows:
        outcome = kind.outcome if kind.outcome in by_outcome else ""
        by_outcome[outcome] += int(count)
        wasted += figures[4] if outcome in (CANCELLED, "") else 0.0
        for place, value in enumerate(figures):
            sums[place] += value
    input_tokens, output_tokens, cache_read, reasoning, cost, unknown, estimated, estimated_cost, saved = sums
    return Slice(
        name=name,
        attempts=by_outcome[ANSWERED] + by_outcome[CANCELLED] + by_outcome[""],
        answers=by_outcome[ANSWERED] + by_outcome[CACHED],
        cached=by_outcome[CACHED],
        failed=by_outcome[""],
        cancelled=by_outcome[CANCELLED],
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read,
        reasoning_tokens=reasoning,
        cost=cost,
        unknown=unknown,
        estimated=estimated,
        estimated_cost=estimated_cost,
        wasted=wasted,
        saved_cost=saved,
    )
