"""LiteLLM's configuration file as ours: https://docs.litellm.ai/docs/proxy/config_settings (2026-11-30). Pure.

`model_list` becomes the routes; `router_settings`, `litellm_settings` and `general_settings` become the keys at the
top, where there is one. Everything else is a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from multiroute_core.migration.actions import ProviderOption, Write
from multiroute_core.migration.litellm_models import (
    Deployment,
    Notes,
    as_table,
    convert_models,
    convert_number,
    convert_text,
    find_variables,
)
from multiroute_core.migration.names import BY_NAME

_SECTIONS = frozenset(
    ("model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables")
)
_NUMBERS = {
    "num_retries": "max_retries",
    "timeout": "deadline",
    "request_timeout": "deadline",
    "stream_timeout": "first_token_timeout",
}
_PERIODS = {"1d": "day", "24h": "day", "30d": "month", "31d": "month", "1mo": "month"}
_ALIASES = "model_group_alias"
_HOOKS = {"otel": "OpenTelemetry", "prometheus": "PrometheusMetrics"}
_REDIS = frozenset(
    ("redis_url", "redis_host", "redis_port", "redis_username", "redis_password", "redis_db", "redis_ssl")
)
_CACHE = frozenset(("type", "host", "port", "username", "password", "db", "ssl", "url", "ttl", "namespace"))
_CALLBACKS = frozenset({"callbacks", "success_callback", "failure_callback", "service_callback", "service_callbacks"})
_GENERAL = {
    "master_key": "clients of `multiroute serve` have keys of their own: `multiroute key TENANT`, and --keys FILE.",
    "database_url": 'nothing needs a database; ledger = "sqlite:///ledger.db" keeps a record of every attempt.',
    "max_parallel_requests": "it is `multiroute serve --max-concurrency`.",
    "global_max_parallel_requests": "it is `multiroute serve --max-concurrency`.",
    "alerting": "budgets take on_alert, and the hook Webhook sends events.",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted file.

    Attributes:
        arguments: The keys of our file.
        notes: What has no counterpart, or differs in meaning: where it stands, and a sentence.
    """

    arguments: dict[str, Any]
    notes: tuple[tuple[str, str], ...]


def convert_config(config: Mapping[str, Any]) -> Conversion:
    """Convert the content of LiteLLM's file, of its proxy or of the arguments of its `Router`.

    Example:
        >>> model = {"model_name": "fast", "litellm_params": {"model": "openai/gpt-6-luna"}}
        >>> convert_config({"model_list": [model]}).arguments
        {'routes': [{'route': 'openai:gpt-6-luna', 'name': 'fast'}]}
    """
    notes = Notes(variables=frozenset(find_variables(config)))
    sections = {name: as_table(config.get(name)) for name in _SECTIONS if name != "model_list"}
    for name, table in sections.items():
        if not table and config.get(name):
            notes.add(name, "left out: it is not a table.")
    router_settings = {**sections["router_settings"]}
    for name, value in config.items():  # the arguments of a `Router` stand beside its `model_list`
        if name == "include":
            notes.add(name, "left out: convert each of these files, or put them into this one.")
        elif name in BY_NAME and name not in _SECTIONS and not isinstance(BY_NAME[name].action, ProviderOption):
            router_settings.setdefault(name, value)
        elif name not in _SECTIONS and name != "credential_list":
            notes.add(name, "left out: it has no counterpart.")
    deployments = convert_models(config.get("model_list"), notes, _read_credentials(config.get("credential_list")))
    settings = [("router_settings", router_settings), ("litellm_settings", sections["litellm_settings"])]
    fallbacks = _read_fallbacks(settings)
    arguments: dict[str, Any] = {}
    for section, members in settings:
        _convert_section(arguments, section, members, notes)
    _convert_general(arguments, sections["general_settings"], notes)
    for name in sections["environment_variables"]:
        notes.add(f"environment_variables.{name}", "set it in the environment of the process.")
    aliases = {
        name: value for _, members in reversed(settings) for name, value in as_table(members.get(_ALIASES)).items()
    }
    routes = _arrange(deployments, fallbacks, aliases, notes)
    if "strategy" not in arguments and max(Counter(one.group for one in deployments).values(), default=0) > 1:
        arguments = {"strategy": "weighted", **arguments}  # LiteLLM's default, simple-shuffle
    return Conversion({**arguments, "routes": routes}, tuple(notes.entries))


