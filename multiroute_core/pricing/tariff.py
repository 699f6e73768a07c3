"""Price look-up: the tariff of one model at one provider, from `genai-prices`.

A look-up in the library takes 85 µs, so its prices are copied once per model, as float rates. A copy is used only if it
reproduces the library's own result for a handful of probes; the library itself prices everything else, and every
unusual usage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from multiroute_core.pricing.cost import NOTHING, Cost, dated, priced
from multiroute_core.pricing.rates import RateCard, rate_card
from multiroute_core.types import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider, StartDateConstraint, TimeOfDateConstraint

    Constraint: TypeAlias = StartDateConstraint | TimeOfDateConstraint

RESOURCE = re.compile(r"(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/)?models/")
"""Prefixes of model names in Google's APIs. Tuned models have other paths, and their own prices."""

VERSION = re.compile(r"@(?:\d{8}|default|latest)$")
"""Suffix of a partner's model on Vertex AI: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models"""

ROUTING = ("nitro", "floor", "exacto")
"""OpenRouter's routing variants. "The model's metadata is the base model's", prices included; every other suffix is a
catalogue entry with its own prices, or adds a fee as `:online` does.
https://openrouter.ai/docs/guides/routing/model-variants/overview (2026-11-28)
"""

FREE_VARIANT = ":free"
"""OpenRouter's suffix of free models: https://openrouter.ai/docs/guides/routing/model-variants/free (2026-11-28)"""

PROFILE = re.compile(r"arn:aws[a-z-]*:bedrock:[^/]*:inference-profile/")
"""Prefix of a model's inference profile on Bedrock: arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.…"""

GPT_OSS = re.compile(r"openai\.gpt-oss-\d+b")
"""Model names at Bedrock's `bedrock-mantle` endpoint; at `bedrock-runtime` they end with a version."""

GOOGLE_TIERS = {"flex": 0.5, "priority": 2.0}
"""Factors of Gemini's token prices: "50% discount", and "75% to 100% more than standard", an upper bound:
https://ai.google.dev/gemini-api/docs/optimization (2026-11-30)
"""

US_INFERENCE = 1.1
"""Factor of Anthropic's token prices for inference in the USA only, on Claude Opus 4.6 and later models:
https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing (2026-11-30)
"""

REFUSALS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions raised for an invalid usage or price."""


@dataclass(frozen=True, slots=True)
class Free:
    """The tariff of a free model."""

    def cost(self, usage: Usage, at: datetime) -> Cost | None:
        """Return a cost of zero."""
        return NOTHING


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices of one model in one service tier.

    Attributes:
        provider: The library's provider.
        model: The library's model.
        context: The library's price context; None for the standard prices.
        constraints: Conditions that select the prices at a time; None if one of them is of an unknown kind.
        source: The source of the prices.
        cards: Copied prices with their dated source, by which constraints are met; None for prices that cannot be
            copied.
        factor: Factor of the token prices.
        is_upper_bound: Whether the exact factor is unknown, so that the cost is, and the prices are only for estimates.
    """

    provider: Provider
    model: ModelInfo
    context: dict[str, str] | None
    constraints: tuple[Constraint, ...] | None
    source: str
    cards: dict[tuple[bool, ...], tuple[RateCard | None, str]]
    factor: float = 1
    is_upper_bound: bool = False

    def cost(self, usage: Usage, at: datetime) -> Cost | None:
        """Return the cost in USD at a time; None if input or output is missing, or the library rejects the usage."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cost = None
        source = self.source
        if self.constraints is not None:
            met = tuple([constraint.active(at) for constraint in self.constraints])
            try:
                card, source = self.cards[met]
            except KeyError:
                card, source = self.cards[met] = self.copied(at), dated(self.source, self.constraints, met)
            if card is not None:
                cost = card.cost(usage)
        if cost is None:
            cost = self.exact(usage, at)
        if usage.inference_geo is not None or self.factor != 1:
            cost = self._scaled(cost, usage, at)
        return priced(cost, source)

    def _scaled(self, cost: float | None, usage: Usage, at: datetime) -> float | None:
        """Return a cost with the factors of its tokens; searches cost the same. None if a factor is not exact."""
        if cost is None or self.is_upper_bound:
            return None
        is_in_usa = usage.inference_geo is not None and self.provider.id == "anthropic"
        factor = self.factor * (US_INFERENCE if is_in_usa else 1)
        tokens = cost
        if usage.web_searches or usage.file_searches:
            tokens = self.exact(replace(usage, web_searches=None, file_searches=None), at)
        return None if tokens is None else cost + tokens * (factor - 1)

    def exact(self, usage: Usage, at: datetime) -> float | None:
        """Return the library's own result; None if it rejects the usage."""
        from genai_prices import Usage as Counts

        counts = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "output_reasoning_tokens": usage.reasoning_tokens,
            "input_audio_tokens": usage.input_audio_tokens,
            "output_audio_tokens": usage.output_audio_tokens,
            "cache_audio_read_tokens": usage.cache_read_audio_tokens,
            "input_image_tokens": usage.input_image_tokens,
            "output_image_tokens": usage.output_image_tokens,
            "web_searches": usage.web_searches,
            "storage_searches": usage.file_searches,
        }
        try:
            token_counts = Counts(**{name: count for name, count in counts.items() if count is not None})
            price = self.model.calc_price(
                token_counts, self.provider, genai_request_timestamp=at, price_context=self.context
            )
            return float(price.total_price)
        except REFUSALS:
            return None

    def copied(self, at: datetime) -> RateCard | None:
        """Return the prices at a time as a rate card; None if it does not reproduce the library's results."""
        try:
            card = rate_card(self.model.get_prices(at, self.context))
        except REFUSALS:
            return None
        for usage in card.probes():
            ours = card.cost(usage)
            theirs = self.exact(usage, at)
            if ours is None or theirs is None or not math.isclose(ours, theirs, rel_tol=1e-9):
                return None
        return card


