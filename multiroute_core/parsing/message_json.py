"""Serialization of message parts to plain JSON and back, without loss.

Adapters store the result in framework messages, caches in their store. The format is OpenTelemetry's GenAI message
schema, with `raw` added.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)


def to_json(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Serialize parts to JSON objects, each with its `type`.

    Example:
        >>> to_json([Text("Hello")])
        [{'type': 'text', 'content': 'Hello'}]
    """
    return [_part_to_json(part) for part in parts]


def from_json(objects: Iterable[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Deserialize the output of `to_json`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The input has another format.
    """
    return tuple(_READ[one["type"]](one) for one in objects)


def _part_to_json(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            fields: dict[str, Any] = {"type": "text", "content": part.text}
        case Reasoning():
            fields = {"type": "reasoning", "content": part.text}
        case ToolCall():
            fields = {"type": "tool_call", "id": part.id, "name": part.name, "arguments": dict(part.arguments)}
        case InvalidToolCall():
            fields = {
                "type": "invalid_tool_call",
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
                "error": part.error,
            }
        case ToolCallDelta():
            fields = {
                "type": "tool_call_delta",
                "index": part.index,
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolCallResponse():
            fields = {"type": "tool_call_response", "id": part.id, "result": to_json(part.parts), "error": part.error}
            fields["name"] = part.name
        case Blob():
            fields = {"type": "blob", "mime_type": part.mime_type, "content": base64.b64encode(part.data).decode()}
            fields |= {"modality": part.modality, "name": part.name}
        case Uri():
            fields = {"type": "uri", "uri": part.uri, "mime_type": part.mime_type, "modality": part.modality}
        case File():
            fields = {"type": "file", "file_id": part.file_id, "provider": part.provider, "mime_type": part.mime_type}
            fields["modality"] = part.modality
        case VendorPart():
            fields = {"type": "vendor"}
        case CachePoint():
            return {"type": "cache_point", "ttl": part.ttl}
    if (extras := getattr(part, "extras", None)) is not None:
        fields["extras"] = {vendor: dict(values) for vendor, values in extras.items()}
    if (raw := getattr(part, "raw", None)) is not None:
        fields["raw"] = {"api": raw.api, "model": raw.model, "body": dict(raw.body)}
        if raw.account is not None:
            fields["raw"]["account"] = raw.account
    return fields


def _raw(fields: Mapping[str, Any]) -> Raw | None:
    raw = fields.get("raw")
    return _to_raw(raw) if raw else None


def _to_raw(raw: Any) -> Raw:
    model = raw.get("model")
    account = raw.get("account")
    return Raw(_string(raw["api"]), _object(raw["body"]), _optional(model), _optional(account))  # pyright: ignore[reportArgumentType]


def _string(value: Any) -> str:
    """Return `value`, which comes from a store or a framework's message and must be a string.

    Raises:
        TypeError: It is not a string, which would fail later and far from here.
    """
    if not isinstance(value, str):
        raise TypeError(f"a part contains a {type(value).__name__}; expected a string")
    return value


def _optional(value: Any) -> Any:
    return None if value is None else _string(value)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a part contains a {type(value).__name__}; expected an object")
    return cast("Mapping[str, Any]", value)


def _extras(fields: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]] | None:
    extras = fields.get("extras")
    return None if extras is None else {vendor: _object(values) for vendor, values in _object(extras).items()}


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a part contains a {type(value).__name__}; expected an index")
    return value


def _response(fields: Mapping[str, Any]) -> ToolCallResponse:
    result = fields["result"]
    raw = _raw(fields)
    if not isinstance(result, list | tuple):
        raise TypeError(f"a part contains a {type(result).__name__}; expected a list of parts")
    parts = from_json(cast("list[Mapping[str, Any]]", result))
    return ToolCallResponse(
        _string(fields["id"]), parts, error=bool(fields["error"]), name=_optional(fields["name"]), raw=raw
    )


_READ: Mapping[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": lambda t: Text(_string(t["content"]), _raw(t)),
    "reasoning": lambda t: Reasoning(_string(t["content"]), _raw(t)),
    "tool_call": lambda t: ToolCall(_string(t["id"]), _string(t["name"]), _object(t["arguments"]), _raw(t)),
    "invalid_tool_call": lambda t: InvalidToolCall(
        _string(t["id"]), _string(t["name"]), _string(t["arguments"]), _string(t["error"])
    ),
    "tool_call_delta": lambda t: ToolCallDelta(
        _index(t["index"]), _optional(t["id"]), _optional(t["name"]), _string(t["arguments"]), _raw(t)
    ),
    "tool_call_response": _response,
    "blob": lambda t: Blob(
        base64.b64decode(t["content"]), _string(t["mime_type"]), _optional(t["name"]), _raw(t), _extras(t)
    ),
    "uri": lambda t: Uri(_string(t["uri"]), _optional(t["mime_type"]), t["modality"], _raw(t), _extras(t)),
    "file": lambda t: File(
        _string(t["file_id"]), _string(t["provider"]), _optional(t["mime_type"]), t["modality"], _raw(t), _extras(t)
    ),
    "vendor": lambda t: VendorPart(_to_raw(t["raw"])),
    "cache_point": lambda t: CachePoint(t["ttl"]),
}
