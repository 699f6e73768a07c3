"""Shapes: what a value in a configuration file may be, derived from the signatures of what is built from it.

How this works: `Shapes` reads the annotation of each parameter of a constructor. A parameter that takes a text, a
number, one of several words, a list, or an object that is built from a table itself, becomes a key of the constructor's
table. A parameter that takes only functions or live objects cannot be written in a file; its `Unwritable` says so. What
an annotation does not tell (the words of `strategy`, the range of a number) stands in `details` and `rules`.
"""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args, get_origin

JsonType: TypeAlias = Literal["string", "boolean", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a number or a truth value.

    Attributes:
        kind: Its type in JSON's terms.
        rules: Further keywords of its JSON schema.
        expected: What a text that does not match its pattern is said to be; None if what is built from it checks it.
        build: Builds an object from the text; None if the text is the value.
    """

    kind: JsonType
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    expected: str | None = None
    build: Callable[[str], Any] | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values.

    Attributes:
        item: The shape of each value.
        least: The smallest number of values.
    """

    item: Shape
    least: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """A table with keys of the user's own."""

    value: Shape


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A table that is taken as it is, such as a JSON schema."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of one of several shapes."""

    options: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Unwritable:
    """What cannot be written in a file.

    Attributes:
        what: What the parameter takes instead, such as `"a function"`.
    """

    what: str


@dataclass(slots=True)
class Fields:
    """A table with the keys of a constructor.

    Attributes:
        name: The constructor's name.
        build: The constructor.
        keys: The shapes of its parameters by name, in order.
        required: The keys without a default.
        nullable: The keys that may be None where that differs from the default; written as `"none"`.
        rules: Further keywords of its JSON schema.
        opens: Whether building it opens a file or a connection, which happens only once the whole file is valid.
        stand_in: What stands for it until then.
        lasts: Whether an object built from equal data is used again when the file is reloaded, as it holds state.
    """

    name: str
    build: Callable[..., Any]
    keys: dict[str, Shape] = field(default_factory=dict[str, "Shape"])
    required: tuple[str, ...] = ()
    nullable: frozenset[str] = frozenset()
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    opens: bool = False
    stand_in: Any = None
    lasts: bool = False

    @property
    def writable(self) -> dict[str, Shape]:
        """The keys that a file can set."""
        return {key: shape for key, shape in self.keys.items() if not isinstance(shape, Unwritable)}


@dataclass(frozen=True, slots=True)
class Named:
    """A table whose `name` says what is built from its other keys; the name alone if all of them have defaults.

    Attributes:
        what: What is named, such as `"guard"`.
        entries: The tables by name.
    """

    what: str
    entries: Mapping[str, Fields]


Shape: TypeAlias = Scalar | Choices | Items | Pairs | JsonObject | OneOf | Unwritable | Fields | Named

Key: TypeAlias = tuple[str, str]
"""A constructor's name and a parameter's name."""

_SCALARS: Mapping[Any, JsonType] = {str: "string", bool: "boolean", int: "integer", float: "number"}

_LISTS = (
    collections.abc.Collection,
    collections.abc.Iterable,
    collections.abc.Sequence,
    list,
    tuple,
    set,
    frozenset,
)

_CALLABLE: Any = collections.abc.Callable

FUNCTION = Unwritable("a function")


@dataclass(slots=True)
class Shapes:
    """Derives shapes from annotations.

    Attributes:
        tables: Returns the shape of an annotation that is built from a table, or None.
        details: Shapes of parameters whose annotations do not tell them.
        rules: Further keywords of the JSON schemas of numbers and texts.
    """

    tables: Callable[[Any], Shape | None]
    details: Mapping[Key, Shape]
    rules: Mapping[Key, Mapping[str, Any]]

    def fill(self, fields: Fields) -> None:
        """Set the keys of a table from the signature of its constructor."""
        build = fields.build
        function: Any = (
            inspect.unwrap(cast("Any", build).__init__) if isinstance(build, type) else inspect.unwrap(build)
        )
        namespace: dict[str, Any] = vars(sys.modules[function.__module__]) if isinstance(build, type) else {}
        namespace = namespace or function.__globals__
        if isinstance(build, type):  # a dataclass's __init__ is generated in another namespace
            namespace = vars(sys.modules[build.__module__])
        required: list[str] = []
        nullable: set[str] = set()
        for name, parameter in inspect.signature(function).parameters.items():
            if name == "self":
                continue
            annotation = _evaluate(parameter.annotation, namespace)
            fields.keys[name] = self.derive(annotation, (fields.name, name))
            if parameter.default is parameter.empty:
                required.append(name)
            elif parameter.default is not None and type(None) in get_args(annotation):
                nullable.add(name)
        fields.required = fields.required or tuple(required)
        fields.nullable = frozenset(nullable)

    def derive(self, annotation: Any, key: Key) -> Shape:
        """Return the shape of an annotation."""
        if (detail := self.details.get(key)) is not None:
            return detail
        if (table := self.tables(annotation)) is not None:
            return table
        if (kind := _SCALARS.get(annotation)) is not None:
            rules = dict(self.rules.get(key, {}))
            return Scalar(kind, rules, rules.pop("expected", None))
        origin = get_origin(annotation)
        if origin is Literal:
            return Choices(get_args(annotation))
        if origin in (typing.Union, types.UnionType):
            return self._join([self.derive(one, key) for one in get_args(annotation) if one is not type(None)])
        if origin in _LISTS:
            item = self.derive(get_args(annotation)[0], (key[0], f"{key[1]}[]"))
            return item if isinstance(item, Unwritable) else Items(item)
        if origin is collections.abc.Mapping:
            inner = get_args(annotation)[1]
            return JsonObject() if inner is Any else Pairs(self.derive(inner, (key[0], f"{key[1]}.*")))
        return FUNCTION if origin is _CALLABLE else Unwritable("an object of Python")

    def _join(self, shapes: list[Shape]) -> Shape:
        writable = [shape for shape in shapes if not isinstance(shape, Unwritable)]
        options: list[Shape] = []
        for shape in writable:
            options += shape.options if isinstance(shape, OneOf) else [shape]
        if not options:
            return shapes[0]
        return options[0] if len(options) == 1 else OneOf(tuple(options))


def _evaluate(annotation: Any, namespace: dict[str, Any]) -> Any:
    """Return what an annotation means; None if it names what only type checkers import."""
    holder = types.SimpleNamespace(__annotations__={"parameter": annotation})
    try:
        return typing.get_type_hints(holder, namespace)["parameter"]
    except NameError:
        return None
