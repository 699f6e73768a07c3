"""JSON schemas: derived from classes and functions, converted from Gemini's dialect, and validated."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from multiroute_core.errors import ConfigurationError

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})

_GEMINI_WORDS = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "max_length": "maxLength",
    "max_properties": "maxProperties",
    "min_items": "minItems",
    "min_length": "minLength",
    "min_properties": "minProperties",
    "additional_properties": "additionalProperties",
    "property_ordering": "propertyOrdering",
    "defs": "$defs",
    "ref": "$ref",
}
_ONE = frozenset({"items", "additionalProperties", "not"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "definitions"})
"""Keywords with subschemas: a single one, a list, or a mapping by name."""


def of_class(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a class.

    Pydantic models provide their own; msgspec handles dataclasses, TypedDicts and its structs.

    Raises:
        ConfigurationError: The class has no JSON schema.
    """
    tells = getattr(kind, "model_json_schema", None)
    if callable(tells):
        return rooted(cast("dict[str, Any]", tells()))
    import msgspec

    inner: dict[str, Any] = {}
    try:
        schema = msgspec.json.schema(kind, schema_hook=_hook(inner))
    except (TypeError, NameError) as error:
        raise ConfigurationError(f"The class {kind.__name__} has no JSON schema: {_sentence(error)}") from error
    return rooted({**schema, **_definitions(schema.get("$defs"), inner)})


def of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON schema of a function's arguments from its annotations; text in `Annotated` is the description.

    Raises:
        ConfigurationError: An annotation is missing, or has no JSON schema.
    """
    name = getattr(function, "__name__", "function")
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    import msgspec

    inner: dict[str, Any] = {}
    try:
        hints = get_type_hints(function, include_extras=True)
        parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]
        if bare := next((p.name for p in parameters if p.name not in hints), None):
            raise ConfigurationError(f"Tool {name!r}: its argument {bare!r} has no annotation, so its type is unknown.")
        schemas, definitions = msgspec.json.schema_components(
            [hints[p.name] for p in parameters], schema_hook=_hook(inner)
        )
    except (TypeError, NameError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"Tool {name!r}: its arguments have no JSON schema: {_sentence(error)}") from error
    definitions = json.loads(json.dumps(definitions).replace("#/components/schemas/", "#/$defs/"))
    schemas = json.loads(json.dumps(schemas).replace("#/components/schemas/", "#/$defs/"))
    properties = {
        p.name: {**one, **_describe_argument(hints[p.name], p.default)}
        for p, one in zip(parameters, schemas, strict=True)
    }
    required = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {}) | _definitions(definitions, inner)


def rooted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Inline the root of `schema`: providers reject a root that is only a reference to a definition."""
    where = schema.get("$ref")
    target: Any = schema
    for step in str(where).removeprefix("#/").split("/"):
        target = cast("Mapping[str, Any]", target).get(step) if isinstance(target, Mapping) else None
    if not isinstance(target, Mapping):
        return dict(schema)
    root = {**cast("Mapping[str, Any]", target), **schema}
    del root["$ref"]
    if f'"{where}"' not in json.dumps(root):  # only a recursive definition is still referenced
        root["$defs"] = {name: one for name, one in root.get("$defs", {}).items() if f"#/$defs/{name}" != where}
    return {name: value for name, value in root.items() if name != "$defs" or value}


def is_gemini(schema: Any) -> bool:
    """Whether a schema is in Gemini's dialect, which writes the types in capitals."""
    kind = cast("Mapping[str, Any]", schema).get("type") if isinstance(schema, Mapping) else None
    return isinstance(kind, str) and kind.isupper()


