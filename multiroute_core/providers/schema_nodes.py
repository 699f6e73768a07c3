"""JSON schema nodes: resolve references, conjunctions (`allOf`) and recursion without loss. Pure functions.

The providers support different subsets of JSON Schema. This module holds what all rewritings share:

- `flatten` moves every referenced schema to `$defs` under a plain name, so that the root can be moved or wrapped.
- `merge` combines two schemas into one, since no provider's strict mode supports `allOf` of several.
- `find_cycles` returns the definitions that contain themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from multiroute_core.providers.body import array, mapping

ONE = frozenset(
    (
        *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
        *("unevaluatedItems", "unevaluatedProperties", "additionalItems"),
    )
)
LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords that contain other schemas: one schema, a list, or a mapping of names."""

ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly"),
        *("$comment", "discriminator", "$schema", "$id", "$anchor", "$defs", "definitions", "propertyOrdering"),
    )
)
"""Keywords without constraints."""

TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}
MOST_BRANCHES = 64
"""Maximum number of branches of a conjunction of choices."""

_PLAIN = re.compile(r"#/\$defs/[A-Za-z0-9_.-]{1,64}")
_LOWEST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_HIGHEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})


_CONSTANT = frozenset({"const", "enum"})


class InexpressibleError(Exception):
    """A schema that the provider's dialect cannot express, entirely or in part; the message names the part."""


