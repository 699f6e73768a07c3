"""Decoder for Chat Completions responses, complete and streamed.

Compatible servers differ: reasoning under two names, content as a list of parts, calls complete or in fragments,
without an index, without an ID, or all under index 0, and with "stop" as their finish reason.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.messages import (
    Blob,
    Part,
    Raw,
    Reasoning,
    Text,
)
from multiroute_core.providers import in_band
from multiroute_core.providers.body import array, mapping, word
from multiroute_core.providers.body import event as object_of
from multiroute_core.providers.finish import finish_reason, normal_word
from multiroute_core.providers.openai.chat_calls import Call, calls_of, is_custom, read_function, whole_call
from multiroute_core.providers.openai.chat_history import WIRE
from multiroute_core.providers.openai.message_fields import merge_fields, read_fields, reasoning_text
from multiroute_core.providers.openai.usage import StreamUsage, find_usage, with_reported
from multiroute_core.providers.provider import DONE, Encoded
from multiroute_core.types import Delta, FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}
_SOUNDS = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}


def decode(body: Mapping[str, Any], encoded: Encoded) -> Delta:
    """Decode a complete `chat.completion`."""
    usage = find_usage(body)
    model = word(body.get("model"))
    choices = array(body.get("choices"))
    if not choices or in_band.has_error(body):
        raise in_band.no_answer(body, "The answer has no choices.", usage=usage, model=model)
    choice = mapping(choices[0])
    message = mapping(choice.get("message")) or _message_elsewhere(choice)
    if "provider_metadata" in message or "provider_metadata" in choice:
        usage = with_reported(usage, message, choice)
    finish = _finish(choice, body, usage, model)
    if not message and finish is None:
        raise in_band.no_answer(body, "The choice has no message.", usage=usage, model=model)
    if "error" in message and in_band.has_error(message):
        raise in_band.no_answer(message, "The message is an error.", usage=usage, model=model)
    parts: list[Part] = []
    if fields := read_fields(message):
        parts.append(Reasoning(reasoning_text(fields), Raw(WIRE, fields, encoded.model, encoded.account)))
    text = _text(message.get("content"))
    if text is None and (refusal := word(message.get("refusal"))):
        finish = "refusal"
        parts.append(_refusal(refusal, encoded))
    if text:
        notes = array(message.get("annotations"))
        parts.append(Text(text, Raw(WIRE, {"annotations": notes}, encoded.model, encoded.account) if notes else None))
    if (audio := mapping(message.get("audio"))) and any(audio.values()):
        parts += [Text(transcript)] if (transcript := word(audio.get("transcript"))) else []
        parts.append(_sound(audio, [word(audio.get("data")) or ""], encoded))
    if not (calls := calls_of(message)) and finish == "tool_call":
        calls = _calls_elsewhere(choices)
    says = any(not isinstance(part, Reasoning) for part in parts)
    if calls:
        if not says and not any(word(read_function(call, custom=is_custom(call)).get("name")) for call in calls):
            raise in_band.missing_call(body, usage=usage, model=model)
        parts += [whole_call(call, encoded, is_cut=finish == "length" and call is calls[-1]) for call in calls]
        finish = "tool_call" if finish in ("stop", None) else finish
    elif finish == "tool_call":
        if not says:
            raise in_band.missing_call(body, usage=usage, model=model)
        finish = "stop"
    if finish is None:  # a complete response without a known reason still counts as complete
        if not parts:
            raise in_band.unended(body, usage=usage, model=model)
        finish = "stop"
    return Delta(parts=tuple(parts), finish_reason=finish, usage=usage, model=model, raw=body)


def _message_elsewhere(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message of a choice without one: a chunk's, or the text of the older completions API."""
    text = word(choice.get("text"))
    return mapping(choice.get("delta")) or ({} if text is None else {"content": text})


def _calls_elsewhere(choices: list[Any]) -> list[Mapping[str, Any]]:
    """Return the calls of the other choices: some servers put the text and the calls into two."""
    return [call for choice in map(mapping, choices[1:]) for call in calls_of(mapping(choice.get("message")))]


