"""Totals of calls: tokens, cost, attempts and cache savings, overall and per model.

They use only what every response and every error of MultiRoute carries, so that any framework's callbacks can fill
them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, TypeAlias, cast

from multiroute_core.display import numbers
from multiroute_core.display.blocks import Bar, Block, Paragraph, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import NOTHING, decimal_places, format_count, usd
from multiroute_core.errors import MultiRouteError
from multiroute_core.ledger.record import CANCELLED, is_failure
from multiroute_core.runtime import forks
from multiroute_core.types import Usage

UNKNOWN = "unknown"
"""The name of an unnamed model."""

Move: TypeAlias = Literal["first", "retry", "fallback", "hedge"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over finished calls.

    Attributes:
        calls: Calls: answers, failures and calls that the caller abandoned.
        answers: Calls that returned a response, including those from a cache.
        failures: Calls that ended with an error.
        unfinished: Calls that the caller abandoned. Their cost is not known.
        input_tokens: All input tokens of answered calls.
        output_tokens: All output tokens of answered calls.
        cache_read_tokens: Part of the input that was read from the providers' prompt caches.
        reasoning_tokens: Part of the output that is reasoning.
        uncounted: Answers without reported tokens; they are not in the token sums.
        known_cost: The cost of all attempts with a known cost, in USD.
        unpriced: Answers whose cost is unknown; actual spend is then higher than `known_cost`.
        attempts: Attempts on routes.
        failed_attempts: Attempts that ended with an error.
        cancelled_attempts: Attempts that were cancelled because another route was faster.
        failed_cost: Part of `known_cost` spent on failed or cancelled attempts.
        estimated_cost: Estimated cost of attempts whose cost is not known, such as interrupted ones, in USD; not in
            `known_cost`.
        fallbacks: Attempts on another route after a failure.
        retries: Repeated attempts on the same route.
        hedges: Attempts on another route because the first was slow.
        cache_hits: Answers from a cache: MultiRoute's, or the framework's own.
        saved_cost: Cost saved by cache hits, in USD, as far as known.
        prompt_cache_saving: What the providers' prompt caches saved in USD, as far as known; writes are deducted.
    """

    calls: int = 0
    answers: int = 0
    failures: int = 0
    unfinished: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    uncounted: int = 0
    known_cost: float = 0.0
    unpriced: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    cancelled_attempts: int = 0
    failed_cost: float = 0.0
    estimated_cost: float = 0.0
    fallbacks: int = 0
    retries: int = 0
    hedges: int = 0
    cache_hits: int = 0
    saved_cost: float = 0.0
    prompt_cache_saving: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> float | None:
        """The known cost in USD; None if there are answers and none of their costs is known.

        `unpriced` counts the answers that it does not include.
        """
        nothing_known = self.unpriced and self.unpriced == self.answers - self.cache_hits and not self.known_cost
        return None if nothing_known else self.known_cost

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as plain JSON values, with `cost` and `total_tokens`."""
        return {**asdict(self), "total_tokens": self.total_tokens, "cost": self.cost}


_NAMES = tuple(field.name for field in fields(Figures))


class Totals(Displayable):
    """Sums over recorded calls, overall and per model. Thread-safe.

    Copies are the same object, so that copies of a model count in one place.

    Example:
        >>> totals = Totals()
        >>> response = router.generate("Hello")  # doctest: +SKIP
        >>> totals.record_answer(response.model, response.usage, response.summary())  # doctest: +SKIP
        >>> totals.total.cost  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)
        self._sums: dict[str | None, dict[str, float]] = {}  # None: calls that reached no model

    @property
    def total(self) -> Figures:
        """The figures of all calls."""
        return self._read()[0]

    @property
    def models(self) -> dict[str, Figures]:
        """The figures per model that responded or was tried; a failed call counts for the last one tried."""
        return self._read()[1]

    def record_answer(
        self, model: str | None, usage: Usage | None, summary: Mapping[str, Any] | None, *, cached: bool = False
    ) -> None:
        """Records an answered call.

        Args:
            model: The model that responded.
            usage: The response's tokens; None if not reported.
            summary: The result of `Response.summary`; None for a response that is not MultiRoute's, whose cost is
                unknown.
            cached: Whether the framework's own cache returned it, so that its full cost was saved.
        """
        summary = summary or {}
        name = model or UNKNOWN
        if cached:
            saved = summary.get("saved_cost") if summary.get("cached") else summary.get("cost")
            with self._lock:
                self._add(name, calls=1, answers=1, cache_hits=1, saved_cost=saved or 0.0)
            return
        hit = bool(summary.get("cached"))
        tokens = Usage(0, 0) if hit or usage is None else usage
        with self._lock:
            self._add_attempts(summary.get("attempts") or ())
            self._add(
                name,
                calls=1,
                answers=1,
                input_tokens=tokens.input_tokens or 0,
                output_tokens=tokens.output_tokens or 0,
                cache_read_tokens=tokens.cache_read_tokens or 0,
                reasoning_tokens=tokens.reasoning_tokens or 0,
                uncounted=usage is None and not hit,
                unpriced=summary.get("cost") is None and not hit,
                cache_hits=hit,
                saved_cost=(hit and summary.get("saved_cost")) or 0.0,
                prompt_cache_saving=summary.get("prompt_cache_saving") or 0.0,
            )

    def failed(self, error: BaseException) -> None:
        """Records a call that ended with `error`; errors of MultiRoute carry their attempts."""
        tries = [attempt.summary() for attempt in error.attempts] if isinstance(error, MultiRouteError) else []
        finished = isinstance(error, Exception)
        with self._lock:
            self._add_attempts(tries)
            self._add(tries[-1]["model"] if tries else None, calls=1, failures=finished, unfinished=not finished)

    def reset(self) -> None:
        """Resets all figures."""
        with self._lock:
            self._sums.clear()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values: `total`, and `models` by name."""
        total, models = self._read()
        return {"total": total.to_dict(), "models": {name: figures.to_dict() for name, figures in models.items()}}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_calls(self.total)}, {_format_cost(self.total)}>"

    def _display(self) -> list[Block]:
        total, models = self._read()
        named = [*models.items(), *([("Total", total)] if len(models) != 1 else [])]
        dearest = max((row.known_cost for row in models.values()), default=0.0)
        places = decimal_places(row.known_cost for row in models.values())
        rows = [
            (
                name,
                f"{row.answers:,}",
                f"{row.input_tokens:,}",
                f"{row.output_tokens:,}",
                _format_cost(row, places),
                Bar(0.0, row.known_cost / dearest) if row.known_cost and row is not total else "",
                f"{row.attempts:,}",
                _count_or_nothing(row.failed_attempts),
                _count_or_nothing(row.cache_hits),
                usd(row.saved_cost) if row.saved_cost else NOTHING,
            )
            for name, row in named
        ]
        table = [Table(_TITLES, rows, (0, 5), optional=("", NOTHING))] if models else []
        return [Paragraph("\n".join(_lines(total))), *table]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def _read(self) -> tuple[Figures, dict[str, Figures]]:
        with self._lock:
            rows = {name: Figures(**cast("dict[str, Any]", sums)) for name, sums in self._sums.items()}
        total = sum(rows.values(), Figures())
        return total, {name: row for name, row in rows.items() if name is not None}

    def _add(self, name: str | None, **amounts: float) -> None:
        sums = self._sums.setdefault(name, {})
        for what, amount in amounts.items():
            if amount:
                sums[what] = sums.get(what, 0) + amount

    def _add_attempts(self, attempts: Iterable[Mapping[str, Any]]) -> None:
        """Adds the attempts of one request."""
        for attempt, move in moves(attempts):
            cost = attempt.get("cost") or 0.0
            outcome = attempt["outcome"]
            self._add(
                attempt.get("model") or UNKNOWN,
                attempts=1,
                known_cost=cost,
                failed_attempts=is_failure(outcome),
                cancelled_attempts=outcome == CANCELLED,
                failed_cost=0.0 if outcome == "success" else cost,
                estimated_cost=attempt.get("estimated_cost") or 0.0,
                fallbacks=move == "fallback",
                retries=move == "retry",
                hedges=move == "hedge",
            )


def moves(attempts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Move]]:
    """Yields each attempt of one request with the reason for it.

    Attempts are in the order in which they ended. If a hedge fails before the original route responds, that response
    therefore counts as the fallback.
    """
    routes: set[Any] = set()
    failed = False
    for attempt in attempts:
        route = attempt.get("route")
        yield attempt, "first" if not routes else "retry" if route in routes else "fallback" if failed else "hedge"
        routes.add(route)
        failed = failed or is_failure(attempt["outcome"]) or attempt.get("error") is not None  # as of `fallback_on`


def _lines(total: Figures) -> Iterator[str]:
    yield _calls(total)
    uncounted = f"; {format_count(total.uncounted, 'answer')} uncounted" if total.uncounted else ""
    yield (
        f"Tokens: {total.input_tokens:,} in ({total.cache_read_tokens:,} from provider caches), "
        f"{total.output_tokens:,} out ({total.reasoning_tokens:,} reasoning){uncounted}"
    )
    lost = f"; {usd(total.failed_cost)} of it for failed attempts" if total.failed_cost else ""
    more = f"; about {usd(total.estimated_cost)} more by estimate" if total.estimated_cost else ""
    yield f"Cost: {_format_cost(total)}{lost}{more}"
    figures = [format_count(total.attempts, "attempt"), f"{total.failed_attempts:,} failed"]
    figures += [f"{total.cancelled_attempts:,} cancelled"] if total.cancelled_attempts else []
    figures += [format_count(total.fallbacks, "fallback"), format_count(total.retries, "retry", "retries")]
    yield f"Routes: {', '.join(figures)}"
    yield f"Caches: {format_count(total.cache_hits, 'hit')}, {usd(total.saved_cost)} saved"


def _calls(total: Figures) -> str:
    ended = [format_count(total.answers, "answer"), format_count(total.failures, "failure")]
    ended += [f"{total.unfinished:,} unfinished"] if total.unfinished else []
    return f"{format_count(total.calls, 'call')}: {', '.join(ended)}"


def _format_cost(row: Figures, places: int | None = None) -> str:
    unpriced = f" and {format_count(row.unpriced, 'answer')} of unknown cost" if row.unpriced else ""
    return f"{usd(row.cost, places)}{unpriced}" if row.cost is not None else numbers.UNKNOWN


def _count_or_nothing(count: int) -> str:
    return f"{count:,}" if count else NOTHING


_TITLES = ("model", "answers", "tokens in", "tokens out", "cost", "", "attempts", "failed", "cache hits", "saved")
