"""Provider registry: find and build a route's provider; its SDK is imported when the first route needs it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable

from multiroute_core._util.redaction import Secret, conceal
from multiroute_core.errors import ConfigurationError
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.providers import capabilities, models
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.route import Route


def build(route: Route) -> Provider:
    """Build the provider of `route`.

    Raises:
        ConfigurationError: If its SDK is not installed, or its key is missing.
    """
    if route.llm is not None:
        return route.llm
    spec = PROVIDERS[route.provider]
    path, extra = (spec.provider_class, spec.extra) if route.sdk is None else spec.sdks[route.sdk]
    module, _, name = path.partition(":")
    provider_class = getattr(importlib.import_module(module), name)
    if spec.is_local:
        return provider_class(route.model)
    key = api_key(route)
    try:
        return provider_class(key, base_url(route))
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
    names = PROVIDERS[route.provider].key_variables
    key = route.api_key or next((Secret(value) for name in names if (value := os.environ.get(name))), None)
    if key:
        return key
    if route.base_url is not None or not names:
        return "none"  # a self-hosted server rarely needs a key, but the SDKs require one
    raise ConfigurationError(
        f"Route {route.name!r} has no API key: set {' or '.join(names)}, or pass Route(api_key=...)."
    )


def base_url(route: Route) -> str | None:
    """Returns the route's address: its own, the environment's or the provider's; None for the default of the SDK.

    The variable is read here, as the SDK would read it, because it may contain a password, which must not be logged.
    """
    spec = PROVIDERS[route.provider]
    return route.base_url or conceal(os.environ.get(spec.base_url_variable) or None) or spec.base_url


def identity(route: Route) -> tuple[str | int | None, ...]:
    """Returns the key by which routes share one provider, with its clients and connections."""
    if route.llm is not None:
        return ("via", id(route.llm))
    model = route.model if PROVIDERS[route.provider].is_local else None
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
        Route(f"{spec.name}:{spec.default_model}")
        for spec in PROVIDERS.values()
        if spec.default_model and any(os.environ.get(name) for name in spec.key_variables)
    ]
    if not routes:
        names = ", ".join(name for spec in PROVIDERS.values() for name in spec.key_variables)
        raise ConfigurationError(f"No routes: pass routes=[...], or set one of {names}.")
    return tuple(routes)