def find_tariff(
    snapshot: DataSnapshot, source: str, provider: str, model: str, service_tier: str | None, speed: str | None = None
) -> Tariff | Free | None:
    """Return the tariff of a model at a provider; None if the provider or the model is unknown."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    seller = next((one for one in snapshot.providers if one.id == provider), None)
    for name in dict.fromkeys(spellings(seller, model)):
        try:
            vendor, info = snapshot.find_provider_model(name, None, provider, None)
        except LookupError:
            continue
        if vendor.id != provider:  # the library takes any name with "openai" in it for OpenAI
            return None
        context = price_context(service_tier, speed)
        conditions = info.prices if isinstance(info.prices, list) else []
        variants = (info.price_variants or []) if context else []
        constraints = tuple(c.constraint for c in (*conditions, *variants) if c.constraint is not None)
        is_supported = all(type(c) in (StartDateConstraint, TimeOfDateConstraint) for c in constraints)
        factor = _google_factor(info, context) if provider == "google" else 1
        return Tariff(
            vendor, info, context, constraints if is_supported else None, source, {}, factor, is_upper_bound=factor > 1
        )
    return Free() if provider == "openrouter" and model.endswith(FREE_VARIANT) else None


def _google_factor(model: ModelInfo, context: dict[str, str] | None) -> float:
    """Return the factor of a service tier of Gemini's that the library has no prices of."""
    tier = (context or {}).get("service_tier")
    factor = GOOGLE_TIERS.get(tier or "")
    if factor is None or any(variant.when.get("service_tier") == tier for variant in model.price_variants or []):
        return 1
    return factor


def price_context(service_tier: str | None, speed: str | None) -> dict[str, str] | None:
    """Return the library's selectors of prices besides the model; None for its standard prices."""
    context: dict[str, str] = {}
    if service_tier and (tier := service_tier.lower().removeprefix("service_tier_")):
        context["processing" if tier == "batch" else "service_tier"] = tier
    if speed:
        context["speed"] = speed.lower()
    return context or None


def spellings(provider: Provider | None, model: str) -> Iterator[str]:
    """Yield possible names of a model on a provider's price list: the given one first, then safe aliases."""
    yield model
    resource = RESOURCE.match(model)
    bare = model[resource.end() :] if resource else model
    if provider is None:
        return
    if resource is None:
        bare = model.removeprefix(f"{provider.id}/")
    yield bare
    match provider.id:
        case "aws":
            bare = PROFILE.sub("", bare)
            yield bare
            if GPT_OSS.fullmatch(bare):
                yield f"{bare}-1:0"
        case "google":
            yield VERSION.sub("", bare)
        case "fireworks" if "/" not in bare:
            yield f"accounts/fireworks/models/{bare}"
        case "openrouter":
            base, _, suffix = bare.rpartition(":")
            if suffix in ROUTING:
                bare = base
                yield bare
        case _:
            pass
    if bare and "/" not in bare:  # a bare "gpt-oss-120b" is listed with its author: "openai/gpt-oss-120b"
        authored = {info.id for info in provider.models if info.id.lower().endswith(f"/{bare.lower()}")}
        if len(authored) == 1:
            yield authored.pop()
