"""Encodes a conversation as Gemini's `contents`: alternating user and model turns, tool results right after calls."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from multiroute_core.messages import (
    Blob,
    File,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.parsing import media_types
from multiroute_core.providers.body import mapping, word
from multiroute_core.providers.ids import tool_call_id
from multiroute_core.providers.models import Model

UNSIGNED = "skip_thought_signature_validator"
"""Placeholder for the thought signature of a call that Gemini did not make.

Gemini 3 rejects a step whose first call has no signature; Google documents this value for calls of other origin. It
goes into the field as is, as Google's own Gemini CLI sends it. It is base64 already (32 letters of the URL-safe
alphabet), so encoding it would send a different value, though others reportedly do that and get through.
"""

FILES = "https://generativelanguage.googleapis.com/v1beta/"
"""Base URL of files with IDs such as `files/abc`; the API requires the full URL."""

_INSIDE = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
"""Media types allowed inside a tool result, for models that support media there."""


def contents(messages: Iterable[Message], model: str, traits: Model) -> list[dict[str, Any]]:
    """Return the turns of `messages`. The messages are not changed; parts that go back verbatim are copied.

    Adjacent messages of one role form one turn. All results of one turn's calls come first in the next turn, in the
    order of the calls, wherever they were in the conversation.
    """
    talk = _Conversation(model, traits)
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        for part in message.parts:
            match part:
                case ToolCall():
                    talk.call(part)
                case InvalidToolCall() if part.is_nameable:
                    talk.call(part.to_tool_call())
                case ToolCallResponse():
                    talk.answer(part)
                case _:
                    talk.say(role, _convert_part(part, model, traits))
    return talk.turns()


@dataclass(frozen=True, slots=True)
class _Call:
    """A call waiting for its result: its turn, its position among the calls, and its ID."""

    turn: int
    place: int
    name: str
    wire_id: str | None


class _Conversation:
    """Builds the turns."""

    def __init__(self, model: str, traits: Model) -> None:
        self._model = model
        self._traits = traits
        self._turns: list[dict[str, Any]] = []
        self._calls: dict[str, _Call] = {}
        self._answers: dict[int, list[tuple[int, dict[str, Any], list[dict[str, Any]]]]] = {}
        self._places = 0

    def say(self, role: str, parts: list[dict[str, Any]]) -> None:
        """Add parts to the current turn if it belongs to `role`, otherwise to a new turn."""
        if parts:
            self._open(role)["parts"].extend(parts)

    def call(self, call: ToolCall) -> None:
        """Add a call and register it for its result."""
        raw = _own(call.raw)
        self._open("model")["parts"].append(dict(raw) if raw is not None else _function_call(call))
        wire_id = tool_call_id(call.id) if raw is None else word(mapping(raw.get("functionCall")).get("id"))
        self._places += 1
        self._calls[call.id] = _Call(len(self._turns) - 1, self._places, call.name, wire_id)

    def answer(self, answer: ToolCallResponse) -> None:
        """Put a result after its call. Gemini rejects a result without a call, so it becomes plain text."""
        media = [part for part in answer.parts if not isinstance(part, Text)]
        call = self._calls.pop(answer.id, None)
        if call is None:
            self.say("user", [{"text": answer.text}] if answer.text else [])
            self.say("user", self._beside(media))
            return
        if call.turn == len(self._turns) - 1:
            self._open("user")
        inside = [part for part in media if isinstance(part, Blob) and media_types.type_of(part) in _INSIDE]
        if not self._traits.media_in_answers:
            inside = []
        response: dict[str, Any] = {"name": call.name, "response": _result(answer)}
        if call.wire_id is not None:
            response["id"] = call.wire_id
        if inside:
            response["parts"] = [_inline(blob) for blob in inside]
        raw = _own(answer.raw)
        answer_part = dict(raw) if raw is not None else {"functionResponse": response}
        beside = self._beside(part for part in media if not any(part is blob for blob in inside))
        self._answers.setdefault(call.turn, []).append((call.place, answer_part, [] if raw is not None else beside))

    def turns(self) -> list[dict[str, Any]]:
        """Return all turns with results and signatures in place."""
        for turn, entries in self._answers.items():
            entries.sort(key=lambda answer: answer[0])
            answers = [answer_part for _, answer_part, _ in entries]
            self._turns[turn + 1]["parts"][:0] = [*answers, *(part for _, _, beside in entries for part in beside)]
        if self._traits.signed_calls:
            for turn in self._turns:
                _sign(turn["parts"])
        return self._turns

    def _open(self, role: str) -> dict[str, Any]:
        if not self._turns or self._turns[-1]["role"] != role:
            self._turns.append({"role": role, "parts": []})
        return self._turns[-1]

    def _beside(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        return [wire_part for part in parts for wire_part in _convert_part(part, self._model, self._traits)]


def _own(raw: Raw | None) -> Mapping[str, Any] | None:
    """Return the part as Gemini wrote it; None if another provider wrote it."""
    return raw.body if raw is not None and raw.api == "google" else None


def _convert_part(part: Part, model: str, traits: Model) -> list[dict[str, Any]]:
    """Convert a part that is neither a call nor a result. Parts specific to another provider are dropped."""
    match part:
        case Text():
            return _text(part)
        case Reasoning(raw=Raw(api="google") as raw) if traits.reasoning != "none" and raw.model in (None, model):
            return [dict(raw.body)]
        case Blob() | Uri() | File() | VendorPart() if (raw := _own(part.raw)) is not None:
            return [dict(raw)]
        case Blob():
            return [_content(part) | _beside(part)]
        case Uri():
            kind = _type_of(part.mime_type) or mimetypes.guess_type(urlsplit(part.uri).path)[0]
            return [_file(part.uri, kind) | _beside(part)]
        case File(provider="google"):
            address = f"{FILES}{part.file_id}" if part.file_id.startswith("files/") else part.file_id
            return [_file(address, part.mime_type) | _beside(part)]
        case _:
            return []


def _text(part: Text) -> list[dict[str, Any]]:
    """Convert a text. If its last fragment is signed, the text is split so that the signature stays on its fragment.

    A text that was edited since is sent unsigned.
    """
    raw = _own(part.raw)
    signed = "" if raw is None else word(raw.get("text")) or ""
    if raw is None or not part.text.endswith(signed):
        return [{"text": part.text}] if part.text else []
    before = part.text.removesuffix(signed)
    return [*([{"text": before}] if before else []), dict(raw)]


def _beside(part: Blob | Uri | File) -> dict[str, Any]:
    """Return the video metadata and the media resolution from `extras`."""
    return dict(part.extras.get("google", {})) if part.extras else {}


_TEXT_FILES = frozenset({"text/plain", "text/csv", "text/html", "text/markdown"})
"""Text types accepted as files; others are sent as text:
https://ai.google.dev/gemini-api/docs/document-processing (2026-11-29).
"""


def _content(blob: Blob) -> dict[str, Any]:
    """Return media inline; as text if it is a named text file or a text type that Gemini rejects."""
    if (media_types.type_of(blob) in _TEXT_FILES and not blob.name) or (text := media_types.titled_text(blob)) is None:
        return _inline(blob)
    return {"text": text}


def _inline(blob: Blob) -> dict[str, Any]:
    kind = media_types.type_of(blob)
    text = media_types.text_of(blob)
    data = blob.data if text is None else text.encode()  # the media type carries no charset
    return {"inlineData": {"mimeType": _NAMES.get(kind, kind), "data": base64.b64encode(data).decode()}}


_NAMES = {"audio/mpeg": "audio/mp3"}
"""Gemini's names of media types ("MP3 - audio/mp3"): https://ai.google.dev/gemini-api/docs/audio (2026-11-29)."""


