"""Message serialization to the JSON schemas of OpenTelemetry's GenAI conventions.

Binary data is omitted, and so are the parts of URLs that may carry a signature or a password. Provider-specific data is
omitted too: server tools may contain the keys of other servers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.tools import ServerTool, Tool
from multiroute_core.types import Request, Response


def of_request(request: Request) -> dict[str, str]:
    """Returns the request's messages and tools as span attributes."""
    messages = [_message(message) for message in request.messages]
    attributes = {"gen_ai.input.messages": _json(messages)}
    if request.tools:
        attributes["gen_ai.tool.definitions"] = _json([_tool(tool) for tool in request.tools])
    return attributes


def of_response(response: Response) -> dict[str, str]:
    """Returns the response's message as span attributes."""
    message = _message(Message("assistant", response.parts))
    return {"gen_ai.output.messages": _json([message | {"finish_reason": response.finish_reason or "error"}])}


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": _parts(message.parts)}


def _parts(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts if not isinstance(part, CachePoint)]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "content": part.text}
        case Reasoning():
            return {"type": "reasoning", "content": part.text}
        case ToolCall() | InvalidToolCall():
            arguments = dict(part.arguments) if isinstance(part.arguments, Mapping) else part.arguments
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}
        case ToolCallResponse():
            only_text = all(isinstance(inner, Text) for inner in part.parts)
            response = part.text if only_text else _parts(part.parts)
            return {"type": "tool_call_response", "id": part.id, "response": response}
        case Blob():
            size = {"content": "", "size": len(part.data)}
            return {"type": "blob", "modality": part.modality, "mime_type": part.mime_type} | size
        case Uri():
            return {"type": "uri", "modality": part.modality, "mime_type": part.mime_type, "uri": _address(part.uri)}
        case File():
            return {"type": "file", "modality": part.modality, "mime_type": part.mime_type, "file_id": part.file_id}
        case VendorPart():
            return {"type": "vendor", "api": part.raw.api}
        case ToolCallDelta() | CachePoint():  # carries no content in a complete message
            return {"type": "none"}


def _address(uri: str) -> str:
    """Returns a URL without credentials, query and fragment."""
    try:
        split = urlsplit(uri)
    except ValueError:
        return ""
    if not split.netloc:
        return f"{split.scheme}:"
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


def _tool(tool: Tool | ServerTool) -> dict[str, str]:
    if isinstance(tool, Tool):
        return {"type": "function", "name": tool.name}
    kind = str(tool.body.get("type") or next(iter(tool.body), tool.api))
    return {"type": kind, "name": str(tool.body.get("name", kind))}


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be exported
