"""Messages and their parts, independent of any provider.

The names of parts follow OpenTelemetry's GenAI message schema: `text`, `reasoning`, `tool_call`, `tool_call_response`,
`blob`, `uri`, `file`. A part decoded from a provider's response keeps its `raw` form, so that it can be sent back to
that provider unchanged, which signatures and prompt caches require. For other providers it is rebuilt from the neutral
fields, or dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from multiroute_core._util.json_text import load_json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Api: TypeAlias = Literal["anthropic", "openai.chat", "openai.responses", "google", "langchain", "llamaindex"]
"""A provider API, identified by its JSON format; compatible servers use it too. The last two are framework models used
as routes."""
Modality: TypeAlias = Literal["image", "audio", "video", "document"]
Extras: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Options for a file that only one provider takes, by provider: `"anthropic"`, `"google"`, or `"openai"` for both of
its APIs."""

ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
WIRES: tuple[Api, ...] = get_args(Api)

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Raw:
    """A part in a provider's own format.

    Attributes:
        api: The API whose format it is.
        body: The JSON object: a content block, an output item, a part.
        model: The model that produced it, as its route names it; None if the caller supplied it. Reasoning is bound to
            the model.
        account: Digest, without secrets, of the account and endpoint it was issued for; None if unknown. Encrypted
            reasoning and signatures are valid only for that account.
    """

    api: Api
    body: Mapping[str, Any]
    model: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text; `raw` is set only if the provider sent more than the text, such as citations or a signature."""

    text: str
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A model's reasoning. The text may be a summary, or empty if the provider does not disclose it."""

    text: str
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call requested by the model.

    Attributes:
        id: Links the call to its `ToolCallResponse`. Generated if the provider sends none.
        name: The tool's name.
        arguments: The arguments of the call.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InvalidToolCall:
    """A tool call whose arguments are truncated or not a JSON object.

    `arguments` is the text received, `error` says what is wrong.
    """

    id: str
    name: str
    arguments: str
    error: str

    @property
    def is_nameable(self) -> bool:
        """Whether every provider accepts the name in a history; a garbled one would make it reject the conversation."""
        return _NAME.fullmatch(self.name) is not None

    def to_tool_call(self) -> ToolCall:
        """Convert to a call for APIs whose arguments are objects: the text received is stored under a reserved key.

        Anthropic proposes the key, "Handling invalid JSON in tool responses":
        https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming (2026-11-29).
        """
        return ToolCall(self.id, self.name, {"INVALID_JSON": self.arguments})


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call in a stream.

    Attributes:
        index: Index of the call in the response, from 0 in the order of first pieces.
        id: On the call's first piece.
        name: On the call's first piece; if a server sends the name in pieces, each carries the next one.
        arguments: The next piece of the arguments; all pieces together are a JSON object.
        raw: The whole call in the provider's format; on its last piece.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Blob:
    """An image, audio, video or document as bytes.

    Attributes:
        data: The bytes.
        mime_type: Such as `image/png`, `application/pdf`, `audio/wav`.
        name: A file name, for providers that require one.
        extras: Provider-specific options, by provider: `{"openai": {"detail": "high"}}`, `{"anthropic": {"citations":
            {"enabled": True}}}`, `{"google": {"videoMetadata": {"fps": 1}}}`.
    """

    data: bytes = field(repr=False)
    mime_type: str
    name: str | None = None
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None

    @property
    def modality(self) -> Modality:
        """The modality, derived from `mime_type`."""
        return modality_of(self.mime_type)


@dataclass(frozen=True, slots=True)
class Uri:
    """An image, audio, video or document by URL, which the provider fetches."""

    uri: str
    mime_type: str | None = None
    modality: Modality = "image"
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class File:
    """An image, audio, video or document by its id in one provider's file store; other providers cannot read it."""

    file_id: str
    provider: str
    mime_type: str | None = None
    modality: Modality = "document"
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class VendorPart:
    """A part that only its own provider understands: a server tool's call or result, a search result, a container."""

    raw: Raw


@dataclass(frozen=True, slots=True)
class CachePoint:
    """A prompt cache breakpoint: the conversation up to here is worth caching by the provider.

    It is not sent to providers that cache automatically or not at all.
    """

    ttl: Literal["5m", "1h"] = "5m"


