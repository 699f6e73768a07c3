"""Shared helpers of the content block parsers: raw forms, bytes, URLs, files and ids."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import (
    Api,
    Blob,
    Extras,
    File,
    InvalidToolCall,
    Modality,
    Part,
    Raw,
    ToolCall,
    Uri,
    modality_of,
    tool_call,
)

Block: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[Block], Part]

_MARKS = frozenset({"cache_control", "index", "partial_json"})
"""Keys that frameworks add to a provider's block; they are not part of its raw form."""

_BESIDE: Mapping[str, tuple[str, str]] = {
    "citations": ("anthropic", "citations"),
    "title": ("anthropic", "title"),
    "context": ("anthropic", "context"),
    "detail": ("openai", "detail"),
    "prompt_cache_breakpoint": ("openai", "prompt_cache_breakpoint"),
    "video_metadata": ("google", "videoMetadata"),
    "videoMetadata": ("google", "videoMetadata"),
    "media_resolution": ("google", "mediaResolution"),
    "mediaResolution": ("google", "mediaResolution"),
}
"""Options that may accompany a file, in any block format: the provider they belong to, and its name for them.

Sources: `DocumentBlockParam` of anthropic 2.14.0, `ChatCompletionContentPartImageParam` of openai 2.54.0, `Part` of
google-genai 3.6.1, and the content blocks of the LangChain integrations, which accept these keys on the block, in its
`extras` or in its `metadata`.
"""

_BEGINNINGS = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}

_STORES = (
    ("file-", "openai"),
    ("file_", "anthropic"),
    ("files/", "google"),
    ("https://generativelanguage.googleapis.com/", "google"),
)
"""Prefixes of the ids in each provider's file store."""


def raw(wire: Api, block: Block) -> Raw:
    """Return a block in the form that its provider accepts."""
    return Raw(wire, {name: value for name, value in block.items() if name not in _MARKS})


def richer(wire: Api, block: Block, *said: str) -> Raw | None:
    """Return the raw form of a block with fields besides `said`, which the neutral part covers; None otherwise."""
    names = (name for name, value in block.items() if value is not None and name not in _MARKS)
    return raw(wire, block) if any(name not in (*said, "type") for name in names) else None


def beside(block: Block) -> Extras | None:
    """Return the options beside a file block's content, or in its `extras` or `metadata`; None if there are none."""
    extras: dict[str, dict[str, Any]] = {}
    for place in (block.get("metadata"), block.get("extras"), block):
        if not isinstance(place, Mapping):
            continue
        for name, value in cast("Block", place).items():
            if value not in (None, "auto") and (target := _BESIDE.get(name)) is not None:
                vendor, word = target
                extras.setdefault(vendor, {})[word] = _google_word(word, value) if vendor == "google" else value
    return extras or None


def _google_word(word: str, value: Any) -> Any:
    """Convert a value to Gemini's REST format: camel-case keys, the resolution as an object."""
    if word == "mediaResolution" and isinstance(value, str):
        return {"level": value}
    return {camel(name): one for name, one in cast("Block", value).items()} if isinstance(value, Mapping) else value


def cache_mark(block: Block) -> Block | None:
    """Return the cache mark on a block, or in its `extras` or `metadata`; None if there is none."""
    for place in (block, block.get("extras"), block.get("metadata")):
        if isinstance(place, Mapping) and isinstance(mark := cast("Block", place).get("cache_control"), Mapping):
            return cast("Block", mark)
    return None


def inner(block: Block, key: str) -> Block:
    """Return the object under `key`.

    Raises:
        ConfigurationError: There is no object under `key`.
    """
    inner_block = block.get(key)
    if not isinstance(inner_block, Mapping):
        raise ConfigurationError(f"A block of type {kind(block)!r} needs an object under {key!r}.")
    return cast("Block", inner_block)


def text(block: Block, key: str) -> str:
    """Return the text under `key`; None becomes an empty text.

    Raises:
        ConfigurationError: The value is not a text.
    """
    content = block.get(key)
    if content is not None and not isinstance(content, str):
        raise ConfigurationError(f"A block of type {kind(block)!r} needs a text under {key!r}.")
    return content or ""


def kind(block: Block) -> str:
    """Return a block's type for error messages."""
    return str(block.get("type") or next(iter(block), "nothing"))


def blob(data: Any, mime_type: Any, name: Any = None, form: Raw | None = None, extras: Extras | None = None) -> Blob:
    """Build a `Blob` from bytes or base64.

    Raises:
        ConfigurationError: The base64 is invalid, or the media type cannot be determined.
    """
    content = data if isinstance(data, bytes) else _decoded(data)
    media_type = mime_type if isinstance(mime_type, str) and "/" in mime_type else _guessed(content)
    if media_type is None:
        raise ConfigurationError("A block contains a file of unknown type; set its 'mime_type'.")
    return Blob(content, media_type, name if isinstance(name, str) else None, form, extras)


def _decoded(data: Any) -> bytes:
    if isinstance(data, str):
        clean = "".join(data.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        try:
            return base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ConfigurationError(
        "A block's data is not valid base64; expected a file's bytes in base64, or a Blob(bytes, …)."
    )


def _guessed(content: bytes) -> str | None:
    """Guess the media type from the first bytes."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    return next((media_type for beginning, media_type in _BEGINNINGS if content.startswith(beginning)), None)


def address(
    url: Any,
    modality: Modality,
    mime_type: Any = None,
    name: Any = None,
    form: Raw | None = None,
    extras: Extras | None = None,
) -> Part:
    """Build a `Uri` for `url`, or a `Blob` for a `data:` URL.

    Raises:
        ConfigurationError: `url` is not a URL.
    """
    if not isinstance(url, str) or ":" not in url:
        raise ConfigurationError(
            f"A block's address {str(url)[:80]!r} is not a valid URL; expected https://… or data:…."
        )
    media_type = mime_type if isinstance(mime_type, str) else None
    if not url.startswith("data:"):
        return Uri(url, media_type, modality_of(media_type) if media_type else modality, form, extras)
    head, _, data = url[len("data:") :].partition(",")
    declared_type, *how = head.split(";")
    return blob(data if "base64" in how else unquote_to_bytes(data), declared_type or media_type, name, form, extras)


def file(
    file_id: Any,
    modality: Modality,
    mime_type: Any = None,
    provider: str | None = None,
    extras: Extras | None = None,
) -> File:
    """Build a `File` in a provider's store; the provider is inferred from the id unless given.

    Raises:
        ConfigurationError: The provider cannot be inferred.
    """
    owner = provider or next((who for beginning, who in _STORES if str(file_id).startswith(beginning)), None)
    if owner is None or not isinstance(file_id, str):
        raise ConfigurationError(
            f"The provider of the file {file_id!r} is unknown; expected File(file_id, provider='openai')."
        )
    media_type = mime_type if isinstance(mime_type, str) else None
    return File(file_id, owner, media_type, modality_of(media_type) if media_type else modality, None, extras)


def call(call_id: Any, name: Any, arguments: Any, form: Raw | None = None) -> ToolCall | InvalidToolCall:
    """Build a tool call from arguments given as an object or as JSON text; a missing id becomes an empty string."""
    call_id, name = (str(one) if one is not None else "" for one in (call_id, name))
    if isinstance(arguments, Mapping):
        return ToolCall(call_id, name, cast("Block", arguments), form)
    return tool_call(call_id, name, arguments if isinstance(arguments, str) else "", form)


def camel(name: str) -> str:
    """Convert a name to camel case: Gemini's SDK uses snake case, its API camel case."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
