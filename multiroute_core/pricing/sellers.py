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

from multiroute_core.route import VENDORS, Route

if TYPE_CHECKING:
    from genai_prices.types import Provider

VARIABLES = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL", "google": "GOOGLE_GEMINI_BASE_URL"}
"""Environment variables that the SDKs read if they are given no base URL."""

CLOSED = {
    "anthropic": re.compile(r"claude-", re.IGNORECASE),
    "google": re.compile(r"gemini-", re.IGNORECASE),
    "openai": re.compile(r"(?:ft:)?(?:gpt-(?!oss)|chatgpt-|codex-|computer-use|o\d)", re.IGNORECASE),
}
"""Names of models that only their vendor and its partners serve; open-weight models can be served by others."""

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
    return PriceList(vendor, closed=True) if vendor in ("anthropic", "google") else PriceList(None)


def vendor_of(route: Route, providers: Sequence[Provider]) -> str | None:
    """Return the `genai-prices` ID of the provider that a route names; None if unknown."""
    name = VENDORS.get(route.provider, route.provider)
    names = (name, name.replace("_", "-"))
    return next((one.id for one in providers if one.id in names), None)


def address_of(route: Route) -> str | None:
    """Return the base URL that a route uses, if known; None for the vendor's own."""
    if route.base_url is not None:
        return route.base_url
    if route.llm is not None:
        address = getattr(route.llm, "address", None)
        return address if isinstance(address, str) and address else None
    return os.environ.get(VARIABLES.get(route.provider, "")) or None


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


def is_closed(provider: str | None, model: str) -> bool:
    """Return whether a name is that of a closed model of the provider."""
    pattern = CLOSED.get(provider or "")
    return pattern is not None and pattern.match(model.rpartition("/")[2]) is not None


def closed_vendor(model: str) -> tuple[str, str] | None:
    """Return the vendor whose closed model a name must be, and the name without a gateway's prefix."""
    prefix, _, bare = model.rpartition("/")
    if prefix not in PREFIXES:
        return None
    vendor = next((one for one in CLOSED if is_closed(one, bare)), None)
    return None if vendor is None else (vendor, bare)
