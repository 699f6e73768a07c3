"""Token count estimates for requests, from their length. Pure.

Each provider counts differently, and none documents its method. The estimate for plain text is accurate to two fifths,
plus a few dozen tokens; it excludes tokens that providers add themselves, some hundreds for tools and for citations.
Its uses tolerate that (which context window is too small, which route is cheapest, how much of a rate limit to
reserve), and the provider's own count replaces it once available.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from multiroute_core.messages import (
    Blob,
    File,
    InvalidToolCall,
    Message,
    Modality,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.tools import Tool
from multiroute_core.types import Request, Usage

PER_MESSAGE = 4
"""Tokens of a turn besides its content: its role, and its start and end markers."""

PER_TOOL = 8

IMAGE = 1_500
"""An image at full size; providers scale larger ones down."""

PAGE = 1_500

CHARACTERS_PER_TOKEN = 12
"""More characters than a token has on average, in any language."""

LARGEST_PLACEHOLDER = 8
"""The largest output count that may be that of a response's beginning; the docs of Anthropic's streams have 1 to 3."""

BYTES_PER_TOKEN: Mapping[Modality, int] = {"document": 40, "audio": 500, "video": 400}
"""A PDF page is about 60 kB and 1,500 tokens; a second of audio 16 kB and 32 tokens; of video 120 kB and 300."""

UNSEEN: Mapping[Modality, int] = {"image": IMAGE, "document": 5_000, "audio": 2_000, "video": 20_000}
"""Media given by URL or file id: some pages, a minute."""


def estimate(request: Request) -> int:
    """Estimate the input tokens of `request`; at least 1."""
    return of(request.messages) + of_tools(request) + 1


def lacks_counts(usage: Usage | None, parts: Iterable[Part]) -> bool:
    """Whether the provider's token counts of a complete response are missing or implausible.

    No prompt has zero tokens, and no response with content does: a server that reports zero does not count.
    """
    if usage is None or not usage.input_tokens:
        return True
    return not usage.output_tokens and any(not isinstance(part, Text | Reasoning) or part.text for part in parts)


def is_placeholder(usage: Usage | None, parts: Iterable[Part]) -> bool:
    """Whether the output count of a complete response is only that of its beginning.

    Anthropic's streams begin with a count of one or a few tokens, which stays if a server sends no other; other servers
    count each chunk for itself.
    """
    if usage is None or not usage.output_tokens or usage.output_tokens > LARGEST_PLACEHOLDER:
        return False
    characters = 0
    limit = usage.output_tokens * CHARACTERS_PER_TOKEN
    for part in parts:
        if isinstance(part, Text | Reasoning):
            characters += len(part.text)
        elif isinstance(part, ToolCallDelta):
            characters += len(part.arguments or "")
        if characters > limit:
            return True
    return False


def of(messages: Iterable[Message]) -> int:
    """Estimate the tokens of `messages`."""
    return sum([PER_MESSAGE + of_parts(message.parts) for message in messages])


def of_text(text: str) -> int:
    """Estimate the tokens of a text.

    A token is four characters of English, or one of Chinese, Japanese or Korean.
    The size in UTF-8 distinguishes the scripts, without inspecting each character.
    """
    length = len(text)
    if text.isascii():
        return (length + 3) // 4
    beyond = len(text.encode("utf-8", "surrogatepass")) - length
    return (2 * length + 3 * beyond + 7) // 8


def of_parts(parts: tuple[Part, ...]) -> int:
    """Estimate the tokens of `parts`."""
    total = 0
    for part in parts:
        total += of_text(part.text) if type(part) is Text else _part(part)
    return total


def _part(part: Part) -> int:
    match part:
        case Reasoning():
            return of_text(part.text)
        case ToolCall():
            return of_text(part.name) + _json(part.arguments) + PER_TOOL
        case InvalidToolCall():
            return of_text(part.name) + of_text(part.arguments) + PER_TOOL
        case ToolCallResponse():
            return of_parts(part.parts) + PER_TOOL
        case Blob(mime_type=mime_type) if mime_type.startswith("text/") or mime_type == "application/json":
            return len(part.data) // 4
        case Blob(modality="image"):
            return IMAGE
        case Blob():
            size = len(part.data) // BYTES_PER_TOKEN[part.modality]
            return max(size, PAGE) if part.modality == "document" else size + 1
        case Uri() | File():
            return UNSEEN[part.modality]
        case VendorPart() if part.raw.api == "langchain":
            return 0  # a copy of the whole message, whose text and calls are parts of their own
        case VendorPart():
            return _json(part.raw.body)
        case _:
            return 0


def of_tools(request: Request) -> int:
    """Estimate the tokens of the tools and of the output schema, which are part of the input."""
    total = 0
    for tool in request.tools:
        if isinstance(tool, Tool):
            total += of_text(tool.name) + of_text(tool.description) + _json(tool.parameters) + PER_TOOL
        else:
            total += _json(tool.body) + PER_TOOL
    if request.output_schema is not None and request.output_schema.schema is not None:
        total += _json(request.output_schema.schema) + PER_TOOL
    return total


def _json(value: Mapping[str, Any]) -> int:
    try:
        return len(_encoder.encode(value)) // 4
    except (TypeError, ValueError, RecursionError):  # not JSON: an estimate need not raise
        try:
            return len(str(value)) // 4
        except RecursionError:
            return 1


_encoder = msgspec.json.Encoder()
