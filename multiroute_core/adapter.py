"""Internal: shared code of the framework adapters. Builds a router from init arguments, merges a call's options.

An adapter holds one router and its own fields; it contains no routing logic.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import InitVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from multiroute_core._util.redaction import Secret, concealed, redact_url
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.display import card
from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.text import describe_value, shorten
from multiroute_core.engine.foreign_arguments import route_of_model, translate_arguments, with_api_key
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.acceptance import to_checks
from multiroute_core.guards.identity import identify_function
from multiroute_core.migration.actions import Owner
from multiroute_core.options import NAMES, NONE, current, invalid, seconds
from multiroute_core.parsing.arguments import PARAMETERS, build
from multiroute_core.providers import registry
from multiroute_core.providers.models import Model
from multiroute_core.route import Route
from multiroute_core.router import Router
from multiroute_core.routing.candidates import candidates

Value = TypeVar("Value")

CALL_FIELDS = tuple(
    name for name in (*PARAMETERS, *NAMES) if name not in ("system", "tools", "tool_choice", "output_schema", "cache")
)
"""The adapter fields that are passed to each call. `cache` is excluded: the frameworks have their own."""

ROUTER_ARGUMENTS = tuple(
    name for name in inspect.signature(Router).parameters if name not in NAMES and name != "routes"
)
"""Settings that only a router takes; an adapter passes them to the router that it builds."""


class _Default:
    """Not given: the router's default."""

    def __repr__(self) -> str:
        return "<default>"


DEFAULT: Any = _Default()
"""The default of arguments that may be None, which means no limit."""


class ConstructorSignature:
    """The `__signature__` of a pydantic class: the parameters of its `__init__`, and the inherited fields as keywords.

    pydantic sets its own when it builds the class. If the build is deferred, that is at the first instance; until then
    the class would show its base's. An instance has none, as in pydantic: it may be callable.
    """

    def __get__(self, instance: object, owner: Any) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        _, *parameters = inspect.signature(owner.__init__).parameters.values()
        own = [parameter for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        names = {parameter.name for parameter in own}
        inherited = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=DEFAULT if field.default_factory is not None else field.default,
                annotation=field.annotation,
            )
            for name, field in owner.model_fields.items()
            if name not in names
        ]
        return inspect.Signature([*own, *inherited])


class DisplayableModel(Displayable):
    """Mixin of the adapters' models, before the framework's class: shows the routes, the settings and the own fields.

    `str` is the repr, since frameworks put it into logs and messages.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        # Arguments of the constructors that are no fields. Jedi, which completes in Jupyter and Spyder, reads a
        # pydantic model's fields and not its `__init__` (findings/jedi_ignores_init_of_pydantic_models.sh).
        routes: InitVar[Any]
        api_key: InitVar[Any]
        timeout: InitVar[Any]
        attempt_timeout: InitVar[Any]
        first_token_timeout: InitVar[Any]
        stall_timeout: InitVar[Any]
        total_timeout: InitVar[Any]
        hedge_budget: InitVar[Any]
        cache: InitVar[Any]
        state: InitVar[Any]
        budget: InitVar[Any]
        ledger: InitVar[Any]
        on_event: InitVar[Any]
        guards: InitVar[Any]
        limit: InitVar[Any]
        prompt_optimizer: InitVar[Any]
        strict_params: InitVar[Any]
        skip_missing_keys: InitVar[Any]
        max_response_bytes: InitVar[Any]

    def __str__(self) -> str:
        return repr(self)

    def __repr_args__(self) -> list[tuple[str, Any]]:
        """Return what pydantic's repr shows: the names of the routes, and the fields that are set.

        Also works on a partially initialized model, in a traceback that shows local variables.
        """
        router: Router | None = self.__dict__.get("router")
        routes = [] if router is None else [("routes", [route.name for route in router.routes])]
        return [*routes, *_own_fields(self).items()]

    def _display(self) -> list[Table]:
        router: Router = cast("Any", self).router
        own = card.facts(*((name, shorten(repr(value), 60)) for name, value in _own_fields(self).items()))
        own_tables = [own] if own.rows[0] else []
        return [*router._display(), *own_tables]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _own_fields(model: DisplayableModel) -> dict[str, Any]:
    """Return the fields of a model that every call gets, as far as they are set."""
    return {name: value for name in CALL_FIELDS if (value := model.__dict__.get(name)) is not None}


NONE_MEANS_NO_LIMIT = frozenset(
    {"attempt_timeout", "first_token_timeout", "stall_timeout", "total_timeout", "max_response_bytes"}
)
"""Arguments of the router for which None differs from not given."""

UNKNOWN_WINDOW = 8_192
"""Context window in tokens to assume if no route's is known."""

USUAL_OUTPUT = 1_024
"""Tokens that a typical response fits in."""