def of_gemini(schema: Any) -> Any:
    """Convert Gemini's dialect (`"type": "STRING"`, `nullable`, snake-case keywords) to JSON schema."""
    if not isinstance(schema, Mapping):
        return schema
    gemini_schema = cast("Mapping[str, Any]", schema)
    json_schema = {_GEMINI_WORDS.get(name, name): value for name, value in gemini_schema.items() if value is not None}
    if isinstance(kind := json_schema.get("type"), str):
        kind = str.lower(getattr(kind, "value", kind))
        json_schema["type"] = [kind, "null"] if json_schema.pop("nullable", False) else kind
    for name, value in json_schema.items():
        if name in _ONE:
            json_schema[name] = of_gemini(value)
        elif name in _LISTED and isinstance(value, list):
            json_schema[name] = [of_gemini(one) for one in cast("list[Any]", value)]
        elif name in _NAMED and isinstance(value, Mapping):
            json_schema[name] = {key: of_gemini(one) for key, one in cast("Mapping[str, Any]", value).items()}
    return json_schema


def check(schema: Any, whose: str) -> None:
    """Reject schemas that no provider accepts.

    Raises:
        ConfigurationError: The schema is not a JSON object, or not a JSON schema; the message begins with `whose`.
    """
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"{whose} is a {type(schema).__name__}; expected a JSON schema as a mapping.")
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{whose} cannot be written as JSON: {_sentence(error)}") from error
    try:
        fault = _fault(schema, "")
    except RecursionError as error:
        raise ConfigurationError(f"{whose} is nested too deeply.") from error
    if fault is not None:
        raise ConfigurationError(f"{whose} is not a valid JSON schema: {fault}.")


def _fault(schema: Any, where: str) -> str | None:
    """Return the first error in a schema or its subschemas; `where` is the path."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, Mapping):
        return f"{where[1:]!r} is {schema!r}, not a schema"
    at = f" of {where[1:]!r}" if where else ""
    subschemas: list[tuple[str, Any]] = []
    for word, value in cast("Mapping[str, Any]", schema).items():
        if word == "type":
            if value not in TYPES if isinstance(value, str) else not _are_types(value):
                return f"the type{at} is {value!r}; expected one of {', '.join(sorted(TYPES))}"
        elif word == "required":
            if not isinstance(value, list) or not all(isinstance(name, str) for name in cast("list[Any]", value)):
                return f"required{at} is {value!r}, not a list of names"
        elif word in _NAMED:
            if not isinstance(value, Mapping):
                return f"the {word}{at} are a {type(value).__name__}, not a mapping"
            subschemas += cast("Mapping[str, Any]", value).items()
        elif word in _ONE:
            subschemas.append((word, value))
        elif word in _LISTED and isinstance(value, list):
            subschemas += ((word, one) for one in cast("list[Any]", value))
    keywords = cast("Mapping[str, Any]", schema)
    if (properties := keywords.get("properties")) and (stray := set(keywords.get("required", ())) - set(properties)):
        return f"required{at} names {min(stray)!r}, which is not one of its properties"
    return next((fault for name, one in subschemas if (fault := _fault(one, f"{where}.{name}")) is not None), None)


def _are_types(value: Any) -> bool:
    """Whether `value` is a list of types, of which one must match."""
    return isinstance(value, list) and all(isinstance(one, str) and one in TYPES for one in cast("list[Any]", value))


def _hook(inner: dict[str, Any]) -> Callable[[type[Any]], dict[str, Any]]:
    """Build a schema hook for pydantic models inside msgspec's types; it adds their definitions to `inner`."""

    def schema(kind: type[Any]) -> dict[str, Any]:
        tells = getattr(kind, "model_json_schema", None)
        if not callable(tells):
            raise NotImplementedError
        model_schema = cast("dict[str, Any]", tells())
        inner.update(model_schema.pop("$defs", {}))
        return model_schema

    return schema


def _definitions(first: Mapping[str, Any] | None, second: Mapping[str, Any]) -> dict[str, Any]:
    both = {**(first or {}), **second}
    return {"$defs": both} if both else {}


def _describe_argument(hint: Any, default: Any) -> dict[str, Any]:
    """Return the schema keywords of one function argument besides its type."""
    keywords: dict[str, Any] = {}
    if get_origin(hint) is Annotated and (texts := [one for one in get_args(hint)[1:] if isinstance(one, str)]):
        keywords["description"] = texts[0]
    if default is None or isinstance(default, str | int | float | bool):
        keywords["default"] = default
    return keywords


def _sentence(error: Exception) -> str:
    """Return the error in one line."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".") + "."
