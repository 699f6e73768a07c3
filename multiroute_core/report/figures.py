"""The figures of a report: plain data, without a word of how they are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Step: TypeAlias = Literal["minute", "ten minutes", "hour", "day", "month"]
"""How long the pieces are into which time is cut."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What some of the records come to: those of a model or of a tenant, or all.

    Attributes:
        name: What they have in common; None for the records that say nothing.
        attempts: How many tries.
        answers: How many answers, those out of the cache included.
        cached: How many of them came out of the cache.
        failed: How many tries ended with an error.
        cancelled: How many tries were called off.
        input_tokens: All tokens read.
        output_tokens: All tokens written.
        cache_read_tokens: Part of the input that came from the vendors' prompt caches.
        reasoning_tokens: Part of the output that is reasoning.
        cost: In USD, of all records whose cost is known, estimates included.
        unknown: How many records used tokens, or have an answer, at a cost that nobody knows.
        estimated: How many records are estimates, since they ended in the middle.
        estimated_cost: Part of `cost` that is estimated, in USD.
        wasted: Part of `cost` that went to tries which gave no answer, in USD.
        saved_cost: What the cache spared, in USD.
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

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Bucket:
    """A piece of the time line.

    Attributes:
        start: When it begins, in seconds since 1970; days and months are those of UTC.
        costs: What was spent in it on each model, in USD; models without a known cost are left out.
        answers: How many answers came, those out of the cache included.
        cached: How many of them came out of the cache.
        failed: How many tries ended with an error.
    """

    start: float
    costs: dict[str, float]
    answers: int
    cached: int
    failed: int

    @property
    def cost(self) -> float:
        """What was spent in it, in USD."""
        return math.fsum(self.costs.values())


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a route takes. Only tries that were answered count; None where nothing was measured.

    Attributes:
        route: The route's name.
        answers: How many answers were measured.
        median: Seconds to the end of the answer, within which half of them came.
        p95: The same for 95 of 100.
        first_token_median: Seconds to the first token of an answer that was streamed.
        first_token_p95: The same for 95 of 100.
    """

    route: str
    answers: int
    median: float
    p95: float
    first_token_median: float | None
    first_token_p95: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Tries of one route that failed in the same way.

    Attributes:
        route: The route's name.
        kind: The kind of the error: `"timeout"`, `"rate_limit"`, …
        count: How many.
    """

    route: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Requests:
    """What became of the requests that reached a route or the cache.

    Attributes:
        count: How many.
        answered: How many got an answer.
        failed: How many did not, and at least one try ended with an error.
        cancelled: How many were given up by their callers.
        tried_again: How many took more than one try.
        rescued: How many were answered after a try of theirs had failed.
    """

    count: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    tried_again: int = 0
    rescued: int = 0


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of the values do not exceed; None where there is none.

    Args:
        ordered: The values, ascending.
        share: Above 0, up to 1.
    """
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