def plain(routes: Any) -> bool:
    """Whether a router accepts `routes` as they are, without framework models among them."""
    if routes is None or isinstance(routes, str | Route):
        return True
    return isinstance(routes, list | tuple) and all(isinstance(r, str | Route) for r in cast("list[Any]", routes))


def collect(owner: Owner, arguments: Mapping[str, Any], field_names: Collection[str]) -> dict[str, Any]:
    """Return what was given to a constructor, from its `locals()`, with other libraries' names translated.

    Positional arguments are the routes: several, or one list of them.

    Args:
        owner: The name of the constructor.
        arguments: Its `locals()`.
        field_names: The names of the adapter's own fields.

    Raises:
        ConfigurationError: Routes were given twice, or a name is unknown (the message suggests the closest match) or
            written differently.
    """
    options = {
        name: value
        for name, value in arguments.items()
        if name not in ("self", "__class__", "positional", "base_fields")
        and value is not DEFAULT
        and (value is not None or name in NONE_MEANS_NO_LIMIT)
    }
    options |= arguments["base_fields"]
    if positional := cast("tuple[Any, ...]", arguments["positional"]):
        if "routes" in options:
            raise ConfigurationError("Routes were passed twice: by position and as routes=; pass them once.")
        first = positional[0]
        is_model = isinstance(first, str) or hasattr(first, "model_fields_set")  # pydantic's models are iterable
        is_collection = isinstance(first, Iterable) and not isinstance(first, Mapping) and not is_model
        is_one_list = is_collection and len(positional) == 1
        options["routes"] = list(cast("Iterable[Any]", first)) if is_one_list else list(positional)
    accepted = {*field_names, *ROUTER_ARGUMENTS, "routes", "api_key", "timeout", "cache"}
    return options if options.keys() <= accepted else translate_arguments(owner, options, accepted)


def fold(values: Mapping[str, Any], field_names: Collection[str]) -> dict[str, Any]:
    """Move the router's settings among an adapter's init arguments into one `router`.

    Args:
        values: The arguments given by the user, as `collect` returns them: None is there only where it has a meaning.
        field_names: The names of the adapter's own fields.

    Raises:
        ConfigurationError: A value is out of range, or a router setting is given together with an existing router.
    """
    own = dict(values)
    timeout = own.pop("timeout", None)
    if timeout is not None:
        if own.get("deadline") is not None:
            raise ConfigurationError("timeout and deadline mean the same; pass only one of them.")
        own["deadline"] = seconds("timeout", timeout)
    ours = {"cache"} if "cache" not in field_names or not _of_framework(own.get("cache")) else set[str]()
    settings = {name: own.pop(name) for name in ("routes", "api_key", *ROUTER_ARGUMENTS, *ours) if name in own}
    router = own.get("router")
    if router is None:
        if "routes" not in settings and (model := own.get("model")) is not None:
            settings["routes"] = [route_of_model(model)]
            del own["model"]
        own["router"] = _router(**settings)
    elif not isinstance(router, Router):
        raise ConfigurationError(f"router is a {type(router).__name__}; expected a multiroute_core.Router.")
    elif settings:
        raise ConfigurationError(
            f"{next(iter(settings))} is a setting of the router; set it there, or pass routes=[...]."
        )
    if (window := own.get("context_window")) is not None and (type(window) is not int or window < 1):
        raise invalid("context_window", window, "a number of tokens of at least 1")
    own |= _check_call_fields(own["router"], {n: own[n] for n in CALL_FIELDS if own.get(n) is not None})
    return own


@contextlib.contextmanager
def explained_field_errors() -> Generator[None, None, None]:
    """Raise pydantic's `ValidationError` of an inherited field as a `ConfigurationError`: its first reason.

    Raises:
        ConfigurationError: A field is not valid.
    """
    try:
        yield
    except ValueError as error:  # pydantic is not imported here
        if not callable(getattr(error, "errors", None)):
            raise
        raise _explain_field_error(error) from None


def _explain_field_error(error: Any) -> ConfigurationError:
    reason = error.errors()[0]
    name = str(reason["loc"][0]) if reason["loc"] else type(error).__name__
    _, should, expected = reason["msg"].partition("Input should be ")
    if should:
        return invalid(name, reason["input"], expected)
    return ConfigurationError(f"{name}={describe_value(reason['input'])} is not valid: {reason['msg']}.")


def _check_call_fields(router: Router, fields: dict[str, Any]) -> dict[str, Any]:
    """Validate the fields that are passed to each call, and that a route is left with them; return the sets among them.

    Raises:
        ConfigurationError: A value is out of range, or no route has the model, tags or region.
    """
    if not fields:
        return {}
    engine = router._parts  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (a call with these fields, not sent)
    request, call_options = build("Hello", fields, engine.integrations)
    if (problem := candidates(request, router.routes, call_options, engine.facts).problem) is not None:
        raise ConfigurationError(problem)
    sets = ((name, getattr(call_options, name)) for name in ("route_tags", "fallback_on", "labels", "accept"))
    return {name: value for name, value in sets if value is not None}


