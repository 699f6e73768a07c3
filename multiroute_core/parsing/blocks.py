"""Content blocks of all supported formats, parsed into parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import PARTS, CachePoint, Part, Raw, Text, ToolCallResponse, VendorPart, join
from multiroute_core.options import unknown
from multiroute_core.parsing import blocks_anthropic, blocks_google, blocks_openai, blocks_standard
from multiroute_core.parsing.reading import Block, Reader, cache_mark, inner, raw, richer, text


def part(block: Any) -> Part:
    """Parse a string, a part, or a block in the format of LangChain, OpenAI, Anthropic or Gemini.

    `parts` handles a cache mark on the block.

    Raises:
        ConfigurationError: The block has an unknown format, or its content is invalid.
    """
    if isinstance(block, str):
        return Text(block)
    if isinstance(block, PARTS):
        return cast("Part", block)
    if not isinstance(block, Mapping):
        raise ConfigurationError(f"A content block is a {type(block).__name__}; expected a string, a part or a dict.")
    block = cast("Block", block)
    kind = block.get("type")
    if isinstance(kind, str):
        if (read := _reader(kind)) is None:
            raise unknown("type of content", kind, READERS)
        return read(block)
    if any(name in block for name in ("cachePoint", "cache_point")):
        return CachePoint()
    if (match := blocks_google.reader(block)) is not None:
        return match[0](match[1])
    keys = ", ".join(map(repr, block)) or "none"
    raise ConfigurationError(f"A content block has no type (its keys: {keys}); expected {{'type': 'text', 'text': …}}.")


def parts(content: Any) -> tuple[Part, ...]:
    """Parse a message's content: a text, or blocks; a block with a cache mark is followed by a `CachePoint`.

    Raises:
        ConfigurationError: A block has an unknown format.
    """
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        return (part(content),)
    content_parts: list[Part] = []
    for block in cast("Iterable[Any]", content):
        content_parts.append(part(block))
        if isinstance(block, Mapping) and (point := cache_point(cast("Block", block))) is not None:
            content_parts.append(point)
    return tuple(content_parts)


def cache_point(block: Block) -> CachePoint | None:
    """Return the cache mark on a block or on a message as a `CachePoint`; None if there is none."""
    mark = cache_mark(block)
    return None if mark is None else CachePoint("1h" if mark.get("ttl") == "1h" else "5m")


def _tool_result(block: Block) -> Part:
    """Anthropic's tool result."""
    form = richer("anthropic", block, "tool_use_id", "content", "is_error")
    content = parts(block.get("content"))
    failed = bool(block.get("is_error"))
    return ToolCallResponse(text(block, "tool_use_id"), content, error=failed, raw=form)


def _function_call_output(block: Block) -> Part:
    """The tool result of OpenAI's Responses API."""
    return ToolCallResponse(text(block, "call_id"), parts(block.get("output")))


def _document(block: Block) -> Part:
    """Anthropic's document; one that consists of texts becomes a text for other providers."""
    if (source := inner(block, "source")).get("type") == "content":
        content = parts(source.get("content"))
        if all(isinstance(one, Text) for one in content):
            return Text(join(content), raw("anthropic", block))
    return blocks_anthropic.media(block, "document")


def _search_result(block: Block) -> Part:
    """Anthropic's citable source; other providers receive it as text."""
    content = parts(block.get("content"))
    if not all(isinstance(one, Text | CachePoint) for one in content):
        return VendorPart(raw("anthropic", block))
    head = " ".join(filter(None, (text(block, "title"), f"({source})" if (source := text(block, "source")) else "")))
    return Text("\n".join(filter(None, (f"{head}:" if head else "", join(content)))), raw("anthropic", block))


def _non_standard(block: Block) -> Part:
    """A block that a framework wrapped because it did not recognize it."""
    value = block.get("value")
    is_readable = isinstance(value, Mapping) and _reader(cast("Block", value).get("type")) is not None
    return part(value) if is_readable else VendorPart(Raw("langchain", block))


def _reader(kind: Any) -> Reader | None:
    if not isinstance(kind, str):
        return None
    return READERS.get(kind) or next((read for pattern, read in PATTERNS.items() if fnmatchcase(kind, pattern)), None)


READERS: Mapping[str, Reader] = {
    **blocks_anthropic.READERS,
    **blocks_openai.READERS,
    **blocks_standard.READERS,
    "tool_result": _tool_result,
    "function_call_output": _function_call_output,
    "custom_tool_call_output": _function_call_output,
    "document": _document,
    "search_result": _search_result,
    "non_standard": _non_standard,
}
"""Parsers by block type. Those defined here may contain other blocks."""

PATTERNS: Mapping[str, Reader] = {**blocks_anthropic.PATTERNS, **blocks_openai.PATTERNS}
"""Parsers by a pattern of the type: blocks that only their provider understands, of which new ones appear every
month."""
