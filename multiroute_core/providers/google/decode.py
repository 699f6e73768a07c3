"""Decoder for Gemini responses, complete and streamed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from multiroute_core.messages import Blob, Part, Raw, Reasoning, Text, ToolCallDelta, VendorPart, assemble
from multiroute_core.providers import body as bodies
from multiroute_core.providers import in_band
from multiroute_core.providers.body import array, mapping, merge_counts, word
from multiroute_core.providers.finish import finish_reason, normal_word
from multiroute_core.providers.google.pieces import Arguments
from multiroute_core.providers.google.usage import charged_searches, read_usage, search_queries
from multiroute_core.providers.provider import DONE, Encoded, NoAnswer
from multiroute_core.types import Delta, FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
UNSAID = ("FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")
"""Default enum values that Protocol Buffers write for an unset field."""

_SHAPES: Mapping[str, type] = {"text": str, "functionCall": dict, "inlineData": dict, "thought": type(None)}
"""Types that these fields of a part must have to count as content."""


def decode(body: Mapping[str, Any], encoded: Encoded) -> Delta:
    """Decode a complete `GenerateContentResponse`."""
    model = word(body.get("modelVersion"))
    counts = body["usage_metadata"] if "usage_metadata" in body else body.get("usageMetadata")
    usage = _count(counts, search_queries(_first(body)), model or encoded.model)
    candidate = _candidate(body, usage)
    if candidate is None:
        raise in_band.no_answer(body, "The answer has no candidates.", usage=usage, model=model)
    reader = _Reader(encoded, is_complete=True)
    parts = assemble(reader.read(body, candidate))
    _check(candidate, body, usage=usage, has_content=reader.said)
    finish = _finish(candidate, has_calls=reader.called)
    if finish is None:  # a complete response without a known reason still counts as complete
        if not parts:
            raise in_band.unended(body, usage=usage, model=model)
        finish = "tool_call" if reader.called else "stop"
    return Delta(parts=parts, finish_reason=finish, usage=usage, model=model, raw=body)


class GeminiDecoder:
    """Decodes a stream of `GenerateContentResponse` events into deltas. A finish reason ends the stream."""

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._reader = _Reader(encoded, is_complete=False)
        self._model = encoded.model
        self._counted: dict[str, Any] = {}
        self._queries: set[str] = set()

    def feed(self, event: Any) -> Delta | None:
        """Return the new content of one event; its token counts are cumulative."""
        if event is DONE:  # this API has its own end event
            return None
        body = bodies.event(event)
        model = word(body.get("modelVersion"))
        self._model = model or self._model
        counts = mapping(body["usage_metadata"] if "usage_metadata" in body else body.get("usageMetadata"))
        merge_counts(self._counted, counts)
        if "groundingMetadata" in (first := _first(body)):
            self._queries |= search_queries(first)
        usage = _count(self._counted, self._queries, self._model)
        candidate = _candidate(body, usage)
        if candidate is None and not counts and in_band.is_error_event(body):
            raise in_band.no_answer(body, "The event has no candidates.", usage=usage, model=model)
        candidate = candidate or {}
        parts = tuple(self._reader.read(body, candidate))
        _check(candidate, body, usage=usage, has_content=self._reader.said)
        finish = _finish(candidate, has_calls=self._reader.called)
        if finish is not None:
            self.complete = True
            parts += (*self._reader.end(), *self._reader.cut())
        return Delta(parts=parts, finish_reason=finish, usage=usage if counts else None, model=model)


class _Open:
    """A call whose arguments are still streaming."""

    def __init__(self, index: int, part: Mapping[str, Any]) -> None:
        self.index = index
        self.part = part
        self.call = mapping(part["functionCall"])
        self.arguments = Arguments()


class _Reader:
    """Reads the parts of one response, complete or in fragments.

    Attributes:
        called: Whether the response calls a tool.
        said: Whether the response has content besides thoughts.
    """

    def __init__(self, encoded: Encoded, *, is_complete: bool) -> None:
        self._encoded = encoded
        self._whole = is_complete
        self._thoughts: list[str] = []
        self._index = 0
        self._open: _Open | None = None
        self.called = self.said = False

    def read(self, body: Mapping[str, Any], candidate: Mapping[str, Any]) -> Iterator[Part]:
        """Yield the non-empty parts of a candidate."""
        for raw_part in array(mapping(candidate.get("content")).get("parts")):
            part = mapping(raw_part)
            if self._open is not None and "functionCall" in part:
                yield from self._more(self._open, mapping(part["functionCall"]))
            elif part.get("thought") and "functionCall" not in part:
                yield from self._thought(part)
            elif any(value and isinstance(value, _SHAPES.get(name, object)) for name, value in part.items()):
                self.said = True
                yield from self.end()
                yield self._part(body, part)

    def end(self) -> Iterator[Part]:
        """Yield the part that ends the preceding thoughts, if any."""
        if self._thoughts:
            yield Reasoning("", self._raw({"text": "".join(self._thoughts), "thought": True}))
            self._thoughts.clear()

    def cut(self) -> Iterator[Part]:
        """Yield the rest of an unfinished call, as invalid JSON so that it is not taken for a complete one."""
        if self._open is not None:
            yield ToolCallDelta(self._open.index, arguments=_text(self._open.arguments.made).removesuffix("}"))
            self._open = None

    def _thought(self, part: Mapping[str, Any]) -> Iterator[Part]:
        """Yield a thought. In a stream, its raw form is complete once the last fragment has arrived."""
        text = word(part.get("text")) or ""
        more = {name: value for name, value in part.items() if name not in ("text", "thought") and value}
        if more and "text" not in part and "thoughtSignature" not in part:  # an intermediate image
            yield from self.end()
            yield Reasoning("", self._raw(part))
        elif more or (text and self._whole):
            text_field = {"text": "".join((*self._thoughts, text))} if "text" in part or self._thoughts else {}
            yield Reasoning(text, self._raw({**part, **text_field}))
            self._thoughts.clear()
        elif text:
            self._thoughts.append(text)
            yield Reasoning(text)

    def _part(self, body: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
        text = part.get("text")
        call = mapping(part.get("functionCall"))
        blob = mapping(part.get("inlineData"))
        if call:
            return self._call(body, part, call)
        if blob and (data := _bytes(blob.get("data"))):
            return Blob(data, word(blob.get("mimeType")) or "application/octet-stream", raw=self._raw(part))
        more = {name for name, value in part.items() if name != "text" and value}
        if more <= {"thoughtSignature"} and (text is None or isinstance(text, str)):
            return Text(text or "", self._raw(part) if more else None)
        if isinstance(text, str) and text:
            return Text(text, self._raw(part))
        return VendorPart(self._raw(part))

    def _call(self, body: Mapping[str, Any], part: Mapping[str, Any], call: Mapping[str, Any]) -> ToolCallDelta:
        """Return a tool call. Calls arrive complete even in streams, unless the caller requested argument streaming."""
        index = self._index
        self._index = self._index + 1
        self.called = True
        call_id = word(call.get("id")) or self._call_id(body, index)
        name = word(call.get("name"))
        if call.get("willContinue") and not (self._whole and "args" in call):
            self._open = _Open(index, part)
            self._open.arguments.add(call.get("partialArgs"))
            return ToolCallDelta(index, call_id, name)
        args = call.get("args")
        return ToolCallDelta(index, call_id, name, "" if args is None else _text(args), self._raw(part))

    def _more(self, open_call: _Open, call: Mapping[str, Any]) -> Iterator[Part]:
        """Add a fragment of a call; the last one yields the call, with its raw form as if it had arrived complete."""
        open_call.arguments.add(call.get("partialArgs"))
        if not call.get("willContinue"):
            self._open = None
            arguments = open_call.arguments.made
            call_fields = {
                name: value for name, value in open_call.call.items() if name not in ("willContinue", "partialArgs")
            }
            raw = self._raw({**open_call.part, "functionCall": {**call_fields, "args": arguments}})
            yield ToolCallDelta(open_call.index, arguments=_text(arguments), raw=raw)

    def _call_id(self, body: Mapping[str, Any], index: int) -> str:
        """Derive an ID for a call without one: from the response ID, otherwise from the conversation so far."""
        seed = word(body.get("responseId")) or msgspec.json.encode(self._encoded.body.get("contents")).decode()
        return f"call_{hashlib.blake2b(f'{index} {seed}'.encode(), digest_size=12).hexdigest()}"

    def _raw(self, part: Mapping[str, Any]) -> Raw:
        return Raw("google", part, self._encoded.model, self._encoded.account)


def _count(counts: Any, queries: set[str], model: str | None) -> Usage | None:
    return read_usage(counts, charged_searches(queries, model) if queries else 0)


def _first(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first candidate, or an empty mapping."""
    return mapping(next(iter(array(body.get("candidates"))), None))


