"""Aggregation of records in memory: internal; integer counts, and exact sums of money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import TypeAlias, TypeVar

import msgspec

from multiroute_core.ledger import exact_sum
from multiroute_core.ledger.record import CACHED, CANCELLED

ANSWERED = "success"
"""The outcome of an attempt with a response."""

FAILED = ""
"""The class of all outcomes that are errors."""

CLASSES = {ANSWERED: ANSWERED, CACHED: CACHED, CANCELLED: CANCELLED}
"""The class of each outcome; all others are errors."""

Figures: TypeAlias = (
    "tuple[int | None, int | None, int | None, int | None, float | None, object, float | None, float | None]"
)
"""Of one record: input, output, cache read and reasoning tokens, charge, whether estimated, saved cost, and what the
prompt cache saved."""

Key = TypeVar("Key", bound=Hashable)


class Sums(msgspec.Struct, array_like=True):
    """Sums over records. Sums of money are lists of floats, as `exact_sum` describes.

    Attributes:
        answered: Number of attempts with a response.
        cached: Number of responses from the cache.
        cancelled: Number of cancelled attempts.
        failed: Number of attempts that ended with an error.
        input_tokens: All input tokens.
        output_tokens: All output tokens.
        cache_read_tokens: Part of the input that was read from the providers' prompt caches.
        reasoning_tokens: Part of the output that is reasoning.
        unknown: Number of records with tokens but without a charge.
        unknown_answers: Number of attempts with a response but without tokens and charge.
        estimated: Number of estimates.
        cost: The charge in USD.
        estimated_cost: The estimated part of it.
        wasted: The part of it for attempts without a response.
        saved_cost: The cost saved by the cache, in USD.
        prompt_cache_saving: What the providers' prompt caches saved in USD, writes deducted.
    """

    answered: int = 0
    cached: int = 0
    cancelled: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    unknown: int = 0
    unknown_answers: int = 0
    estimated: int = 0
    cost: list[float] = []
    estimated_cost: list[float] = []
    wasted: list[float] = []
    saved_cost: list[float] = []
    prompt_cache_saving: list[float] = []

    @property
    def attempts(self) -> int:
        """Number of attempts, however they ended."""
        return self.answered + self.cancelled + self.failed

    def merge(self, other: Sums) -> None:
        """Adds the sums of other records."""
        self.answered += other.answered
        self.cached += other.cached
        self.cancelled += other.cancelled
        self.failed += other.failed
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.unknown += other.unknown
        self.unknown_answers += other.unknown_answers
        self.estimated += other.estimated
        exact_sum.extend(self.cost, other.cost)
        exact_sum.extend(self.estimated_cost, other.estimated_cost)
        exact_sum.extend(self.wasted, other.wasted)
        exact_sum.extend(self.saved_cost, other.saved_cost)
        exact_sum.extend(self.prompt_cache_saving, other.prompt_cache_saving)


def sum_figures(figures: list[Figures], outcome_class: str) -> Sums:
    """Returns the sums of records whose outcomes are of one class."""
    count = len(figures)
    inputs, outputs, cache_reads, reasonings, charges, estimates, savings, prompt_savings = zip(*figures, strict=True)
    costs: list[float] = [charge for charge in charges if charge]
    sums = Sums(
        input_tokens=sum(filter(None, inputs)),
        output_tokens=sum(filter(None, outputs)),
        cache_read_tokens=sum(filter(None, cache_reads)),
        reasoning_tokens=sum(filter(None, reasonings)),
        cost=exact_sum.compress(costs),
        saved_cost=exact_sum.compress(list(filter(None, savings))),
        prompt_cache_saving=exact_sum.compress(list(filter(None, prompt_savings))),
    )
    if len(costs) < count and None in charges:
        for input_tokens, output_tokens, charge in zip(inputs, outputs, charges, strict=True):
            if charge is None:
                if input_tokens or output_tokens:
                    sums.unknown += 1
                elif outcome_class == ANSWERED:
                    sums.unknown_answers += 1
    if any(estimates):
        sums.estimated = sum(map(bool, estimates))
        estimated_costs = [charge for charge, estimated in zip(charges, estimates, strict=True) if estimated and charge]
        sums.estimated_cost = exact_sum.compress(estimated_costs)
    if outcome_class == ANSWERED:
        sums.answered = count
    elif outcome_class == CACHED:
        sums.cached = count
    else:
        sums.wasted = list(sums.cost)
        if outcome_class == CANCELLED:
            sums.cancelled = count
        else:
            sums.failed = count
    return sums


def sum_by(keys: Iterable[Key], figures: Iterable[Figures], outcome_class: str) -> list[tuple[Key, Sums]]:
    """Returns the sums per key of records whose outcomes are of one class."""
    figures_by_key: defaultdict[Key, list[Figures]] = defaultdict(list)
    for key, each in zip(keys, figures, strict=True):
        figures_by_key[key].append(each)
    return [(key, sum_figures(each, outcome_class)) for key, each in figures_by_key.items()]


def merge_into(sums_by_key: dict[Key, Sums], key: Key, sums: Sums) -> None:
    """Adds sums to those of a key."""
    if (own := sums_by_key.get(key)) is None:
        own = sums_by_key[key] = Sums()
    own.merge(sums)