def _read_credentials(credential_list: Any) -> dict[str, Mapping[str, Any]]:
    entries = [as_table(entry) for entry in _as_list(credential_list)]
    return {str(entry.get("credential_name")): as_table(entry.get("credential_values")) for entry in entries}


def _arrange(
    deployments: list[Deployment], fallbacks: Mapping[str, list[str]], aliases: Mapping[str, Any], notes: Notes
) -> list[dict[str, Any]]:
    """Return the routes in order: fallbacks last, and only for when the others fail."""
    counts = Counter(one.group for one in deployments)
    fallbacks = _clean_fallbacks(fallbacks, counts, notes)
    aliases = _clean_aliases(aliases, counts, notes)
    targets = list(dict.fromkeys(name for names in fallbacks.values() for name in names))
    first_groups = {group for group in fallbacks if group not in targets}
    backups = {name: place for place, name in enumerate(targets, 1) if first_groups and name not in first_groups}
    callers = _find_callers(fallbacks, backups, counts, notes)
    has_groups = len(counts) > 1 or bool(aliases)
    numbers: Counter[str] = Counter()
    routes: list[dict[str, Any]] = []
    for one in sorted(deployments, key=lambda one: backups.get(one.group, 0)):
        numbers[one.group] += 1
        name = one.group if counts[one.group] == 1 else f"{one.group}-{numbers[one.group]}"
        groups = [one.group, *callers.get(one.group, ())]
        tags = [*groups, *(alias for alias, group in aliases.items() if group in groups)]
        route = {"route": one.route["route"], "name": one.route.get("name", name), **one.route}
        if has_groups:
            route["tags"] = list(dict.fromkeys([*tags, *one.route.get("tags", ())]))
        if one.group in backups:
            route["backup"] = True
        routes.append(route)
    _make_unique(routes)
    if has_groups:
        name = next(iter(counts))
        notes.add(
            "model_list",
            f"model_name is a tag: a call chooses it with route_tags={{{name!r}}}, and a client of `multiroute serve` "
            f"with the model {name!r}.",
        )
    if fallbacks:
        notes.add("fallbacks", "routes are tried in the order of the file; those with backup = true come last.")
    return routes


def _clean_fallbacks(
    fallbacks: Mapping[str, list[str]], counts: Mapping[str, int], notes: Notes
) -> dict[str, list[str]]:
    """Return the fallbacks among groups that have routes, without those of a group to itself."""
    cleaned: dict[str, list[str]] = {}
    for group, names in fallbacks.items():
        for name in dict.fromkeys((group, *names)):
            if name not in counts and name != "*":
                notes.add("fallbacks", f"{name!r} is no model of the list that becomes a route; it is left out.")
        if group in names:
            notes.add("fallbacks", f"{group!r} falls back to itself: left out; see max_retries.")
        others = [name for name in dict.fromkeys(names) if name in counts and name != group]
        if others and (group in counts or group == "*"):
            cleaned[group] = others
    return cleaned


def _clean_aliases(aliases: Mapping[str, Any], counts: Mapping[str, int], notes: Notes) -> dict[str, str]:
    """Return the group of each alias that has routes."""
    groups: dict[str, str] = {}
    for alias, value in aliases.items():
        group = as_table(value).get("model") if isinstance(value, Mapping) else value
        if isinstance(group, str) and group in counts:
            groups[alias] = group
        else:
            notes.add(f"model_group_alias.{alias}", "left out: it is no alias of a model that becomes a route.")
    return groups


