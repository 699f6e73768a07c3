"""Arguments of a constructor under other libraries' names: they are translated, or answered with the line to write."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from multiroute_core._util.redaction import Address, Secret, concealed
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.migration.actions import (
    Invert,
    LeaveOut,
    Owner,
    ProviderKey,
    ProviderOption,
    Rename,
    RouteSetting,
    Write,
)
from multiroute_core.migration.answers import (
    answer,
    conflict,
    in_a_call,
    is_accepted,
    leave_out,
    provider_option,
    written,
)
from multiroute_core.migration.names import BY_NAME
from multiroute_core.migration.rendering import render_call, render_value
from multiroute_core.options import NAMES, invalid, truth, unknown
from multiroute_core.parsing.arguments import PARAMETERS
from multiroute_core.provider_table import PROVIDERS, find_provider, implied_provider
from multiroute_core.route import Route

Init = TypeVar("Init", bound=Callable[..., None])

OF_CALLS = (*PARAMETERS, *NAMES)
"""The options of a call."""


def accept_foreign_names(init: Init) -> Init:
    """Decorate the router's `__init__`: keywords that it does not have are translated or answered."""
    parameters = inspect.signature(init).parameters
    accepted = tuple(name for name in parameters if name != "self")

    @functools.wraps(init)
    def checked(self: Any, *positional: Any, **arguments: Any) -> None:
        arguments = concealed(arguments)  # a traceback may show local variables
        if len(positional) > 1:
            line = render_call("Router", {"routes": list(positional), **arguments})
            raise ConfigurationError(f"Router takes its routes as one list; write {line}")
        if any(name not in parameters for name in arguments):
            if positional:
                arguments = {"routes": positional[0], **arguments}
                positional = ()
            arguments = translate_arguments("Router", arguments, accepted)
        init(self, *positional, **arguments)

    return cast("Init", checked)


def translate_arguments(owner: Owner, arguments: Mapping[str, Any], accepted: Collection[str]) -> dict[str, Any]:
    """Return a constructor's arguments in our names.

    Args:
        owner: The constructor.
        arguments: Its arguments by name.
        accepted: The names of its own parameters.

    Raises:
        ConfigurationError: A name is unknown (the message suggests the closest one), or written differently.
    """
    translation = _Translation(owner, accepted, dict(arguments))
    for name in arguments:
        if name not in accepted:
            translation.translate(name)
    return translation.finish()


