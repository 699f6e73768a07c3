"""What the readers of content blocks share: raw forms, bytes, addresses, files and ids."""

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
"""What frameworks put on a vendor's block, and what is told apart from it."""

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
"""What may stand beside a file, in any spelling of the block: whose word it is, and how that vendor writes it.

Sources: `DocumentBlockParam` of anthropic 2.14.0, `ChatCompletionContentPartImageParam` of openai 2.54.0, `Part` of
google-genai 3.6.1, and the content blocks of the LangChain integrations, which take these words on the block, in its
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
"""How the ids of each vendor's file store begin."""


def raw(wire: Api, block: Block) -> Raw:
    """A block as its vendor takes it."""
    return Raw(wire, {name: value for name, value in block.items() if name not in _MARKS})


def richer(wire: Api, block: Block, *said: str) -> Raw | None:
    """The raw form of a block that says more than what is `said` of it in neutral words; None for any other."""
    names = (name for name, value in block.items() if value is not None and name not in _MARKS)
    return raw(wire, block) if any(name not in (*said, "type") for name in names) else None


def beside(block: Block) -> Extras | None:
    """What stands beside the content of a file's block, or in its `extras` or `metadata`; None for nothing."""
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
    """A value as Gemini's REST API writes it: keys in its case, the resolution as an object."""
    if word == "mediaResolution" and isinstance(value, str):
        return {"level": value}
    return {camel(name): one for name, one in cast("Block", value).items()} if isinstance(value, Mapping) else value


def cache_mark(block: Block) -> Block | None:
    """The cache mark on a block, or in its `extras` or `metadata`; None for none."""
    for place in (block, block.get("extras"), block.get("metadata")):
        if isinstance(place, Mapping) and isinstance(mark := cast("Block", place).get("cache_control"), Mapping):
            return cast("Block", mark)
    return None


def inner(block: Block, key: str) -> Block:
    """The object under `key`.

    Raises:
        ConfigurationError: there is none.
    """
    inner_block = block.get(key)
    if not isinstance(inner_block, Mapping):
        raise ConfigurationError(f"A block of type {kind(block)!r} needs an object under {key!r}.")
    return cast("Block", inner_block)


def text(block: Block, key: str) -> str:
    """The text under `key`; a None is an empty one.

    Raises:
        ConfigurationError: it is something else.
    """
    content = block.get(key)
    if content is not None and not isinstance(content, str):
        raise ConfigurationError(f"A block of type {kind(block)!r} needs a text under {key!r}.")
    return content or ""


def kind(block: Block) -> str:
    """What to call a block."""
    return str(block.get("type") or next(iter(block), "nothing"))


def blob(data: Any, mime_type: Any, name: Any = None, form: Raw | None = None, extras: Extras | None = None) -> Blob:
    """A file's content, given as bytes or as base64.

    Raises:
        ConfigurationError: the base64 is not valid, or the kind of the file is not to be known.
    """
    content = data if isinstance(data, bytes) else _decoded(data)
    media_type = mime_type if isinstance(mime_type, str) and "/" in mime_type else _guessed(content)
    if media_type is None:
        raise ConfigurationError("A block holds a file of unknown kind; say its 'mime_type'.")
    return Blob(content, media_type, name if isinstance(name, str) else None, form, extras)


def _decoded(data: Any) -> bytes:
    if isinstance(data, str):
        clean = "".join(data.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        try:
            return base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ConfigurationError("A block's data is no valid base64; give a file's bytes encoded so, or a Blob(bytes, …).")


def _guessed(content: bytes) -> str | None:
    """The media type by the first bytes."""
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
    """What stands at `url`; a `data:` URL holds the bytes themselves.

    Raises:
        ConfigurationError: it is no URL.
    """
    if not isinstance(url, str) or ":" not in url:
        raise ConfigurationError(f"A block's address is {str(url)[:80]!r}, no URL; give https://… or data:….")
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
    """A file in a vendor's store; whose, is told by its id.

    Raises:
        ConfigurationError: it is not to be known whose it is.
    """
    owner = provider or next((who for beginning, who in _STORES if str(file_id).startswith(beginning)), None)
    if owner is None or not isinstance(file_id, str):
        raise ConfigurationError(f"Whose file is {file_id!r}? Give it as File(file_id, provider='openai').")
    media_type = mime_type if isinstance(mime_type, str) else None
    return File(file_id, owner, media_type, modality_of(media_type) if media_type else modality, None, extras)


def call(call_id: Any, name: Any, arguments: Any, form: Raw | None = None) -> ToolCall | InvalidToolCall:
    """A call of a tool, its arguments given as an object or as JSON text; where there is no id, it stays empty."""
    call_id, name = (str(one) if one is not None else "" for one in (call_id, name))
    if isinstance(arguments, Mapping):
        return ToolCall(call_id, name, cast("Block", arguments), form)
    return tool_call(call_id, name, arguments if isinstance(arguments, str) else "", form)


def camel(name: str) -> str:
    """A name in Gemini's case; its SDK writes underscores, its API does not."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
