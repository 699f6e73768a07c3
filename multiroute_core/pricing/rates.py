"""Rate cards: one model's prices as plain floats, the fast path for an ordinary usage."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiroute_core.route import TokenPrices
from multiroute_core.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

IMAGES = ("input_image_mtok", "output_image_mtok", "cache_image_read_mtok")
"""The library's image prices. If a model has none of them, image tokens are priced like all others."""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token of each kind; a kind without its own price has the rate of the kind that includes it."""

    fresh: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    input_audio: float
    output: float
    reasoning: float
    output_audio: float
    request: float
    """USD per request, regardless of tokens."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """One set of prices: rates by input length.

    Attributes:
        starts: Input tokens above which the next rates apply, to all tokens of the request; ascending.
        rates: One more than `starts`.
        images: Whether images are priced separately, which is left to the library.
    """

    starts: tuple[int, ...]
    rates: tuple[Rates, ...]
    images: bool = False

    def cost(self, usage: Usage) -> float | None:
        """Return the cost in USD; None for a usage that only the library can price or validate.

        That is a usage with parts that overlap or exceed the total, with searches, cached audio, or separately
        priced images.
        """
        total = usage.input_tokens or 0
        output = usage.output_tokens or 0
        read = usage.cache_read_tokens or 0
        write = usage.cache_write_tokens or 0
        write_1h = usage.cache_write_1h_tokens or 0
        reasoning = usage.reasoning_tokens or 0
        input_audio = usage.input_audio_tokens or 0
        output_audio = usage.output_audio_tokens or 0
        fresh = total - read - write - input_audio
        write_5m = write - write_1h
        plain_output = output - reasoning - output_audio
        if min(fresh, read, write_5m, write_1h, input_audio, plain_output, reasoning, output_audio) < 0:
            return None
        if (
            (input_audio and (read or write))
            or (output_audio and reasoning)
            or usage.web_searches
            or usage.file_searches
            or usage.cache_read_audio_tokens
        ):
            return None
        if self.images and (usage.input_image_tokens or usage.output_image_tokens):
            return None
        rates = self.rates[bisect_left(self.starts, total)]
        return (
            fresh * rates.fresh
            + read * rates.cache_read
            + write_5m * rates.cache_write
            + write_1h * rates.cache_write_1h
            + input_audio * rates.input_audio
            + plain_output * rates.output
            + reasoning * rates.reasoning
            + output_audio * rates.output_audio
            + rates.request
        )

    def probes(self) -> Iterator[Usage]:
        """Yield usages that reveal a wrong rate of any kind, on both sides of each start."""
        for total in sorted({1_000, *self.starts, *(start + 1 for start in self.starts)}):
            yield Usage(total, 1_000, total // 7, total // 5, total // 11, 100)
            yield Usage(total, 1_000, input_audio_tokens=total // 3, output_audio_tokens=200)


def rate_card(prices: ModelPrice) -> RateCard:
    """Copy one set of prices; raises `LookupError`, `TypeError` or similar for an unknown structure."""
    from genai_prices.types import TieredPrices

    def rate(key: str, total: int, default: float = 0.0) -> float:
        price = getattr(prices, key, None)
        if isinstance(price, TieredPrices):
            price = next((tier.price for tier in reversed(price.tiers) if total > tier.start), price.base)
        return default if price is None else float(price / 1_000_000)

    def rates(total: int) -> Rates:
        fresh = rate("input_mtok", total)
        output = rate("output_mtok", total)
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
    images = any(getattr(prices, key, None) is not None for key in IMAGES)
    return RateCard(tuple(starts), tuple(rates(total) for total in (0, *(start + 1 for start in starts))), images)


@functools.lru_cache(maxsize=256)
def own_rates(prices: TokenPrices) -> tuple[float, float, float, float]:
    """Return a route's own prices in USD per token: input, cache reads, cache writes, output."""
    fresh = prices.input / 1_000_000
    read = fresh if prices.cache_read is None else prices.cache_read / 1_000_000
    write = fresh if prices.cache_write is None else prices.cache_write / 1_000_000
    return fresh, read, write, prices.output / 1_000_000


def own_cost(prices: TokenPrices, usage: Usage) -> float | None:
    """Return the cost in USD by a route's own prices; None if a count is missing or a part exceeds its total.

    These prices do not distinguish audio, images or reasoning; such tokens cost the same as others.
    """
    total = usage.input_tokens
    output = usage.output_tokens
    if total is None or output is None:
        return None
    read = usage.cache_read_tokens or 0
    write = usage.cache_write_tokens or 0
    inner = (usage.reasoning_tokens or 0, usage.output_audio_tokens or 0)
    input_audio = usage.input_audio_tokens or 0
    write_1h = usage.cache_write_1h_tokens or 0
    fresh = total - read - write
    if min(fresh, read, write, write_1h, write - write_1h, output, input_audio, total - input_audio, *inner) < 0:
        return None
    if output < max(inner):
        return None
    fresh_rate, read_rate, write_rate, output_rate = own_rates(prices)
    return fresh * fresh_rate + read * read_rate + write * write_rate + output * output_rate
