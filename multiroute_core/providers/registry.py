"""Provider registry: find and build a route's provider; its SDK is imported when the first route needs it."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from multiroute_core._util.redaction import Address, Secret, conceal
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.providers import capabilities, models
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.route import Route, find_address_fault, find_key_fault

logger = logging.getLogger("multiroute_core")

_METHODS = ("api", "encode", "decode", "call", "open")
"""Methods by which a custom provider is recognised."""


class MissingPackageError(ConfigurationError):
    """A route needs an SDK that is not installed.

    Args:
        route: The route's name.
        extra: The package extra that installs the SDK.
        error: The import error.
    """

    def __init__(self, route: str, extra: str, error: ImportError) -> None:
        super().__init__(
            f"Route {route!r} needs a package that is not installed ({error}); "
            f"run: pip install 'multiroute-llm[{extra}]'"
        )
        self.route = route
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigurationError, self.args


def build(route: Route) -> Provider:
    """Build the provider of `route`.

    Raises:
        ConfigurationError: If its SDK is not installed, or its key is missing.
    """
    if route.llm is not None:
        if not all(callable(getattr(route.llm, name, None)) for name in _METHODS):
            raise ConfigurationError(
                f"Route {route.name!r}: llm is a {type(route.llm).__name__}, which is neither a LangChain chat model "
                "nor a LlamaIndex LLM, nor a provider with the methods of multiroute_core.providers.Provider."
            )
        return route.llm
    spec = PROVIDERS[route.provider]
    path, extra = (spec.provider_class, spec.extra) if route.sdk is None else spec.sdks[route.sdk]
    module, _, name = path.partition(":")
    provider_class = getattr(importlib.import_module(module), name)
    if spec.is_local:
        return provider_class(route.model)
    key = api_key(route)
    check_address(route)
    try:
        return provider_class(key, base_url(route))
    except ImportError as error:
        raise MissingPackageError(route.name, extra, error) from error


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
        ConfigurationError: If no key is set and the route uses the provider's own endpoint, or no header can carry it.
    """
    if route.api_key:
        return route.api_key
    if (variable := key_variable(route)) is not None:
        key = Secret(os.environ[variable])
        if fault := find_key_fault(key):
            raise ConfigurationError(
                f"Route {route.name!r} has no valid API key: {variable} {fault}; set the key alone."
            )
        return key
    if missing_key_variables(route):
        raise _missing_keys([route], has_others=False)
    return "none"  # a self-hosted server rarely needs a key, but the SDKs require one


def missing_key_variables(route: Route) -> tuple[str, ...]:
    """Return the environment variables that would hold the key that the route lacks; empty if it lacks none."""
    if route.llm is not None or route.api_key or route.base_url is not None or key_variable(route):
        return ()
    return PROVIDERS[route.provider].key_variables


