"""What the framework adapters share: a router from their init arguments, and a call's options from all three places.

An adapter holds one router and its own fields; nothing of the routing is written twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, cast

from multiroute_core._util.redaction import Secret, conceal
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import NAMES, NONE, current, parse, unknown
from multiroute_core.parsing.arguments import PARAMETERS
from multiroute_core.providers import registry
from multiroute_core.providers.models import Model
from multiroute_core.route import Route
from multiroute_core.router import Router

CALL_FIELDS = tuple(
    name for name in (*PARAMETERS, *NAMES) if name not in ("system", "tools", "tool_choice", "output_schema", "cache")
)
"""The fields of an adapter that go into each of its calls. `cache` is none of them: the frameworks have their own."""

ROUTER_ARGUMENTS = tuple(
    name for name in inspect.signature(Router).parameters if name not in NAMES and name != "routes"
)
"""What only a router can take; given to an adapter, it goes into the router that the adapter builds."""

UNKNOWN_WINDOW = 8_192
"""Tokens to rely on where the window of no route is known."""

USUAL_OUTPUT = 1_024
"""Tokens that an answer usually fits in."""


def plain(routes: Any) -> bool:
    """Whether a router takes `routes` as they are: no model of a framework stands among them."""
    if routes is None or isinstance(routes, str | Route):
        return True
    return isinstance(routes, list | tuple) and all(isinstance(r, str | Route) for r in cast("list[Any]", routes))


def fold(values: Mapping[str, Any], field_names: Collection[str]) -> dict[str, Any]:
    """An adapter's init arguments, with everything that belongs to the router folded into one `router`.

    Args:
        values: What the user gave.
        known: The names of the adapter's own fields.

    Raises:
        ConfigurationError: a name is unknown (the sentence names the nearest right one), a value is out of range, or a
            setting of the router is given beside a router that exists already.
    """
    own = dict(values)
    more = (*ROUTER_ARGUMENTS, "routes", "api_key", "timeout", "cache")
    for name in own:
        if name not in field_names and name not in more:
            raise unknown("option", name, sorted({*field_names, *more}))
    timeout = own.pop("timeout", None)
    if timeout is not None:
        if own.get("deadline") is not None:
            raise ConfigurationError("timeout and deadline are the same thing; give one of them.")
        own["deadline"] = timeout
    ours = {"cache"} if "cache" not in field_names or not _of_framework(own.get("cache")) else set[str]()
    settings = {name: own.pop(name) for name in ("routes", "api_key", *ROUTER_ARGUMENTS, *ours) if name in own}
    settings = {name: value for name, value in settings.items() if value is not None}
    router = own.get("router")
    if router is None:
        own["router"] = _router(**settings)
    elif not isinstance(router, Router):
        raise ConfigurationError(f"router is a {type(router).__name__}; give a multiroute_core.Router.")
    elif settings:
        raise ConfigurationError(f"{next(iter(settings))} belongs to the router; set it there, or give routes=[...].")
    parse({name: own[name] for name in NAMES if name in CALL_FIELDS and own.get(name) is not None})
    return own


def call_options(keywords: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What one call says: its own keywords first, then `with options(...)`, then the adapter's fields.

    Values are merged, not checked: the router checks what it is given.
    """
    merged = {name: value for name, value in fields.items() if value is not None}
    if (around := current()) is not NONE:
        merged.update((name, value) for name in NAMES if (value := getattr(around, name)) is not None)
    merged.update((name, value) for name, value in keywords.items() if value is not None)
    return merged


def smallest_window(router: Router) -> int:
    """The smallest context window, in tokens, over the routes that are not `backup`."""
    return _smallest(router, "window") or UNKNOWN_WINDOW


def smallest_output(router: Router) -> int:
    """What an answer may be expected to take, in tokens: a usual answer, or less where a route writes less."""
    return min(USUAL_OUTPUT, _smallest(router, "max_output") or USUAL_OUTPUT)


def advertised(router: Router) -> list[Model]:
    """The models that count toward what an adapter advertises: those of the routes that are not `backup`."""
    routes = [route for route in router.routes if not route.backup] or router.routes
    return [registry.traits(route) for route in routes]


def hide_secrets(options: dict[str, Any]) -> None:
    """Put keys and addresses among the arguments of a model into strings whose repr does not show them."""
    if type(key := options.get("api_key")) is str:
        options["api_key"] = Secret(key)
    for name in ("state", "cache", "ledger"):
        if name in options:
            options[name] = conceal(options[name])


def _of_framework(cache: Any) -> bool:
    """Whether a `cache` is one of the framework's own: those are set by truth values, and look things up."""
    return cache is None or isinstance(cache, bool) or hasattr(cache, "lookup")


def _smallest(router: Router, name: str) -> int | None:
    sizes = (getattr(model, name) for model in advertised(router))
    return min((value for value in sizes if value is not None), default=None)


def _router(routes: Any = None, api_key: Any = None, **settings: Any) -> Router:
    if api_key is None:
        return Router(routes, **settings)
    if hasattr(api_key, "get_secret_value"):
        api_key = Secret(api_key.get_secret_value())
    if not isinstance(api_key, str) or not api_key:
        raise ConfigurationError("api_key must be a string that is not empty.")
    api_key = Secret(api_key)  # a traceback may show local variables
    specs = [routes] if isinstance(routes, str | Route) else list(routes or ())
    route_list = [Route.of(route) for route in specs]
    if len({route.provider for route in route_list if route.provider != "local"}) != 1:
        raise ConfigurationError(
            "api_key fits one provider, and the routes name none or several; "
            "give each route its own: Route(..., api_key=...)."
        )
    return Router([r if r.api_key or r.provider == "local" else r.with_key(api_key) for r in route_list], **settings)
