"""Convert provider-neutral parts to LangChain's standard content blocks."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage

from multiroute_core.messages import (
    Blob,
    File,
    Modality,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    Uri,
    VendorPart,
    is_refusal,
)
from multiroute_core.providers.body import mapping

TRANSLATED: Mapping[str, str] = {"anthropic": "anthropic", "openai.responses": "openai"}
"""APIs whose native blocks LangChain can translate, with LangChain's provider names."""

KINDS: Mapping[Modality, str] = {"image": "image", "audio": "audio", "video": "video", "document": "file"}


def block(part: Part) -> dict[str, Any] | None:
    """`part` as a content block; None if it has no block (an invalid call, a cache point)."""
    match part:
        case Text() if is_refusal(part):
            return {"type": "refusal", "refusal": part.text}
        case Text():
            return {"type": "text", "text": part.text, **_about_text(part.raw)}
        case Reasoning():
            return _reasoning(part)
        case ToolCall():
            return {"type": "tool_call", "id": part.id, "name": part.name, "args": dict(part.arguments)}
        case Blob():
            content_block = {"type": KINDS[part.modality], "base64": base64.b64encode(part.data).decode()}
            content_block["mime_type"] = part.mime_type
            return content_block | _beside(part, {"filename": part.name} if part.name else {})
        case Uri():
            return {"type": KINDS[part.modality], "url": part.uri} | _typed(part.mime_type) | _beside(part, {})
        case File():
            return {"type": KINDS[part.modality], "file_id": part.file_id} | _typed(part.mime_type) | _beside(part, {})
        case VendorPart():
            return _vendors(part.raw)
        case _:
            return None


def is_cited(part: Part) -> bool:
    """Whether `part` is a text with citations, which LangChain represents only in blocks."""
    return isinstance(part, Text) and part.raw is not None and "annotations" in _about_text(part.raw)


def asks_for_citations(content: Iterable[str | dict[str, Any]]) -> bool:
    """Whether a document or search result block enables Anthropic's `citations: {"enabled": true}`."""
    for block in content:
        if isinstance(block, dict):
            setting = block.get("citations") or mapping(block.get("extras")).get("citations")
            if mapping(setting).get("enabled"):
                return True
    return False


def _beside(part: Blob | Uri | File, base_extras: dict[str, Any]) -> dict[str, Any]:
    """Provider-specific members of a file, in `extras`, where LangChain's integrations read them."""
    extras = base_extras | {name: value for values in (part.extras or {}).values() for name, value in values.items()}
    return {"extras": extras} if extras else {}


def _typed(mime_type: str | None) -> dict[str, Any]:
    return {"mime_type": mime_type} if mime_type else {}


def _about_text(raw: Raw | None) -> dict[str, Any]:
    """The citations or the signature of a text."""
    if raw is None:
        return {}
    if raw.api == "google":
        return {"extras": {"signature": sign}} if (sign := raw.body.get("thoughtSignature")) else {}
    notes = [block["annotations"] for block in _translated(raw, type="text") if block.get("annotations")]
    return {"annotations": notes[0]} if notes else {}


def _reasoning(part: Reasoning) -> dict[str, Any]:
    content_block: dict[str, Any] = {"type": "reasoning", "reasoning": part.text}
    if (raw := part.raw) is None:
        return content_block
    body = raw.body
    match raw.api:
        case "anthropic" if body.get("type") == "redacted_thinking":
            return {"type": "non_standard", "value": dict(body)}
        case "anthropic":
            extras = {"signature": body.get("signature")}
        case "openai.responses":
            content_block |= {"id": body["id"]} if body.get("id") else {}
            extras = {"encrypted_content": body.get("encrypted_content")}
        case "google":
            extras = {"signature": body.get("thoughtSignature")}
        case _:
            extras = {}
    extras = {name: value for name, value in extras.items() if value}
    return content_block | ({"extras": extras} if extras else {})


def _vendors(raw: Raw) -> dict[str, Any] | None:
    """A provider-specific part, as a standard block if LangChain can translate it."""
    if raw.api in ("langchain", "llamaindex"):
        return None
    blocks = _translated(raw)
    if len(blocks) != 1:
        return {"type": "non_standard", "value": copy.deepcopy(dict(raw.body))}
    content_block = dict(blocks[0])
    if "base64" in content_block and not content_block.get("mime_type"):  # LangChain rejects a block without one
        content_block["mime_type"] = f"image/{raw.body.get('output_format') or 'png'}"
    return content_block


def _translated(raw: Raw, **changes: Any) -> list[Mapping[str, Any]]:
    provider = TRANSLATED.get(raw.api)
    if provider is None:
        return []
    body = copy.deepcopy(dict(raw.body)) | changes  # LangChain's translators mutate their input
    message = AIMessage(content=[body], response_metadata={"model_provider": provider})
    try:
        return cast("list[Mapping[str, Any]]", message.content_blocks)
    except (LookupError, TypeError, AttributeError):
        return []  # a format that the translators do not support
