"""Parts as plain JSON and back, nothing lost: what adapters put into a framework's messages, and caches into a store.

The shapes are those of OpenTelemetry's GenAI message schema, with `raw` beside them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
    """Parts as JSON objects, each with its `type`.

    Example:
        >>> to_json([Text("Hello")])
        [{'type': 'text', 'content': 'Hello'}]
    """
    return [_told(part) for part in parts]


def from_json(told: Iterable[Mapping[str, Any]]) -> tuple[Part, ...]:
    """The parts that `to_json` told.

    Raises:
        KeyError: something else was given.
    """
    return tuple(_READ[one["type"]](one) for one in told)


def _told(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            made: dict[str, Any] = {"type": "text", "content": part.text}
        case Reasoning():
            made = {"type": "reasoning", "content": part.text}
        case ToolCall():
            made = {"type": "tool_call", "id": part.id, "name": part.name, "arguments": dict(part.arguments)}
        case InvalidToolCall():
            made = {
                "type": "invalid_tool_call",
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
                "error": part.error,
            }
        case ToolCallDelta():
            made = {
                "type": "tool_call_delta",
                "index": part.index,
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolCallResponse():
            made = {"type": "tool_call_response", "id": part.id, "result": to_json(part.parts), "error": part.error}
            made["name"] = part.name
        case Blob():
            made = {"type": "blob", "mime_type": part.mime_type, "content": base64.b64encode(part.data).decode()}
            made |= {"modality": part.modality, "name": part.name}
        case Uri():
            made = {"type": "uri", "uri": part.uri, "mime_type": part.mime_type, "modality": part.modality}
        case File():
            made = {"type": "file", "file_id": part.file_id, "provider": part.provider, "mime_type": part.mime_type}
            made["modality"] = part.modality
        case VendorPart():
            made = {"type": "vendor"}
        case CachePoint():
            return {"type": "cache_point", "ttl": part.ttl}
    if (extras := getattr(part, "extras", None)) is not None:
        made["extras"] = {vendor: dict(values) for vendor, values in extras.items()}
    if (raw := getattr(part, "raw", None)) is not None:
        made["raw"] = {"wire": raw.wire, "model": raw.model, "body": dict(raw.body)}
        if raw.account is not None:
            made["raw"]["account"] = raw.account
    return made


def _raw(told: Mapping[str, Any]) -> Raw | None:
    raw = told.get("raw")
    return Raw(raw["wire"], raw["body"], raw.get("model"), raw.get("account")) if raw else None


def _vendor(told: Mapping[str, Any]) -> VendorPart:
    raw = told["raw"]
    return VendorPart(Raw(raw["wire"], raw["body"], raw.get("model"), raw.get("account")))


_READ: Mapping[str, Callable[[Mapping[str, Any]], Part]] = {
    "text": lambda t: Text(t["content"], _raw(t)),
    "reasoning": lambda t: Reasoning(t["content"], _raw(t)),
    "tool_call": lambda t: ToolCall(t["id"], t["name"], t["arguments"], _raw(t)),
    "invalid_tool_call": lambda t: InvalidToolCall(t["id"], t["name"], t["arguments"], t["error"]),
    "tool_call_delta": lambda t: ToolCallDelta(t["index"], t["id"], t["name"], t["arguments"], _raw(t)),
    "tool_call_response": lambda t: ToolCallResponse(
        t["id"], from_json(t["result"]), error=t["error"], name=t["name"], raw=_raw(t)
    ),
    "blob": lambda t: Blob(base64.b64decode(t["content"]), t["mime_type"], t["name"], _raw(t), t.get("extras")),
    "uri": lambda t: Uri(t["uri"], t["mime_type"], t["modality"], _raw(t), t.get("extras")),
    "file": lambda t: File(t["file_id"], t["provider"], t["mime_type"], t["modality"], _raw(t), t.get("extras")),
    "vendor": _vendor,
    "cache_point": lambda t: CachePoint(t["ttl"]),
}
