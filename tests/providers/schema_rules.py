"""What vendors document of strict JSON schemas, written down anew. Support for tests, no test."""

from __future__ import annotations

from typing import Any

OPENAI_WORDS = {
    *("type", "title", "description", "properties", "required", "additionalProperties", "items", "anyOf", "$ref"),
    *("$defs", "enum", "const", "pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "minItems", "maxItems"),
}
ANTHROPIC_WORDS = {
    *("type", "title", "description", "properties", "required", "additionalProperties", "items", "anyOf", "$ref"),
    *("$defs", "enum", "const", "pattern", "format", "minItems"),
}
OPENAI_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
GEMINI_COMBINED = {"allOf", "const"}


def nodes(schema: Any):
    """Every schema in a schema, itself first."""
    if not isinstance(schema, dict):
        return
    yield schema
    for word in ("items", "additionalProperties"):
        yield from nodes(schema.get(word))
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for inner in schema.get(word) or ():
            yield from nodes(inner)
    for word in ("properties", "$defs", "patternProperties"):
        for inner in (schema.get(word) or {}).values():
            yield from nodes(inner)


def strict_faults(schema: dict[str, Any], vendor: str) -> list[str]:
    """Why a vendor would refuse a strict schema."""
    faults = []
    if schema.get("type") != "object" or schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "not", "$ref"}:
        faults.append("the root is no plain object")
    words = OPENAI_WORDS if vendor == "openai" else ANTHROPIC_WORDS
    for node in nodes(schema):
        if stray := node.keys() - words:
            faults.append(f"unknown: {stray}")
        if "$ref" in node and len(node) > 1:
            faults.append("something beside a reference")
        if "$ref" in node and node["$ref"].removeprefix("#/$defs/") not in schema.get("$defs", {}):
            faults.append(f"a reference to nothing: {node['$ref']}")
        if not node.keys() & {"type", "$ref", "anyOf"}:
            faults.append(f"no type: {node}")
        kinds = node.get("type")
        if isinstance(kinds, list) and vendor == "anthropic":
            faults.append("several types")
        if kinds == "object" or "properties" in node or (isinstance(kinds, list) and "object" in kinds):
            if node.get("additionalProperties") is not False:
                faults.append("an open object")
            if vendor == "openai" and set(node.get("required", ())) != set(node.get("properties", {})):
                faults.append("a property that is not required")
        if kinds == "array" and "items" not in node:
            faults.append("an array of anything")
        if vendor == "openai" and node.get("format", "date") not in OPENAI_FORMATS:
            faults.append(f"format {node['format']}")
        if vendor == "anthropic" and node.get("minItems", 0) > 1:
            faults.append("minItems")
    if vendor == "anthropic" and any(reaches_itself(schema, name) for name in schema.get("$defs", {})):
        faults.append("recursion")
    return faults


def reaches_itself(schema: dict[str, Any], start: str) -> bool:
    """Whether a definition contains itself."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for node in nodes(schema["$defs"][waiting.pop()]):
            name = node.get("$ref", "").removeprefix("#/$defs/")
            if name == start:
                return True
            if name and name not in seen:
                seen.add(name)
                waiting.append(name)
    return False


def function_faults(schema: dict[str, Any]) -> list[str]:
    """Why Anthropic, and OpenAI without strict mode, would refuse the schema of a tool."""
    faults = []
    if schema.get("type") != "object":
        faults.append("the root is no object")
    if found := schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "not"}:
        faults.append(f"at the root: {found}")
    for node in nodes(schema):
        ref = node.get("$ref")
        if ref is not None and ref.removeprefix("#/$defs/") not in schema.get("$defs", {}):
            faults.append(f"a reference to nothing: {ref}")
    return faults


def gemini_faults(schema: dict[str, Any]) -> list[str]:
    """Why Gemini would refuse or misread a schema."""
    faults = []
    for node in nodes(schema):
        if found := node.keys() & GEMINI_COMBINED:
            faults.append(f"{found}")
        if "$ref" in node and any(not word.startswith("$") for word in node):
            faults.append("something beside a reference")
        if any(not isinstance(value, str | int | float) or isinstance(value, bool) for value in node.get("enum", ())):
            faults.append("an enum of neither strings nor numbers")
    return faults
