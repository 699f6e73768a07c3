"""Convert single content blocks of LlamaIndex to MultiRoute's parts, and back."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import IOBase
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import filetype  # pyright: ignore[reportMissingTypeStubs]
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.base.llms.types import CachePoint as CacheBlock
from pydantic_core import from_json

from multiroute_core import (
    Blob,
    CachePoint,
    ConfigurationError,
    InvalidToolCall,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    Uri,
)
from multiroute_core.messages import Modality, Part, join, tool_call

_UNKNOWN = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/octet-stream"}
"""Default media types if detection fails, for providers that require one."""


def part_of(block: ContentBlock) -> Part:
    """Convert a block to a part, without changing it.

    Raises:
        ConfigurationError: the block is empty, its file cannot be read, or its type is unknown.
    """
    for kind, read in _READ.items():
        if isinstance(block, kind):
            return read(cast("Any", block))
    raise ConfigurationError(
        f"A {type(block).__name__} is not supported; expected text, media, thinking or tool calls."
    )


def block_of(part: Part) -> ContentBlock | None:
    """Convert a part to a block; None if LlamaIndex has no block for it."""
    match part:
        case Text():
            return TextBlock(text=part.text)
        case Reasoning():
            return _thought(part)
        case ToolCall():
            return ToolCallBlock(tool_call_id=part.id, tool_name=part.name, tool_kwargs=dict(part.arguments))
        case InvalidToolCall():
            return ToolCallBlock(tool_call_id=part.id, tool_name=part.name, tool_kwargs=part.arguments)
        case Blob():
            return _blob(part)
        case Uri():
            return _uri(part)
        case CachePoint():
            return CacheBlock(cache_control=CacheControl(type="ephemeral", ttl=part.ttl))
        case _:
            return None


def arguments_of(raw_arguments: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The arguments of a call, from a mapping or JSON; truncated JSON is parsed as far as possible."""
    if isinstance(raw_arguments, Mapping):
        return dict(raw_arguments)
    try:
        arguments: Any = from_json(raw_arguments, allow_partial="trailing-strings") if raw_arguments else None
    except ValueError:
        return {}
    return cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {}


def _thinking(block: ThinkingBlock) -> Reasoning:
    """Convert reasoning. Only Anthropic's signature is read; LlamaIndex's other integrations use different fields."""
    signature = block.additional_information.get("signature")
    if not isinstance(signature, str) or not signature:
        return Reasoning(block.content or "")
    body = {"type": "thinking", "thinking": block.content or "", "signature": signature}
    return Reasoning(block.content or "", Raw("anthropic", body))


def _thought(part: Reasoning) -> ThinkingBlock:
    if part.raw is not None and part.raw.api == "llamaindex":
        return ThinkingBlock.model_validate(part.raw.body)
    signature = part.raw.body.get("signature") if part.raw is not None and part.raw.api == "anthropic" else None
    extras = {"signature": signature} if isinstance(signature, str) else {}
    return ThinkingBlock(content=part.text, additional_information=extras)


def _call(block: ToolCallBlock) -> ToolCall | InvalidToolCall:
    return call_of(block.tool_call_id or "", block.tool_name, block.tool_kwargs)


def call_of(call_id: str, name: str, arguments: Mapping[str, Any] | str | None) -> ToolCall | InvalidToolCall:
    """Build a call from arguments as a mapping or JSON; truncated or malformed JSON is stored as text."""
    if isinstance(arguments, str):
        return tool_call(call_id, name, arguments)
    return ToolCall(call_id, name, dict(arguments or {}))


def _citable(block: CitableBlock) -> Text:
    """A citable source: Anthropic has a native block for it, other providers get it as text."""
    parts = [part_of(inner) for inner in block.content]
    text = join(parts)
    content = [{"type": "text", "text": part.text} for part in parts if isinstance(part, Text)]
    body = {"type": "search_result", "title": block.title, "source": block.source, "content": content}
    raw = Raw("anthropic", {**body, "citations": {"enabled": True}}) if content else None
    return Text(f"{block.title} ({block.source}):\n{text}", raw)


def _citation(block: CitationBlock) -> Part:
    return part_of(block.cited_content)


