"""Loading of a configuration file: from its text to the arguments of a router."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.configuration.building import Builder, BuiltPart
from multiroute_core.configuration.catalogue import Catalogue
from multiroute_core.configuration.places import KeyPath
from multiroute_core.configuration.problems import Problems
from multiroute_core.configuration.reading import read_document
from multiroute_core.configuration.variables import conceal_values, substitute
from multiroute_core.errors import ConfigurationError

Value = TypeVar("Value")

SCHEMA_KEY = "$schema"
"""The key by which JSON and YAML files name their schema, for editors."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file that is valid.

    Attributes:
        path: The file.
        arguments: The arguments of the router by name.
        data: The content, with values from the environment.
        parts: The objects with a state of their own, which the next version of the file uses again.
    """

    path: Path
    arguments: Mapping[str, Any] = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    parts: tuple[BuiltPart, ...] = field(repr=False)

    def conceal(self, message: str) -> str:
        """Return a message without the values from the environment; each becomes the text of the file."""
        return conceal_values(message, self.data)

    def build(self, router: Callable[..., Any]) -> Any:
        """Return what `router` builds from the arguments.

        Raises:
            ConfigurationError: As of `router`; it names the file.
        """
        return self.explain_errors(lambda: router(**self.arguments))

    def explain_errors(self, build: Callable[[], Value]) -> Value:
        """Return what a function returns; a configuration error of it names the file.

        Raises:
            ConfigurationError: As of the function.
        """
        try:
            return build()
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: {self.conceal(str(error))}") from None


def load(
    path: str | os.PathLike[str],
    router: type[Any],
    check: Callable[..., Any],
    *,
    previous: Configuration | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Configuration:
    """Read a configuration file and check all of it.

    Args:
        path: The file: `.toml`, `.yaml`, `.yml` or `.json`.
        router: The router's class; the parameters of its constructor are the keys.
        check: Validates the arguments of a router, and opens nothing.
        previous: An earlier version of the file. Guards, hooks and ledgers that are written the same are used again.
        environment: The environment variables.

    Raises:
        ConfigurationError: All problems of the file, in order: the line where it is known, the key, what is wrong and
            what is expected.
    """
    problems, data = read_data(path, environment)
    catalogue = build_catalogue(router, check)
    builder = Builder(problems, opens=False)
    arguments = builder.build_arguments(catalogue.top, data, ())
    _check_top(builder, catalogue, arguments, data)
    problems.raise_all()
    builder = Builder(problems, opens=True, previous=() if previous is None else previous.parts)
    arguments = builder.build_arguments(catalogue.top, data, ())
    problems.raise_all()
    return Configuration(Path(path).absolute(), arguments, data, tuple(builder.parts))


def read_data(
    path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ
) -> tuple[Problems, dict[str, Any]]:
    """Return the content of a configuration file with its variables replaced, and what is wrong with these.

    Raises:
        ConfigurationError: The file cannot be read, or has a syntax error.
    """
    document = read_document(path)
    problems = Problems(document.file, document.lines, tuple(_walk(document.data, ())))
    data = cast("dict[str, Any]", substitute(document.data, environment, problems))
    data.pop(SCHEMA_KEY, None)
    return problems, data


def build_catalogue(router: type[Any], check: Callable[..., Any]) -> Catalogue:
    """Return the catalogue of a router's keys; as of `load`."""

    def check_quietly(**arguments: Any) -> Any:
        arguments.pop("skip_missing_keys", None)  # it looks for keys and logs, once the router is built
        return check(**arguments)

    return Catalogue(router, check_quietly)


def _check_top(builder: Builder, catalogue: Catalogue, arguments: dict[str, Any], data: dict[str, Any]) -> None:
    if data.get("routes") is None or "routes" in arguments:
        builder.construct(catalogue.top, arguments, data, ())
        return
    # Without the routes that have a problem, the others may be too few; a stand-in keeps the rest of the file checked.
    builder.construct(catalogue.top, {**arguments, "routes": ["local:stand-in"]}, data, ())


def _walk(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(data, dict):
        for key, value in cast("dict[str, Any]", data).items():
            yield from _walk(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(cast("list[Any]", data)):
            yield from _walk(value, (*path, index))
