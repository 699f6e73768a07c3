"""Data model of a report, independent of its rendering."""

from __future__ import annotations

import math
from dataclasses import dataclass

from multiroute_core.ledger.timeline import Step


@dataclass(frozen=True, slots=True)
class Slice:
    """Totals of some or all records, such as those of a model or a tenant.

    Attributes:
        name: The value that the records share; None for records without a value.
        attempts: Number of attempts.
        answers: Number of responses, including those from the cache.
        cached: Number of responses from the cache.
        failed: Number of attempts that ended with an error.
        cancelled: Number of cancelled attempts.
        input_tokens: All input tokens.
        output_tokens: All output tokens.
        cache_read_tokens: Part of the input that was read from the providers' prompt caches.
        reasoning_tokens: Part of the output that is reasoning.
        cost: In USD, of all records with a known cost, including estimates.
        unknown: Number of records with tokens or a response but an unknown cost.
        estimated: Number of records that are estimates, because the attempt was interrupted.
        estimated_cost: The estimated part of `cost`, in USD.
        wasted: Part of `cost` spent on attempts without a response, in USD.
        saved_cost: Cost saved by the cache, in USD.
        prompt_cache_saving: What the providers' prompt caches saved in USD, writes deducted.
    """

    name: str | None
    attempts: int = 0
    answers: int = 0
    cached: int = 0
    failed: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0
    unknown: int = 0
    estimated: int = 0
    estimated_cost: float = 0.0
    wasted: float = 0.0
    saved_cost: float = 0.0
    prompt_cache_saving: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the timeline.

    Attributes:
        start: Its start, in seconds since 1970; days and months are UTC.
        costs: The cost per model, in USD; models without a known cost are omitted.
        answers: Number of responses, including those from the cache.
        cached: Number of responses from the cache.
        failed: Number of attempts that ended with an error.
    """

    start: float
    costs: dict[str, float]
    answers: int
    cached: int
    failed: int

    @property
    def cost(self) -> float:
        """The total cost in USD."""
        return math.fsum(self.costs.values())


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency of a route. Only successful attempts count; None if nothing was measured.

    Attributes:
        route: The route's name.
        answers: Number of measured responses.
        median: Median seconds to the end of the response.
        p95: The 95th percentile of the same.
        first_token_median: Median seconds to the first token of a streamed response.
        first_token_p95: The 95th percentile of the same.
    """

    route: str
    answers: int
    median: float
    p95: float
    first_token_median: float | None
    first_token_p95: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Attempts on one route that failed with the same error.

    Attributes:
        route: The route's name.
        kind: The error code: `"timeout"`, `"rate_limit"`, …
        count: Number of attempts.
    """

    route: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Requests:
    """Outcomes of the requests that reached a route or the cache.

    Attributes:
        count: Number of requests.
        answered: Requests with a response.
        failed: Requests without a response and with at least one failed attempt.
        cancelled: Requests that their callers abandoned.
        tried_again: Requests with more than one attempt.
        rescued: Requests with a response after a failed attempt.
    """

    count: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    tried_again: int = 0
    rescued: int = 0


@dataclass(frozen=True, slots=True)
class ReportData:
    """What the renderers of a report read; `Report` describes the attributes."""

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
