"""Messages and the parts that they are made of, in no vendor's words.

The names of parts follow OpenTelemetry's GenAI message schema: `text`, `reasoning`, `tool_call`, `tool_call_response`,
`blob`, `uri`, `file`. A part that was read from a vendor's answer keeps its `raw` form, so that it can go back to that
vendor unchanged: signatures and prompt caches live by that. Any other vendor gets it rebuilt from what is neutral in
it, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from multiroute_core._util.json_text import load_json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Api: TypeAlias = Literal["anthropic", "openai.chat", "openai.responses", "google", "langchain", "llamaindex"]
"""A vendor's API, by the JSON that it speaks; servers that are compatible speak it too. The last two are the models of
a framework that stand where a route stands."""
Modality: TypeAlias = Literal["image", "audio", "video", "document"]
Extras: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What one vendor takes beside a file, by the vendor: `"anthropic"`, `"google"`, or `"openai"` for both of its APIs."""

ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
WIRES: tuple[Api, ...] = get_args(Api)

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Raw:
    """A part as a vendor wrote it.

    Attributes:
        wire: Whose words they are.
        body: The JSON object: a content block, an output item, a part.
        model: The model that wrote it, as its route names it; None where a caller gave it. Reasoning is bound to it.
        account: The account and endpoint that it was written for, as a short digest without secrets; None for unknown.
            Encrypted reasoning and signatures are valid for that account only.
    """

    api: Api
    body: Mapping[str, Any]
    model: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of plain text; `raw` only where its vendor said more than the text, such as citations or a signature."""

    text: str
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought on the way. The text may be a summary, or empty where the vendor keeps it to itself."""

    text: str
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a tool.

    Attributes:
        id: Ties the call to its `ToolCallResponse`. Where a vendor gives none, one is made.
        name: The tool's name.
        arguments: What it is called with.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InvalidToolCall:
    """A call whose arguments are cut or no JSON object: `arguments` is what came, `error` says what is wrong."""

    id: str
    name: str
    arguments: str
    error: str

    @property
    def is_nameable(self) -> bool:
        """Whether every vendor takes the name in a history; a garbled one would make it refuse the conversation."""
        return _NAME.fullmatch(self.name) is not None

    def to_tool_call(self) -> ToolCall:
        """The call for wires whose arguments are objects: the text that came stands under a key of its own.

        Anthropic proposes the key, "Handling invalid JSON in tool responses":
        https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming (2026-11-29).
        """
        return ToolCall(self.id, self.name, {"INVALID_JSON": self.arguments})


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call in a stream.

    Attributes:
        index: Which call of the answer it belongs to, from 0 in the order of their beginnings.
        id: On the call's first piece.
        name: On the call's first piece; where a server sends it in pieces, each of them bears the next one.
        arguments: The next piece of its arguments, which together are a JSON object.
        raw: The whole call as the vendor wrote it; on its last piece.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    raw: Raw | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Blob:
    """A picture, recording, film or document by its bytes.

    Attributes:
        data: The bytes.
        mime_type: Such as `image/png`, `application/pdf`, `audio/wav`.
        name: A file name, for vendors that want one.
        extras: What one vendor takes beside it, by the vendor: `{"openai": {"detail": "high"}}`,
            `{"anthropic": {"citations": {"enabled": True}}}`, `{"google": {"videoMetadata": {"fps": 1}}}`.
    """

    data: bytes = field(repr=False)
    mime_type: str
    name: str | None = None
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None

    @property
    def modality(self) -> Modality:
        """What kind of thing it is, by its type."""
        return modality_of(self.mime_type)


@dataclass(frozen=True, slots=True)
class Uri:
    """The same by its address, which the vendor fetches."""

    uri: str
    mime_type: str | None = None
    modality: Modality = "image"
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class File:
    """The same by the id that one vendor's file store gave it; no other vendor can read it."""

    file_id: str
    provider: str
    mime_type: str | None = None
    modality: Modality = "document"
    raw: Raw | None = field(default=None, repr=False)
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class VendorPart:
    """A part that only its vendor understands: a server tool's call or result, a search result, a container."""

    raw: Raw


@dataclass(frozen=True, slots=True)
class CachePoint:
    """A mark: what stands before it in the conversation is worth keeping in the vendor's prompt cache.

    Vendors that cache by themselves, or not at all, do not get to see it.
    """

    ttl: Literal["5m", "1h"] = "5m"


@dataclass(frozen=True, slots=True, init=False)
class ToolCallResponse:
    """What a tool answered.

    Args:
        id: The id of the call.
        result: The answer: a text, or parts (text, pictures, documents).
        error: Whether the tool failed, and the result says how.
        name: The tool's name, where it is known; otherwise the call tells.
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
        """All text of the answer."""
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
        role: `"system"`, `"user"`, `"assistant"`, or `"tool"` for the answers of tools.
        content: The turn's text, or its parts in order.
        name: The participant's name, which Chat Completions alone take; None for none.

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
        """All text of the message, in order; of a tool's answers it is theirs."""
        return join(self.parts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of tools in it."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def modality_of(mime_type: str) -> Modality:
    """The kind of a media type."""
    kind = mime_type.partition("/")[0].lower()
    return cast("Modality", kind) if kind in ("image", "audio", "video") else "document"


def join(parts: Sequence[Part]) -> str:
    """The text of `parts`, without separators: streams cut texts anywhere."""
    if len(parts) == 1 and type(parts[0]) is Text:
        return parts[0].text
    return "".join(part.text for part in parts if isinstance(part, Text | ToolCallResponse))


def is_refusal(part: Part) -> bool:
    """Whether a text is a vendor's own statement that the model declines; the part that says so stands apart."""
    return isinstance(part, Text) and part.raw is not None and "refusal" in part.raw.body


def assemble(parts: Iterable[Part]) -> tuple[Part, ...]:
    """A stream's pieces as whole parts, in the order of their beginnings.

    Neighbouring pieces of text, and of reasoning, are one part; the piece that carries `raw` is a part's last one.
    Pieces of tool calls find together by their index.
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
    """A call by its arguments as JSON text; none at all is an empty object. Cut and malformed ones are kept as text."""
    try:
        payload: Any = load_json(arguments) if arguments.strip() else {}
    except ValueError as error:
        return InvalidToolCall(call_id, name, arguments, f"The arguments are no JSON: {error}.")
    if not isinstance(payload, dict):
        return InvalidToolCall(call_id, name, arguments, "The arguments are JSON, but no object.")
    if not name:
        return InvalidToolCall(call_id, name, arguments, "The call names no tool.")
    return ToolCall(call_id, name, cast("dict[str, Any]", payload), raw)


def every(messages: Iterable[Message]) -> Iterator[Part]:
    """Every part of a conversation, those inside the answers of tools too."""
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolCallResponse):
                yield from part.parts
