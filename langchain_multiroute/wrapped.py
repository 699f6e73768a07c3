"""Decode the responses of a wrapped LangChain chat model into deltas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    merge_content,
    message_chunk_to_message,
    message_to_dict,
)
from langchain_core.outputs import ChatGenerationChunk

from langchain_multiroute import history
from multiroute_core.messages import Part, Raw, Reasoning, Text, ToolCall, ToolCallDelta, VendorPart
from multiroute_core.providers.anthropic.decode import reopen_call
from multiroute_core.providers.any_usage import read_any_usage
from multiroute_core.providers.body import array, mapping, tier, word
from multiroute_core.providers.finish import finish_reason, normal_word
from multiroute_core.providers.in_band import failed, missing_call, unended
from multiroute_core.providers.openai.usage import merge_usage, read_usage, with_reported
from multiroute_core.providers.provider import Encoded, NoAnswer
from multiroute_core.providers.whole import to_stream
from multiroute_core.types import Delta, FinishReason, Usage

INNER = "langchain"
"""Key in `Response.raw` for the model's response metadata."""

OVER = object()
"""Sentinel after a model's last chunk: LangChain's streams have no end marker of their own."""

REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")
"""Where LangChain's classes store the finish reason: OpenAI and Google, Anthropic, Bedrock, Ollama, and OpenAI for
Responses.
"""


_ENDING = ("openai", "anthropic", "google_genai")
"""Providers that report a reason for the end of each answer, by the names in a message's metadata."""


def decode_message(message: AIMessage, encoded: Encoded) -> Delta:
    """Decode a complete response."""
    parts: list[Part] = []
    for part in history.parts(message):
        if isinstance(part, ToolCall) and part.name == encoded.output_tool:
            parts.append(Text(json.dumps(dict(part.arguments), ensure_ascii=False)))
        else:
            parts.append(part)
    about = message.response_metadata
    reason = finish_reason(normal_word(about.get("stop_reason")))
    if parts and reason == "length" and about.get("model_provider") == "anthropic":
        parts[-1] = reopen_call(parts[-1])
    if (vendor_part := _to_vendor_part(message, encoded)) is not None:
        parts.append(vendor_part)
    return _ended(message, tuple(parts))


class Merging:
    """A decoder for a model's chunks. It stores them, because the message is known only after all chunks are merged."""

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._encoded = encoded
        self._chunks: list[AIMessageChunk] = []
        self._calls: list[_Call] = []
        self._block = _OpenBlock()

    def feed(self, event: Any) -> Delta | None:
        if event is OVER:
            delta = None if self.complete else self._end()
            self.complete = True  # set last, because decoding the end may raise
            return delta
        if not isinstance(event, ChatGenerationChunk):
            delta = to_stream(decode_message(event.message, self._encoded))
            self.complete = True
            return delta
        chunk = event.message
        if not isinstance(chunk, AIMessageChunk):
            return None
        about = {**(event.generation_info or {}), **chunk.response_metadata}
        self._chunks.append(chunk.model_copy(update={"response_metadata": about}))
        ended = self._block.add(chunk)
        parts = [part for part in history.parts(_without_calls(chunk)) if self._is_visible(part)]
        parts = [Reasoning(part.text) if isinstance(part, Reasoning) else part for part in parts]
        return Delta((*ended, *parts, *(self._call(call) for call in chunk.tool_call_chunks)))

    def _is_visible(self, part: Part) -> bool:
        return bool(part.text) if isinstance(part, Text | Reasoning) else not isinstance(part, VendorPart)

    def _call(self, piece: Mapping[str, Any]) -> Part:
        """Decode a chunk of a tool call. A missing index is ignored; a repeated name counts once."""
        index = piece.get("index")
        call_id = piece.get("id") or None
        name = piece.get("name") or ""
        arguments = piece.get("args") or ""
        call = self._call_of(index, call_id, has_name=bool(name))
        fresh_id = call_id if call.id is None else None
        call.id = call.id or call_id
        name_delta = "" if name == call.name else name
        call.name += name_delta
        if self._encoded.output_tool and call.name == self._encoded.output_tool:
            return Text(arguments)
        return ToolCallDelta(call.place, fresh_id, name_delta or None, arguments)

    def _call_of(self, index: Any, call_id: str | None, *, has_name: bool) -> _Call:
        """The call that a chunk belongs to, matched as LangChain merges chunks: by index and id, and by order."""
        candidates = [call for call in self._calls if index is None or call.index == index]
        if call_id is not None and (same := [call for call in candidates if call.id == call_id]):
            return same[-1]
        latest = candidates[-1] if candidates else None
        is_other = latest is not None and call_id is not None and latest.id is not None
        if latest is None or is_other or (has_name and index is None):
            latest = _Call(len(self._calls), index)
            self._calls.append(latest)
        return latest

    def _end(self) -> Delta | None:
        if not self._chunks:
            raise NoAnswer("The chat model ended its stream without an answer.")
        first, *others = self._chunks
        message = message_chunk_to_message(first + others if others else first)
        if not isinstance(message, AIMessage):
            return None
        for name in REASONS:  # merging chunks concatenates two finish reasons
            reasons = [reason for chunk in self._chunks if (reason := chunk.response_metadata.get(name))]
            if len(reasons) > 1:
                message.response_metadata[name] = reasons[-1]
        if self._lacks_end(message):
            raise EOFError("The stream ended early: the answer is incomplete.")
        parts = (*self._block.end(), *history.parts(AIMessage("", additional_kwargs=_refusal(message))))
        vendor_part = _to_vendor_part(message, self._encoded)
        return _ended(message, parts if vendor_part is None else (*parts, vendor_part))

    def _lacks_end(self, message: AIMessage) -> bool:
        """Whether the last event of a provider's stream is missing, which the integrations do not report.

        ChatOpenAI ignores `response.failed` (ginlix-ai/LangAlpha#396, 2026-09-05), and what it makes of a stream of the
        Responses API is a list. A stream of Chat Completions may end without a reason.
        """
        about = message.response_metadata
        if any(about.get(name) for name in REASONS):
            return False
        provider = about.get("model_provider")
        if provider == "openai":
            return any(isinstance(chunk.content, list) for chunk in self._chunks)
        return provider in _ENDING


