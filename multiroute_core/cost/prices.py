"""What an answer costs, by the prices that `genai-prices` keeps.

A look-up there takes 85 µs and its import a third of a second, so the library is imported late and its prices are
copied once per model, as float rates. A copy is used only if it gives the library's own figure for a handful of probes;
what cannot be copied, and every usage out of the ordinary, is priced by the library itself.
"""

from __future__ import annotations

import functools
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from multiroute_core.cost.priced import NOTHING, OWN, Cost, dated, priced, source_of
from multiroute_core.route import Route, TokenPrices
from multiroute_core.types import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TimeOfDateConstraint

    Constraint: TypeAlias = StartDateConstraint | TimeOfDateConstraint

FREE = frozenset({"local"})
"""Providers whose answers cost nothing: a model on one's own machine."""

CAPACITY = 4096
"""Most models remembered, the unknown ones included."""

RESOURCE = re.compile(r"(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/)?models/")
"""What Google's APIs write before a model's name. Tuned models live under other paths, at prices of their own."""

REFUSALS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of a usage or a price that makes no sense."""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token of each kind; a kind that is not priced apart has the rate of the kind that it is part of."""

    fresh: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    input_audio: float
    output: float
    reasoning: float
    output_audio: float
    request: float
    """USD per request, whatever its tokens."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """One set of prices: rates by the length of the input.

    Attributes:
        starts: Input tokens above which the next rates hold, for all tokens of the request; ascending.
        rates: One more than starts.
    """

    starts: tuple[int, ...]
    rates: tuple[Rates, ...]

    def cost(self, usage: Usage) -> float | None:
        """The cost in USD; None if parts of the usage overlap or exceed the whole: the library judges such."""
        total, output = usage.input_tokens or 0, usage.output_tokens or 0
        read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        write_1h, reasoning = usage.cache_write_1h_tokens or 0, usage.reasoning_tokens or 0
        heard, spoken = usage.input_audio_tokens or 0, usage.output_audio_tokens or 0
        fresh, write_5m, written = total - read - write - heard, write - write_1h, output - reasoning - spoken
        if min(fresh, read, write_5m, write_1h, heard, written, reasoning, spoken) < 0:
            return None
        if (heard and (read or write)) or (spoken and reasoning):
            return None
        rates = self.rates[bisect_left(self.starts, total)]
        return (
            fresh * rates.fresh
            + read * rates.cache_read
            + write_5m * rates.cache_write
            + write_1h * rates.cache_write_1h
            + heard * rates.input_audio
            + written * rates.output
            + reasoning * rates.reasoning
            + spoken * rates.output_audio
            + rates.request
        )

    def probes(self) -> Iterator[Usage]:
        """Usages that show a wrong rate of any kind, on both sides of every start."""
        for total in sorted({1_000, *self.starts, *(start + 1 for start in self.starts)}):
            yield Usage(total, 1_000, total // 7, total // 5, total // 11, 100)
            yield Usage(total, 1_000, input_audio_tokens=total // 3, output_audio_tokens=200)


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices of one model in one service tier.

    Attributes:
        provider: The library's provider.
        model: The library's model.
        context: The library's price context; None for the standard prices.
        constraints: What decides which prices hold at a time; None if a kind is among them that we do not know.
        source: Where the prices come from.
        cards: Copied prices, by which of the constraints are met, and their source with its day; None for those that
            cannot be copied.
    """

    provider: Provider
    model: ModelInfo
    context: dict[str, str] | None
    constraints: tuple[Constraint, ...] | None
    source: str
    cards: dict[tuple[bool, ...], tuple[RateCard | None, str]]

    def cost(self, usage: Usage, at: datetime) -> Cost | None:
        """The cost in USD at a time; None if the library finds the usage impossible."""
        cost, source = None, self.source
        if self.constraints is not None:
            met = tuple([constraint.active(at) for constraint in self.constraints])
            try:
                card, source = self.cards[met]
            except KeyError:
                card, source = self.cards[met] = self.copied(at), dated(self.source, self.constraints, met)
            if card is not None:
                cost = card.cost(usage)
        return priced(self.exact(usage, at) if cost is None else cost, source)

    def exact(self, usage: Usage, at: datetime) -> float | None:
        """The library's own figure; None if it refuses."""
        from genai_prices import Usage as Counts

        try:
            counts = Counts(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                cache_write_1h_tokens=usage.cache_write_1h_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
                input_audio_tokens=usage.input_audio_tokens,
                output_audio_tokens=usage.output_audio_tokens,
            )
            price = self.model.calc_price(counts, self.provider, genai_request_timestamp=at, price_context=self.context)
            return float(price.total_price)
        except REFUSALS:
            return None

    def copied(self, at: datetime) -> RateCard | None:
        """The prices that hold at a time as a rate card, if that gives the library's figures."""
        try:
            card = rate_card(self.model.get_prices(at, self.context))
        except REFUSALS:
            return None
        for usage in card.probes():
            ours, theirs = card.cost(usage), self.exact(usage, at)
            if ours is None or theirs is None or not math.isclose(ours, theirs, rel_tol=1e-9):
                return None
        return card