def call_options(keywords: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the options of one call; precedence: its own keywords, `with options(...)`, the adapter's fields.

    Values are not validated here: the router does that.
    """
    merged = {name: value for name, value in fields.items() if value is not None}
    if (around := current()) is not NONE:
        merged.update((name, value) for name in NAMES if (value := getattr(around, name)) is not None)
    merged.update((name, value) for name, value in keywords.items() if value is not None)
    return merged


def cached(function: Callable[[Router], Value]) -> Callable[[Router], Value]:
    """Remember what a function returns for the routes of each router: frameworks ask at every call."""
    values: weakref.WeakKeyDictionary[Router, tuple[tuple[Route, ...], Value]] = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    def call(router: Router) -> Value:
        routes = router.routes
        entry = values.get(router)
        if entry is not None and entry[0] is routes:
            return entry[1]
        value = function(router)
        values[router] = routes, value  # `Router.reload` replaces the routes
        return value

    return call


@cached
def smallest_window(router: Router) -> int:
    """Return the smallest context window, in tokens, over the routes that are not `backup`."""
    return _smallest(router, "window") or UNKNOWN_WINDOW


@cached
def smallest_output(router: Router) -> int:
    """Return the expected size of a response in tokens: a typical response, or less if a route's maximum is smaller."""
    return min(USUAL_OUTPUT, _smallest(router, "max_output") or USUAL_OUTPUT)


@cached
def has_tools(router: Router) -> bool:
    """Return whether all routes that are not `backup` support tools."""
    return all(model.tools for model in advertised(router))


@cached
def route_identities(router: Router) -> tuple[tuple[str, str, str | None], ...]:
    """Return name, model and address of each route, without secrets: what identifies them in a cache key."""
    return tuple((r.name, r.model, r.base_url and redact_url(r.base_url)) for r in router.routes)


def guard_identities(router: Router) -> list[str]:
    """Return what identifies the guards and the prompt optimizer of a router in a cache key: both change prompts."""
    engine = router._parts  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    guards = engine.settings.guards
    optimizer = engine.settings.prompt_optimizer
    if not guards and optimizer is None:  # every call of LangChain asks
        return []
    return [identify_function(one) for one in (*guards, optimizer) if one is not None]


_FIELDS_WITH_FUNCTIONS = frozenset({"route_tags", "fallback_on", "accept"})


def to_key_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an adapter as part of a cache key: sets in order, and functions by what identifies them."""
    key_fields = dict(fields)
    if _FIELDS_WITH_FUNCTIONS.isdisjoint(fields):  # every call of LangChain asks for them
        return key_fields
    for name in ("route_tags", "fallback_on"):
        if entries := fields.get(name):
            key_fields[name] = sorted(one if isinstance(one, str) else identify_function(one) for one in entries)
    if accept := fields.get("accept"):
        key_fields["accept"] = [identify_function(check) for check in to_checks(accept)]
    return key_fields


def advertised(router: Router) -> list[Model]:
    """Return the models that count toward what an adapter advertises: those of the routes that are not `backup`."""
    routes = [route for route in router.routes if not route.backup] or router.routes
    return [registry.traits(route) for route in routes]


def conceal_key(key: Any) -> Any:
    """Return an API key as a string whose repr hides it; anything else is returned as it is."""
    return Secret(key) if type(key) is str else key


def conceal_keys(arguments: Mapping[str, Any], *ignored: str) -> None:
    """Replace the keys and URLs among a constructor's further keywords by strings whose repr hides them.

    Args:
        arguments: The dict of the keywords, which is the constructor's own; it may hold any name at run time.
        *ignored: Names to remove.
    """
    keywords = cast("dict[str, Any]", arguments)
    keywords.update(concealed(keywords))
    for name in ignored:
        keywords.pop(name, None)


def _of_framework(cache: Any) -> bool:
    """Whether `cache` is the framework's own: a bool, or an object with a `lookup` method."""
    return cache is None or isinstance(cache, bool) or hasattr(cache, "lookup")


def _smallest(router: Router, name: str) -> int | None:
    sizes = (getattr(model, name) for model in advertised(router))
    return min((value for value in sizes if value is not None), default=None)


def _router(routes: Any = None, api_key: Any = None, **settings: Any) -> Router:
    if api_key is None:
        return Router(routes, **settings)
    return Router(with_api_key([routes] if isinstance(routes, str | Route) else routes or (), api_key), **settings)
