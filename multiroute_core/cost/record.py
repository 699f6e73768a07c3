"""One line of the ledger: one try on one route, or one answer out of the cache."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, cast

from multiroute_core.types import Attempt, Response, Usage

CACHED = "cached"
"""The outcome of an answer that came out of the cache."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one try took, whatever became of it.

    Attributes:
        at: When it ended, in seconds since 1970.
        request_id: Whose try it was; all tries of a request have the same.
        route: The route's name.
        provider: Its provider.
        model: The model that answered, or else the one that was asked.
        outcome: `"answered"`, `"cancelled"`, `"cached"`, or the kind of the error: `"timeout"`, `"rate_limit"`, …
        seconds: From the start of the try to its end.
        first_token_seconds: To the first token; None where none came.
        input_tokens: All tokens read; None where nobody said, and there is no estimate.
        output_tokens: All tokens written.
        cache_read_tokens: Part of the input that came from the vendor's prompt cache.
        cache_write_tokens: Part of the input that was written to it.
        reasoning_tokens: Part of the output that is reasoning.
        cost: In USD; None for unknown, never a guess.
        estimated: Whether tokens and cost are estimates: of a try that ended in the middle.
        saved_cost: What the cache spared, in USD.
        stream: Whether the answer was streamed.
        tenant: On whose behalf.
        task: What it was for.
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

    @property
    def day(self) -> str:
        """The day in UTC on which it ended, such as `2026-11-28`."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


NAMES = tuple(field.name for field in fields(Record))


def of_attempt(attempt: Attempt, at: float, request_id: str, about: tuple[bool, str | None, str | None]) -> Record:
    """The record of a try; `about` is whether it was streamed, the tenant and the task."""
    usage = attempt.usage or attempt.estimate
    stream, tenant, task = about
    return Record(
        at=at,
        request_id=request_id,
        route=attempt.route,
        provider=attempt.provider,
        model=attempt.model,
        outcome=attempt.outcome,
        seconds=attempt.seconds,
        first_token_seconds=attempt.first_token_seconds,
        **cast("Any", _tokens(usage)),
        cost=attempt.cost if attempt.estimate is None else attempt.estimated_cost,
        estimated=attempt.estimate is not None,
        stream=stream,
        tenant=tenant,
        task=task,
    )


def of_hit(
    response: Response, seconds: float, at: float, request_id: str, about: tuple[bool, str | None, str | None]
) -> Record:
    """The record of an answer out of the cache."""
    stream, tenant, task = about
    return Record(
        at=at,
        request_id=request_id,
        route=response.route,
        provider=response.provider,
        model=response.model,
        outcome=CACHED,
        seconds=seconds,
        **cast("Any", _tokens(response.usage)),
        cost=0.0,
        saved_cost=response.saved_cost,
        stream=stream,
        tenant=tenant,
        task=task,
    )


def _tokens(usage: Usage | None) -> dict[str, int | None]:
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