def children(node: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the schemas directly inside a node, without its definitions."""
    for word, value in node.items():
        if word in ONE:
            yield from array(value) or (value,)
        elif word in LISTED:
            yield from array(value)
        elif word in NAMED:
            yield from mapping(value).values()


def map_children(node: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Returns a copy of a node, with its direct inner schemas replaced by the results of `change`."""
    copy: dict[str, Any] = {}
    for word, value in node.items():
        if (word in ONE or word in LISTED) and isinstance(value, list):
            copy[word] = [change(inner) for inner in cast("list[Any]", value)]
        elif word in ONE:
            copy[word] = change(value)
        elif word in NAMED and isinstance(value, Mapping):
            copy[word] = {name: change(inner) for name, inner in cast("Mapping[str, Any]", value).items()}
        else:
            copy[word] = value
    return copy


def resolve(root: Mapping[str, Any], ref: str) -> Any:
    """Returns the target of a reference within `root` (RFC 6901, or an `$anchor`); None if it does not exist."""
    if ref in ("#", ""):
        return root
    if not ref.startswith("#/"):
        return _find_anchor(root, ref.removeprefix("#")) if ref.startswith("#") else None
    place: Any = root
    for step in ref[2:].split("/"):
        key = _percent_decoded(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            entries = cast("list[Any]", place)
            place = entries[int(key)] if key.isdigit() and int(key) < len(entries) else None
        else:
            inner = mapping(place)
            place = inner[key] if key in inner else inner.get(step.replace("~1", "/").replace("~0", "~"))
    return place


def _percent_decoded(step: str) -> str:
    from urllib.parse import unquote

    return unquote(step) if "%" in step else step


def _find_anchor(node: Any, anchor: str) -> Any:
    schema = mapping(node)
    if schema.get("$anchor") == anchor:
        return schema
    inner = [*children(schema), *mapping(schema.get("$defs")).values(), *mapping(schema.get("definitions")).values()]
    return next((target for one in inner if (target := _find_anchor(one, anchor)) is not None), None)


def is_flat(schema: Mapping[str, Any]) -> bool:
    """Whether `flatten` would change nothing: all references target plainly named definitions of the root."""
    if "definitions" in schema:
        return False
    defs = mapping(schema.get("$defs"))
    nodes: list[Any] = [*children(schema), *defs.values(), {"$ref": schema.get("$ref")}]
    while nodes:
        node = mapping(nodes.pop())
        ref = node.get("$ref")
        if isinstance(ref, str) and not (_PLAIN.fullmatch(ref) and ref[len("#/$defs/") :] in defs):
            return False
        if "$defs" in node or "definitions" in node:
            return False
        nodes.extend(children(node))
    return True


def flatten(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `schema` with all references in the form `#/$defs/NAME`; drops references without a target."""
    return dict(schema) if is_flat(schema) else _Flattener(schema).flatten()


class _Flattener:
    """Moves the targets of references in one schema to its definitions."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._defs: dict[str, Any] = {}

    def flatten(self) -> dict[str, Any]:
        flat = self._walk(self._root)
        return {**flat, "$defs": self._defs} if self._defs else flat

    def _walk(self, node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        schema = cast("Mapping[str, Any]", node)
        flat = map_children(
            {word: value for word, value in schema.items() if word not in ("$defs", "definitions", "$ref")}, self._walk
        )
        ref = schema.get("$ref")
        if isinstance(ref, str) and (name := self._define(ref)) is not None:
            return {"$ref": f"#/$defs/{name}", **flat}
        return flat

    def _define(self, ref: str) -> str | None:
        if ref in self._names:
            return self._names[ref]
        target = resolve(self._root, ref)
        if not isinstance(target, Mapping | bool):
            return None
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", ref.rpartition("/")[2].lstrip("#")).strip("_")[:56] or "Root"
        name = stem
        number = 2
        while name in self._defs:
            name = f"{stem}_{number}"
            number = number + 1
        self._names[ref] = name
        self._defs[name] = {}
        self._defs[name] = self._walk(target)
        return name


def references(node: Any) -> Iterator[str]:
    """Yield all references in a node, as written."""
    waiting = [node]
    while waiting:
        schema = mapping(waiting.pop())
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        waiting.extend(children(schema))


def find_cycles(
    schema: Mapping[str, Any], references_of: Callable[[Any], Iterator[str]] = references
) -> frozenset[str]:
    """Returns the references, as written in a flat schema, to definitions that contain themselves.

    Args:
        schema: A flat schema.
        references_of: Returns the references to follow in a definition; by default all.
    """
    defs = mapping(schema.get("$defs"))
    uses = {f"#/$defs/{name}": frozenset(references_of(node)) for name, node in defs.items()}
    cyclic: set[str] = set()
    for start, first in uses.items():
        reachable: set[str] = set()
        waiting = list(first)
        while waiting:
            ref = waiting.pop()
            if ref not in reachable:
                reachable.add(ref)
                waiting.extend(uses.get(ref, ()))
        if start in reachable:
            cyclic.add(start)
    return frozenset(cyclic)


def types_of(node: Mapping[str, Any]) -> list[str]:
    """Returns the types that a node declares, or that follow from its constants or keywords."""
    type_keyword = node.get("type")
    if isinstance(type_keyword, str):
        return [type_keyword]
    if isinstance(type_keyword, list):
        return [kind for kind in cast("list[Any]", type_keyword) if isinstance(kind, str)]
    if "const" in node or "enum" in node:
        values = constants_of(node)
        return list(dict.fromkeys(TYPES[type(value)] for value in values if type(value) in TYPES))
    if node.keys() & {"properties", "required", "patternProperties", "additionalProperties"}:
        return ["object"]
    return ["array"] if node.keys() & {"items", "prefixItems"} else []


def constants_of(node: Mapping[str, Any]) -> list[Any]:
    """Returns the values of `const` or `enum`."""
    return [node["const"]] if "const" in node else array(node.get("enum"))


def merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema that is equivalent to the conjunction of both. Neither has a `$ref`.

    Raises:
        InexpressibleError: If no single schema can express both.
    """
    schema = {**one, **{word: value for word, value in other.items() if word not in one}}
    if one.keys() & _CONSTANT and other.keys() & _CONSTANT:
        schema.pop("const", None)
        schema["enum"] = [value for value in constants_of(one) if value in constants_of(other)]
    for word in one.keys() & other.keys():
        first = one[word]
        second = other[word]
        if first == second or word in ANNOTATIONS or word in _CONSTANT:
            continue
        if word == "type":
            schema["type"] = _common_types(types_of(one), types_of(other))
        elif word == "properties":
            both = {**mapping(first), **mapping(second)}
            schema[word] = {
                name: {"allOf": [mapping(first)[name], mapping(second)[name]]}
                if name in mapping(first) and name in mapping(second) and first[name] != second[name]
                else inner
                for name, inner in both.items()
            }
        elif word == "required":
            schema[word] = list(dict.fromkeys([*array(first), *array(second)]))
        elif word == "items":
            schema[word] = {"allOf": [first, second]}
        elif word == "allOf":
            schema[word] = [*array(first), *array(second)]
        elif word in _LOWEST:
            schema[word] = min(first, second)
        elif word in _HIGHEST:
            schema[word] = max(first, second)
        elif word in ("anyOf", "oneOf"):
            schema[word] = _each_with_each(array(first), array(second))
        elif word == "additionalProperties" and isinstance(first, bool) and isinstance(second, bool):
            schema[word] = False
        else:
            raise InexpressibleError(f"two schemas at once with different {word}")
    _check_closed(one, other)
    _check_closed(other, one)
    return schema


def _check_closed(closed: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raises InexpressibleError if `other` has a property that the closed schema `closed` does not have."""
    if closed.get("additionalProperties") is False and mapping(other.get("properties")).keys() - mapping(
        closed.get("properties")
    ):
        raise InexpressibleError("a closed schema together with one that has more properties")


def _common_types(first: list[str], second: list[str]) -> str | list[str]:
    common = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    common += [kind for kind in second if kind == "integer" and kind not in common and "number" in first]
    if not common:
        raise InexpressibleError("two schemas at once that have no type in common")
    return common[0] if len(common) == 1 else common


def _each_with_each(first: list[Any], second: list[Any]) -> list[Any]:
    if len(first) * len(second) > MOST_BRANCHES:
        raise InexpressibleError("two choices at once with too many branches")
    return [{"allOf": [one, other]} for one in first for other in second]