class _OpenBlock:
    """The content block that is being streamed, merged by index as LangChain merges it.

    Text and reasoning are emitted chunk by chunk. Citations, signatures and the content of server tools are complete
    only when the block ends.
    """

    def __init__(self) -> None:
        self._pieces: list[dict[str, Any]] = []
        self._provider: Any = None

    def add(self, chunk: AIMessageChunk) -> list[Part]:
        """Add the blocks of a chunk. Returns the hidden content of the blocks that end before them."""
        content = chunk.content
        ended: list[Part] = []
        if isinstance(content, str):
            return self.end() if content else ended
        self._provider = chunk.response_metadata.get("model_provider", self._provider)
        for piece in content:
            index = None if isinstance(piece, str) else piece.get("index")
            if self._pieces and index != self._pieces[0].get("index"):
                is_text = not isinstance(piece, str) and piece.get("type") == "text"
                ended += self.end(before_text=is_text)
            if isinstance(piece, dict) and piece.get("type") not in history.STANDARD:
                self._pieces.append(piece)
        return ended

    def end(self, *, before_text: bool = False) -> list[Part]:
        """Close the block and return the content that has not been emitted.

        Args:
            before_text: Whether the next block is a text: two text blocks stay separate, since citations belong to one.
        """
        pieces = self._pieces
        self._pieces = []
        if not pieces:
            return []
        first, *others = ([piece] for piece in pieces)
        block = merge_content(cast("Any", first), *cast("Any", others)) if others else first
        message = AIMessage(cast("Any", block), response_metadata={"model_provider": self._provider})
        parts = [hidden for part in history.parts(message) if (hidden := _unshown(part)) is not None]
        text = pieces[0].get("text") if before_text and pieces[0].get("type") == "text" else None
        if text is not None and not parts and self._provider == "anthropic":
            parts.append(Text("", Raw("anthropic", {"type": "text", "text": message.text})))
        return parts


def _unshown(part: Part) -> Part | None:
    """What a complete part holds beyond its text, which has already been emitted; None if nothing."""
    match part:
        case VendorPart():
            return part
        case Text() | Reasoning() if part.raw is not None and part.raw.api == "anthropic":
            return replace(part, text="")
        case _:
            return None


@dataclass(slots=True)
class _Call:
    """A streamed tool call."""

    place: int
    index: Any
    id: str | None = None
    name: str = ""


