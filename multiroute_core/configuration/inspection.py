"""Inspection of a configuration file: everything that can be built of it, beside everything that is wrong.

`load` stops at what is wrong with a file, since a router needs all of it. An inspection goes on: a route with an
unknown key is still a route whose address and key can be checked. Nothing is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core.configuration.building import Builder
from multiroute_core.configuration.catalogue import Catalogue
from multiroute_core.configuration.loading import build_catalogue, read_data
from multiroute_core.configuration.places import KeyPath, find_line, show_path
from multiroute_core.configuration.problems import Problems
from multiroute_core.configuration.shapes import Fields
from multiroute_core.configuration.variables import build_concealer, find_substituted
from multiroute_core.errors import ConfigurationError
from multiroute_core.route import Route, check_quotas

_IDENTITY = ("route", "api_key", "base_url", "api", "sdk", "name")
"""The keys of a route that decide where its calls go; the others may be wrong and the route can still be checked."""


@dataclass(frozen=True, slots=True)
class InspectedRoute:
    """One route of a file.

    Attributes:
        path: Its key in the file.
        route: The route, without the keys that have a problem; None if it cannot be built.
        rejected: The keys that have a problem.
        name: What it is called in the file, for messages.
    """

    path: KeyPath
    route: Route | None
    rejected: frozenset[str]
    name: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a configuration file holds, right or wrong.

    Attributes:
        file: The file, as it is named.
        data: Its content, with values from the environment.
        routes: Its routes in order; empty if the file names none.
        arguments: The arguments of the router without those that have a problem; nothing is opened.
        problems: What is wrong with the file itself: the dotted key and a sentence.
        conceal: Returns a message without the values from the environment; each becomes the text of the file.
    """

    file: str
    data: Mapping[str, Any] = field(repr=False)
    routes: tuple[InspectedRoute, ...]
    arguments: Mapping[str, Any] = field(repr=False)
    problems: Problems = field(repr=False)
    conceal: Callable[[str], str] = field(repr=False)

    @property
    def entries(self) -> list[tuple[KeyPath, str]]:
        """The problems in the order of the file."""
        return self.problems.sort()

    def find_line(self, path: KeyPath) -> int | None:
        """Return the line of a key, or of the closest table around it; None if it is not known."""
        return find_line(self.problems.lines, path)

    def find_variables(self, *path: str | int) -> list[str]:
        """Return the texts with variables at a key, such as `${TEAM_A_KEY}`."""
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return []
        return [text.source for text in find_substituted(value)]


def inspect_file(
    path: str | os.PathLike[str],
    router: type[Any],
    check: Callable[..., Any],
    *,
    environment: Mapping[str, str] = os.environ,
) -> Inspection:
    """Read a configuration file and build what is right of it; the arguments are those of `loading.load`.

    Raises:
        ConfigurationError: The file cannot be read, or has a syntax error.
    """
    problems, data = read_data(path, environment)
    catalogue = build_catalogue(router, check)
    builder = Builder(problems, opens=False)
    arguments = builder.build_arguments(catalogue.top, data, ())
    # Routes are checked below, one by one; the stand-in keeps the rest of the file checked.
    builder.construct(catalogue.top, {**arguments, "routes": ["local:stand-in"]}, data, ())
    routes = _build_routes(catalogue, data)
    conceal = build_concealer(data)
    _check_names(routes, problems, conceal)
    return Inspection(problems.file, data, routes, arguments, problems, conceal)


def _build_routes(catalogue: Catalogue, data: Mapping[str, Any]) -> tuple[InspectedRoute, ...]:
    written: Any = data.get("routes")
    if isinstance(written, str):
        return (_build_route(catalogue, written, ("routes",)),)
    if not isinstance(written, list):
        return ()
    return tuple(_build_route(catalogue, one, ("routes", n)) for n, one in enumerate(cast("list[Any]", written)))


def _build_route(catalogue: Catalogue, written: Any, path: KeyPath) -> InspectedRoute:
    table: dict[str, Any] = cast("dict[str, Any]", written) if isinstance(written, dict) else {"route": written}
    fields: Fields = catalogue.top_table(Route)
    known = {key: value for key, value in table.items() if key in fields.keys}
    name = next((str(table[key]) for key in ("name", "route") if isinstance(table.get(key), str)), show_path(path))
    arguments = Builder(Problems(""), opens=False).build_arguments(fields, known, path)
    rejected = frozenset(key for key in table if key not in arguments and table[key] is not None)
    for names in (tuple(arguments), _IDENTITY):
        chosen = {key: arguments[key] for key in names if key in arguments}
        try:
            route = Route(**chosen) if "route" in chosen else None
        except ConfigurationError:
            continue
        return InspectedRoute(path, route, rejected | (set(arguments) - set(chosen)), name)
    return InspectedRoute(path, None, rejected, name)


def _check_names(routes: tuple[InspectedRoute, ...], problems: Problems, conceal: Callable[[str], str]) -> None:
    first_paths: dict[str, KeyPath] = {}
    for one in routes:
        if one.route is None:
            continue
        first = first_paths.setdefault(one.route.name, one.path)
        if first != one.path:
            message = (
                f"the route is named {one.route.name!r}, as {show_path(first)} is; give one of them another name=..."
            )
            problems.add(one.path, conceal(message))
    try:
        check_quotas([one.route for one in routes if one.route is not None])
    except ConfigurationError as error:
        problems.add(("routes",), conceal(str(error)))