def _type_of(mime_type: str | None) -> str | None:
    return None if mime_type is None else _NAMES.get(kind := media_types.canonical(mime_type), kind)


def _file(uri: str, mime_type: str | None) -> dict[str, Any]:
    return {"fileData": {"fileUri": uri, **({"mimeType": mime_type} if mime_type else {})}}


def _function_call(call: ToolCall) -> dict[str, Any]:
    return {"functionCall": {"id": tool_call_id(call.id), "name": call.name, "args": dict(call.arguments)}}


def _result(answer: ToolCallResponse) -> dict[str, Any]:
    """Return a tool's result as the JSON object that Gemini requires; an object is passed unchanged."""
    if answer.error:
        return {"error": answer.text}
    try:
        content: Any = msgspec.json.decode(answer.text)
    except (msgspec.DecodeError, UnicodeEncodeError):  # the latter for half of a surrogate pair
        content = None
    return dict(mapping(content)) if isinstance(content, dict) else {"result": answer.text}


def _sign(parts: list[dict[str, Any]]) -> None:
    """Sign the first call of a step. Gemini does not sign further parallel calls.

    Gemini checks only the steps of the current turn. All steps are signed anyway; otherwise the beginning of the
    conversation would change with the next turn, which breaks prompt caching.
    """
    for place, part in enumerate(parts):
        if "functionCall" in part:
            if not part.get("thoughtSignature"):
                parts[place] = {**part, "thoughtSignature": UNSIGNED}
            return
