"""Requests that a ledger's records show: its attempts, grouped by request. A ledger holds no content."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from operator import attrgetter

from multiroute_core.ledger.ledger import Ledger
from multiroute_core.ledger.record import CACHED, CANCELLED, Record, is_failure
from multiroute_core.request_log.record import RequestRecord, sum_cost
from multiroute_core.types import Attempt, Usage

PERIODS = (60.0, 3600.0, 86_400.0, None)
"""How far back to look, in seconds, until there are enough requests; None looks at all records."""


def read_requests(ledger: Ledger, last: int, *, now: float | None = None) -> list[RequestRecord]:
    """Return the last requests, the latest first.

    Args:
        ledger: The ledger.
        last: The number of requests.
        now: The time in seconds since 1970; None for the current time.

    Raises:
        LedgerUnavailableError: The records cannot be read at the moment.
    """
    now = time.time() if now is None else now
    requests: list[RequestRecord] = []
    for period in PERIODS:
        records = sorted(ledger.query(since=None if period is None else now - period), key=attrgetter("request_id"))
        groups = itertools.groupby(records, attrgetter("request_id"))
        requests = [_build_request(list(group)) for _, group in groups]
        if len(requests) >= last:
            break
    return sorted(requests, key=attrgetter("started_at"), reverse=True)[:last]


def _build_request(records: Sequence[Record]) -> RequestRecord:
    records = sorted(records, key=attrgetter("ended_at"))
    started = min(record.ended_at - record.seconds for record in records)
    final = records[-1]
    attempts = tuple(_build_attempt(record) for record in records if record.outcome != CACHED)
    cached = final.outcome == CACHED
    failed = is_failure(final.outcome)
    return RequestRecord(
        final.request_id,
        started,
        "cached" if cached else "failed" if failed else "cancelled" if final.outcome == CANCELLED else "success",
        final.ended_at - started,
        final.route,
        final.model,
        attempts,
        tuple(record.ended_at - record.seconds - started for record in records if record.outcome != CACHED),
        0.0 if cached else sum_cost(attempts),
        final.outcome.replace("_", " ") if failed else None,
        final.stream,
        final.tenant,
        final.task,
        final.labels,
    )


def _build_attempt(record: Record) -> Attempt:
    known = record.input_tokens is not None or record.output_tokens is not None
    return Attempt(
        record.route,
        record.provider,
        record.model,
        record.outcome,
        record.seconds,
        record.first_token_seconds,
        Usage(record.input_tokens, record.output_tokens) if known and not record.estimated else None,
        record.cost,
        price_source=record.price_source,
    )
