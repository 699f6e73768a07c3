"""Provider-independent content blocks of frameworks: LangChain's standard blocks, in both versions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Extras, InvalidToolCall, Modality, Part, Raw, Reasoning, Text, VendorPart
from multiroute_core.parsing import blocks_anthropic, blocks_openai
from multiroute_core.parsing.reading import Block, Reader, address, beside, blob, call, file, text

_OLD_KEYS = {"base64": "data", "url": "url", "id": "id", "text": "text"}
"""In the older version, `source_type` selects the key that holds the content."""


def _media(block: Block, modality: Modality) -> Part:
    """Media from bytes, a URL or a file id, whichever is present."""
    mime_type = block.get("mime_type")
    extras = beside(block)
    more = block.get("extras")
    name = block.get("filename") or block.get("name") or (more.get("filename") if isinstance(more, Mapping) else None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if (source := block.get("source_type")) is not None:
        value = block.get(_OLD_KEYS.get(str(source), ""))
        content = {"base64": value} if source == "base64" else {"file_id" if source == "id" else str(source): value}
    else:
        content = block
    if content.get("text") is not None:
        return _plain_text(text(content, "text"), extras)
    if (data := content.get("base64") or content.get("data")) is not None:
        return blob(data, mime_type, name, extras=extras)
    if (url := content.get("url") or content.get("file_uri")) is not None:
        return address(url, modality, mime_type, name, extras=extras)
    if (file_id := content.get("file_id")) is not None:
        return file(file_id, modality, mime_type, extras=extras)
    raise ConfigurationError(f"A block of type {block['type']!r} has no content; expected base64, url or file_id.")


def _image(block: Block) -> Part:
    if isinstance(block.get("source"), Mapping):
        return blocks_anthropic.media(block, "image")
    return _media(block, "image")


def _file(block: Block) -> Part:
    if isinstance(block.get("file"), Mapping):
        return blocks_openai.chat_file(block)
    return _media(block, "document")


def _text(block: Block) -> Part:
    """A text; OpenAI's prompt cache mark on it is kept for OpenAI."""
    if (extras := beside(block)) is not None and (mark := extras.get("openai", {}).get("prompt_cache_breakpoint")):
        content = text(block, "text")
        return Text(content, Raw("openai.chat", {"type": "text", "text": content, "prompt_cache_breakpoint": mark}))
    return blocks_anthropic.cited(block)


def _plain(block: Block) -> Part:
    """A plain-text document, which every provider accepts as text."""
    part = _media(block, "document")
    if not (data := getattr(part, "data", None)):
        return part
    try:
        return _plain_text(data.decode(), getattr(part, "extras", None))
    except UnicodeDecodeError as error:
        raise ConfigurationError("A block of type 'text-plain' contains data that is not text.") from error


def _plain_text(content: str, extras: Extras | None) -> Text:
    """A plain-text document; with a title, context or citations it is an Anthropic document."""
    if extras is None or "anthropic" not in extras:
        return Text(content)
    source = {"type": "text", "media_type": "text/plain", "data": content}
    return Text(content, Raw("anthropic", {"type": "document", "source": source, **extras["anthropic"]}))


def _reasoning(block: Block) -> Part:
    if "summary" in block or "encrypted_content" in block:
        return blocks_openai.reasoning(block)
    return Reasoning(text(block, "reasoning"))


def _invalid_call(block: Block) -> Part:
    fields = {name: text(block, name) for name in ("id", "name", "args", "error")}
    return InvalidToolCall(
        fields["id"], fields["name"], fields["args"], fields["error"] or "The arguments are malformed."
    )


def _vendors(block: Block) -> Part:
    return VendorPart(Raw("langchain", block))


READERS: Mapping[str, Reader] = {
    "text": _text,
    "image": _image,
    "audio": partial(_media, modality="audio"),
    "video": partial(_media, modality="video"),
    "media": partial(_media, modality="document"),
    "file": _file,
    "text-plain": _plain,
    "reasoning": _reasoning,
    "tool_call": lambda block: call(block.get("id"), block.get("name"), block.get("args")),
    "invalid_tool_call": _invalid_call,
    "server_tool_call": _vendors,
    "server_tool_result": _vendors,
}
