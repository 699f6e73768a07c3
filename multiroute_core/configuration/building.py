"""Building of a router's arguments from a configuration file: every value is checked, and every problem is collected.

How this works:

* A table is checked key by key against its `Fields`, then its constructor is called. If the constructor rejects the
  arguments, the key to blame is found by leaving one out after another: without it, the constructor accepts the others
  or complains about something else. The search goes on with the rest, so all wrong keys of a table are named.
* A first pass builds nothing that opens a file or a connection. A second pass follows if the first has no problems.
* Values from the environment are not shown: a message about one is cut to what is expected.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core._util.number_text import parse_number
from multiroute_core._util.redaction import conceal
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.configuration.places import KeyPath
from multiroute_core.configuration.problems import MAX_HINTS, Problems
from multiroute_core.configuration.shapes import (
    Choices,
    Fields,
    Items,
    JsonObject,
    Named,
    OneOf,
    Pairs,
    Scalar,
    Shape,
    Unwritable,
)
from multiroute_core.configuration.variables import UNKNOWN, Substituted, conceal_values, find_substituted
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError

FAILED: Any = object()
"""The result of a value that has a problem."""

NONE = "none"
"""The word for None, where that differs from the default: no time limit."""

_SECRET = re.compile(r"key|secret|password|token$|header", re.IGNORECASE)
_NAMES = {"string": "a text", "boolean": "true or false", "integer": "an integer", "number": "a number"}
_CURRENCIES = frozenset({"aud", "brl", "cad", "chf", "cny", "eur", "euro", "gbp", "inr", "jpy", "krw", "pln", "sek"})
_EXPECTED = re.compile(r"[;:] (expected .*)\Z", re.DOTALL)
_KINDS: tuple[tuple[type[Any], str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


@dataclass(frozen=True, slots=True)
class BuiltPart:
    """An object with a state of its own, and the data that it was built from.

    Attributes:
        name: The name of its constructor.
        data: The data.
        built: The object.
    """

    name: str
    data: Any = field(repr=False)
    built: Any = field(repr=False)


class Builder:
    """Builds the arguments of a router from a file.

    Args:
        problems: Receives the problems.
        opens: Whether files and connections are opened; otherwise such objects are left out.
        previous: The objects of an earlier version of the file, which are used again where their data is equal.

    Attributes:
        parts: The objects with a state of their own.
    """

    def __init__(self, problems: Problems, *, opens: bool, previous: Collection[BuiltPart] = ()) -> None:
        self.problems = problems
        self.parts: list[BuiltPart] = []
        self._opens = opens
        self._previous = list(previous)

    def build(self, shape: Shape, value: Any, path: KeyPath) -> Any:
        """Return what a value describes; `FAILED` if it has a problem."""
        if value is UNKNOWN:
            return FAILED
        match shape:
            case Scalar():
                return self._build_scalar(shape, value, path)
            case Choices():
                return self._build_choice(shape, value, path)
            case Items():
                return self._build_items(shape, value, path)
            case Pairs():
                return self._build_pairs(shape, value, path)
            case JsonObject():
                if not isinstance(value, dict):
                    return self._reject(path, value, "a table")
                return _to_plain(value)
            case OneOf():
                return self._build_one_of(shape, value, path)
            case Fields():
                return self._build_fields(shape, value, path)
            case Named():
                return self._build_named(shape, value, path)
            case Unwritable():
                self.problems.add(path, _explain_unwritable(shape, path))
                return FAILED

    def build_arguments(self, fields: Fields, table: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        """Return the arguments of a table's constructor, without those that have a problem."""
        arguments: dict[str, Any] = {}
        for key, value in table.items():
            shape = fields.keys.get(key)
            if shape is None:
                self.problems.add((*path, key), self._explain_unknown(key, fields.writable))
            elif key in fields.nullable and (value is None or value == NONE):
                arguments[key] = None
            elif value is None:
                continue  # as if it was not there
            elif (built := self.build(shape, value, (*path, key))) is not FAILED:
                arguments[key] = built
        for key in fields.required:
            if table.get(key) is None:
                self.problems.add(path, f"the key {key!r} is missing; expected {_describe(fields.keys[key])}.")
        return arguments

    def construct(self, fields: Fields, arguments: dict[str, Any], table: Mapping[str, Any], path: KeyPath) -> Any:
        """Call a table's constructor; names every key that it rejects."""
        is_complete = all(key in arguments or value is None for key, value in table.items())
        is_complete = is_complete and all(key in arguments for key in fields.required)
        rest = dict(arguments)
        while True:
            built, error = _call(fields, rest)
            if error is None:
                return built if is_complete and len(rest) == len(arguments) else FAILED
            culprit = _find_culprit(fields, rest, error)
            if culprit is None:
                if is_complete and len(rest) == len(arguments):
                    self.problems.add(path, _hide_substituted(error, table, table))
                return FAILED
            self.problems.add((*path, culprit), _hide_substituted(error, table[culprit], table))
            del rest[culprit]

    def _explain_unknown(self, key: str, known: Collection[str]) -> str:
        if key.lower() in _CURRENCIES and "usd" in known:
            return f"the key {describe_value(key)} is unknown; money is in US dollars: write 'usd'."
        if len(self.problems.entries) >= MAX_HINTS:
            return f"the key {describe_value(key)} is unknown."
        return f"the key {describe_value(key)} is unknown; {_explain_choices(key, known)}"

    def _build_fields(self, fields: Fields, value: Any, path: KeyPath, ignored: Collection[str] = ()) -> Any:
        if not isinstance(value, dict):
            return self._reject(path, value, f"a table of {fields.name}")
        table = {key: inner for key, inner in cast("dict[str, Any]", value).items() if key not in ignored}
        data = _to_plain(table)
        if fields.lasts and self._opens:
            for number, part in enumerate(self._previous):
                if part.name == fields.name and part.data == data:
                    self.parts.append(self._previous.pop(number))
                    return part.built
        arguments = self.build_arguments(fields, table, path)
        if fields.opens and not self._opens:
            is_complete = len(arguments) == len([one for one in table.values() if one is not None])
            return fields.stand_in if is_complete and all(key in arguments for key in fields.required) else FAILED
        built = self.construct(fields, arguments, table, path)
        if fields.lasts and built is not FAILED:
            self.parts.append(BuiltPart(fields.name, data, built))
        return built

    def _build_named(self, named: Named, value: Any, path: KeyPath) -> Any:
        is_table = isinstance(value, dict)
        table: dict[str, Any] = cast("dict[str, Any]", value) if is_table else {"name": value}
        where = (*path, "name") if is_table else path
        name = table.get("name")
        if name is UNKNOWN:
            return FAILED
        if not isinstance(name, str):
            expected = f"the name of a {named.what}, or a table with its name"
            return self._reject(where if "name" in table else path, name if "name" in table else value, expected)
        if (fields := named.entries.get(str(name))) is None:
            shown = name.source if isinstance(name, Substituted) else name
            hint = _explain_choices(shown, named.entries)
            self.problems.add(where, f"{describe_value(shown)} is not the name of a {named.what}; {hint}")
            return FAILED
        return self._build_fields(fields, table, path, ignored=("name",))

    def _build_one_of(self, shape: OneOf, value: Any, path: KeyPath) -> Any:
        """Build a value by the option whose type it has."""
        kind = _kind_of(value)
        options: list[Shape] = [option for option in shape.options if kind in _kinds_of(option)]
        if not options and isinstance(value, Substituted) and value.is_whole:
            options = [option for option in shape.options if isinstance(option, Scalar | Choices)]
        if len(options) > 1 and (enumeration := _join_choices(options)) is not None:
            options = [enumeration]
        if not options:
            return self._reject(path, value, _describe(shape))
        return self.build(options[0], value, path)

    def _build_items(self, shape: Items, value: Any, path: KeyPath) -> Any:
        if not isinstance(value, list):
            return self._reject(path, value, _describe(shape))
        items = [self.build(shape.item, item, (*path, n)) for n, item in enumerate(cast("list[Any]", value))]
        return FAILED if any(item is FAILED for item in items) else items

    def _build_pairs(self, shape: Pairs, value: Any, path: KeyPath) -> Any:
        if not isinstance(value, dict):
            return self._reject(path, value, _describe(shape))
        pairs = {key: self.build(shape.value, one, (*path, key)) for key, one in cast("dict[str, Any]", value).items()}
        return FAILED if any(one is FAILED for one in pairs.values()) else pairs

    def _build_scalar(self, shape: Scalar, source: Any, path: KeyPath) -> Any:
        value: Any = source
        if isinstance(source, Substituted) and source.is_whole and shape.kind != "string":
            value = _parse_scalar(shape.kind, source)
        kind = _kind_of(value)
        if shape.kind == "string" and kind == "string":
            if not value.strip():
                return self._reject(path, source, "a text that is not empty")
            if shape.expected is not None and re.search(shape.rules["pattern"], value) is None:
                return self._reject(path, source, shape.expected)
            return str(value) if shape.build is None else self._build_text(shape.build, source, path)
        if kind == "integer" and not -(2**63) <= value < 2**63:
            return self._reject(path, source, f"{_describe(shape)} of at most 64 bits")
        if shape.kind == "integer" and kind == "number" and math.isfinite(value) and value == int(value):
            return int(value)  # as in JSON, where 2.0 and 2 are the same
        if kind == shape.kind or (shape.kind == "number" and kind == "integer"):
            if kind == "number" and math.isnan(value):
                return self._reject(path, source, "a number")
            return value
        return self._reject(path, source, _describe(shape))

    def _build_text(self, build: Callable[[str], Any], text: str, path: KeyPath) -> Any:
        try:
            return build(str(text))
        except ConfigurationError as error:
            self.problems.add(path, _hide_substituted(error, text, text))
            return FAILED

    def _build_choice(self, shape: Choices, value: Any, path: KeyPath) -> Any:
        parsed = value
        if isinstance(value, Substituted):
            flag = _parse_scalar("boolean", value) if value.is_whole else value
            parsed = flag if isinstance(flag, bool) else str(value)
        if any(type(choice) is type(parsed) and choice == parsed for choice in shape.values):
            return parsed
        if isinstance(value, str):
            shown = value.source if isinstance(value, Substituted) else value
            hint = _explain_choices(shown, [one for one in shape.values if isinstance(one, str)])
            self.problems.add(path, f"{describe_value(shown)} is not valid; {hint}")
            return FAILED
        return self._reject(path, value, _describe(shape))

    def _reject(self, path: KeyPath, value: Any, expected: str) -> Any:
        if value is UNKNOWN:
            return FAILED
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        is_secret = any(isinstance(part, str) and _SECRET.search(part) for part in path)
        shown = (
            "its value" if is_secret or any(True for _ in find_substituted(value)) else describe_value(conceal(value))
        )
        source = f", from {describe_value(value.source)}," if isinstance(value, Substituted) else ""
        label = f"{name}={shown}" if name and shown != "its value" else shown
        self.problems.add(path, f"{label}{source} is not valid; expected {expected}.")
        return FAILED