def _ended(message: AIMessage, parts: Sequence[Part]) -> Delta:
    about = message.response_metadata
    usage = _usage(message)
    model = about.get("model_name") or about.get("model")
    return Delta(
        tuple(parts), finish_reason=_finish(message, usage, model), usage=usage, model=model, raw={INNER: about}
    )


def _finish(message: AIMessage, usage: Usage | None, model: Any) -> FinishReason:
    """The finish reason.

    Raises:
        WireError: the response failed according to its finish reason.
    """
    about = message.response_metadata
    reason = next((reason for name in REASONS if (reason := about.get(name))), None)
    name = normal_word(reason)
    if name == "incomplete":
        name = normal_word(mapping(about.get("incomplete_details")).get("reason")) or name
    if (
        error := failed(name, about, has_content=_says(message), detail=_detail(about), usage=usage, model=word(model))
    ) is not None:
        raise error
    if not name and about.get("model_provider") in _ENDING and not _says(message):
        raise unended(about, usage=usage, model=word(model))
    finish = (finish_reason(name) or "other") if name else "stop"
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    if (calls or finish == "tool_call") and not any(call.get("name") for call in calls):
        if not message.text and not _refusal(message):
            raise missing_call(about, usage=usage, model=word(model))
        finish = "stop" if finish == "tool_call" and not calls else finish
    if finish in ("stop", "other") and (_refusal(message) or _has_refusal(message.content)):
        return "refusal"  # ChatOpenAI reports the refusal separately from the finish reason
    return "tool_call" if message.tool_calls and finish == "stop" else finish


def _refusal(message: AIMessage) -> dict[str, Any]:
    """The refusal that ChatOpenAI stores in `additional_kwargs`."""
    refusal = message.additional_kwargs.get("refusal")
    return {"refusal": refusal} if isinstance(refusal, str) and refusal else {}


def _has_refusal(content: Any) -> bool:
    """Whether a content block is a refusal."""
    return isinstance(content, list) and any(mapping(block).get("type") == "refusal" for block in array(content))


def _says(message: AIMessage) -> bool:
    return bool(message.content or message.tool_calls or message.invalid_tool_calls)


def _detail(about: Mapping[str, Any]) -> Any:
    """The provider's explanation of the finish reason: Google's `finish_message`, or the error of a failed response."""
    return about.get("finish_message") or mapping(about.get("error")).get("message")


def _usage(message: AIMessage) -> Usage | None:
    """LangChain's token counts, completed from the provider's usage object for counts that LangChain does not have."""
    about = message.response_metadata
    token_usage = next((counts for name in _OWN_COUNTS if (counts := mapping(about.get(name)))), None)
    model = word(about.get("model_name")) or word(about.get("model"))
    own = None if token_usage is None else read_any_usage(token_usage, tier(about.get("service_tier")), model=model)
    own = with_reported(own, about)
    usage_metadata = mapping(message.usage_metadata)
    usage = read_usage(usage_metadata, tier(about.get("service_tier"))) if usage_metadata else None
    if usage is None or own is None:
        return usage or own
    # LangChain's counts are the same or lack some, such as those of Anthropic's compactions.
    return merge_usage(usage, own) if own.total_tokens > usage.total_tokens else merge_usage(own, usage)


_OWN_COUNTS = ("token_usage", "usage", "usage_metadata")
"""Fields of the provider's usage object: of OpenAI's models, Anthropic's, and Google's."""


def _to_vendor_part(message: AIMessage, encoded: Encoded) -> VendorPart | None:
    """The message itself, to send back to the same model; None for plain text, which needs no copy."""
    if isinstance(message.content, str) and not message.additional_kwargs:
        return None
    return VendorPart(Raw("langchain", message_to_dict(message), encoded.model))


def _without_calls(chunk: AIMessageChunk) -> AIMessage:
    """The chunk without its tool call chunks and without the blocks that repeat them."""
    content = chunk.content
    if chunk.tool_call_chunks and isinstance(content, list):
        content = [one for one in content if isinstance(one, str) or one.get("type") not in history.CALLS]
    return AIMessage(
        content=content,
        additional_kwargs={k: v for k, v in chunk.additional_kwargs.items() if k == "reasoning_content"},
        response_metadata=chunk.response_metadata,
    )