class ChatDecoder:
    """Decodes `chat.completion.chunk` events into deltas. A finish reason is the end; usage comes after it.

    Some servers send no finish reason. Then `[DONE]` is the end, provided that there was content before it.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._begun = self._said = False
        self._encoded = encoded
        self._refusal: list[str] = []
        self._reasoning: list[Mapping[str, Any]] = []
        self._notes: list[Any] = []
        self._audio: dict[str, Any] = {}
        self._sounds: list[str] = []
        self._calls: list[Call] = []
        self._counts = StreamUsage()

    def feed(self, event: Any) -> Delta | None:
        """Return the new content of one chunk."""
        if event is DONE:
            return self._done()
        chunk = object_of(event)
        model = word(chunk.get("model"))
        choices = array(chunk.get("choices"))
        choice: Mapping[str, Any] = mapping(choices[0]) if choices else {}
        content = mapping(choice.get("delta"))
        usage = self._count(chunk, choice, content)
        if "error" in chunk and in_band.has_error(chunk):
            message = "The provider reported an error inside the stream."
            raise in_band.as_error(chunk, message, usage=self._counts.total, model=model)
        if "error" in content and in_band.has_error(content):
            raise in_band.no_answer(content, "The delta is an error.", usage=self._counts.total, model=model)
        if not content and "delta" not in choice and choice:
            content = self._read_elsewhere(choice)
        if not choice or choice.get("index") not in (0, None, "0"):
            if not choice and usage is None and in_band.is_error_event(chunk):
                raise in_band.no_answer(chunk, "The chunk has no choices.", usage=self._counts.total, model=model)
            return Delta(usage=usage, model=model) if usage else None
        parts = self._read_delta(content)
        finish: FinishReason | None = None
        if choice.get("finish_reason") or "error" in choice:
            finish = _finish(choice, chunk, self._counts.total, model)
        if finish is not None:
            if (finish == "tool_call" or self._calls) and not self.complete:
                finish = self._check_calls(chunk, finish, model)
            is_second = self.complete
            parts += () if is_second else self._end(is_cut=finish == "length")
            self.complete = True
            finish = "refusal" if self._refusal else finish
            finish = "tool_call" if finish == "stop" and self._calls else finish
            finish = None if is_second and finish == "stop" else finish  # the first is more specific
        self._begun = self._begun or bool(parts)
        return Delta(parts=tuple(parts), finish_reason=finish, usage=usage, model=model)

    def _read_elsewhere(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the content of a chunk without a delta: a complete answer in one event, or the older API's text.

        Perplexity has a message beside each delta (open-webui/open-webui#9927, 2025-02-13), which repeats it.
        """
        message = mapping(choice.get("message"))
        return _message_elsewhere(choice) if self._begun or not message else message

    def _check_calls(self, chunk: Mapping[str, Any], finish: FinishReason, model: str | None) -> FinishReason:
        """Return the reason of an answer that ends for a tool call; it may contain none.

        Raises:
            NoAnswer: If it contains neither a call nor any text.
        """
        if self._has_nothing():
            raise in_band.missing_call(chunk, usage=self._counts.total, model=model)
        return finish if self._calls or finish != "tool_call" else "stop"

    def _has_nothing(self) -> bool:
        return not (self._said or self._refusal or self._audio or any(call.has_name for call in self._calls))

    def _count(self, chunk: Mapping[str, Any], choice: Mapping[str, Any], content: Mapping[str, Any]) -> Usage | None:
        """Return the stream's usage so far if the chunk reports any, otherwise None."""
        metadata = "provider_metadata" in content or "provider_metadata" in choice
        if not (
            chunk.get("usage")
            or "usage" in choice
            or "usage" in content
            or "x_groq" in chunk
            or "timings" in chunk
            or metadata
            or "provider_metadata" in chunk
            or "x_nanogpt_pricing" in chunk
            or "cost" in chunk
            or "usage_metadata" in chunk
            or "usageMetadata" in chunk
            or "token_usage" in chunk
            or "eval_count" in chunk
        ):
            return None
        latest = find_usage(chunk)
        if metadata:
            latest = with_reported(latest, content, choice)
        if latest is not None:
            text = content.get("content") or content.get("reasoning_content") or content.get("reasoning")
            self._counts.add(latest, len(text) if isinstance(text, str) else 0)
        return self._counts.total

    def _done(self) -> Delta | None:
        """End a response that has content at the end marker, even without a finish reason."""
        if self.complete or not (self._begun or self._calls or self._refusal):
            return None
        if self._calls and self._has_nothing():
            return None
        self.complete = True
        return Delta(
            parts=tuple(self._end()),
            finish_reason="refusal" if self._refusal else "tool_call" if self._calls else "stop",
        )

    def _read_delta(self, delta: Mapping[str, Any]) -> list[Part]:
        parts: list[Part] = []
        if fields := read_fields(delta):
            self._reasoning.append(fields)
            parts += [Reasoning(thought)] if (thought := reasoning_text(fields)) else []
        content = delta.get("content")
        text = content if isinstance(content, str) else _text(content)
        if not text and (refusal := word(delta.get("refusal"))):
            self._refusal.append(refusal)  # sent complete at the end: its fragments would pass for text
        if "audio" in delta and (audio := mapping(delta["audio"])) and any(audio.values()):
            self._sounds.append(word(audio.get("data")) or "")
            speech = word(audio.get("transcript"))
            transcript = (self._audio.get("transcript") or "") + (speech or "")
            self._audio |= {**audio, "transcript": transcript}
            text = (text or "") + (speech or "")
        if text:
            self._said = True
            if self._reasoning:
                parts += self._end_thought()
            parts.append(Text(text))
        if "annotations" in delta:
            self._notes += array(delta["annotations"])
        if "tool_calls" in delta or "function_call" in delta:
            for call in calls_of(delta):
                parts += (*self._end_thought(), *self._end_text(), *self._of(call).add(call))
        return parts

    def _of(self, piece: Mapping[str, Any]) -> Call:
        """Return the call that a fragment belongs to."""
        index = piece.get("index")
        call_id = word(piece.get("id"))
        has_name = bool(read_function(piece).get("name"))
        candidates = [call for call in self._calls if index is None or call.index == index]
        if call_id is not None and (same := [call for call in candidates if call.id == call_id]):
            return same[-1]
        fresh = not candidates or (
            has_name and (call_id is not None or index is None) and candidates[-1].id is not None
        )
        if fresh:
            self._calls.append(Call(len(self._calls), index, self._encoded))
            return self._calls[-1]
        return candidates[-1]

    def _end(self, *, is_cut: bool = False) -> list[Part]:
        """Return the closing parts, with their raw forms.

        Args:
            is_cut: Whether the response hit its token limit, so that its last call may be incomplete.
        """
        parts: list[Part] = [*self._end_thought(), *self._end_text()]
        if self._refusal:
            parts.append(_refusal("".join(self._refusal), self._encoded))
        if self._audio:
            parts.append(_sound(self._audio, self._sounds, self._encoded))
        for call in self._calls:
            parts += call.end(is_cut=is_cut and call is self._calls[-1])
        return parts

    def _end_thought(self) -> list[Part]:
        if not self._reasoning:
            return []
        fields = merge_fields(self._reasoning)
        self._reasoning = []
        return [Reasoning("", Raw(WIRE, fields, self._encoded.model, self._encoded.account))]

    def _end_text(self) -> list[Part]:
        notes = self._notes
        self._notes = []
        return (
            [Text("", Raw(WIRE, {"annotations": notes}, self._encoded.model, self._encoded.account))] if notes else []
        )