def _candidate(body: Mapping[str, Any], usage: Usage | None) -> Mapping[str, Any] | None:
    """Return the first candidate; None if there is none.

    Raises:
        WireError: If the body is an error.
        NoAnswer: If the prompt was blocked.
    """
    model = word(body.get("modelVersion"))
    if in_band.has_error(body):
        message = "The provider answered with an error under HTTP 200."
        raise in_band.as_error(body, message, usage=usage, model=model)
    candidates = array(body.get("candidates"))
    if candidates and isinstance(candidates[0], Mapping):
        return cast("Mapping[str, Any]", candidates[0])
    feedback = mapping(body.get("promptFeedback"))
    if (reason := feedback.get("blockReason")) and reason not in UNSAID:
        why = word(feedback.get("blockReasonMessage")) or "The prompt was blocked."
        raise NoAnswer(f"{why} ({reason})", body, filtered=True, usage=usage, model=model)
    return None


def _check(candidate: Mapping[str, Any], body: Mapping[str, Any], *, usage: Usage | None, has_content: bool) -> None:
    """Check that a finished candidate is a valid response.

    Args:
        candidate: The candidate.
        body: The response that contains it.
        usage: The token usage, for the error.
        has_content: Whether the response has content.

    Raises:
        WireError: If its reason reports a failure: https://ai.google.dev/api/generate-content#FinishReason
            (2026-11-28).
        UnsupportedError: If the model does not support the language.
    """
    reason = candidate.get("finishReason")
    if not reason or (isinstance(reason, str) and reason in FINISH):
        return
    model = word(body.get("modelVersion"))
    detail = candidate.get("finishMessage")
    if (
        error := in_band.failed(reason, body, has_content=has_content, detail=detail, usage=usage, model=model)
    ) is not None:
        raise error


def _finish(candidate: Mapping[str, Any], *, has_calls: bool) -> FinishReason | None:
    """Return the finish reason; None if there is none. Tool calls end with STOP, as texts do."""
    reason = candidate.get("finishReason")
    if not reason or reason in UNSAID:
        return None
    finish = FINISH.get(reason) if isinstance(reason, str) else None
    finish = finish or finish_reason(normal_word(reason)) or "other"
    return "tool_call" if has_calls and finish == "stop" else finish


def _text(arguments: Any) -> str:
    return msgspec.json.encode(arguments).decode()


def _bytes(data: Any) -> bytes | None:
    """Decode base64 of either alphabet."""
    try:
        return base64.b64decode(data.replace("-", "+").replace("_", "/"), validate=True)
    except (AttributeError, ValueError):
        return None
