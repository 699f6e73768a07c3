"""Content blocks in Anthropic's format."""

from __future__ import annotations

from collections.abc import Mapping

from multiroute_core.messages import Modality, Part, Reasoning, Text, VendorPart
from multiroute_core.parsing.reading import Block, Reader, address, beside, blob, call, file, inner, raw, richer, text


def cited(block: Block) -> Part:
    """A text; with citations it keeps its raw form."""
    return Text(text(block, "text"), raw("anthropic", block) if block.get("citations") else None)


def media(block: Block, modality: Modality) -> Part:
    """An image or document, from its `source`."""
    source = inner(block, "source")
    extras = beside(block)
    form = richer("anthropic", block, "source", "citations", "title", "context", "extras", "metadata")
    match source.get("type"):
        case "base64":
            return blob(source.get("data"), source.get("media_type"), block.get("title"), form, extras)
        case "url":
            return address(source.get("url"), modality, form=form, extras=extras)
        case "file":
            return file(source.get("file_id"), modality, provider="anthropic", extras=extras)
        case "text":
            return Text(text(source, "data"), raw("anthropic", block))
        case _:
            return VendorPart(raw("anthropic", block))


def _thinking(block: Block) -> Part:
    signed = isinstance(block.get("signature"), str) and block["signature"]  # Anthropic rejects the block without it
    return Reasoning(text(block, "thinking"), raw("anthropic", block) if signed else None)


def _tool_use(block: Block) -> Part:
    arguments = block.get("input") or block.get("partial_json")
    is_complete = isinstance(block.get("input"), Mapping)
    return call(block.get("id"), block.get("name"), arguments or {}, raw("anthropic", block) if is_complete else None)


def _vendors(block: Block) -> Part:
    return VendorPart(raw("anthropic", block))


def _compaction(block: Block) -> Part:
    """A summary of an earlier part of the conversation; OpenAI's item of the same name has an id and no content."""
    return VendorPart(raw("openai.responses" if "id" in block and "content" not in block else "anthropic", block))


READERS: Mapping[str, Reader] = {
    "thinking": _thinking,
    "redacted_thinking": lambda block: Reasoning("", raw("anthropic", block)),
    "tool_use": _tool_use,
    "server_tool_use": _vendors,
    "mcp_tool_use": _vendors,
    "mcp_tool_listing": _vendors,
    "tool_reference": lambda block: Text(f"Tool: {text(block, 'tool_name')}", raw("anthropic", block)),
    "container_upload": _vendors,
    "compaction": _compaction,
    "tool_addition": _vendors,
    "tool_removal": _vendors,
    "fallback": _vendors,
}
PATTERNS: Mapping[str, Reader] = {"*_tool_result": _vendors}