def _finish(
    choice: Mapping[str, Any], body: Mapping[str, Any], usage: Usage | None, model: str | None
) -> FinishReason | None:
    """Return the finish reason; None if there is none.

    Raises:
        WireError: If the choice's reason or its `error` reports a failure.
    """
    if "error" in choice and in_band.has_error(choice):  # OpenRouter
        message = "The provider reported that the answer failed."
        raise in_band.as_error({"error": choice["error"]}, message, usage=usage, model=model)
    if "base_resp" in body and in_band.has_failed_base(body):  # MiniMax
        raise in_band.no_answer(body, "The provider reported that the answer failed.", usage=usage, model=model)
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and (finish := FINISH.get(reason)) is not None:
        return finish
    if (error := in_band.failed(reason, body, usage=usage, model=model)) is not None:
        raise error
    name = normal_word(reason)
    return finish_reason(name) or "other" if name else None


def _refusal(text: str, encoded: Encoded) -> Text:
    return Text(text, Raw(WIRE, {"refusal": text}, encoded.model, encoded.account))


def _sound(audio: Mapping[str, Any], pieces: list[str], encoded: Encoded) -> Blob:
    """Return a spoken response. Its raw form omits the bytes, which are in the blob."""
    try:
        data = b"".join(base64.b64decode(piece) for piece in pieces)
    except binascii.Error:
        data = b""
    kind = word(mapping(encoded.body.get("audio")).get("format")) or "wav"
    metadata = {name: value for name, value in audio.items() if name != "data"}
    return Blob(
        data, _SOUNDS.get(kind, f"audio/{kind}"), raw=Raw(WIRE, {"audio": metadata}, encoded.model, encoded.account)
    )


def _text(content: Any) -> str | None:
    """Return the text of a content: a string, or for some servers a list of parts; reasoning parts are skipped."""
    if isinstance(content, list):
        parts = map(mapping, cast("list[Any]", content))
        return "".join(word(part.get("text")) or "" for part in parts if part.get("type") == "text") or None
    return word(content)
