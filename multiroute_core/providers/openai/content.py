"""Pictures, documents and recordings in the words of OpenAI's two wires."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import Blob, File, Part, Raw, Text, Uri

_AUDIO = {"x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mpeg": "mp3"}
"""What Chat Completions call a recording whose media type says otherwise."""
_TYPES = {
    "openai.chat": ("text", "image_url", "input_audio", "file"),
    "openai.responses": ("input_text", "input_image", "input_file", "input_audio"),
}

MARK = "prompt_cache_breakpoint"
"""OpenAI's own mark for its prompt cache, on any part of a message in both of its APIs (SDK 2.54)."""


def own(part: Part, wire: str) -> dict[str, Any] | None:
    """A part of a user's message as the caller gave it in the wire's own words; None where it has none."""
    raw: Raw | None = getattr(part, "raw", None)
    if raw is None or raw.wire not in _TYPES:
        return None
    if raw.wire == wire and raw.body.get("type") in _TYPES[wire]:
        return dict(raw.body)
    if isinstance(part, Text) and MARK in raw.body:  # the mark is the same in both APIs, the type of a text is not
        return {"type": _TYPES[wire][0], "text": part.text, MARK: raw.body[MARK]}
    return None


def chat(part: Part, provider: str) -> dict[str, Any] | None:
    """A part of a user's message for Chat Completions; None for what it has no words for."""
    if (given := own(part, "openai.chat")) is not None:
        return given
    block = _chat(part, provider)
    if block is not None and (extras := _extras(part)):
        if "detail" in extras and block["type"] == "image_url":
            block["image_url"]["detail"] = extras["detail"]
        if MARK in extras:
            block[MARK] = extras[MARK]
    return block


def _chat(part: Part, provider: str) -> dict[str, Any] | None:
    match part:
        case Text() | Blob() if (text := _words(part)) is not None:
            return {"type": "text", "text": text}
        case Blob(modality="image"):
            return {"type": "image_url", "image_url": {"url": _data(part)}}
        case Blob(modality="audio"):
            kind = part.mime_type.partition("/")[2].lower()
            encoded = base64.b64encode(part.data).decode()
            return {"type": "input_audio", "input_audio": {"data": encoded, "format": _AUDIO.get(kind, kind)}}
        case Blob(modality="document"):
            return {"type": "file", "file": {"filename": _name(part), "file_data": _data(part)}}
        case Uri(modality="image"):
            return {"type": "image_url", "image_url": {"url": part.uri}}
        case File() if part.provider == provider:
            return {"type": "file", "file": {"file_id": part.file_id}}
        case _:
            return None


def responses(part: Part, provider: str) -> dict[str, Any] | None:
    """A part of a user's message, or of a tool's answer, for Responses; None for what it has no words for."""
    if (given := own(part, "openai.responses")) is not None:
        return given
    block = _responses(part, provider)
    if block is not None and (extras := _extras(part)):
        if "detail" in extras and block["type"] in ("input_image", "input_file"):
            block["detail"] = extras["detail"]
        if MARK in extras:
            block[MARK] = extras[MARK]
    return block


def _responses(part: Part, provider: str) -> dict[str, Any] | None:
    match part:
        case Text() | Blob() if (text := _words(part)) is not None:
            return {"type": "input_text", "text": text}
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
    """What OpenAI takes beside a file."""
    extras = part.extras if isinstance(part, Blob | Uri | File) else None
    return extras.get("openai", {}) if extras else {}


def _words(part: Text | Blob) -> str | None:
    """The text of a text, and of a document that is nothing else; files of that kind are not taken everywhere."""
    if isinstance(part, Text):
        return part.text
    return part.data.decode("utf-8", "replace") if part.mime_type.lower().startswith("text/") else None


def _data(blob: Blob) -> str:
    return f"data:{blob.mime_type};base64,{base64.b64encode(blob.data).decode()}"


def _name(blob: Blob) -> str:
    return blob.name or f"document.{blob.mime_type.rpartition('/')[2].partition(';')[0]}"
