"""What a request needs, and what a route can carry. Pure.

An ability is a word: `"tools"`; a kind of content by its bytes (`"image"`, `"document"`, `"audio"`, `"video"`) or by
its address (`"image_url"`, …); `"file:openai"` for an id in a vendor's file store; `"wire:anthropic"` for what only
one vendor understands, such as a tool that it runs itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiroute_core.messages import Blob, File, Text, Uri, VendorPart, Wire, every
from multiroute_core.tools import ServerTool
from multiroute_core.types import Request

_EVERYTHING = frozenset({f"{kind}{way}" for kind in ("image", "document", "audio", "video") for way in ("", "_url")})

CARRIES: Mapping[Wire, frozenset[str]] = {
    "anthropic": frozenset({"image", "image_url", "document", "document_url"}),
    "openai.chat": frozenset({"image", "image_url", "document", "audio"}),
    "openai.responses": frozenset({"image", "image_url", "document", "document_url"}),
    "google": _EVERYTHING,
    "langchain": _EVERYTHING,
    "llamaindex": _EVERYTHING,
}
"""The content that each wire has words for; a model may take less."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a route when it is chosen.

    Attributes:
        wire: The API that it speaks.
        offers: What it can carry; the words above.
        window: Tokens that fit in, prompt and answer together; None for unknown.
    """

    wire: Wire
    offers: frozenset[str]
    window: int | None = None


def needed(request: Request) -> frozenset[str]:
    """What a route must be able to carry to answer `request`.

    In earlier answers of a model, what only its vendor understands is left out elsewhere; so it is not needed.
    """
    found: set[str] = set()
    if request.tools:
        found.update(f"wire:{tool.wire}" if isinstance(tool, ServerTool) else "tools" for tool in request.tools)
    for message in request.messages:
        if len(message.parts) == 1 and type(message.parts[0]) is Text:
            continue
        for part in every((message,)):
            match part:
                case Blob() if message.role == "assistant" and part.raw is not None and "audio" in part.raw.body:
                    pass  # what a model said aloud stands beside it as text
                case Blob():
                    found.add(part.modality)
                case Uri():
                    found.add(f"{part.modality}_url")
                case File():
                    found.add(f"file:{part.provider}")
                case VendorPart() if message.role != "assistant":
                    found.add(f"wire:{part.raw.wire}")
                case _:
                    pass
    return frozenset(found)


def offered(provider: str, wire: Wire, inputs: frozenset[str], *, tools: bool) -> frozenset[str]:
    """What a route of `provider` on `wire` can carry, whose model takes `inputs`: kinds of content without `_url`."""
    content = {word for word in CARRIES[wire] if word.removesuffix("_url") in inputs}
    return frozenset({*content, f"file:{provider}", f"wire:{wire}", *(("tools",) if tools else ())})
