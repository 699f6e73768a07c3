"""Adapts JSON schemas to Gemini's `responseJsonSchema` and `parametersJsonSchema`.

Supported are `$id`, `$defs`, `$ref`, `$anchor`, `type`, `format`, `title`, `description`, `enum` (of strings and
numbers), `items`, `prefixItems`, `minItems`, `maxItems`, `minimum`, `maximum`, `anyOf`, `oneOf`, `properties`,
`additionalProperties`, `required`. "Cyclic references are unrolled to a limited degree and, as such, may only be used
within non-required properties. (Nullable properties are not sufficient.)" Only `$…` keywords may accompany a `$ref`.
Source: `GenerationConfig.responseJsonSchema` in
https://github.com/googleapis/googleapis/blob/master/google/ai/generativelanguage/v1beta/generative_service.proto
(2026-11-29). "Not all features are supported", so other keywords are assumed to be ignored and are kept: they may still
inform the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multiroute_core.providers.body import array, mapping
from multiroute_core.providers.schema_nodes import (
    ANNOTATIONS,
    InexpressibleError,
    children,
    constants_of,
    find_cycles,
    flatten,
    map_children,
    merge,
    types_of,
)


def adapt(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` in Gemini's dialect; the argument is not changed.

    Raises:
        InexpressibleError: If the dialect cannot express it; the message names the reason.
    """
    try:
        flat = flatten(schema)
        cycles = find_cycles(flat)
        if cycles and find_cycles(flat, _required_references):
            raise InexpressibleError("a schema that contains itself in a required property")
        adapter = _Adapter(mapping(flat.get("$defs")), cycles)
        adapted = adapter.node({word: value for word, value in flat.items() if word != "$defs"})
        if "$defs" in flat:
            adapted["$defs"] = {name: adapter.node(node) for name, node in mapping(flat["$defs"]).items()}
    except RecursionError as error:
        raise InexpressibleError("a schema that is nested too deeply") from error
    return adapted


class _Adapter:
    """Rewrites the nodes of one flat schema."""

    def __init__(self, defs: Mapping[str, Any], cycles: frozenset[str]) -> None:
        self._defs = defs
        self._cycles = cycles

    def node(self, raw_node: Any) -> Any:
        """Rewrite one node."""
        if not isinstance(raw_node, dict):
            return raw_node
        schema = mapping(raw_node)
        if "allOf" in schema:
            return self.node(self._conjunction(schema))
        if isinstance(ref := schema.get("$ref"), str) and len(schema) > 1:
            beside = {word: value for word, value in schema.items() if word not in ("$ref", *ANNOTATIONS)}
            if not beside:
                return {"$ref": ref}
            return self.node(self._with_target(ref, {word: value for word, value in schema.items() if word != "$ref"}))
        adapted = map_children(schema, self.node)
        if "const" in adapted or "enum" in adapted:
            _adapt_constants(adapted)
        return adapted

    def _conjunction(self, node: Mapping[str, Any]) -> dict[str, Any]:
        schema = {word: value for word, value in node.items() if word != "allOf"}
        parts = array(node["allOf"])
        if len(parts) == 1 and set(mapping(parts[0])) == {"$ref"} and not schema.keys() - ANNOTATIONS:
            return {"$ref": parts[0]["$ref"]}
        for part in parts:
            branch = dict(mapping(part))
            ref = branch.pop("$ref", None)
            schema = merge(schema, branch)
            if isinstance(ref, str):
                schema = self._with_target(ref, schema)
        return schema

    def _with_target(self, ref: str, node: Mapping[str, Any]) -> dict[str, Any]:
        if ref in self._cycles:
            raise InexpressibleError("a schema that contains itself beside another one")
        target = dict(mapping(self._defs.get(ref.removeprefix("#/$defs/"))))
        further = target.pop("$ref", None)
        schema = merge(node, target)
        return self._with_target(further, schema) if isinstance(further, str) else schema


def _adapt_constants(node: dict[str, Any]) -> None:
    """Rewrite constants as an `enum` of strings or numbers; other constants are reduced to their types."""
    values = constants_of(node)
    kinds = types_of({"enum": values})
    node.pop("const", None)
    node.pop("enum", None)
    if len(kinds) == 1:
        node.setdefault("type", kinds[0])
    elif "type" not in node:
        node["type"] = kinds
    if values and all(isinstance(value, str) for value in values if value is not None):
        node["enum"] = [value for value in values if value is not None] if "null" in kinds else values
    elif values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        node["enum"] = values
    elif len(values) == 1 or not all(value is None or isinstance(value, bool) for value in values):
        node["description"] = " ".join(filter(None, (node.get("description"), f"(one of: {values})")))


def _required_references(node: Any) -> Iterator[str]:
    """Yield the references reachable through required properties only."""
    waiting = [node]
    while waiting:
        schema = mapping(waiting.pop())
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        required = array(schema.get("required"))
        optional = [inner for name, inner in mapping(schema.get("properties")).items() if name not in required]
        waiting.extend(inner for inner in children(schema) if not any(inner is one for one in optional))
