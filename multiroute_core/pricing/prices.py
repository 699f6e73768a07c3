"""Price calculation: the cost of a response in USD, using the prices of `genai-prices`.

How this works: the route's address determines the price list (`sellers`), the list and the model's name determine the
tariff (`tariff`), and the tariff is copied to a rate card (`rates`), which prices an ordinary usage in a microsecond.
The library is imported lazily, as the import takes a third of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from multiroute_core.pricing import sellers
from multiroute_core.pricing.cost import NOTHING, OWN, STATED, Cost, priced, source_of
from multiroute_core.pricing.rates import own_cost
from multiroute_core.pricing.tariff import Free, Tariff, find_tariff
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.route import Route, TokenPrices
from multiroute_core.types import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

FREE = frozenset(spec.name for spec in PROVIDERS.values() if spec.is_local)
"""Providers without cost: models on the user's own machine."""

CAPACITY = 4096
"""Maximum number of cached models, including unknown ones."""

Offer: TypeAlias = Tariff | Free | None
Key: TypeAlias = tuple[str | TokenPrices | None, ...]


class Prices:
    """Prices of responses, in USD.

    Prices depend on the provider, the date, the time of day, the input length and the service tier. They come from the
    installed `genai-prices`, or are newer if the program runs its `UpdatePrices`. Thread-safe.

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
        self._tariffs: dict[Key, Offer] = {}

    def load(self) -> None:
        """Import `genai-prices` and its data now (about half a second) rather than on the first response."""
        self._current()

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage | None,
        *,
        at: datetime | None = None,
    ) -> Cost | None:
        """Return the cost of one response in USD by a provider's price list; None if unknown, as for an unknown model.

        Args:
            provider: A provider ID of `genai-prices`; `"local"` is free.
            model: The model as named by the provider or the route; `"models/…"` and `"<provider>/…"` are supported.
            usage: The tokens, service tier and speed of the response. Without input or output tokens the cost is
                unknown.
            at: Time of the request; None for now. A time without a zone is UTC.

        Example:
            >>> Prices().cost("openai", "gpt-4.1", Usage(input_tokens=1_000, output_tokens=500))
            0.006
        """
        if provider in FREE:
            return NOTHING
        if usage is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        snapshot = self._current()
        tariffs = self._tariffs
        key = (provider, model, usage.service_tier, usage.speed)
        try:
            offer = tariffs[key]
        except KeyError:
            offer = find_tariff(snapshot, self._source, provider, model, usage.service_tier, usage.speed)
            _remember(tariffs, key, offer)
        return None if offer is None else offer.cost(usage, at or datetime.now(UTC))

    def cost_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> Cost | None:
        """Return the cost of a response of `route` in USD; None if unknown.

        It is the cost reported by the provider, otherwise by the route's own prices, otherwise by the list prices of
        the provider at the route's address. At an unknown address no price is known, except for Claude and Gemini
        models
        on their own APIs, which only their vendors serve.

        Args:
            route: The route that responded.
            usage: The tokens of the response, as in `cost`.
            model: The model that responded, as reported by the provider; None for the route's. A name without a price,
                such as a gateway's alias or a deployment name, is priced as the route's model.
        """
        if usage is None:
            return NOTHING if route.prices is None and route.provider in FREE else None
        if usage.stated_cost is not None or usage.other_models:
            return self._whole_cost(route, usage, model)
        return self._own_or_listed(route, usage, model)

    def estimate_on(self, route: Route, usage: Usage | None, *, model: str | None = None) -> Cost | None:
        """As `cost_on`, for budgets: at an unknown address, a closed model is priced by its vendor's list.

        `gpt-6-sol` behind a gateway can only be OpenAI's, as `claude-…` and `gemini-…` can only be Anthropic's and
        Google's, although the gateway's price is unknown. The cost's `source` marks it as an estimate. Returns None for
        open-weight and unknown models.
        """
        exact_cost = self.cost_on(route, usage, model=model)
        if exact_cost is not None or usage is None:
            return exact_cost
        if isinstance(route.prices, TokenPrices):
            cost = self._own_or_listed(route, usage, model)
        else:
            cost = self._listed(route, usage, model, route.model, estimate=True)
        return self._with_others(route, usage, cost, estimate=True)

    def _whole_cost(self, route: Route, usage: Usage, model: str | None) -> Cost | None:
        """Return the cost of a usage with a reported cost or with other models."""
        stated = _stated(usage)
        if stated is not None and stated > 0.0:
            return stated
        cost = self._own_or_listed(route, usage, model)
        if cost is not NOTHING:
            cost = self._with_others(route, usage, cost)
        return stated if stated is not None and not (cost and usage.total_tokens) else cost

    def _own_or_listed(self, route: Route, usage: Usage, model: str | None) -> Cost | None:
        prices = route.prices
        if prices is None and route.provider in FREE:
            return NOTHING
        if isinstance(prices, TokenPrices):
            return priced(own_cost(prices, usage), OWN)
        return self._listed(route, usage, model, route.model)

    def _with_others(self, route: Route, usage: Usage, cost: Cost | None, *, estimate: bool = False) -> Cost | None:
        """Return `cost` plus that of other models used by the provider; None if one of them is unknown.

        They are priced by the provider's list, as a route's own prices apply only to its own model.
        """
        if cost is None:
            return None
        total = float(cost)
        for name, other in usage.other_models:
            part = self._listed(route, other, name, name, estimate=estimate)
            if estimate and part is None:
                part = self._listed(route, other, name, name)
            part = self._with_others(route, other, part, estimate=estimate)
            if part is None:
                return None
            total += part
        return Cost(total, cost.source)

    def _listed(
        self, route: Route, usage: Usage, response_model: str | None, model: str, *, estimate: bool = False
    ) -> Cost | None:
        """Return the cost by a provider's list, using the first of two model names on the list."""
        snapshot = self._current()
        via = route.llm
        address = route.base_url
        listed = route.prices
        tariffs = self._tariffs
        if via is not None and address is None:
            address = sellers.address_of(route) or ""
        key = (route.provider, model, address, response_model, listed, usage.service_tier, usage.speed)
        if estimate:
            key = (*key, None)
        try:
            offer = tariffs[key]
        except KeyError:
            find = self._estimated_offer if estimate else self._offer
            offer = find(snapshot, route, dict.fromkeys((response_model or model, model)), usage)
            _remember(tariffs, key, offer)
        return None if offer is None else offer.cost(usage, datetime.now(UTC))

    def _offer(self, snapshot: DataSnapshot, route: Route, names: dict[str, None], usage: Usage) -> Offer:
        """Return the tariff of a route, for the first name on the provider's list."""
        listed = sellers.price_list(route, snapshot.providers)
        if listed.provider is None:
            return None

        def find(name: str) -> Offer:
            return self._find(snapshot, listed.provider or "", name, usage) if listed.covers(name) else None

        offers = [offer for name in names if (offer := find(name)) is not None]
        if not offers:
            return None
        first = offers[0]
        last = offers[-1]
        if listed.provider == "openrouter" and first is not last:
            # The response may omit the suffix that determines the price, such as ":free".
            base = find(route.model.rpartition(":")[0])
            if isinstance(base, Tariff) and isinstance(first, Tariff) and base.model is first.model:
                return last
        return first

    def _estimated_offer(self, snapshot: DataSnapshot, route: Route, names: dict[str, None], usage: Usage) -> Offer:
        """Return the tariff of the vendor whose closed model a name must be, at an unknown address.

        At a known one, it is the upper bound of a service tier without a known price.
        """
        listed = sellers.price_list(route, snapshot.providers)
        for name in names:
            if listed.provider is None:
                vendor = sellers.closed_vendor(name)
            else:
                vendor = (listed.provider, name) if listed.covers(name) else None
            offer = None if vendor is None else self._find(snapshot, *vendor, usage)
            if isinstance(offer, Tariff) and (offer.is_upper_bound or listed.provider is None):
                source = f"an estimate by {offer.provider.name}'s list, {offer.source}"
                return replace(offer, source=source, cards={}, is_upper_bound=False)
        return None

    def _find(self, snapshot: DataSnapshot, provider: str, model: str, usage: Usage) -> Offer:
        return find_tariff(snapshot, self._source, provider, model, usage.service_tier, usage.speed)

    def _current(self) -> DataSnapshot:
        latest = self._latest
        if latest is None:
            from genai_prices.data_snapshot import get_snapshot

            self._latest = latest = get_snapshot
        snapshot = latest()
        if snapshot is not self._snapshot:
            # A new dict, assigned first, so that a thread still using the old prices cannot add them to the new ones.
            self._tariffs = {}
            self._source = source_of(snapshot)
            self._snapshot = snapshot
        return snapshot


def _remember(tariffs: dict[Key, Offer], key: Key, offer: Offer) -> None:
    if len(tariffs) >= CAPACITY:
        tariffs.clear()  # models in use return immediately; evicting single entries would need a lock
    tariffs[key] = offer


def _stated(usage: Usage) -> Cost | None:
    """Return the cost reported by the provider; None if it is not a valid amount."""
    usd = usage.stated_cost
    if usd is None or isinstance(usd, bool):
        return None
    try:
        return Cost(usd, STATED) if math.isfinite(usd) and usd >= 0 else None
    except (TypeError, ValueError, OverflowError):
        return None