def _image(block: ImageBlock) -> Blob | Uri:
    part = _media("image", block, block.image, block.path, block.url, block.image_mimetype)
    if block.detail in (None, "auto"):
        return part
    return replace(part, extras={"openai": {"detail": block.detail}})  # only OpenAI has this setting


def _audio(block: AudioBlock) -> Blob | Uri:
    kind = block.format
    if kind is not None and "/" not in kind:
        kind = "audio/mpeg" if kind == "mp3" else f"audio/{kind}"
    return _media("audio", block, block.audio, block.path, block.url, kind)


def _video(block: VideoBlock) -> Blob | Uri:
    return _media("video", block, block.video, block.path, block.url, block.video_mimetype)


def _document(block: DocumentBlock) -> Blob | Uri:
    return _media("document", block, block.data, block.path, block.url, block.document_mimetype, block.title)


def _media(
    modality: Modality,
    block: ContentBlock,
    data: bytes | IOBase | None,
    path: Any,
    url: Any,
    mime_type: str | None,
    name: str | None = None,
) -> Blob | Uri:
    """Read bytes, a file or a URL, in LlamaIndex's order of precedence."""
    if data:
        content = _unpacked(data)
    elif path:
        try:
            content = Path(str(path)).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{type(block).__name__}: cannot read {path} ({error.strerror}).") from error
        mime_type = mime_type or mimetypes.guess_type(str(path))[0]
    elif str(url or "").startswith("data:"):
        head, _, tail = str(url)[5:].partition(",")
        content = base64.b64decode(tail) if head.endswith(";base64") else unquote_to_bytes(tail)
        mime_type = mime_type or head.partition(";")[0]
    elif url:
        return Uri(str(url), mime_type, modality)
    else:
        raise ConfigurationError(f"A {type(block).__name__} is empty; expected bytes, a path or a url.")
    return Blob(content, mime_type or _guessed(content, modality), name)


def _unpacked(data: bytes | IOBase) -> bytes:
    """The raw bytes of a block's data: LlamaIndex stores bytes as base64, and files as open handles."""
    if isinstance(data, IOBase):
        place = data.tell()
        data.seek(0)
        content: bytes = data.read()
        data.seek(place)
        return content
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        return data


def _guessed(data: bytes, modality: Modality) -> str:
    if guess := cast("Any", filetype).guess(data):
        return str(guess.mime)
    try:
        data.decode()
    except UnicodeDecodeError:
        return _UNKNOWN[modality]
    return "text/plain" if modality == "document" else _UNKNOWN[modality]


def _blob(part: Blob) -> ContentBlock:
    data = base64.b64encode(part.data)  # raw bytes that look like base64 would be decoded
    match part.modality:
        case "image":
            return ImageBlock(image=data, image_mimetype=part.mime_type, detail=_detail(part))
        case "audio":
            return AudioBlock(audio=data, format=_format(part.mime_type))
        case "video":
            return VideoBlock(video=data, video_mimetype=part.mime_type)
        case "document":
            return DocumentBlock(data=data, document_mimetype=part.mime_type, title=part.name)


def _uri(part: Uri) -> ContentBlock:
    match part.modality:
        case "image":
            return ImageBlock(url=part.uri, image_mimetype=part.mime_type, detail=_detail(part))
        case "audio":
            return AudioBlock(url=part.uri, format=part.mime_type and _format(part.mime_type))
        case "video":
            return VideoBlock(url=part.uri, video_mimetype=part.mime_type)
        case "document":
            return DocumentBlock(url=part.uri, document_mimetype=part.mime_type)


def _detail(part: Blob | Uri) -> str | None:
    return part.extras.get("openai", {}).get("detail") if part.extras else None


def _format(mime_type: str) -> str:
    kind = mime_type.partition("/")[2].removeprefix("x-")
    return "mp3" if kind == "mpeg" else kind


_READ: Mapping[type[ContentBlock], Callable[[Any], Part]] = {
    TextBlock: lambda block: Text(block.text),
    ImageBlock: _image,
    AudioBlock: _audio,
    VideoBlock: _video,
    DocumentBlock: _document,
    ThinkingBlock: _thinking,
    ToolCallBlock: _call,
    CacheBlock: lambda block: CachePoint("1h" if block.cache_control.ttl == "1h" else "5m"),
    CitableBlock: _citable,
    CitationBlock: _citation,
}
