"""OpenAI's Chat Completions, the wire that most compatible servers speak as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.messages import Text
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.body import event as object_of
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.types import Delta, FinishReason, Request, Usage

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
    choices = array(body.get("choices"))
    if not choices:
        raise NoAnswer("The answer has no choices.", body)
    choice = mapping(choices[0])
    message = mapping(choice.get("message"))
    finish = FINISH.get(word(choice.get("finish_reason")) or "", "other")
    text = _text(message.get("content"))
    if text is None and (text := word(message.get("refusal"))):
        finish = "refusal"
    return Delta(
        parts=(Text(text),) if text else (),
        finish_reason=finish,
        usage=usage(body.get("usage")),
        model=word(body.get("model")),
        raw=body,
    )


class ChatDecoder:
    """Makes deltas of `chat.completion.chunk` events. A finish reason is the end; usage comes after it."""

    def __init__(self) -> None:
        self.complete = False
        self._refused = False

    def feed(self, event: Any) -> Delta | None:
        """What is new in one chunk."""
        chunk = object_of(event)
        if chunk.get("error"):
            raise WireError("The provider reported an error inside the stream.", chunk)
        counted = chunk.get("usage")
        choices = chunk.get("choices")
        if not choices or not isinstance(choices, list):
            return Delta(usage=usage(counted), model=word(chunk.get("model"))) if counted else None
        choice = mapping(choices[0])
        delta = mapping(choice.get("delta"))
        text = _text(delta.get("content"))
        if text is None and (text := word(delta.get("refusal"))):
            self._refused = True
        finish: FinishReason | None = None
        if reason := word(choice.get("finish_reason")):
            self.complete = True
            finish = "refusal" if self._refused else FINISH.get(reason, "other")
        return Delta(
            parts=(Text(text),) if text else (),
            finish_reason=finish,
            usage=usage(counted) if counted else None,
            model=word(chunk.get("model")),
        )


def _text(content: Any) -> str | None:
    """The text of a content: a string, or with some compatible servers a list of parts, of which thoughts are none."""
    if isinstance(content, list):
        parts = map(mapping, cast("list[Any]", content))
        return "".join(word(part.get("text")) or "" for part in parts if part.get("type") == "text") or None
    return word(content)


def usage(counted: Any) -> Usage | None:
    """Tokens in normal form: the prompt already includes what was cached, the completion what was reasoned."""
    counted = mapping(counted)
    if not counted:
        return None
    prompt, completion = (
        mapping(counted.get("prompt_tokens_details")),
        mapping(counted.get("completion_tokens_details")),
    )
    return Usage(
        input_tokens=count(counted.get("prompt_tokens")),
        output_tokens=count(counted.get("completion_tokens")),
        cache_read_tokens=count(prompt.get("cached_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
        input_audio_tokens=count(prompt.get("audio_tokens")),
        output_audio_tokens=count(completion.get("audio_tokens")),
    )
