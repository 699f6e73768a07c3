"""Converts JSON schemas to the older SDK's dialect, a small subset of OpenAPI; unsupported keywords are dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.providers.body import array, count, mapping, word

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
FORMATS = {"number": ("float", "double"), "integer": ("int32", "int64"), "string": ("date-time",)}
"""Formats that the API accepts; it rejects all others."""


def older(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` in the older dialect, as a new dict. References are inlined; recursion is cut off."""
    return _Dialect(schema).convert(schema, ())


def to_older(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return `schema` in the older dialect, and whether it is equivalent, apart from bounds and patterns."""
    dialect = _Dialect(schema)
    converted = dialect.convert(schema, ())
    return converted, not dialect.lossy


class _Dialect:
    """Converts the schemas within one root, which references resolve to."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self.lossy = False

    def convert(self, node: Any, above: tuple[str, ...]) -> dict[str, Any]:
        """Convert one schema. `above` holds the references that led to it."""
        schema, above = self._one(mapping(node), above)
        kinds = _kinds(schema)
        nullable = "null" in kinds or bool(schema.get("nullable"))
        kind = next((kind for kind in kinds if kind in TYPES), "string")
        self._note_losses(schema, kinds, kind)
        dialect_schema: dict[str, Any] = {"type": kind.upper()}
        if about := word(schema.get("description")):
            dialect_schema["description"] = about
        if nullable:
            dialect_schema["nullable"] = True
        if (form := schema.get("format")) in FORMATS.get(kind, ()):
            dialect_schema["format"] = form
        if kind == "string" and (words := [str(one) for one in _enum(schema) if one is not None]):
            dialect_schema["enum"] = words
        if kind == "object":
            self._properties(schema, dialect_schema, above)
        if kind == "array":
            first: Any = next(iter(array(schema.get("prefixItems"))), None)
            dialect_schema["items"] = self.convert(schema.get("items") or first, above)
            dialect_schema.update(
                (name, size) for name in ("minItems", "maxItems") if (size := count(schema.get(name)))
            )
        return dialect_schema

    def _note_losses(self, schema: Mapping[str, Any], kinds: list[str], kind: str) -> None:
        values = [value for value in _enum(schema) if value is not None]
        self.lossy = (
            self.lossy
            or len({*kinds} - {"null"}) != 1
            or any(not isinstance(value, str) for value in values)
            or (kind == "object" and not schema.get("properties"))
            or (kind == "object" and bool(mapping(schema.get("additionalProperties"))))
            or (kind == "array" and ("prefixItems" in schema or not schema.get("items")))
        )

    def _properties(self, schema: Mapping[str, Any], dialect_schema: dict[str, Any], above: tuple[str, ...]) -> None:
        if properties := mapping(schema.get("properties")):
            dialect_schema["properties"] = {name: self.convert(inner, above) for name, inner in properties.items()}
            if needed := [
                name for name in array(schema.get("required")) if isinstance(name, str) and name in properties
            ]:
                dialect_schema["required"] = needed

    def _one(self, schema: Mapping[str, Any], above: tuple[str, ...]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Resolve references and unions; of a union the first member is kept, as the dialect has no unions."""
        if (address := word(schema.get("$ref"))) is not None:
            if address in above:
                self.lossy = True
                return {"type": "object", "description": schema.get("description")}, above
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            return self._one({**self._at(address), **beside}, (*above, address))
        for name in ("anyOf", "oneOf"):
            if choices := [mapping(choice) for choice in array(schema.get(name))]:
                siblings = {word: value for word, value in schema.items() if word != name}
                alternatives = [choice for choice in choices if choice.get("type") != "null"]
                first, above = self._one(alternatives[0] if alternatives else choices[0], above)
                words = _words(alternatives)
                self.lossy = self.lossy or (len(alternatives) > 1 and not words)
                if words:
                    first = {"type": "string", "enum": words}
                return {
                    **first,
                    **siblings,
                    "nullable": len(alternatives) < len(choices) or bool(first.get("nullable")),
                }, above
        merged: dict[str, Any] = {}
        for part in array(schema.get("allOf")):
            each, above = self._one(mapping(part), above)
            merged = _both(merged, each)
        if not merged:
            return schema, above
        return _both(merged, {name: value for name, value in schema.items() if name != "allOf"}), above

    def _at(self, address: str) -> Mapping[str, Any]:
        """Resolve a reference such as `#/$defs/City`."""
        node: Any = self._root
        for step in address.removeprefix("#").split("/")[1:]:
            node = mapping(node).get(step.replace("~1", "/").replace("~0", "~"))
        return mapping(node)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema allows, inferred from other keywords if it names none."""
    type_keyword = schema.get("type")
    kinds = [kind.lower() for kind in (array(type_keyword) or [type_keyword]) if isinstance(kind, str)]
    if not kinds and "properties" in schema:
        return ["object"]
    if not kinds and ("items" in schema or "prefixItems" in schema):
        return ["array"]
    return kinds or [name for value in _enum(schema) if (name := _NAMES.get(type(cast("object", value))))]


_NAMES: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _enum(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else array(schema.get("enum"))


def _words(choices: list[Mapping[str, Any]]) -> list[str]:
    """Return the strings of a union of string enums; empty for any other union."""
    enums = [_enum(choice) for choice in choices]
    words = [value for values in enums for value in values]
    return words if all(enums) and all(isinstance(value, str) for value in words) else []


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that requires what both require."""
    schema = {**one, **other}
    if properties := {**mapping(one.get("properties")), **mapping(other.get("properties"))}:
        schema["properties"] = properties
    if needed := [*array(one.get("required")), *array(other.get("required"))]:
        schema["required"] = needed
    return schema
