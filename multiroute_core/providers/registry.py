"""Finds a route's provider, and builds it: the SDK is imported here, when its first route is built."""

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
"""For each provider or SDK: the extra that brings what it needs, and its class."""


def build(route: Route) -> Provider:
    """The provider of `route`.

    Raises:
        ConfigurationError: its SDK is not installed, or its key is missing.
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
    """What is known of a route when it is to be chosen."""
    model = traits(route)
    wire = provider.api(route)
    offers = capabilities.supported(route.provider, wire, model.inputs, tools=model.tools)
    if (own_wire := getattr(provider, "own_wire", None)) is not None:  # a framework's class for one vendor
        offers |= {f"wire:{own_wire}"}
    return RouteCapabilities(wire, offers, model.window)


def traits(route: Route) -> models.Model:
    """What is known of a route's model: what its own provider says, or else the table."""
    model = getattr(route.llm, "model", None)
    return model if isinstance(model, models.Model) else models.lookup(route.provider, route.model)


def api_key(route: Route) -> str:
    """The route's key: its own, or the environment's.

    Raises:
        ConfigurationError: there is none, and the route goes to the vendor itself.
    """
    names = models.KEYS[route.provider]
    key = route.api_key or next((Secret(value) for name in names if (value := os.environ.get(name))), None)
    if key:
        return key
    if route.base_url is not None:
        return "none"  # a server of one's own rarely wants a key, but the SDKs insist on one
    raise ConfigurationError(f"Route {route.name!r} has no key: set {' or '.join(names)}, or give Route(api_key=...).")


def identity(route: Route) -> tuple[str | int | None, ...]:
    """Routes that are equal in this share one provider, with its clients and connections."""
    if route.llm is not None:
        return ("via", id(route.llm))
    model = route.model if route.provider == "local" else None
    return route.provider, route.sdk, route.base_url, route.api_key, model


def build_all(routes: Iterable[Route]) -> dict[str, Provider]:
    """The providers of routes, by the routes' names.

    Raises:
        ConfigurationError: as of `build`.
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
    """One route for each provider whose key is in the environment, on its default model.

    Raises:
        ConfigurationError: no key is there; the sentence names the variables.
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
