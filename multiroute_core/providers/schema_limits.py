"""Size limits of strict JSON schemas, and whether their instances can be finite. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.body import array, mapping
from multiroute_core.providers.schema_nodes import children, constants_of, types_of

_SHORT_ENUM = 250
"""Number of values up to which an `enum` has no limit of its own for characters: see `openai.schema`."""


class SchemaSize:
    """The size of a closed schema.

    Attributes:
        properties: Number of properties of all objects.
        constants: Number of values of all `enum` and `const`.
        text: Characters of all names of properties and definitions, and of all constants.
        long_enum: Characters of the longest `enum` of more than 250 values; 0 if there is none.
        optional: Number of properties that are not required.
        unions: Number of nodes with a choice.
        depth: Deepest nesting of objects and arrays.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.properties = self.constants = self.text = self.long_enum = self.optional = self.unions = self.depth = 0
        waiting: list[tuple[Any, int]] = [(schema, 0)]
        for name, inner in mapping(schema.get("$defs")).items():
            self.text += len(name)
            waiting.append((inner, 0))
        while waiting:
            raw_node, depth = waiting.pop()
            node = mapping(raw_node)
            names = mapping(node.get("properties"))
            self.properties += len(names)
            self.optional += len(names) - len(array(node.get("required")))
            values = constants_of(node)
            self.constants += len(values)
            text = sum(len(value) for value in values if isinstance(value, str))
            self.text += sum(map(len, names)) + text
            if len(values) > _SHORT_ENUM:
                self.long_enum = max(self.long_enum, text)
            self.unions += "anyOf" in node or isinstance(node.get("type"), list)
            depth += node.get("type") in ("object", "array") or isinstance(node.get("type"), list)
            self.depth = max(self.depth, depth)
            waiting += [(inner, depth) for inner in children(node)]


def is_finite(root: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    """Whether a schema has finite instances if all properties are required: a least fixed point."""
    finite: set[str] = set()

    def ends(node: Any) -> bool:
        schema = mapping(node)
        if isinstance(ref := schema.get("$ref"), str):
            return ref.removeprefix("#/$defs/") in finite
        if "anyOf" in schema:
            return any(map(ends, array(schema["anyOf"])))
        kinds = types_of(schema)
        if "null" in kinds or (set(kinds) - {"object", "array"}):
            return True
        if "array" in kinds:
            return not schema.get("minItems") or ends(schema.get("items"))
        return all(map(ends, mapping(schema.get("properties")).values()))

    while True:
        fresh = {name for name, node in defs.items() if name not in finite and ends(node)}
        if not fresh:
            return ends(root)
        finite |= fresh