def _find_callers(
    fallbacks: Mapping[str, list[str]], backups: Mapping[str, int], counts: Mapping[str, int], notes: Notes
) -> dict[str, list[str]]:
    """Return the groups that fall back to a group: its routes get their tags too, or `route_tags` would exclude them.

    A route that comes before those of a group, or among them, cannot have its tag: it would answer first.
    """
    callers: dict[str, list[str]] = {}
    for group, names in fallbacks.items():
        for name in names:
            for caller in [one for one in counts if one != name] if group == "*" else [group]:
                if name in backups and backups.get(caller, 0) < backups[name]:
                    callers.setdefault(name, []).append(caller)
                elif group != "*":
                    message = (
                        f"calls with route_tags={{{caller!r}}} do not reach {name!r}, which is no backup behind it; "
                        "give it that tag as well if it may answer first."
                    )
                    notes.add("fallbacks", message)
    return callers


def _make_unique(routes: list[dict[str, Any]]) -> None:
    names: set[str] = set()
    for route in routes:
        name = str(route["name"])
        number = 1
        while route["name"] in names:
            number += 1
            route["name"] = f"{name}-{number}"
        names.add(route["name"])


def _read_fallbacks(settings: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return the fallbacks of each group; those of all groups have the name `"*"`."""
    fallbacks: dict[str, list[str]] = {}
    for _, members in settings:
        for entry in _as_list(members.get("fallbacks")):
            for group, names in as_table(entry).items():
                fallbacks.setdefault(group, []).extend(str(name) for name in _as_list(names))
        if defaults := _as_list(members.get("default_fallbacks")):
            fallbacks.setdefault("*", []).extend(str(name) for name in defaults)
    return fallbacks


def _convert_section(arguments: dict[str, Any], section: str, members: Mapping[str, Any], notes: Notes) -> None:
    if not _REDIS.isdisjoint(members):
        arguments.setdefault("state", _build_address(members, "redis_", f"{section}.redis_password", notes))
    for name, value in members.items():
        where = f"{section}.{name}"
        if name in _NUMBERS and value is not None:
            number = convert_number(value, where, notes)
            if number is not None and arguments.setdefault(_NUMBERS[name], number) != number:
                key = _NUMBERS[name]
                notes.add(where, f"left out: {key} = {arguments[key]!r} comes from another setting.")
        elif name == "routing_strategy":
            _convert_strategy(arguments, str(value), where, notes)
        elif name == "drop_params" and isinstance(value, bool):
            if value is False:
                arguments["strict_params"] = True
        elif name == "content_policy_fallbacks":
            if value:
                arguments["fallback_on"] = ["content_filter"]
                notes.add(where, "after a filter, the next routes are tried, whatever group they are of.")
        elif name == "cache":
            if str(value).lower() == "true":
                _convert_cache(arguments, as_table(members.get("cache_params")), f"{section}.cache_params", notes)
            elif str(value).lower() not in ("false", "none"):
                notes.add(where, "left out: it is neither true nor false.")
        elif name == "cache_params":
            if value and str(members.get("cache")).lower() != "true":
                notes.add(where, "left out: cache is not true.")
        elif name in ("max_budget", "budget_duration"):
            _convert_budget(arguments, members, section, notes)
        elif name in _CALLBACKS:
            _convert_callbacks(arguments, value, where, notes)
        elif name in ("fallbacks", _ALIASES):
            entries = _as_list(value) if name == "fallbacks" else [value]
            if not all(isinstance(entry, Mapping) for entry in entries if entry is not None):
                notes.add(where, "left out: it is not a table of models.")
        elif name not in _REDIS and name != "default_fallbacks":
            notes.explain(where, name, value)


def _convert_strategy(arguments: dict[str, Any], value: str, where: str, notes: Notes) -> None:
    action = BY_NAME["routing_strategy"].action
    values = (action.values or {}) if isinstance(action, Write) else {}
    if value not in values:
        notes.add(where, f"{value!r} has no counterpart; the routes are tried in the order of the file.")
    arguments["strategy"] = values.get(value, "'priority'").strip("'")


def _convert_cache(arguments: dict[str, Any], params: Mapping[str, Any], where: str, notes: Notes) -> None:
    kind = str(params.get("type", "redis" if "host" in params else "local"))
    if kind == "redis":
        store = _build_address(params, "", f"{where}.password", notes)
        if "host" not in params and params.get("url") is None:
            store = "redis://${REDIS_HOST:-localhost}:${REDIS_PORT:-6379}/0"
            notes.add(
                where,
                "it has no host: LiteLLM reads REDIS_HOST, REDIS_PORT and REDIS_PASSWORD; a password is missing here.",
            )
    elif kind in ("local", "disk"):
        store = "memory" if kind == "local" else "sqlite:///cache.db"
    else:
        notes.add(f"{where}.type", f"left out: a cache of type {kind!r} has no counterpart; see docs/caching.md.")
        return
    cache: dict[str, Any] = {"store": store}
    if params.get("ttl") is not None and (ttl := convert_number(params["ttl"], f"{where}.ttl", notes)) is not None:
        cache["ttl"] = ttl
    if params.get("namespace") is not None:
        cache["namespace"] = convert_text(params["namespace"], "", f"{where}.namespace", notes)
    arguments["cache"] = cache
    for name in params:
        if name not in _CACHE:
            notes.add(f"{where}.{name}", "left out: it has no counterpart.")


def _convert_budget(arguments: dict[str, Any], members: Mapping[str, Any], section: str, notes: Notes) -> None:
    duration = members.get("budget_duration")
    if members.get("max_budget") is None:
        if duration is not None:
            notes.add(f"{section}.budget_duration", "left out: there is no max_budget.")
        return
    amount = convert_number(members["max_budget"], f"{section}.max_budget", notes)
    if amount is None:
        return
    if duration is not None and str(duration) not in _PERIODS:
        notes.add(f"{section}.budget_duration", f"{duration!r} is not a period of a budget; it is a month here.")
    budget = [{"usd": amount, "per": _PERIODS.get(str(duration), "month"), "hard": True}]
    if arguments.setdefault("budget", budget) != budget:
        notes.add(f"{section}.max_budget", "left out: there is a budget of another setting.")


def _convert_callbacks(arguments: dict[str, Any], value: Any, where: str, notes: Notes) -> None:
    for name in _as_list(value):
        if (hook := _HOOKS.get(str(name))) is None:
            notes.add(
                where,
                f"left out: {str(name)!r} has no counterpart; OpenTelemetry, PrometheusMetrics or Webhook may do.",
            )
        elif hook not in arguments.setdefault("on_event", []):
            arguments["on_event"].append(hook)


def _convert_general(arguments: dict[str, Any], members: Mapping[str, Any], notes: Notes) -> None:
    for name, value in members.items():
        where = f"general_settings.{name}"
        if name in _GENERAL:
            notes.add(where, _GENERAL[name])
        elif name in ("max_budget", "budget_duration"):
            _convert_budget(arguments, members, "general_settings", notes)
        else:
            notes.explain(where, name, value)


def _build_address(members: Mapping[str, Any], prefix: str, where: str, notes: Notes) -> str:
    """Return the address of a Redis."""
    if (url := members.get(f"{prefix}url")) is not None:
        is_secret = "@" in str(url)
        return convert_text(url, "REDIS_URL" if is_secret else "", where.replace("password", "url"), notes)
    host = convert_text(members.get(f"{prefix}host", "localhost"), "", where, notes)
    port = convert_text(members.get(f"{prefix}port", 6379), "", where, notes)
    password = members.get(f"{prefix}password")
    login = f":{convert_text(password, 'REDIS_PASSWORD', where, notes)}@" if password else ""
    if login and (user := members.get(f"{prefix}username")):
        login = f"{convert_text(user, '', where, notes)}{login}"
    ssl = members.get(f"{prefix}ssl")
    if ssl and not isinstance(ssl, bool):
        notes.add(where.replace("password", "ssl"), "it is taken for true; without TLS, write redis:// for rediss://.")
    database = convert_text(members.get(f"{prefix}db") or 0, "", where, notes)
    return f"{'rediss' if ssl else 'redis'}://{login}{host}:{port}/{database}"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]
