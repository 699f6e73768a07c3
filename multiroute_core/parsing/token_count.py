"""How many tokens a request will take, by its length. Pure.

Every vendor counts in its own way, and none says how before it is asked. Plain text is estimated to two fifths, and a
few dozen tokens; what vendors add on their own, some hundreds for tools and for citations, is not in it. What is made
of the estimate (which window is too small, which route the cheapest, how much of a limit to set aside) bears that; and
where the vendor's own count comes later, it replaces it.
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
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.tools import Tool
from multiroute_core.types import Request, Usage

PER_MESSAGE = 4
"""What a turn takes besides what is in it: its role, and the marks of its beginning and end."""

PER_TOOL = 8

IMAGE = 1_500
"""A picture at full size; the vendors scale larger ones down."""

PAGE = 1_500

BYTES_PER_TOKEN: Mapping[Modality, int] = {"document": 40, "audio": 500, "video": 400}
"""A page of a PDF is about 60 kB and 1,500 tokens; a second of sound 16 kB and 32 tokens; of film 120 kB and 300."""

UNSEEN: Mapping[Modality, int] = {"image": IMAGE, "document": 5_000, "audio": 2_000, "video": 20_000}
"""What is given by its address: some pages, a minute."""


def estimate(request: Request) -> int:
    """The tokens that `request` gives a model to read; at least 1."""
    return of(request.messages) + of_tools(request) + 1


def lacks_counts(usage: Usage | None, parts: Iterable[Part]) -> bool:
    """Whether the provider's counts of a whole answer are incomplete.

    No prompt has zero tokens, and no answer that holds something: a server that says so does not count.
    """
    if usage is None or not usage.input_tokens:
        return True
    return not usage.output_tokens and any(not isinstance(part, Text | Reasoning) or part.text for part in parts)


def of(messages: Iterable[Message]) -> int:
    """The tokens of `messages`."""
    return sum([PER_MESSAGE + of_parts(message.parts) for message in messages])


def of_text(text: str) -> int:
    """The tokens of a text: a token is four characters of English, one of Chinese, Japanese or Korean.

    What a character takes in UTF-8 tells the scripts apart, without a look at each of them.
    """
    length = len(text)
    if text.isascii():
        return (length + 3) // 4
    beyond = len(text.encode("utf-8", "surrogatepass")) - length
    return (2 * length + 3 * beyond + 7) // 8


def of_parts(parts: tuple[Part, ...]) -> int:
    """The tokens of `parts`."""
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
        case VendorPart():
            return _json(part.raw.body)
        case _:
            return 0


def of_tools(request: Request) -> int:
    """The tokens of the tools and of the form of the answer, which are read as well."""
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
    except (TypeError, ValueError, RecursionError):  # not JSON: an estimate need not complain
        try:
            return len(str(value)) // 4
        except RecursionError:
            return 1


_encoder = msgspec.json.Encoder()
