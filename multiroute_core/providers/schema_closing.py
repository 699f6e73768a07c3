"""Strict JSON schemas: closed objects only, as constrained decoding requires. Pure functions.

`close` rewrites a schema so that every instance of the result, converted back by `multiroute_core.providers.restoring`,
is an instance of the original. It traverses the schema once, node by node:

- objects are closed, and if the dialect requires it, all of their properties become required;
- a map (`additionalProperties` with a schema and no properties) becomes `{"map_entries": [{"key": …, "value": …}]}`,
  which cannot be confused with any closed object, so it can be converted back without the schema;
- a root that is not an object is wrapped in one, under the name in `Shape.wrapper`;
- `allOf` is merged, `oneOf` becomes `anyOf`, references have no sibling keywords;
- constraints that the dialect does not support move to the description, as in the providers' SDKs.

The rest has no equivalent and raises `InexpressibleError`: a value of any type, an open object, a tuple, and recursion
if the dialect does not support it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from multiroute_core.providers.body import array, mapping
from multiroute_core.providers.restoring import KEY, MAP, VALUE, Shape
from multiroute_core.providers.schema_limits import SchemaSize, is_finite
from multiroute_core.providers.schema_nodes import (
    ANNOTATIONS,
    InexpressibleError,
    constants_of,
    find_cycles,
    flatten,
    merge,
    types_of,
)
from multiroute_core.providers.schema_roots import free_name

_KEPT_ANNOTATIONS = ("title", "description")
_OF_TYPE = {
    "string": ("minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
    "object": ("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "patternProperties"),
}
_OF_TYPE["integer"] = _OF_TYPE["number"]
_OF_ANY = ("not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "propertyNames")
"""Constraints that do not change the type of the value, so they can move to the description."""

_LOOKS_AROUND = re.compile(r"\(\?[=!<]|\\[1-9bBkK]")
"""Look-around, back-references and word boundaries, which no decoding grammar can express."""
_SCALARS = (str, bool, int, float, type(None))


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a provider's strict mode supports.

    Attributes:
        keywords: Supported constraints; others move to the description.
        formats: Supported string formats.
        all_required: Whether an object must require all of its properties.
        recursion: Whether a definition may contain itself.
        type_lists: Whether a node may have several types; otherwise they become a choice.
        most_min_items: The largest `minItems`; None for no limit.
        most_properties: Maximum number of properties in total; None for no limit.
        most_depth: Maximum nesting of objects and arrays; None for no limit.
        most_enum: Maximum number of constants in total; None for no limit.
        most_text: Maximum number of characters of names and constants in total; None for no limit.
        most_enum_text: Maximum number of characters of one `enum` of more than 250 values; None for no limit.
        most_optional: Maximum number of properties that are not required; None for no limit.
        most_unions: Maximum number of nodes with a choice; None for no limit.
    """

    keywords: frozenset[str]
    formats: frozenset[str]
    all_required: bool
    recursion: bool
    type_lists: bool
    most_min_items: int | None = None
    most_properties: int | None = None
    most_depth: int | None = None
    most_enum: int | None = None
    most_text: int | None = None
    most_enum_text: int | None = None
    most_optional: int | None = None
    most_unions: int | None = None


def close(schema: Mapping[str, Any], dialect: Dialect, *, arguments: bool = False) -> tuple[dict[str, Any], Shape]:
    """Returns `schema` in a strict dialect, and the shape that converts its instances back.

    Args:
        schema: A JSON schema; not modified.
        dialect: What the provider supports.
        arguments: Whether it describes a tool's arguments. Without properties, these are an empty object; any other
            object without properties may contain anything.

    Raises:
        InexpressibleError: If the dialect cannot express it; the message names the reason.
    """
    try:
        return _Closer(schema, dialect).close(arguments=arguments)
    except RecursionError as error:
        raise InexpressibleError("a schema that is nested too deeply") from error


