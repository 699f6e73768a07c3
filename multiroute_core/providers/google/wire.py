"""Gemini's `generateContent`, as its REST API writes it; both of Google's SDKs carry the same bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.messages import Message, Text
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.types import Delta, FinishReason, Request, Usage

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
"""What Protocol Buffers write where nothing was said."""


def encode(request: Request, model: str, traits: Model, *, stream: bool) -> Encoded:
    """The body of `POST /v1beta/models/{model}:generateContent`, or of its stream."""
    dropped: list[str] = []
    temperature, top_p = sampling(request, traits, dropped)
    stop = list(request.stop) or None
    if stop and not traits.stop:
        dropped.append("stop: the model takes no stop sequences")
        stop = None
    body: dict[str, Any] = {"contents": [turn for message in request.turns if (turn := _content(message))["parts"]]}
    if system := request.instructions:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    given = {
        "temperature": temperature,
        "topP": top_p,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": stop,
        "seed": request.seed,
    }
    if config := {name: value for name, value in given.items() if value is not None}:
        body["generationConfig"] = config
    name = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return Encoded(f"{name}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}", body, tuple(dropped))


def _content(message: Message) -> dict[str, Any]:
    role = "model" if message.role == "assistant" else "user"
    return {
        "role": role,
        "parts": [{"text": part.text} for part in message.parts if isinstance(part, Text) and part.text],
    }


def decode(body: Mapping[str, Any]) -> Delta:
    """A whole `GenerateContentResponse`."""
    candidate = _candidate(body)
    if candidate is None:
        raise NoAnswer("The answer has no candidates.", body)
    parts = _parts(candidate)
    return Delta(
        parts=_texts(parts),
        finish_reason=_finish(candidate, called=_calls(parts)) or "other",
        usage=usage(body.get("usageMetadata")),
        model=word(body.get("modelVersion")),
        raw=body,
    )


class GeminiDecoder:
    """Makes deltas of a stream's `GenerateContentResponse`s. A finish reason is the end."""

    def __init__(self) -> None:
        self.complete = False
        self._called = False
        self._counted: dict[str, Any] = {}

    def feed(self, event: Any) -> Delta | None:
        """What is new in one event; its counts are those of the whole stream so far."""
        if not isinstance(event, Mapping):
            raise WireError(f"An event of the stream is a JSON {type(event).__name__}, not an object.", event)
        body = cast("Mapping[str, Any]", event)
        candidate = _candidate(body) or {}
        counted = mapping(body.get("usageMetadata"))
        self._counted.update((name, value) for name, value in counted.items() if value is not None)
        parts = _parts(candidate)
        self._called = self._called or _calls(parts)
        finish = _finish(candidate, called=self._called)
        self.complete = self.complete or finish is not None
        return Delta(
            parts=_texts(parts),
            finish_reason=finish,
            usage=usage(self._counted) if counted else None,
            model=word(body.get("modelVersion")),
        )


def usage(counted: Any) -> Usage | None:
    """Tokens in normal form: the prompt includes what was cached, the candidates leave out what was thought."""
    counted = mapping(counted)
    if not counted:
        return None
    read = _sum(count(counted.get("promptTokenCount")), count(counted.get("toolUsePromptTokenCount")))
    thought = count(counted.get("thoughtsTokenCount"))
    written = _sum(count(counted.get("candidatesTokenCount")), thought)
    total = count(counted.get("totalTokenCount"))
    if thought is None and read is not None and total is not None:
        # The older SDK does not know what was thought, but it is in the total.
        written = max(written or 0, total - read)
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cache_read_tokens=count(counted.get("cachedContentTokenCount")),
        reasoning_tokens=thought,
        input_audio_tokens=_audio(counted.get("promptTokensDetails")),
        output_audio_tokens=_audio(counted.get("candidatesTokensDetails")),
    )


def _candidate(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first candidate; None where there is none.

    Raises:
        WireError: the body is an error.
        NoAnswer: the prompt was blocked.
    """
    if body.get("error"):
        raise WireError("The provider answered with an error under HTTP 200.", body)
    candidates = array(body.get("candidates"))
    if candidates and isinstance(candidates[0], Mapping):
        return cast("Mapping[str, Any]", candidates[0])
    feedback = mapping(body.get("promptFeedback"))
    if (reason := feedback.get("blockReason")) and reason not in UNSAID:
        why = word(feedback.get("blockReasonMessage")) or "The prompt was blocked."
        raise NoAnswer(f"{why} ({reason})", body, filtered=True)
    return None


def _parts(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [mapping(part) for part in array(mapping(candidate.get("content")).get("parts"))]


def _texts(parts: list[Mapping[str, Any]]) -> tuple[Text, ...]:
    """The answer's text; thoughts are not part of it."""
    return tuple(Text(text) for part in parts if not part.get("thought") and (text := word(part.get("text"))))


def _calls(parts: list[Mapping[str, Any]]) -> bool:
    return any(part.get("functionCall") for part in parts)


def _finish(candidate: Mapping[str, Any], *, called: bool) -> FinishReason | None:
    """Why it ended; None where nothing is said. Calls of tools end with STOP, as answers do."""
    reason = candidate.get("finishReason")
    if not reason or reason in UNSAID:
        return None
    found = FINISH.get(reason, "other") if isinstance(reason, str) else "other"
    return "tool_call" if called and found == "stop" else found


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _audio(details: Any) -> int | None:
    """The tokens that are audio, of counts by modality."""
    rows = [mapping(row) for row in array(details)]
    return _sum(*(count(row.get("tokenCount")) for row in rows if row.get("modality") == "AUDIO"))
