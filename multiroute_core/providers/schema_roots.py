"""JSON schema roots: wrap a root that is not an object, for providers that require one. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.body import array, mapping
from multiroute_core.providers.restoring import Shape
from multiroute_core.providers.schema_nodes import ANNOTATIONS, InexpressibleError, flatten, merge

ROOT_WORDS = frozenset({"anyOf", "oneOf", "allOf", "enum", "not", "const", "if", "$ref", "then", "else"})
"""Keywords that are not allowed at the root of a tool's schema.

Anthropic: "input_schema does not support oneOf, allOf, or anyOf at the top level". OpenAI: "schema must have type
'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level". Both are 400 responses, quoted in
https://github.com/makenotion/notion-mcp-server/issues/341 and https://github.com/langchain-ai/langchainjs/issues/9804
(2026-11-29).
"""


def with_object_root(schema: Mapping[str, Any], property_name: str = "value") -> tuple[Mapping[str, Any], Shape]:
    """Returns `schema` with an object at its root, and the shape that converts its instances back.

    A conjunction of objects is merged. Any other root that is not a plain object becomes the property `property_name`
    of a new object.
    """
    if schema.get("type") == "object" and ROOT_WORDS.isdisjoint(schema):
        return (flatten(schema), Shape()) if "$defs" in schema or "definitions" in schema else (schema, Shape())
    flat = flatten(schema)
    if (merged := _merged(flat)) is not None:
        return merged, Shape()
    wrapper = free_name(property_name, flat)
    inner = {word: value for word, value in flat.items() if word not in ("$defs", "$schema", "$id")}
    if inner.get("type") == "object" and inner.get("properties") == {} and "additionalProperties" not in inner:
        inner.pop("properties")  # it restricts nothing, but some tool validators read it as "no properties at all"
    root: dict[str, Any] = {"type": "object", "properties": {wrapper: inner}, "required": [wrapper]}
    for word in ("title", "description"):
        if word in inner:
            root[word] = inner[word]
    if "$defs" in flat:
        root["$defs"] = flat["$defs"]
    return root, Shape(wrapper)


def _merged(flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns a root that is a conjunction or a reference as one object; None if it is not an object."""
    defs = mapping(flat.get("$defs"))
    root: dict[str, Any] = {word: value for word, value in flat.items() if word != "$defs"}
    try:
        for _ in range(100):  # references and conjunctions may be nested
            if isinstance(ref := root.pop("$ref", None), str):
                root = merge(root, mapping(defs.get(ref.removeprefix("#/$defs/"))))
            elif "allOf" in root:
                for part in array(root.pop("allOf")):
                    subschema = mapping(part)
                    if "$ref" in subschema and subschema.keys() - {"$ref"} - ANNOTATIONS:
                        return None
                    if "$ref" in subschema:
                        subschema = mapping(defs.get(str(subschema["$ref"]).removeprefix("#/$defs/")))
                    root = merge(root, subschema)
            else:
                break
    except InexpressibleError:
        return None
    if root.get("type") != "object" or not ROOT_WORDS.isdisjoint(root):
        return None
    return {**root, "$defs": defs} if defs else root


def free_name(name: str, schema: Mapping[str, Any]) -> str:
    """Returns `name`, with underscores appended until it equals no name in `schema`."""
    text = json.dumps(schema, default=str)
    while f'"{name}"' in text:
        name += "_"
    return name
