"""Ledger record: one attempt on one route, or one response from the cache."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

from multiroute_core.display import card
from multiroute_core.display.blocks import Bar, Cell, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import NOTHING, UNKNOWN, seconds, usd
from multiroute_core.events import About
from multiroute_core.pricing.cost import FREE_OF_CHARGE
from multiroute_core.types import Attempt, Response, Usage

CACHED = "cached"
"""The outcome of a response from the cache."""

CANCELLED = "cancelled"
"""The outcome of a cancelled attempt: another route was faster, or the caller cancelled."""


def is_failure(outcome: str) -> bool:
    """Returns whether an outcome is an error, that is, neither a response nor a cancellation."""
    return outcome not in ("success", CACHED, CANCELLED)


MOST = 10**12
"""Higher counts are provider errors. Sums of such counts would not fit into 64 bits."""


@dataclass(frozen=True, slots=True, repr=False)
class Record(Displayable):
    """One attempt, whatever its outcome. Shows itself as a card, in notebooks and when printed.

    Attributes:
        ended_at: When it ended, in seconds since 1970.
        request_id: The request; all attempts of a request share it.
        route: The route's name.
        provider: The route's provider.
        model: The model that responded, or else the requested model.
        outcome: `"success"`, `"cancelled"`, `"cached"`, or the error code: `"timeout"`, `"rate_limit"`, …
        seconds: Duration of the attempt.
        first_token_seconds: Time to the first token; None if none arrived.
        input_tokens: All input tokens; None if neither reported nor estimated.
        output_tokens: All output tokens.
        cache_read_tokens: Part of the input that was read from the provider's prompt cache.
        cache_write_tokens: Part of the input that was written to the provider's prompt cache.
        reasoning_tokens: Part of the output that is reasoning.
        cost: In USD; None if unknown, never an estimate.
        estimated: Whether the tokens or the charge are estimates: for an attempt that was interrupted, or a response
            without reported tokens or a known price.
        saved_cost: The cost saved by the cache, in USD.
        stream: Whether the response was streamed.
        tenant: The tenant of the request.
        task: The task of the request.
        labels: The labels of the request, sorted.
        price_source: The source of the price, with the date from which it is valid if known: `"genai-prices 0.2.3
            (2026-10-03)"`, `"the route's own"` or `"free"`; None if the cost is unknown.
        charged: The amount charged to budgets, in USD: the cost, or else an estimate; None if no price is known.
        prompt_cache_saving: What the provider's prompt cache saved in USD, cheaper reads minus dearer writes; None if
            unknown, and in records of older versions.
    """

    ended_at: float
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
    price_source: str | None = None
    charged: float | None = None
    prompt_cache_saving: float | None = None

    @property
    def day(self) -> str:
        """The UTC day on which it ended, such as `2026-11-28`."""
        moment = datetime.fromtimestamp(self.ended_at // 1, UTC)  # the filters do not round to microseconds either
        return moment.strftime("%Y-%m-%d")

    @property
    def month(self) -> str:
        """The UTC month in which it ended, such as `2026-11`."""
        return self.day[:-3]

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as plain JSON values."""
        return {**asdict(self), "labels": list(self.labels)}

    def __repr__(self) -> str:
        return (
            f"Record({self.request_id!r}, route={self.route!r}, outcome={self.outcome!r}, "
            f"seconds={self.seconds:.3g}, cost={'None' if self.cost is None else f'{self.cost:.6g}'})"
        )

    def _display(self) -> list[Table]:
        first = self.first_token_seconds
        outcome = card.mark_outcome(self.outcome)
        bar: Cell = ""
        if self.seconds > 0:
            begin = 0.0 if first is None else first / self.seconds
            bar = Bar(begin, 1.0, outcome.tone, None if first is None else 0.0)
        return [
            card.facts(
                ("route", self.route),
                ("model", self.model),
                ("outcome", outcome),
                (f"0 to {seconds(self.seconds)}", bar),
                ("first token", "" if first is None else seconds(first)),
                ("cost", _format_cost(self)),
                ("saved", usd(self.saved_cost) if self.saved_cost else ""),
                ("prompt cache", card.prompt_cache_saving(self.prompt_cache_saving)),
            ),
            card.facts(
                ("tokens", self._format_tokens()),
                ("tenant", self.tenant or ""),
                ("task", self.task or ""),
                ("labels", ", ".join(self.labels)),
                ("ended", f"{datetime.fromtimestamp(self.ended_at, UTC):%Y-%m-%d %H:%M:%S} UTC"),
                ("request", self.request_id),
            ),
        ]

    def _format_tokens(self) -> str:
        estimated = "about " if self.estimated and self.input_tokens is not None else ""
        return estimated + card.tokens(
            self.input_tokens, self.output_tokens, self.cache_read_tokens, self.reasoning_tokens
        )


def _format_cost(record: Record) -> str:
    if record.cost is not None:
        return usd(record.cost)
    if record.charged is not None:
        return f"about {usd(record.charged)}"
    return UNKNOWN if record.outcome == "success" or record.input_tokens or record.output_tokens else NOTHING


NAMES = tuple(field.name for field in fields(Record))

KINDS: dict[str, type] = {
    **dict.fromkeys(NAMES, str),
    **dict.fromkeys(
        ("ended_at", "seconds", "first_token_seconds", "cost", "saved_cost", "charged", "prompt_cache_saving"), float
    ),
    **dict.fromkeys([name for name in NAMES if name.endswith("_tokens")], int),
    **dict.fromkeys(("estimated", "stream"), bool),
    "labels": tuple,
}
"""The type of each field, unless it is None."""

LATEST = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970: the limit of Python's dates."""

values = attrgetter(*NAMES)
"""Returns all values of a record, in the order of `NAMES`."""


def of_attempt(attempt: Attempt, ended_at: float, request_id: str, about: About) -> Record:
    """Returns the record of an attempt."""
    return Record(  # positional: keyword arguments take half as long again
        ended_at,
        request_id,
        to_encodable(attempt.route),
        attempt.provider,
        to_encodable(attempt.model),
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
        attempt.prompt_cache_saving,
    )


def of_hit(response: Response, seconds: float, ended_at: float, request_id: str, about: About) -> Record:
    """Returns the record of a response from the cache."""
    return Record(
        ended_at,
        request_id,
        to_encodable(response.route),
        response.provider,
        to_encodable(response.model),
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
        0.0,
    )


Counts: TypeAlias = tuple[int | None, int | None, int | None, int | None, int | None]

_UNTOLD: Counts = (None, None, None, None, None)


def _counts(usage: Usage | None) -> Counts:
    """Returns the token counts in the order of a record's fields."""
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
    names = tuple(sorted(map(to_encodable, labels))) if labels else ()
    return stream, tenant and to_encodable(tenant), task and to_encodable(task), names


def to_encodable(text: str) -> str:
    """Replaces lone surrogates, which cannot be encoded; a provider's JSON may contain them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
