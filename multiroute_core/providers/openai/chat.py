"""OpenAI's Chat Completions, the wire that most compatible servers speak as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.types import Delta, FinishReason, Request, Text, Usage

FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}


def encode(request: Request, model: str, traits: Model, *, stream: bool) -> Encoded:
    """The body of `POST /chat/completions`, as small as can be: compatible servers refuse what they do not know."""
    dropped: list[str] = []
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
    }
    temperature, top_p = sampling(request, traits, dropped)
    stop = list(request.stop) or None
    if stop and not traits.stop:
        dropped.append("stop: the model takes no stop sequences")
        stop = None
    given = {
        "temperature": temperature,
        "top_p": top_p,
        traits.token_limit: request.max_tokens,
        "stop": stop,
        "seed": request.seed,
    }
    body.update((name, value) for name, value in given.items() if value is not None)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return Encoded("/chat/completions", body, tuple(dropped))


def decode(body: Mapping[str, Any]) -> Delta:
    """A whole `chat.completion`."""
    if body.get("error"):
        raise WireError("The provider answered with an error under HTTP 200.", body)
    choices = body.get("choices")
    if not choices:
        raise NoAnswer("The answer has no choices.", body)
    choice = choices[0]
    message: Mapping[str, Any] = choice.get("message") or {}
    finish = FINISH.get(choice.get("finish_reason") or "", "other")
    text: str | None = message.get("content")
    if not text and (refusal := message.get("refusal")):
        text, finish = refusal, "refusal"
    return Delta(
        parts=(Text(text),) if text else (),
        finish_reason=finish,
        usage=usage(body.get("usage")),
        model=body.get("model"),
        raw=body,
    )


class ChatDecoder:
    """Makes deltas of `chat.completion.chunk` events. A finish reason is the end; usage comes after it."""

    def __init__(self) -> None:
        self.complete = False
        self._refused = False

    def feed(self, event: Any) -> Delta | None:
        """What is new in one chunk."""
        if event.get("error"):
            raise WireError("The provider reported an error inside the stream.", event)
        counted = event.get("usage")
        choices = event.get("choices")
        if not choices:
            return Delta(usage=usage(counted), model=event.get("model")) if counted else None
        choice = choices[0]
        delta: Mapping[str, Any] = choice.get("delta") or {}
        text: str | None = delta.get("content")
        if not text and (text := delta.get("refusal")):
            self._refused = True
        finish: FinishReason | None = None
        if reason := choice.get("finish_reason"):
            self.complete = True
            finish = "refusal" if self._refused else FINISH.get(reason, "other")
        return Delta(
            parts=(Text(text),) if text else (),
            finish_reason=finish,
            usage=usage(counted) if counted else None,
            model=event.get("model"),
        )


def usage(counted: Mapping[str, Any] | None) -> Usage | None:
    """Tokens in normal form: the prompt already includes what was cached, the completion what was reasoned."""
    if not counted:
        return None
    prompt: Mapping[str, Any] = counted.get("prompt_tokens_details") or {}
    completion: Mapping[str, Any] = counted.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=counted.get("prompt_tokens"),
        output_tokens=counted.get("completion_tokens"),
        cache_read_tokens=prompt.get("cached_tokens"),
        cache_write_tokens=prompt.get("cache_write_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
        input_audio_tokens=prompt.get("audio_tokens"),
        output_audio_tokens=completion.get("audio_tokens"),
    )