@dataclass(slots=True)
class _Translation:
    """The arguments of one constructor while they are translated.

    Attributes:
        owner: The constructor.
        accepted: The names of its own parameters.
        arguments: The arguments that are left.
        settings: Settings of the only route, by our names, each with the name that was given.
        keys: API keys by provider.
        options: Options of one provider, by the name that was given.
        provider: The provider of `model`.
        fallbacks: Models to append to the routes.
    """

    owner: Owner
    accepted: Collection[str]
    arguments: dict[str, Any]
    settings: dict[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    keys: dict[str, Any] = field(default_factory=dict[str, Any])
    options: dict[str, tuple[ProviderOption, Any]] = field(default_factory=dict[str, tuple[ProviderOption, Any]])
    provider: str | None = None
    fallbacks: list[Any] = field(default_factory=list[Any])

    def translate(self, name: str) -> None:
        """Translate one argument."""
        value = self.arguments.pop(name)
        row = BY_NAME.get(name)
        if row is None:
            if name == "model" and self.owner == "Router":
                self.arguments["model"] = value
                return
            if name in OF_CALLS:
                raise in_a_call(self.owner, name, name, value, self.arguments)
            raise unknown("option", name, sorted(self.accepted))
        if value is None:
            return  # other libraries' None: not given
        action = row.action
        if isinstance(action, Rename):
            self._rename(name, action.option, value)
        elif isinstance(action, Invert):
            self._set(name, action.option, not truth(name, value))
        elif isinstance(action, RouteSetting):
            if action.values is not None:
                if value not in action.values:
                    raise invalid(name, value, f"one of {', '.join(map(repr, action.values))}")
                value = action.values[value]
            self.settings[action.setting] = name, Address(value) if isinstance(value, str) and "://" in value else value
        elif isinstance(action, ProviderKey):
            self.keys[action.provider] = value
        elif isinstance(action, ProviderOption):
            self.options[name] = action, value
        elif isinstance(action, LeaveOut):
            if not is_accepted(action, value):
                raise leave_out(self.owner, name, action.reason)
        elif isinstance(action, Write):
            code = written(action, name, value, self._first_route())
            if action.option in OF_CALLS and action.option not in self.accepted and self.owner == "Router":
                call = f"{render_call(self.owner, self.arguments)}.generate('Hello', {action.option}={code})"
                raise answer(self.owner, name, call, "it is an option of a call")
            raise answer(self.owner, name, render_call(self.owner, self.arguments, {action.option: code}))
        else:
            line = action.lines[self.owner]
            without_routes = {key: one for key, one in self.arguments.items() if key not in ("routes", "model")}
            code = line.format(
                call=render_call(self.owner, self.arguments),
                arguments=render_call("", self.arguments)[1:-1],
                others="".join(f", {key}={render_value(key, one)}" for key, one in without_routes.items()),
                name=name,
                value=render_value(name, value),
                model=repr((self._first_route() or "openai:gpt-6.1-sol").partition(":")[2]),
            )
            raise answer(self.owner, name, code, action.reason)

    def finish(self) -> dict[str, Any]:
        """Return the arguments, with the routes built from what belongs to them."""
        is_shared = "api_key" in self.accepted and not self.fallbacks  # then the constructor gives it to the routes
        key = None if is_shared else self.arguments.pop("api_key", None)
        if self.owner == "Router" or self.settings or self.keys or self.provider or self.fallbacks or key is not None:
            self._build_routes(key)
        self._add_provider_options()
        return self.arguments

    def _rename(self, name: str, option: str, value: Any) -> None:
        if option == "provider":
            spec = find_provider(str(value))
            if spec is None:
                raise unknown("provider", value, tuple(PROVIDERS))
            self.provider = spec.name
        elif option == "fallbacks":
            self._add_fallbacks(name, value)
        elif option == "model_list":
            code = {"routes": _render_model_list(value)}
            raise answer(self.owner, name, render_call(self.owner, self.arguments, code))
        elif option in self.accepted or option in ("api_key", "model"):
            self._set(name, option, value)
        else:
            raise in_a_call(self.owner, name, option, value, self.arguments)

    def _set(self, name: str, option: str, value: Any) -> None:
        if self.arguments.get(option) is not None:
            raise conflict(name, option)
        self.arguments[option] = value

    def _add_fallbacks(self, name: str, value: Any) -> None:
        if not isinstance(value, list | tuple) or any(isinstance(one, Mapping) for one in cast("list[Any]", value)):
            expected = "a list of models, such as ['anthropic:claude-sonnet-5-5']"
            raise invalid(name, cast("object", value), expected)
        self.fallbacks += [route_of_model(one) if isinstance(one, str) else one for one in cast("list[Any]", value)]

    def _first_route(self) -> str | None:
        """The first route as text, for lines to write; None if there is none."""
        routes = self.arguments.get("routes")
        first = routes[0] if isinstance(routes, list | tuple) and routes else routes  # pyright: ignore[reportUnknownVariableType]
        if isinstance(first, str):
            return first
        if isinstance(first, Route):
            return f"{first.provider}:{first.model}"
        model = self.arguments.get("model")
        return (
            _route_text(model, self.provider, has_address=False) if isinstance(model, str) and routes is None else None
        )

    def _build_routes(self, key: Any) -> None:
        routes: Any = self.arguments.get("routes")
        if routes is None and (model := self.arguments.pop("model", None)) is not None:
            routes = [_route_text(model, self.provider, has_address="base_url" in self.settings)]
        elif self.owner == "Router" and (model := self.arguments.pop("model", None)) is not None:
            raise in_a_call(self.owner, "model", "model", model, self.arguments)
        is_model = hasattr(type(cast("object", routes)), "model_fields")  # pydantic's models are iterable
        is_one = isinstance(routes, str | Route | Mapping) or is_model or not isinstance(routes, Iterable)
        entries: list[Any] = [] if routes is None else [routes] if is_one else list(cast("Iterable[Any]", routes))
        if self.settings:
            entries = self._with_settings(entries)
        if key is not None:
            entries = list(with_api_key(entries, key))
            self.keys |= {entry.provider: key for entry in entries}
        if entries := [self._with_key(entry) for entry in (*entries, *self.fallbacks)]:
            self.arguments["routes"] = entries

    def _with_settings(self, entries: list[Any]) -> list[Any]:
        """Return the only route with the settings that belong to it."""
        code = "".join(f", {setting}={render_value(name, value)}" for setting, (name, value) in self.settings.items())
        setting, (name, _) = next(iter(self.settings.items()))
        if len(entries) != 1 or not isinstance(entries[0], str):
            first = self._first_route() or f"{self.provider or 'openai'}:model"
            others = "".join(f", {one!r}" for one in entries[1:] if isinstance(one, str))
            line = f"Route({first!r}{code}){others}"
            line = f"[{line}]" if self.owner == "Router" and others else line
            reason = f"each route has its own {setting}"
            raise answer(self.owner, name, render_call(self.owner, self.arguments, {"routes": line}), reason)
        return [Route(entries[0], **{setting: value for setting, (_, value) in self.settings.items()})]

    def _with_key(self, entry: Any) -> Any:
        """Return a route with the key of its provider."""
        if not self.keys or not isinstance(entry, str | Route):
            return entry
        route = Route.of(entry)
        key = self.keys.get(route.provider)
        return entry if key is None or route.api_key or route.llm is not None else route.with_key(key)

    def _add_provider_options(self) -> None:
        for name, (action, value) in self.options.items():
            providers = self._providers()
            provider = providers[0] if len(providers) == 1 else action.provider
            extra, code = provider_option(action, name, value, provider)
            if self.owner == "Router":
                line = f"{render_call(self.owner, self.arguments)}.generate('Hello', extra={code})"
                raise answer(self.owner, name, line, "it is an option of a call")
            if len(providers) != 1:
                line = render_call(self.owner, self.arguments, {"extra": code})
                raise answer(self.owner, name, line, "each provider has options of its own")
            self.arguments["extra"] = _merged(self.arguments.get("extra") or {}, extra)

    def _providers(self) -> list[str]:
        """The providers of the routes that have options; several or none if the routes are not known here."""
        routes = getattr(self.arguments.get("router"), "routes", self.arguments.get("routes"))
        if routes is None:
            model = self.arguments.get("model")
            routes = [] if model is None else [_route_text(model, self.provider, has_address=False)]
        entries = [routes] if isinstance(routes, str | Route) else list(cast("Iterable[Any]", routes))
        names = [Route.of(entry).provider if isinstance(entry, str | Route) else "" for entry in entries]
        return [name for name in dict.fromkeys(names) if name not in PROVIDERS or not PROVIDERS[name].is_local]


def route_of_model(model: Any) -> str:
    """Return the route that `model` alone names; a bare name implies its provider as in `init_chat_model`.

    Raises:
        ConfigurationError: The name does not imply a provider.
    """
    if not isinstance(model, str) or not model:
        raise invalid("model", model, "a model's name, such as 'openai:gpt-6.1-sol'")
    if ":" in model:
        return model
    if (provider := implied_provider(model)) is not None:
        return f"{provider}:{model}"
    prefix, slash, name = model.partition("/")
    if slash and (spec := find_provider(prefix)) is not None:  # as in LiteLLM
        raise ConfigurationError(
            f"model={model!r} is not valid; expected 'provider:model': write model='{spec.name}:{name}'."
        )
    raise ConfigurationError(
        f"model={model!r} does not name its provider; expected 'provider:model', for example model='openai:{model}'."
    )


def with_api_key(entries: Iterable[Any], api_key: Any) -> list[Route]:
    """Return the routes with one API key for those that have none.

    Raises:
        ConfigurationError: The key is not valid, or the routes are of several providers.
    """
    if hasattr(api_key, "get_secret_value"):
        api_key = Secret(api_key.get_secret_value())
    if not isinstance(api_key, str) or not api_key:
        raise ConfigurationError("api_key is not valid; expected a non-empty string.")
    api_key = Secret(api_key)  # a traceback may show local variables
    routes = [Route.of(entry) for entry in entries]
    if len({route.provider for route in routes if _takes_key(route)}) != 1:
        raise ConfigurationError(
            "api_key is for one provider, but the routes have none or several; "
            "give each route its own: Route(..., api_key=...)."
        )
    return [r if r.api_key or not _takes_key(r) else r.with_key(api_key) for r in routes]


def _takes_key(route: Route) -> bool:
    spec = PROVIDERS.get(route.provider)
    return spec is None or not spec.is_local


def _route_text(model: Any, provider: str | None, *, has_address: bool) -> str:
    """Return `model` as a route: with the provider given beside it, or OpenAI's API at an address of its own."""
    if isinstance(model, str) and provider is not None:
        return model if find_provider(model.partition(":")[0]) is not None and ":" in model else f"{provider}:{model}"
    is_named = isinstance(model, str) and find_provider(model.partition(":")[0]) is not None and ":" in model
    if has_address and isinstance(model, str) and not is_named and implied_provider(model) is None:
        return f"openai:{model}"
    return route_of_model(model)


def _merged(extra: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two values of `extra` without changing either."""
    merged = dict(extra)
    for name, value in more.items():
        under = merged.get(name)
        is_mapping = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[name] = (
            _merged(cast("Mapping[str, Any]", under), cast("Mapping[str, Any]", value)) if is_mapping else value
        )
    return merged


def _render_model_list(entries: Any) -> str:
    """Return LiteLLM's deployments as a list of routes, as code without keys."""
    if not isinstance(entries, list | tuple):
        raise invalid("model_list", entries, "a list of routes, such as ['openai:gpt-6.1-sol']")
    codes: list[str] = []
    for entry in cast("list[Any]", entries):
        deployment = cast("Mapping[str, Any]", entry if isinstance(entry, Mapping) else {})
        parameters: Mapping[str, Any] = deployment.get("litellm_params") or {}
        provider, _, model = str(parameters.get("model", "")).partition("/")
        spec = find_provider(provider)
        text = f"{spec.name}:{model}" if spec is not None and model else route_of_model(parameters.get("model"))
        settings = {
            action.setting: render_value(name, value)
            for name, value in parameters.items()
            if name in BY_NAME and isinstance(action := BY_NAME[name].action, RouteSetting)
        }
        inner = "".join(f", {setting}={code}" for setting, code in settings.items())
        codes.append(f"Route({text!r}{inner})" if inner else repr(text))
    return f"[{', '.join(codes)}]"
