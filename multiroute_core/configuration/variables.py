"""Environment variables in the texts of a configuration file: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from multiroute_core._util.number_text import parse_number
from multiroute_core.configuration.places import KeyPath
from multiroute_core.configuration.problems import MAX_HINTS, Problems

_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<wrong>\$\{)")

WHOLE_REFERENCE = r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}$"
"""A text that is one reference; it may also stand for a number or a truth value."""


_WRONG = "'${' begins no valid reference; expected '${NAME}' or '${NAME:-default}', or '$$' for '$'."

UNKNOWN: Any = object()
"""The value of a text with a variable that is missing; the problem is reported already."""


class Substituted(str):
    """A text with values from the environment. Its repr shows the text of the file.

    Attributes:
        source: The text of the file.
    """

    __slots__ = ("source",)
    source: str

    def __repr__(self) -> str:
        return repr(self.source)

    @property
    def is_whole(self) -> bool:
        """Whether the text of the file is one reference."""
        return re.match(WHOLE_REFERENCE, self.source) is not None


def substitute(data: Any, environment: Mapping[str, str], problems: Problems) -> Any:
    """Return data with the variables in its texts replaced; keys stay as they are.

    Args:
        data: Plain data.
        environment: The variables; an empty one counts as missing, as in a shell.
        problems: Receives a problem for each variable that is missing and has no default.
    """
    return _substitute(data, environment, (), problems)


def find_substituted(data: Any) -> Iterator[Substituted]:
    """Yield the texts with values from the environment."""
    if isinstance(data, Substituted):
        yield data
    elif isinstance(data, Mapping):
        for value in cast("Mapping[str, Any]", data).values():
            yield from find_substituted(value)
    elif isinstance(data, list | tuple):
        for value in cast("list[Any]", data):
            yield from find_substituted(value)


def conceal_values(message: str, data: Any) -> str:
    """Return a message with every value from the environment replaced by the text of the file."""
    return build_concealer(data)(message)


def build_concealer(data: Any) -> Callable[[str], str]:
    """Return `conceal_values` of data, which is searched once: for files with many problems.

    A short value counts as a word of its own only: of `1`, the `1` in `HTTP 401` says nothing.
    """
    sources = {form: text.source for text in find_substituted(data) for form in _find_forms(text)}
    if not sources:
        return str
    forms = sorted(sources, key=len, reverse=True)
    pattern = re.compile(
        "|".join(rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < 6 else re.escape(form) for form in forms)
    )
    return lambda message: pattern.sub(lambda match: sources[match[0]], message)


def _find_forms(text: Substituted) -> set[str]:
    """Return how a message may show a value: as a text, or as a number."""
    forms = {str(text), repr(str(text))[1:-1]}
    if text.is_whole and not isinstance(number := parse_number(text), str):
        forms |= {str(number), f"{number:,}"}
        with contextlib.suppress(OverflowError):  # an integer beyond the range of floats
            forms |= {str(float(number)), f"{number:g}"}
    return forms


def _substitute(data: Any, environment: Mapping[str, str], path: KeyPath, problems: Problems) -> Any:
    if isinstance(data, dict):
        pairs = cast("dict[str, Any]", data).items()
        return {key: _substitute(value, environment, (*path, key), problems) for key, value in pairs}
    if isinstance(data, list):
        items = enumerate(cast("list[Any]", data))
        return [_substitute(value, environment, (*path, index), problems) for index, value in items]
    if not isinstance(data, str) or "$" not in data:
        return data

    has_variable = False
    is_known = True

    def replace(match: re.Match[str]) -> str:
        nonlocal has_variable, is_known
        if match["wrong"]:
            is_known = False
            problems.add(path, _WRONG)
            return ""
        if (name := match["name"]) is None:
            return "$"
        has_variable = True
        default = match["default"]
        if (value := environment.get(name) or default) is not None:
            return value
        is_known = False
        state = "is empty" if name in environment else "is not set"
        near = difflib.get_close_matches(name, environment, n=1, cutoff=0.85) if name not in environment else []
        hint = f" {near[0]} is set: is it meant?" if near and len(problems.entries) < MAX_HINTS else ""
        problems.add(
            path, f"the environment variable {name} {state}; set it, or write a default: ${{{name}:-…}}.{hint}"
        )
        return ""

    text = _REFERENCE.sub(replace, data)
    if not is_known:
        return UNKNOWN
    if not has_variable:
        return text
    substituted = Substituted(text)
    substituted.source = data
    return substituted
