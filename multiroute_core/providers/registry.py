"""Provider registry: find and build a route's provider; its SDK is imported when the first route needs it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable

from multiroute_core._util.redaction import Secret
from multiroute_core.errors import ConfigurationError
from multiroute_core.providers import capabilities, models
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.route import Route

_CLASSES = {
    "anthropic": ("anthropic", "anthropic.provider:AnthropicProvider"),
    "openai": ("openai", "openai.provider:OpenAIProvider"),
    "google": ("google", "google.genai:GenaiProvider"),
    "google-generativeai": ("google-legacy", "google.legacy:LegacyProvider"),
}
"""For each provider or SDK: the package extra that installs its dependencies, and its class."""


def build(route: Route) -> Provider:
    """Build the provider of `route`.

    Raises:
        ConfigurationError: If its SDK is not installed, or its key is missing.
    """
    if route.llm is not None:
        return route.llm
    if route.provider == "local":
        local = importlib.import_module("multiroute_core.providers.local")
        return local.LocalProvider(route.model)
    extra, where = _CLASSES.get(route.sdk or route.provider, _CLASSES[route.provider])
    module, _, name = where.partition(":")
    provider_class = getattr(importlib.import_module(f"multiroute_core.providers.{module}"), name)
    key = api_key(route)
    try:
        return provider_class(key, route.base_url)
    except ImportError as error:
        raise ConfigurationError(
            f"Route {route.name!r} needs a package that is not installed ({error}); "
            f"run: pip install 'multiroute-llm[{extra}]'"
        ) from error


def facts(route: Route, provider: Provider) -> RouteCapabilities:
    """Returns what is known about a route when it is selected."""
    model = traits(route)
    wire = provider.api(route)
    offers = capabilities.supported(route.provider, wire, model.inputs, tools=model.tools)
    if (own_wire := getattr(provider, "own_wire", None)) is not None:  # a framework's class for one provider
        offers |= {f"wire:{own_wire}"}
    return RouteCapabilities(wire, offers, model.window)


def traits(route: Route) -> models.Model:
    """Returns the catalogue entry of a route's model: from its framework model if that has one, or from the table."""
    model = getattr(route.llm, "model", None)
    return model if isinstance(model, models.Model) else models.lookup(route.provider, route.model)


def api_key(route: Route) -> str:
    """Returns the route's API key: its own, or the environment's.

    Raises:
        ConfigurationError: If no key is set and the route uses the provider's own endpoint.
    """
    names = models.KEYS[route.provider]
    key = route.api_key or next((Secret(value) for name in names if (value := os.environ.get(name))), None)
    if key:
        return key
    if route.base_url is not None:
        return "none"  # a self-hosted server rarely needs a key, but the SDKs require one
    raise ConfigurationError(f"Route {route.name!r} has no key: set {' or '.join(names)}, or give Route(api_key=...).")


def identity(route: Route) -> tuple[str | int | None, ...]:
    """Returns the key by which routes share one provider, with its clients and connections."""
    if route.llm is not None:
        return ("via", id(route.llm))
    model = route.model if route.provider == "local" else None
    return route.provider, route.sdk, route.base_url, route.api_key, model


def build_all(routes: Iterable[Route]) -> dict[str, Provider]:
    """Build the providers of routes; returns them by route name.

    Raises:
        ConfigurationError: As for `build`.
    """
    built: dict[tuple[str | int | None, ...], Provider] = {}
    providers: dict[str, Provider] = {}
    for route in routes:
        key = identity(route)
        if key not in built:
            built[key] = build(route)
        providers[route.name] = built[key]
    return providers


def routes_of_environment() -> tuple[Route, ...]:
    """Returns one route for each provider whose key is in the environment, with its default model.

    Raises:
        ConfigurationError: If no key is set; the message names the variables.
    """
    routes = [
        Route(f"{provider}:{models.DEFAULTS[provider]}")
        for provider, names in models.KEYS.items()
        if any(os.environ.get(name) for name in names)
    ]
    if not routes:
        names = ", ".join(name for names in models.KEYS.values() for name in names)
        raise ConfigurationError(f"No routes: give routes=[...], or set one of {names}.")
    return tuple(routes)
