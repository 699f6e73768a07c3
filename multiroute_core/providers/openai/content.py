"""Encodes images, documents and audio for OpenAI's two APIs."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import Blob, File, Part, Raw, Text, Uri
from multiroute_core.parsing import media_types

_AUDIO = {"audio/wav": "wav", "audio/mpeg": "mp3"}
"""Chat Completions' names of audio formats."""
_TYPES = {
    "openai.chat": ("text", "image_url", "input_audio", "file"),
    "openai.responses": ("input_text", "input_image", "input_file", "input_audio"),
}

MARK = "prompt_cache_breakpoint"
"""OpenAI's prompt cache breakpoint, valid on any message part in both of its APIs (SDK 2.54)."""


def own(part: Part, wire: str) -> dict[str, Any] | None:
    """Return the original form of a user message's part in the given API's format; None if it has none."""
    raw: Raw | None = getattr(part, "raw", None)
    if raw is None or raw.api not in _TYPES:
        return None
    if raw.api == wire and raw.body.get("type") in _TYPES[wire]:
        return dict(raw.body)
    if isinstance(part, Text) and MARK in raw.body:  # both APIs share the breakpoint but not the text type
        return {"type": _TYPES[wire][0], "text": part.text, MARK: raw.body[MARK]}
    return None


def chat(part: Part, provider: str) -> dict[str, Any] | None:
    """Encode a part of a user message for Chat Completions; None if unsupported."""
    return _convert(part, "openai.chat", provider)


def responses(part: Part, provider: str) -> dict[str, Any] | None:
    """Encode a part of a user message or tool result for Responses; None if unsupported."""
    return _convert(part, "openai.responses", provider)


def _convert(part: Part, wire: str, provider: str) -> dict[str, Any] | None:
    text = media_types.titled_text(part) if isinstance(part, Blob) else None
    if text is not None:
        block: dict[str, Any] | None = {"type": _TYPES[wire][0], "text": text}
    elif (own_block := own(part, wire)) is not None:
        return own_block
    else:
        block = (_chat if wire == "openai.chat" else _responses)(part, provider)
    if block is not None and (extras := _extras(part)):
        if "detail" in extras and block["type"] in _DETAILED:
            place = block["image_url"] if block["type"] == "image_url" else block
            place["detail"] = extras["detail"]
        if MARK in extras:
            block[MARK] = extras[MARK]
    return block


_DETAILED = ("image_url", "input_image", "input_file")
"""Block types with a `detail` field."""


def _chat(part: Part, provider: str) -> dict[str, Any] | None:
    if isinstance(part, Blob):
        part = media_types.normalize(part)
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Blob(modality="image"):
            return {"type": "image_url", "image_url": {"url": _data(part)}}
        case Blob(modality="audio"):
            encoded = base64.b64encode(part.data).decode()
            sound = {"data": encoded, "format": _AUDIO.get(part.mime_type) or part.mime_type.partition("/")[2]}
            return {"type": "input_audio", "input_audio": sound}
        case Blob(modality="document"):
            return {"type": "file", "file": {"filename": _name(part), "file_data": _data(part)}}
        case Uri(modality="image"):
            return {"type": "image_url", "image_url": {"url": part.uri}}
        case File() if part.provider == provider:
            return {"type": "file", "file": {"file_id": part.file_id}}
        case _:
            return None


def _responses(part: Part, provider: str) -> dict[str, Any] | None:
    if isinstance(part, Blob):
        part = media_types.normalize(part)
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Blob(modality="image"):
            return {"type": "input_image", "image_url": _data(part), "detail": "auto"}
        case Blob(modality="document"):
            return {"type": "input_file", "filename": _name(part), "file_data": _data(part)}
        case Uri(modality="image"):
            return {"type": "input_image", "image_url": part.uri, "detail": "auto"}
        case Uri(modality="document"):
            return {"type": "input_file", "file_url": part.uri}
        case File(modality="image") if part.provider == provider:
            return {"type": "input_image", "file_id": part.file_id, "detail": "auto"}
        case File() if part.provider == provider:
            return {"type": "input_file", "file_id": part.file_id}
        case _:
            return None


def _extras(part: Part) -> Mapping[str, Any]:
    """Return the OpenAI-specific extras of a file."""
    extras = part.extras if isinstance(part, Blob | Uri | File) else None
    return extras.get("openai", {}) if extras else {}


def _data(blob: Blob) -> str:
    return f"data:{blob.mime_type};base64,{base64.b64encode(blob.data).decode()}"


def _name(blob: Blob) -> str:
    """Return the file's name with an extension, which also identifies its type."""
    name = blob.name or "document"
    return name if "." in name else f"{name}{mimetypes.guess_extension(blob.mime_type) or ''}"
