"""What a request needs, and what a route can carry. Pure.

An ability is a word: `"tools"`; `"custom_tools"` for OpenAI's, which take free text; a kind of content by its bytes
(`"image"`, `"document"`, `"audio"`, `"video"`) or by its address (`"image_url"`, …); a media type that not everyone
reads who reads its kind (`"image/heic"`, `"audio/flac_url"`); `"file:openai"` for an id in a vendor's file store;
`"wire:anthropic"` for what only one vendor understands, such as a tool that it runs itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiroute_core.messages import Api, Blob, File, Message, Part, Text, Uri, VendorPart, every, modality_of
from multiroute_core.parsing import media_types
from multiroute_core.tools import ServerTool, Tool
from multiroute_core.types import Request

_EVERYTHING = frozenset({f"{kind}{way}" for kind in ("image", "document", "audio", "video") for way in ("", "_url")})

CARRIES: Mapping[Api, frozenset[str]] = {
    "anthropic": frozenset({"image", "image_url", "document", "document_url"}),
    "openai.chat": frozenset({"image", "image_url", "document", "audio"}),
    "openai.responses": frozenset({"image", "image_url", "document", "document_url"}),
    "google": _EVERYTHING,
    "langchain": _EVERYTHING,
    "llamaindex": _EVERYTHING,
}
"""The content that each wire has words for; a model may take less."""

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OFFICE_TYPES = frozenset(
    {
        f"{_OFFICE}wordprocessingml.document",
        f"{_OFFICE}presentationml.presentation",
        f"{_OFFICE}spreadsheetml.sheet",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.oasis.opendocument.text",
    }
)

FORMATS: Mapping[Api, frozenset[str]] = {
    # Images are PNG, JPEG, GIF or WebP, and documents PDF or plain text: anthropic 2.14.0, `Base64ImageSourceParam`,
    # `Base64PDFSourceParam` and `PlainTextSourceParam`.
    "anthropic": frozenset({"image/gif"}),
    # "Chat Completions accepts only PDF files as file content parts":
    # https://developers.openai.com/api/docs/guides/file-inputs (2026-11-29). Audio is WAV or MP3: openai 2.54.0,
    # `ChatCompletionContentPartInputAudioParam`.
    "openai.chat": frozenset({"image/gif"}),
    # Office files besides PDF and text: https://developers.openai.com/api/docs/guides/file-inputs (2026-11-29)
    "openai.responses": frozenset({"image/gif", *_OFFICE_TYPES}),
    # No GIF: https://ai.google.dev/gemini-api/docs/image-understanding and
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/send-multimodal-prompts; audio:
    # https://ai.google.dev/gemini-api/docs/audio (all 2026-11-29). The Interactions API, which is not used here, takes
    # more.
    "google": frozenset({"image/heic", "image/heif", "audio/aac", "audio/aiff", "audio/flac", "audio/ogg"}),
}
"""The media types that a wire takes besides those that everyone reads (`multiroute_core.parsing.media_types`)."""

ANY_FORMAT = "any format"
"""The ability of models of a framework: which formats they take is theirs to know."""

_READS_TEXT_FILES: frozenset[Api] = frozenset({"google", "openai.responses", "langchain", "llamaindex"})
"""Wires whose vendors fetch a text from its address."""


@dataclass(frozen=True, slots=True)
class RouteCapabilities:
    """What is known of a route when it is chosen.

    Attributes:
        wire: The API that it speaks.
        offers: What it can carry; the words above.
        window: Tokens that fit in, prompt and answer together; None for unknown.
    """

    api: Api
    offers: frozenset[str]
    window: int | None = None


def required(request: Request) -> frozenset[str]:
    """What a route must be able to carry to answer `request`.

    In earlier answers of a model, what only its vendor understands is left out elsewhere; so it is not needed.
    """
    abilities: set[str] = set()
    if request.tools:
        abilities.update(_of_tool(tool) for tool in request.tools)
    for message in request.messages:
        if len(message.parts) == 1 and type(message.parts[0]) is Text:
            continue
        for part in every((message,)):
            if (ability := _ability_of(part, message)) is not None:
                abilities.add(ability)
    return frozenset(abilities)


def _ability_of(part: Part, message: Message) -> str | None:
    match part:
        case Blob() if message.role == "assistant" and part.raw is not None and "audio" in part.raw.body:
            return None  # what a model said aloud stands beside it as text
        case Blob() | Uri() if message.role == "assistant" and part.raw is not None:
            # What a model made goes back as it came, or is told by its kind; its format binds nobody.
            return part.modality if isinstance(part, Blob) else f"{part.modality}_url"
        case Blob() | Uri():
            return media_types.ability_of(part)
        case File():
            return f"file:{part.provider}"
        case VendorPart() if message.role != "assistant":
            return f"wire:{part.raw.api}"
        case _:
            return None


def lacking(needs: frozenset[str], offers: frozenset[str]) -> frozenset[str]:
    """What of `needs` a route does not support that supports `offers`."""
    missing = needs - offers
    if missing and ANY_FORMAT in offers:
        return frozenset(word for word in missing if "/" not in word or _kind_of(word) not in offers)
    return missing


def _kind_of(word: str) -> str:
    """The kind of content that a media type belongs to, by its bytes or by its address as `word` is."""
    kind = modality_of(word.removesuffix("_url"))
    return f"{kind}_url" if word.endswith("_url") else kind


def _of_tool(tool: Tool | ServerTool) -> str:
    if not isinstance(tool, ServerTool):
        return "tools"
    return "custom_tools" if tool.is_custom else f"wire:{tool.api}"


def supported(provider: str, wire: Api, inputs: frozenset[str], *, tools: bool) -> frozenset[str]:
    """What a route of `provider` on `wire` can carry, whose model takes `inputs`: kinds of content without `_url`."""
    content = {word for word in CARRIES[wire] if word.removesuffix("_url") in inputs}
    formats = FORMATS.get(wire, frozenset({ANY_FORMAT}))
    for kind in formats:
        content.update(word for word in (kind, f"{kind}_url") if kind == ANY_FORMAT or _kind_of(word) in content)
    if "document_url" in content and wire in _READS_TEXT_FILES:
        content.add("text_url")
    custom = ("custom_tools",) if wire in ("openai.chat", "openai.responses") else ()
    return frozenset({*content, f"file:{provider}", f"wire:{wire}", *custom, *(("tools",) if tools else ())})
