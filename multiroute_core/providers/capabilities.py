"""Model capabilities: what a request requires and what a route supports. Pure functions.

A capability is a string: `"tools"`; `"custom_tools"` for OpenAI's custom tools with free-text input; a content type
sent as bytes (`"image"`, `"document"`, `"audio"`, `"video"`) or by URL (`"image_url"`, …); a media type that only some
models with that content type read (`"image/heic"`, `"audio/flac_url"`); `"file:openai"` for an id in a provider's file
store; `"wire:anthropic"` for content that only one API understands, such as a server tool.
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
"""Content types that each API can encode; a model may support fewer."""

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
    # https://ai.google.dev/gemini-api/docs/audio (all 2026-11-29). The Interactions API supports more, but is not used
    # here.
    "google": frozenset({"image/heic", "image/heif", "audio/aac", "audio/aiff", "audio/flac", "audio/ogg"}),
}
"""Media types that an API accepts beyond the common ones (`multiroute_core.parsing.media_types`)."""

ANY_FORMAT = "any format"
"""Capability of framework models, which decide themselves which formats they accept."""

_READS_TEXT_FILES: frozenset[Api] = frozenset({"google", "openai.responses", "langchain", "llamaindex"})
"""APIs whose providers fetch a text file from its URL."""


@dataclass(frozen=True, slots=True)
class RouteCapabilities:
    """What is known about a route when it is selected.

    Attributes:
        api: The route's API.
        offers: The supported capabilities; see the module docstring.
        window: Context window in tokens, prompt and answer together; None if unknown.
    """

    api: Api
    offers: frozenset[str]
    window: int | None = None


def required(request: Request) -> frozenset[str]:
    """Returns the capabilities that a route needs to answer `request`.

    Provider-specific content in earlier answers of a model is not required: other providers drop it.
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
            return None  # the transcript of the model's audio is a separate text part
        case Blob() | Uri() if message.role == "assistant" and part.raw is not None:
            # Media that a model generated goes back unchanged, or is described by its type, so its format does not
            # matter.
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
    """Returns the capabilities in `needs` that a route with `offers` does not support."""
    missing = needs - offers
    if missing and ANY_FORMAT in offers:
        return frozenset(word for word in missing if "/" not in word or _kind_of(word) not in offers)
    return missing


def _kind_of(word: str) -> str:
    """Returns the content type of a media type, with the suffix `_url` if `word` has it."""
    kind = modality_of(word.removesuffix("_url"))
    return f"{kind}_url" if word.endswith("_url") else kind


def _of_tool(tool: Tool | ServerTool) -> str:
    if not isinstance(tool, ServerTool):
        return "tools"
    return "custom_tools" if tool.is_custom else f"wire:{tool.api}"


def supported(provider: str, wire: Api, inputs: frozenset[str], *, tools: bool) -> frozenset[str]:
    """Returns the capabilities of a route.

    Args:
        provider: The route's provider.
        wire: The route's API.
        inputs: Content types that its model accepts, without the suffix `_url`.
        tools: Whether the model supports tools.
    """
    content = {word for word in CARRIES[wire] if word.removesuffix("_url") in inputs}
    formats = FORMATS.get(wire, frozenset({ANY_FORMAT}))
    for kind in formats:
        content.update(word for word in (kind, f"{kind}_url") if kind == ANY_FORMAT or _kind_of(word) in content)
    if "document_url" in content and wire in _READS_TEXT_FILES:
        content.add("text_url")
    custom = ("custom_tools",) if wire in ("openai.chat", "openai.responses") else ()
    return frozenset({*content, f"file:{provider}", f"wire:{wire}", *custom, *(("tools",) if tools else ())})