class _Closer:
    """Closes one schema."""

    def __init__(self, schema: Mapping[str, Any], dialect: Dialect) -> None:
        self._root = flatten(schema)
        self._dialect = dialect
        self._open_defs = mapping(self._root.get("$defs"))
        self._defs: dict[str, Any] = {}
        self._maps = 0
        self._cycles = find_cycles(self._root)
        if self._cycles and not dialect.recursion:
            raise InexpressibleError("a schema that contains itself")

    def close(self, *, arguments: bool) -> tuple[dict[str, Any], Shape]:
        root: dict[str, Any] = {word: value for word, value in self._root.items() if word != "$defs"}
        if arguments and not root.get("properties") and not root.keys() - ANNOTATIONS - {"type", "properties"}:
            root = {**root, "type": "object", "properties": {}}
        closed = self._node(root, ())
        if (ref := closed.get("$ref")) is not None:
            target = self._defs[ref.removeprefix("#/$defs/")]
            closed = closed if MAP in mapping(target.get("properties")) else dict(target)
        wrapper = None
        if closed.get("type") != "object" or "anyOf" in closed:
            wrapper = free_name("value", self._root)
            about = {word: closed.pop(word) for word in _KEPT_ANNOTATIONS if word in closed and "$ref" not in closed}
            closed = {
                **about,
                "type": "object",
                "properties": {wrapper: closed},
                "required": [wrapper],
                "additionalProperties": False,
            }
        if self._defs:
            closed["$defs"] = self._defs
        if self._dialect.all_required and not is_finite(closed, self._defs):
            raise InexpressibleError("a schema that contains itself in all of its instances")
        self._check_size(closed)
        return closed, Shape(wrapper, maps=self._maps > 0)

    def _node(self, schema: Any, within: tuple[str, ...]) -> dict[str, Any]:
        """Close one node; `within` holds the references that were inlined on the path to it."""
        if not isinstance(schema, Mapping):
            raise InexpressibleError("a value of any type" if schema else "a value that cannot exist")
        node = dict(cast("Mapping[str, Any]", schema))
        if isinstance(ref := node.get("$ref"), str):
            beside = {word: value for word, value in node.items() if word != "$ref"}
            if ref in within or not beside.keys() & ({"description"} | (beside.keys() - ANNOTATIONS)):
                return {"$ref": self._define(ref)}
            return self._node(self._resolved(node), (*within, ref))
        if "allOf" in node:
            return self._node(self._conjunction(node, within), within)
        for word in ("anyOf", "oneOf"):
            if word in node:
                return self._choice(node, word, within)
        return self._plain(node, within)

    def _define(self, ref: str) -> str:
        name = ref.removeprefix("#/$defs/")
        if name not in self._defs:
            self._defs[name] = {}
            self._defs[name] = self._node(self._open_defs.get(name), ())
        return ref

    def _resolved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Inline a node's reference: the definition is merged into the node."""
        expansion = dict(node)
        refs: set[str] = set()
        while isinstance(ref := expansion.pop("$ref", None), str):
            if ref in refs:
                raise InexpressibleError("a reference to itself")
            refs.add(ref)
            target = self._open_defs.get(ref.removeprefix("#/$defs/"))
            if not isinstance(target, Mapping):
                raise InexpressibleError("a value of any type")
            definition = cast("Mapping[str, Any]", target)
            inner_ref = definition.get("$ref")
            expansion = merge(expansion, {word: value for word, value in definition.items() if word != "$ref"})
            if inner_ref is not None:
                expansion["$ref"] = inner_ref
        return expansion

    def _conjunction(self, node: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        conjunction = {word: value for word, value in node.items() if word != "allOf"}
        for part in array(node["allOf"]):
            if part is True or part == {}:
                continue
            if not isinstance(part, Mapping):
                raise InexpressibleError("a value that cannot exist")
            subschema = dict(cast("Mapping[str, Any]", part))
            if isinstance(ref := subschema.get("$ref"), str) and (ref in within or ref in self._cycles):
                if not conjunction.keys() - ANNOTATIONS and len(array(node["allOf"])) == 1:
                    return {**conjunction, "$ref": ref}
                raise InexpressibleError("a schema that contains itself beside another one")
            conjunction = merge(conjunction, self._resolved(subschema))
        return conjunction

    def _choice(self, node: Mapping[str, Any], word: str, within: tuple[str, ...]) -> dict[str, Any]:
        about = {key: node[key] for key in _KEPT_ANNOTATIONS if key in node}
        siblings = {key: value for key, value in node.items() if key != word and key not in ANNOTATIONS}
        branches: list[dict[str, Any]] = []
        for branch in array(node[word]):
            if branch is False:
                continue
            subschema = dict(mapping(branch))
            if siblings:
                subschema = {"allOf": [siblings, subschema]} if subschema else siblings
            closed = self._node(subschema, within)
            if closed not in branches:
                branches.append(closed)
        if not branches:
            raise InexpressibleError("a value that cannot exist")
        if len(branches) == 1:
            only = branches[0]
            return only if "$ref" in only else {**only, **about}
        return {"anyOf": branches, **about}

    def _plain(self, node: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        """Close a node without references and choices."""
        if node.keys() & {"const", "enum"}:
            return self._constants(node)
        kinds = types_of(node)
        if not kinds:
            raise InexpressibleError("a value of any type")
        if len(kinds) > 1 and (not self._dialect.type_lists or _is_map(node) or "array" in kinds):
            about = {word: node[word] for word in _KEPT_ANNOTATIONS if word in node}
            bare = {word: value for word, value in node.items() if word not in about}
            branches = [self._plain({**bare, "type": kind}, within) for kind in kinds]
            return {"anyOf": branches, **about}
        notes: list[str] = []
        closed: dict[str, Any] = {word: node[word] for word in _KEPT_ANNOTATIONS if word in node}
        closed["type"] = kinds[0] if len(kinds) == 1 else kinds
        if "object" in kinds:
            if _is_map(node):
                return self._map(node, within)
            self._close_object(node, closed, within)
        if "array" in kinds:
            if "prefixItems" in node or isinstance(node.get("items"), list):
                raise InexpressibleError("a tuple")
            closed["items"] = self._node(node.get("items", True), within)
        relevant = {word for kind in kinds for word in _OF_TYPE.get(kind, ())}
        for word, value in node.items():
            if word in relevant and self._knows(word, value):
                closed[word] = value
            elif word in relevant or word in _OF_ANY:
                notes.append(f"{word}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        return _with_words(closed, notes)

    def _knows(self, word: str, value: Any) -> bool:
        if word == "format":
            return value in self._dialect.formats
        if word == "pattern" and _LOOKS_AROUND.search(str(value)):
            return False
        most = self._dialect.most_min_items
        if word == "minItems" and most is not None and isinstance(value, int) and value > most:
            return False
        return word in self._dialect.keywords

    def _constants(self, node: Mapping[str, Any]) -> dict[str, Any]:
        values = constants_of(node)
        if not values or not all(isinstance(value, _SCALARS) for value in values):
            raise InexpressibleError("a constant that is not a string, number or boolean")
        if "type" in node:
            type_names = types_of(node)
            values = [value for value in values if _has_type(value, type_names)]
            if not values:
                raise InexpressibleError("a constant of another type than the schema's")
        kinds = types_of({"enum": values})
        closed: dict[str, Any] = {word: node[word] for word in _KEPT_ANNOTATIONS if word in node}
        if len(kinds) > 1 and not self._dialect.type_lists:
            groups = [[value for value in values if _has_type(value, [kind])] for kind in kinds]
            branches = [self._constants({"enum": group}) for group in groups]
            return {"anyOf": branches, **closed}
        closed["type"] = kinds[0] if len(kinds) == 1 else kinds
        if "const" in node:
            closed["const"] = node["const"]
        else:
            closed["enum"] = values
        return closed

    def _close_object(self, node: Mapping[str, Any], closed: dict[str, Any], within: tuple[str, ...]) -> None:
        if "properties" not in node:
            raise InexpressibleError("an object with arbitrary properties")
        extra = node.get("additionalProperties")
        if isinstance(extra, Mapping) and extra:
            raise InexpressibleError("an object with both named and further properties")
        if not node["properties"] and extra is True:
            raise InexpressibleError("an object with arbitrary properties")
        properties = mapping(node["properties"])
        if MAP in properties:
            raise InexpressibleError(f"a property named {MAP}")
        required = [name for name in array(node.get("required")) if name in properties]
        if missing := [name for name in array(node.get("required")) if name not in properties]:
            raise InexpressibleError(f"a required property without a schema ({missing[0]})")
        closed["properties"] = {
            name: self._node(inner, within) for name, inner in properties.items() if inner is not False
        }
        if self._dialect.all_required:
            required = list(closed["properties"])
        if required or "required" in node or self._dialect.all_required:
            closed["required"] = required
        closed["additionalProperties"] = False

    def _map(self, node: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        """Encode a map as a list of entries, in a definition of its own: a reference cannot have sibling keywords."""
        patterns = mapping(node.get("patternProperties"))
        keys: dict[str, Any] = {"type": "string"}
        if len(patterns) == 1:
            [(pattern, values)] = patterns.items()
            keys["pattern"] = pattern
        else:
            values = node["additionalProperties"]
        if isinstance(names := node.get("propertyNames"), Mapping):
            keys = {"allOf": [keys, names]}
        self._maps += 1
        entry = {
            "type": "object",
            "properties": {KEY: self._node(keys, within), VALUE: self._node(values, within)},
            "required": [KEY, VALUE],
            "additionalProperties": False,
        }
        notes = [f"{word}: {node[word]}" for word in ("minProperties", "maxProperties") if word in node]
        closed = {
            **{word: node[word] for word in _KEPT_ANNOTATIONS if word in node},
            "type": "object",
            "properties": {MAP: {"type": "array", "items": entry}},
            "required": [MAP],
            "additionalProperties": False,
        }
        number = self._maps
        while (name := f"map_{number}") in self._open_defs or name in self._defs:
            number += 1
        self._defs[name] = _with_words(closed, notes)
        return {"$ref": f"#/$defs/{name}"}

    def _check_size(self, closed: Mapping[str, Any]) -> None:
        dialect = self._dialect
        sizes = SchemaSize(closed)
        limits = (
            ("properties", sizes.properties, dialect.most_properties),
            ("constants", sizes.constants, dialect.most_enum),
            ("characters of names and constants", sizes.text, dialect.most_text),
            ("characters of constants in one place", sizes.long_enum, dialect.most_enum_text),
            ("optional properties", sizes.optional, dialect.most_optional),
            ("choices", sizes.unions, dialect.most_unions),
            ("levels", sizes.depth, dialect.most_depth),
        )
        for what, size, most in limits:
            if most is not None and size > most:
                raise InexpressibleError(f"more than {most} {what}")


def _is_map(node: Mapping[str, Any]) -> bool:
    """Whether an object has no named properties, and additional ones with a single schema."""
    if "object" not in types_of(node) or node.get("properties"):
        return False
    patterns = mapping(node.get("patternProperties"))
    extra = node.get("additionalProperties")
    if patterns:
        return len(patterns) == 1 and extra is False
    return bool(mapping(extra))


def _has_type(value: Any, kinds: list[str]) -> bool:
    kind = types_of({"const": value})[0]
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _with_words(closed: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    if notes:
        closed["description"] = " ".join(filter(None, (closed.get("description"), f"({', '.join(notes)})")))
    return closed
