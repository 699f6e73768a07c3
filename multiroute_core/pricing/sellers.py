"""Provider resolution: which price list applies to a route, based on its address.

Many servers implement OpenAI's API, so the price depends on the host, not on the API. `genai-prices` knows the hosts of
the providers that it has prices of. Any other host is a gateway or a self-hosted server, whose prices are unknown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from multiroute_core.provider_table import PROVIDERS, price_list_of
from multiroute_core.route import Route

if TYPE_CHECKING:
    from genai_prices.types import Provider

PREFIXES = ("", "anthropic", "azure", "azure_ai", "bedrock", "gemini", "google", "openai", "vertex_ai")
"""Prefixes that gateways put before a model's name to select its provider: https://docs.litellm.ai/docs/providers"""

HOSTS = (
    (re.compile(r"api\.together\.ai"), "together"),  # https://docs.together.ai/docs/inference/openai-compatibility
    (re.compile(r"bedrock-mantle\.[a-z0-9-]+\.api\.aws"), "aws"),  # …/bedrock/latest/userguide/bedrock-mantle.html
    (re.compile(r"bedrock-runtime-fips\.[a-z0-9-]+\.amazonaws\.com"), "aws"),
    (re.compile(r"vpce-[a-z0-9-]+\.bedrock-runtime\.[a-z0-9-]+\.vpce\.amazonaws\.com"), "aws"),
    (re.compile(r"[a-z0-9-]+\.api\.cognitive\.microsoft\.com"), "azure"),
)
"""Hosts of these providers that `genai-prices` 0.2.3 does not know (looked up on 2026-11-28)."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """The price list of a route.

    Attributes:
        provider: The provider's ID in `genai-prices`; None if unknown.
        closed: Whether it covers only the provider's closed models: the route uses a gateway, whose other models may
            come from anywhere.
    """

    provider: str | None
    closed: bool = False

    def covers(self, model: str) -> bool:
        """Return whether the list covers a model."""
        return not self.closed or is_closed(self.provider, model)


def price_list(route: Route, providers: Sequence[Provider]) -> PriceList:
    """Return the price list of a route without its own prices.

    Args:
        route: The route.
        providers: The providers of `genai-prices`.
    """
    if isinstance(route.prices, str):
        return PriceList(route.prices)
    vendor = vendor_of(route, providers)
    address = address_of(route)
    if address is None:
        return PriceList(vendor)
    if (seller := provider_at(address, providers)) is not None:
        return PriceList(seller)
    return PriceList(vendor, closed=True) if _has_own_api(vendor) else PriceList(None)


def vendor_of(route: Route, providers: Sequence[Provider]) -> str | None:
    """Return the `genai-prices` ID of the provider that a route names; None if unknown."""
    name = price_list_of(route.provider)
    names = (name, name.replace("_", "-"))
    return next((one.id for one in providers if one.id in names), None)


def address_of(route: Route) -> str | None:
    """Return the base URL that a route uses, if known; None for the vendor's own."""
    if route.base_url is not None:
        return route.base_url
    if route.llm is not None:
        address = getattr(route.llm, "address", None)
        return address if isinstance(address, str) and address else None
    spec = PROVIDERS.get(route.provider)
    return None if spec is None else os.environ.get(spec.base_url_variable, "").strip() or None


def provider_at(address: str, providers: Sequence[Provider]) -> str | None:
    """Return the `genai-prices` ID of the provider at an address; None if unknown.

    The library's patterns match only the beginning of a URL, so each match must cover the whole host:
    `api.groq.com.example.org` is not Groq's, and neither is `example.org/.googleapis.com`.
    """
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = (parts.hostname or "").rstrip(".")
        port = parts.port
    except ValueError:
        return None
    if not host or port not in (None, 80, 443):
        return None
    origin = f"https://{host}"
    path = parts.path or "/"
    for provider in providers:
        match = re.match(provider.api_pattern, origin + path)
        if match is None or re.match(provider.api_pattern, f"https://host.invalid{path}"):
            continue
        suffix = origin[match.end() :]
        if not suffix or (
            match[0].endswith(".") and "." not in suffix
        ):  # Moonshot's pattern leaves its two endings open
            return provider.id
    return next((provider for pattern, provider in HOSTS if pattern.fullmatch(host)), None)


def _has_own_api(vendor: str | None) -> bool:
    """Return whether no other vendor has the API of a vendor, so that a gateway with that API may sell its models."""
    specs = (spec for spec in PROVIDERS.values() if spec.price_list == vendor)
    return any(not spec.speaks_chat_completions and not spec.is_local for spec in specs)


def is_closed(provider: str | None, model: str) -> bool:
    """Return whether a name is that of a closed model of the provider."""
    name = model.rpartition("/")[2]
    patterns = (spec.closed_models for spec in PROVIDERS.values() if spec.price_list == provider)
    return any(pattern is not None and pattern.match(name) for pattern in patterns)


def closed_vendor(model: str) -> tuple[str, str] | None:
    """Return the vendor whose closed model a name must be, and the name without a gateway's prefix."""
    prefix, _, bare = model.rpartition("/")
    if prefix not in PREFIXES:
        return None
    vendor = next((spec.price_list for spec in PROVIDERS.values() if is_closed(spec.price_list, bare)), None)
    return None if vendor is None else (vendor, bare)
