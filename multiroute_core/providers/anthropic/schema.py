"""JSON schemas as Anthropic takes them where they must be kept: closed, and without the words that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_REFUSED = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
"""What is told to the model in the description instead."""
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf", "prefixItems")


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `schema` in which no object may have more than its properties."""
    made: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _REFUSED or (name == "minItems" and value not in (0, 1)):
            told.append(f"{name}: {value}")
        elif name in _NAMED and isinstance(value, Mapping):
            made[name] = {key: _closed(one) for key, one in cast("Mapping[str, Any]", value).items()}
        elif name in _LISTED and isinstance(value, list):
            made["anyOf" if name == "oneOf" else name] = [_closed(one) for one in cast("list[Any]", value)]
        elif name == "items":
            made[name] = _closed(value)
        elif name not in ("discriminator", "additionalProperties"):
            made[name] = value
    if told:
        made["description"] = " ".join(filter(None, (made.get("description"), f"({', '.join(told)})")))
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema:
        made["additionalProperties"] = False
    return made


def _closed(value: Any) -> Any:
    return closed(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value
