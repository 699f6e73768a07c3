"""Arguments that several commands take: a ledger, a moment, a time limit, and routes from a file or by name."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from multiroute_core.errors import ConfigurationError

if TYPE_CHECKING:
    from multiroute_core.router import Router

LEDGER = "a ledger: a file, sqlite:///path, or redis://host:6379/0"
MOMENT = "7d, 12h or 30m ago, or a date or time in UTC such as 2026-11-01 or 2026-11-01T12:00"
ROUTES = "a configuration file, or routes such as openai:gpt-6.1-sol; default: one for each key in the environment"

FILE_SUFFIXES = (".toml", ".yaml", ".yml", ".json")
"""What a configuration file ends with."""


def parse_seconds(text: str) -> float:
    """Return an argument as a number of seconds greater than 0."""
    return parse_number(text, "a number of seconds greater than 0")


def parse_number(text: str, expected: str = "a number greater than 0") -> float:
    """Return an argument as a number greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected {expected}")
    return value


def parse_count(text: str) -> int:
    """Return an argument as a whole number greater than 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a whole number greater than 0")
    return value


def find_file(words: Sequence[str]) -> Path | None:
    """Return the configuration file that the arguments name; None if they are routes.

    Raises:
        ConfigurationError: There is a file beside other arguments, it does not exist, or its format is not known.
    """
    files = [word for word in words if word.lower().endswith(FILE_SUFFIXES) and "://" not in word]
    for word in words:
        if word and ":" not in word and word not in files and Path(word).expanduser().exists():
            raise ConfigurationError(
                f"{word!r} is not a configuration file; its name has to end with {', '.join(FILE_SUFFIXES)}. "
                "Routes are names such as 'openai:gpt-6.1-sol'."
            )
    if not files:
        return None
    if len(words) > 1:
        raise ConfigurationError("Give one configuration file or routes, not both.")
    path = Path(files[0]).expanduser()
    if path.is_dir():
        raise ConfigurationError(f"{files[0]!r} is a folder; expected a configuration file.")
    if not path.is_file():
        raise ConfigurationError(f"The configuration file {files[0]!r} does not exist.")
    return path


_IN_PYTHON = (
    ("pass routes=[...]", "give a configuration file, or routes such as openai:gpt-6.1-sol"),
    (", or pass Route(api_key=...)", ""),
    ("write skip_missing_keys=True to use the other routes alone", "leave the route out"),
)
"""Advice of the library's errors for Python, and what it is on the command line."""


@contextlib.contextmanager
def advising_arguments() -> Generator[None, None, None]:
    """Raise the errors of routes that are given by name, or not at all, with advice for the command line."""
    try:
        yield
    except ConfigurationError as error:
        message = str(error)
        for python, argument in _IN_PYTHON:
            message = message.replace(python, argument)
        raise ConfigurationError(message) from error


def build_router(words: Sequence[str]) -> Router:
    """Return the router that the arguments describe.

    Raises:
        ConfigurationError: As of `Router` and `Router.from_file`.
    """
    from multiroute_core.router import Router

    path = find_file(words)
    if path is not None:
        return Router.from_file(path)
    with advising_arguments():
        return Router(list(words) or None)