def with_keys(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes that have an API key or need none, and log the names of the others.

    Raises:
        ConfigurationError: No route is left.
    """
    missing = [route for route in routes if missing_key_variables(route)]
    if missing and len(missing) == len(routes):
        raise _missing_keys(missing, has_others=False)
    if missing:
        logger.warning("Routes without an API key are left out: %s.", _listed(missing))
    return tuple(route for route in routes if route not in missing)


def key_variable(route: Route) -> str | None:
    """Returns the environment variable that holds the key of a route without its own; None if none is set."""
    return next((name for name in PROVIDERS[route.provider].key_variables if os.environ.get(name)), None)


def _listed(routes: Sequence[Route]) -> str:
    """List routes with the environment variables of their keys."""
    return ", ".join(f"{route.name!r} ({' or '.join(missing_key_variables(route))})" for route in routes)


def _missing_keys(routes: Sequence[Route], *, has_others: bool) -> ConfigurationError:
    """Build the error for routes without a key.

    Args:
        routes: The routes.
        has_others: Whether the router has routes besides them.
    """
    first = routes[0]
    ways = ", or write skip_missing_keys=True to use the other routes alone" if has_others else ""
    if len(routes) == 1:
        names = " or ".join(missing_key_variables(first))
        what = f"Route {first.name!r} has no API key: set {names}, or pass Route(api_key=...)"
    else:
        what = (
            f"{len(routes)} routes have no API key: {_listed(routes)}; set these variables, or pass Route(api_key=...)"
        )
    return ConfigurationError(f"{what}{ways}.{_similar_variable(routes)}")


def _similar_variable(routes: Sequence[Route]) -> str:
    """Return a hint at an environment variable that is probably meant as one of the missing keys; empty for none."""
    for route in routes:
        for name in missing_key_variables(route):
            vendor = name.partition("_")[0]
            of_vendor = [one for one in os.environ if vendor in one.upper() and "KEY" in one.upper() and one != name]
            if near := difflib.get_close_matches(name, [one.upper() for one in of_vendor], n=1, cutoff=0.7):
                similar = next(one for one in of_vendor if one.upper() == near[0])
                return f" {similar} is set; rename it to {name}."
    return ""


def base_url(route: Route) -> str | None:
    """Returns the route's address: its own, the environment's or the provider's; None for the default of the SDK.

    The variable is read here, as the SDK would read it, because it may contain a password, which must not be logged.
    """
    spec = PROVIDERS[route.provider]
    if route.base_url:
        return route.base_url
    address = os.environ.get(spec.base_url_variable)
    if address is not None and not address.strip():
        return spec.sdk_base_url or spec.base_url  # an SDK would send to the empty address: every call would fail
    return conceal(address) or spec.base_url


def check_address(route: Route) -> None:
    """Check the address that a route has from the environment; `Route` checks its own.

    Raises:
        ConfigurationError: No request can be sent to it.
    """
    variable = PROVIDERS[route.provider].base_url_variable
    address = "" if route.base_url is not None else os.environ.get(variable, "")
    if address.strip() and (expected := find_address_fault(address)):
        raise ConfigurationError(
            f"Route {route.name!r} has no valid address: {variable}={Address(address)!r}; expected {expected}."
        )


def identity(route: Route) -> tuple[str | int | None, ...]:
    """Returns the key by which routes share one provider, with its clients and connections."""
    if route.llm is not None:
        return ("via", id(route.llm))
    model = route.model if PROVIDERS[route.provider].is_local else None
    return route.provider, route.sdk, route.base_url, route.api_key, model


def identify_all(routes: Iterable[Route], providers: Mapping[str, Provider]) -> dict[tuple[Any, ...], Provider]:
    """Return the providers by what identifies them, for `build_all`: `identity`, and the key and address in use."""
    return {_identify(route): providers[route.name] for route in routes}


def _identify(route: Route) -> tuple[Any, ...]:
    own = identity(route)
    if route.llm is not None or PROVIDERS[route.provider].is_local:
        return own
    return *own, api_key(route), base_url(route)  # the environment may have changed


def build_all(
    routes: Iterable[Route], earlier: Mapping[tuple[Any, ...], Provider] = MappingProxyType({})
) -> dict[str, Provider]:
    """Build the providers of routes; returns them by route name.

    Args:
        routes: The routes.
        earlier: Providers to use again, as `identify_all` returns them.

    Raises:
        ConfigurationError: As for `build`; it names all routes without a key, or without a package.
    """
    routes = tuple(routes)
    if missing := [route for route in routes if missing_key_variables(route)]:
        raise _missing_keys(missing, has_others=len(missing) < len(routes))
    built: dict[tuple[str | int | None, ...], Provider] = {}
    providers: dict[str, Provider] = {}
    uninstalled: list[MissingPackageError] = []
    for route in routes:
        key = identity(route)
        if key not in built:
            try:
                built[key] = earlier.get(_identify(route)) or build(route)
            except MissingPackageError as error:
                uninstalled.append(error)
                continue
        providers[route.name] = built[key]
    if len({error.extra for error in uninstalled}) > 1:
        names = ", ".join(f"{error.route!r}" for error in uninstalled)
        extras = ",".join(sorted({error.extra for error in uninstalled}))
        raise ConfigurationError(
            f"Routes {names} need packages that are not installed; run: pip install 'multiroute-llm[{extras}]'"
        ) from uninstalled[0].__cause__
    if uninstalled:
        raise uninstalled[0]
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