def rate_card(prices: ModelPrice) -> RateCard:
    """A copy of one set of prices; raises one of `REFUSALS` for a shape that we do not know."""
    from genai_prices.types import TieredPrices

    def rate(key: str, total: int, whole: float = 0.0) -> float:
        price = getattr(prices, key, None)
        if isinstance(price, TieredPrices):
            price = next((tier.price for tier in reversed(price.tiers) if total > tier.start), price.base)
        return whole if price is None else float(price / 1_000_000)

    def rates(total: int) -> Rates:
        fresh, output = rate("input_mtok", total), rate("output_mtok", total)
        cache_write = rate("cache_write_mtok", total, fresh)
        return Rates(
            fresh=fresh,
            cache_read=rate("cache_read_mtok", total, fresh),
            cache_write=cache_write,
            cache_write_1h=rate("cache_write_1h_mtok", total, cache_write),
            input_audio=rate("input_audio_mtok", total, fresh),
            output=output,
            reasoning=rate("output_reasoning_mtok", total, output),
            output_audio=rate("output_audio_mtok", total, output),
            request=rate("requests_kcount", total) * 1_000,
        )

    tiered = [price for price in vars(prices).values() if isinstance(price, TieredPrices)]
    starts = sorted({tier.start for price in tiered for tier in price.tiers})
    return RateCard(tuple(starts), tuple(rates(total) for total in (0, *(start + 1 for start in starts))))


@functools.lru_cache(maxsize=256)
def own_card(prices: TokenPrices) -> RateCard:
    """The rate card of a route that says itself what it costs."""
    fresh, output = prices.input / 1_000_000, prices.output / 1_000_000
    read = fresh if prices.cache_read is None else prices.cache_read / 1_000_000
    write = fresh if prices.cache_write is None else prices.cache_write / 1_000_000
    return RateCard((), (Rates(fresh, read, write, write, fresh, output, output, output, 0.0),))


def find_tariff(
    snapshot: DataSnapshot, source: str, provider: str, model: str, service_tier: str | None
) -> Tariff | None:
    """The tariff of a model; None if the provider or the model is unknown."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    # The name as it stands first, then without what only says where the model is.
    resource = RESOURCE.match(model)
    bare = model[resource.end() :] if resource else model.removeprefix(f"{provider}/")
    for name in dict.fromkeys((model, bare)):
        try:
            found, info = snapshot.find_provider_model(name, None, provider, None)
        except LookupError:
            continue
        if found.id != provider:  # the library takes any name with "openai" in it for OpenAI
            return None
        context = {"service_tier": service_tier} if service_tier else None
        conditions = info.prices if isinstance(info.prices, list) else []
        variants = (info.price_variants or []) if context else []
        constraints = tuple(c.constraint for c in (*conditions, *variants) if c.constraint is not None)
        known = all(type(c) in (StartDateConstraint, TimeOfDateConstraint) for c in constraints)
        return Tariff(found, info, context, constraints if known else None, source, {})
    return None


class Prices:
    """What answers cost, in USD.

    Prices depend on the date, the time of day, the length of the input and the service tier. They are those that come
    with the installed `genai-prices`, or newer ones if the program runs its `UpdatePrices`. Threads may share one.

    Example:
        >>> prices = Prices()
        >>> prices.cost("anthropic", "claude-opus-5", Usage(input_tokens=2_000, output_tokens=1_000))
        0.035
        >>> prices.cost("anthropic", "claude-of-my-own", Usage(input_tokens=2_000, output_tokens=1_000)) is None
        True
    """

    def __init__(self) -> None:
        self._latest: Callable[[], DataSnapshot] | None = None
        self._snapshot: DataSnapshot | None = None
        self._source = ""
        self._tariffs: dict[tuple[str, str, str | None], Tariff | None] = {}

    def load(self) -> None:
        """Import `genai-prices` and its data now (about half a second), so that the first answer need not."""
        self._current()

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage | None,
        *,
        at: datetime | None = None,
    ) -> Cost | None:
        """The cost of one answer in USD, or None for "unknown": an unknown model or usage is no error.

        Args:
            provider: A provider's name; `"local"` is free.
            model: The model as the vendor or the route names it; `"models/…"` and `"<provider>/…"` are understood.
            usage: The answer's tokens, and its service tier. A count that the vendor did not give is taken as 0, unless
                both the input and the output are unknown.
            at: When it was asked; None for now. A time without a zone is UTC.

        Example:
            >>> Prices().cost("openai", "gpt-4.1", Usage(input_tokens=1_000, output_tokens=500))
            0.006
        """
        if provider in FREE:
            return NOTHING
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            return None
        snapshot = self._current()
        tariffs, key = self._tariffs, (provider, model, usage.service_tier)
        try:
            tariff = tariffs[key]
        except KeyError:
            if len(tariffs) >= CAPACITY:
                tariffs.clear()  # the models in use come back at once; evicting one by one would need a lock
            tariff = tariffs[key] = find_tariff(snapshot, self._source, provider, model, usage.service_tier)
        return None if tariff is None else tariff.cost(usage, at or datetime.now(UTC))

    def cost_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> Cost | None:
        """The cost of an answer of `route` in USD, by the route's own prices where it has some; None for "unknown".

        Args:
            route: Who answered.
            usage: The answer's tokens, as in `cost`.
            model: The model that answered, as the vendor names it; None for the route's.
        """
        if route.prices is None:
            return self.cost(route.provider, model or route.model, usage)
        if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
            return None
        return priced(own_card(route.prices).cost(usage), OWN)

    def estimate_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> Cost | None:
        """The cost as of `cost_on`, or the best estimate of it, for budgets; None where there is no price at all."""
        return self.cost_on(route, usage, model=model)

    def _current(self) -> DataSnapshot:
        latest = self._latest
        if latest is None:
            from genai_prices.data_snapshot import get_snapshot

            self._latest = latest = get_snapshot
        snapshot = latest()
        if snapshot is not self._snapshot:
            # A new dict, and first: a thread that is still at the old prices then cannot put them among the new ones.
            self._tariffs, self._source = {}, source_of(snapshot)
            self._snapshot = snapshot
        return snapshot