def _call(fields: Fields, arguments: dict[str, Any]) -> tuple[Any, ConfigurationError | None]:
    """Call a constructor; returns what it builds, or its error."""
    try:
        return fields.build(**arguments), None
    except ConfigurationError as error:
        return None, error
    except (TypeError, ValueError, OverflowError, OSError) as error:
        return None, ConfigurationError(f"it is not valid: {error}; correct it.")


def _find_culprit(fields: Fields, arguments: dict[str, Any], error: ConfigurationError) -> str | None:
    """Return the key without which the constructor does not complain, or complains about something else."""
    text = str(error)

    def rank(key: str) -> tuple[bool, bool]:
        return re.search(rf"\b{re.escape(key)}\b", text) is None, key in fields.required

    for key in sorted(arguments, key=rank):  # the keys first that the error names
        rest = {name: value for name, value in arguments.items() if name != key}
        _, other = _call(fields, rest)
        if other is None or str(other) != text:
            if key in fields.required and len(fields.required) > 1:
                return None  # without one of them every constructor complains
            return key
    return None


def _hide_substituted(error: ConfigurationError, data: Any, table: Any) -> str:
    """Return an error's text; if it may contain a value from the environment, only what is expected.

    Args:
        error: The error.
        data: The data to blame.
        table: The data around it.
    """
    text = conceal_values(str(error), table)
    if not isinstance(data, Substituted):
        return text
    expected = _EXPECTED.search(text)
    tail = expected[1] if expected is not None else "correct the variable or its default."
    return f"its value, from {data.source!r}, is not valid; {tail}"