@dataclass(frozen=True, slots=True, init=False)
class ToolCallResponse:
    """The result of a tool call.

    Args:
        id: The id of the call.
        result: The result: a text, or parts (text, images, documents).
        error: Whether the tool failed; the result then describes the error.
        name: The tool's name, if known; otherwise it is taken from the call.
    """

    id: str
    parts: tuple[Part, ...]
    error: bool
    name: str | None
    raw: Raw | None = field(default=None, repr=False)

    def __init__(
        self,
        id: str,  # noqa: A002  (its name in the schema)
        result: str | Iterable[Part],
        *,
        error: bool = False,
        name: str | None = None,
        raw: Raw | None = None,
    ) -> None:
        parts = (Text(result),) if isinstance(result, str) else tuple(result)
        for key, value in (("id", id), ("parts", parts), ("error", error), ("name", name), ("raw", raw)):
            object.__setattr__(self, key, value)

    @property
    def text(self) -> str:
        """All text of the result."""
        return join(self.parts)


Part: TypeAlias = (
    Text
    | Reasoning
    | ToolCall
    | InvalidToolCall
    | ToolCallDelta
    | ToolCallResponse
    | Blob
    | Uri
    | File
    | VendorPart
    | CachePoint
)
PARTS = get_args(Part)


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """One turn of a conversation.

    Args:
        role: `"system"`, `"user"`, `"assistant"`, or `"tool"` for tool results.
        content: The turn's text, or its parts in order.
        name: The participant's name, which only Chat Completions supports; None if there is none.

    Example:
        >>> Message("user", "Hello").text
        'Hello'
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None

    def __init__(self, role: Role, content: str | Iterable[Part], name: str | None = None) -> None:
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "parts", (Text(content),) if isinstance(content, str) else tuple(content))
        object.__setattr__(self, "name", name)

    @property
    def text(self) -> str:
        """All text of the message in order, including the text of tool results."""
        return join(self.parts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in the message."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def modality_of(mime_type: str) -> Modality:
    """Return the modality of a media type."""
    kind = mime_type.partition("/")[0].lower()
    return cast("Modality", kind) if kind in ("image", "audio", "video") else "document"


def join(parts: Sequence[Part]) -> str:
    """Concatenate the text of `parts` without separators, since streams split text anywhere."""
    if len(parts) == 1 and type(parts[0]) is Text:
        return parts[0].text
    return "".join(part.text for part in parts if isinstance(part, Text | ToolCallResponse))


def is_refusal(part: Part) -> bool:
    """Whether the part is a provider's explicit refusal, which it sends as a separate part."""
    return isinstance(part, Text) and part.raw is not None and "refusal" in part.raw.body


def assemble(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Assemble the pieces of a stream into whole parts, in the order in which they began.

    Adjacent pieces of text, and of reasoning, are merged into one part; the piece that carries `raw` ends a part.
    Pieces of tool calls are merged by their index.
    """
    assembly: list[Part] = []
    calls: dict[int, tuple[int, list[ToolCallDelta]]] = {}
    texts: list[str] = []

    def end_text(raw: Raw | None = None) -> None:
        if texts and isinstance(last := assembly[-1], Text | Reasoning):
            assembly[-1] = replace(last, text="".join(texts), raw=raw)
            texts.clear()

    for part in parts:
        if isinstance(part, ToolCallDelta):
            end_text()
            if part.index not in calls:
                calls[part.index] = (len(assembly), [])
                assembly.append(part)
            calls[part.index][1].append(part)
        elif isinstance(part, Text | Reasoning):
            if not texts or type(assembly[-1]) is not type(part):
                end_text()
                assembly.append(part)
            texts.append(part.text)
            if part.raw is not None:
                end_text(part.raw)
        else:
            end_text()
            assembly.append(part)
    end_text()
    for place, pieces in calls.values():
        raw = next((piece.raw for piece in reversed(pieces) if piece.raw is not None), None)
        name = "".join(piece.name for piece in pieces if piece.name)
        call_id = next((piece.id for piece in pieces if piece.id), "")
        assembly[place] = tool_call(call_id, name, "".join(piece.arguments for piece in pieces), raw)
    return tuple(assembly)


def tool_call(call_id: str, name: str, arguments: str, raw: Raw | None = None) -> ToolCall | InvalidToolCall:
    """Build a tool call from its arguments as JSON text; empty text means an empty object.

    Truncated and malformed arguments are kept as text.
    """
    try:
        payload: Any = load_json(arguments) if arguments.strip() else {}
    except ValueError as error:
        return InvalidToolCall(call_id, name, arguments, f"The arguments are not valid JSON: {error}.")
    if not isinstance(payload, dict):
        return InvalidToolCall(call_id, name, arguments, "The arguments are not a JSON object.")
    if not name:
        return InvalidToolCall(call_id, name, arguments, "The call does not name a tool.")
    return ToolCall(call_id, name, cast("dict[str, Any]", payload), raw)


def every(messages: Iterable[Message]) -> Iterator[Part]:
    """Yield every part of a conversation, including those inside tool results."""
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolCallResponse):
                yield from part.parts
