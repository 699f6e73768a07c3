"""One line of the ledger: one try on one route, or one answer out of the cache."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

from multiroute_core.events import About
from multiroute_core.pricing.cost import FREE_OF_CHARGE
from multiroute_core.types import Attempt, Response, Usage

CACHED = "cached"
"""The outcome of an answer that came out of the cache."""

CANCELLED = "cancelled"
"""The outcome of a try that was called off: another route was quicker, or the caller left."""


def is_failure(outcome: str) -> bool:
    """Whether an outcome is an error: neither an answer, from a route or the cache, nor a try that was called off."""
    return outcome not in ("success", CACHED, CANCELLED)


MOST = 10**12
"""A count above that is a vendor's mistake. Sums of such would not go into 64 bits."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one try took, whatever became of it.

    Attributes:
        at: When it ended, in seconds since 1970.
        request_id: Whose try it was; all tries of a request have the same.
        route: The route's name.
        provider: Its provider.
        model: The model that answered, or else the one that was asked.
        outcome: `"success"`, `"cancelled"`, `"cached"`, or the kind of the error: `"timeout"`, `"rate_limit"`, …
        seconds: From the start of the try to its end.
        first_token_seconds: To the first token; None where none came.
        input_tokens: All tokens read; None where nobody said, and there is no estimate.
        output_tokens: All tokens written.
        cache_read_tokens: Part of the input that came from the vendor's prompt cache.
        cache_write_tokens: Part of the input that was written to it.
        reasoning_tokens: Part of the output that is reasoning.
        cost: In USD; None for unknown, never a guess.
        estimated: Whether tokens, or what was charged, are estimates: of a try that ended in the middle, or of an
            answer whose tokens or price nobody told.
        saved_cost: What the cache spared, in USD.
        stream: Whether the answer was streamed.
        tenant: On whose behalf.
        task: What it was for.
        labels: What it is booked under, sorted.
        price: Where the price comes from, and since when it holds where that is known:
            `"genai-prices 0.2.3 (2026-10-03)"`, `"the route's own"` or `"free"`; None where the cost is unknown.
        charged: What budgets were charged, in USD: the cost, or else an estimate of it; None where there is no price.
    """

    at: float
    request_id: str
    route: str
    provider: str
    model: str
    outcome: str
    seconds: float
    first_token_seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    estimated: bool = False
    saved_cost: float | None = None
    stream: bool = False
    tenant: str | None = None
    task: str | None = None
    labels: tuple[str, ...] = ()
    price: str | None = None
    charged: float | None = None

    @property
    def day(self) -> str:
        """The day in UTC on which it ended, such as `2026-11-28`."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d")

    @property
    def month(self) -> str:
        """The month in UTC in which it ended, such as `2026-11`."""
        return self.day[:-3]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "labels": list(self.labels)}


NAMES = tuple(field.name for field in fields(Record))

KINDS: dict[str, type] = {
    **dict.fromkeys(NAMES, str),
    **dict.fromkeys(("at", "seconds", "first_token_seconds", "cost", "saved_cost", "charged"), float),
    **dict.fromkeys([name for name in NAMES if name.endswith("_tokens")], int),
    **dict.fromkeys(("estimated", "stream"), bool),
    "labels": tuple,
}
"""What is in each field, where it is not None."""

LATEST = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970: Python's dates go no further."""

values = attrgetter(*NAMES)
"""All that a record says, in the order of `NAMES`."""


def of_attempt(attempt: Attempt, at: float, request_id: str, about: About) -> Record:
    """The record of a try."""
    return Record(  # by place: by name it takes half as long again
        at,
        request_id,
        _text(attempt.route),
        attempt.provider,
        _text(attempt.model),
        attempt.outcome,
        attempt.seconds,
        attempt.first_token_seconds,
        *_counts(attempt.estimated_usage or attempt.usage),
        attempt.cost,
        attempt.estimated,
        None,
        *_booked(about),
        attempt.price_source,
        attempt.charged,
    )


def of_hit(response: Response, seconds: float, at: float, request_id: str, about: About) -> Record:
    """The record of an answer out of the cache."""
    return Record(
        at,
        request_id,
        _text(response.route),
        response.provider,
        _text(response.model),
        CACHED,
        seconds,
        None,
        *_counts(response.usage),
        0.0,
        False,
        response.saved_cost,
        *_booked(about),
        FREE_OF_CHARGE,
        0.0,
    )


Counts: TypeAlias = tuple[int | None, int | None, int | None, int | None, int | None]

_UNTOLD: Counts = (None, None, None, None, None)


def _counts(usage: Usage | None) -> Counts:
    """Tokens in the order of a record's fields."""
    if usage is None:
        return _UNTOLD
    read, output_tokens, cached, put, thought = token_counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
    counts = (read or 0, output_tokens or 0, cached or 0, put or 0, thought or 0)
    if max(counts) <= MOST and min(counts) >= -MOST:
        return token_counts
    return _count(read), _count(output_tokens), _count(cached), _count(put), _count(thought)


def _count(number: int | None) -> int | None:
    return number if number is None or -MOST <= number <= MOST else None


@functools.lru_cache(1024)
def _booked(about: About) -> tuple[bool, str | None, str | None, tuple[str, ...]]:
    stream, tenant, task, labels = about
    return stream, tenant and _text(tenant), task and _text(task), tuple(sorted(map(_text, labels))) if labels else ()


def _text(text: str) -> str:
    """`given`, without halves of characters: those go into no file, and a vendor's JSON may hold some."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