def _parse_scalar(kind: str, text: str) -> Any:
    """Return a variable's text as a number or a truth value; the text itself if it is neither."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    return parse_number(text)


def _join_choices(options: list[Shape]) -> Choices | None:
    values: list[Any] = []
    for option in options:
        if not isinstance(option, Choices):
            return None
        values += option.values
    return Choices(tuple(values))


def _kind_of(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "other")


def _kinds_of(shape: Shape) -> frozenset[str]:
    """Return the types that a shape accepts."""
    match shape:
        case Scalar():
            return frozenset({shape.kind, "integer"} if shape.kind == "number" else {shape.kind})
        case Choices():
            return frozenset(_kind_of(value) for value in shape.values)
        case Items():
            return frozenset({"array"})
        case Named():
            return frozenset({"string", "object"})
        case OneOf():
            return frozenset[str]().union(*map(_kinds_of, shape.options))
        case Unwritable():
            return frozenset()
        case _:
            return frozenset({"object"})


def _describe(shape: Shape) -> str:
    """Return what a shape expects, in words."""
    match shape:
        case Scalar():
            return _NAMES[shape.kind]
        case Choices():
            return f"one of {', '.join(map(describe_value, shape.values))}"
        case Items():
            return f"a list, each {_describe(shape.item)}"
        case Named():
            return f"the name of a {shape.what}"
        case OneOf():
            return " or ".join(dict.fromkeys(map(_describe, shape.options)))
        case Fields():
            return f"a table of {shape.name}"
        case Unwritable():
            return shape.what
        case _:
            return "a table"


def _explain_choices(word: str, choices: Collection[str]) -> str:
    longest = max(map(len, choices), default=0)
    if len(word) > 3 * longest:  # none is near enough, and a word of a megabyte takes long to compare
        return f"expected one of {', '.join(sorted(choices))}."
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(choices))}."


def _explain_unwritable(shape: Unwritable, path: KeyPath) -> str:
    return (
        f"{path[-1]} takes {shape.what}, which cannot be written in a file; leave it out, or build the router in "
        "Python and pass it there."
    )


def _to_plain(value: Any) -> Any:
    """Return data with exact texts, which serializers accept."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {key: _to_plain(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_to_plain(inner) for inner in cast("list[Any]", value)]
    return value
