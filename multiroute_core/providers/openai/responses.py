"""OpenAI's Responses API, always with `store=False`: nothing of the conversation stays at the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import Part, Text
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.body import event as object_of
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.types import Delta, FinishReason, Request, Usage

INCOMPLETE: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def encode(request: Request, model: str, traits: Model, *, stream: bool) -> Encoded:
    """The body of `POST /responses`."""
    dropped: list[str] = []
    body: dict[str, Any] = {
        "model": model,
        "input": [{"role": message.role, "content": message.text} for message in request.messages],
        "store": False,
    }
    temperature, top_p = sampling(request, traits, dropped)
    given = {"temperature": temperature, "top_p": top_p, "max_output_tokens": request.max_tokens}
    body.update((name, value) for name, value in given.items() if value is not None)
    if request.stop:
        dropped.append("stop: the Responses API has no stop sequences")
    if request.seed is not None:
        dropped.append("seed: the Responses API has no seed")
    if stream:
        body["stream"] = True
    return Encoded("/responses", body, tuple(dropped))


def decode(body: Mapping[str, Any]) -> Delta:
    """A whole `response`."""
    if body.get("error"):
        raise WireError("The provider answered with an error under HTTP 200.", body)
    if not isinstance(body.get("output"), list):
        raise NoAnswer("The answer has no output.", body)
    parts: list[Part] = []
    refused = False
    for item in map(mapping, array(body.get("output"))):
        for content in map(mapping, array(item.get("content")) if item.get("type") == "message" else ()):
            text = word(content.get("text")) or word(content.get("refusal"))
            refused = refused or content.get("type") == "refusal"
            if text:
                parts.append(Text(text))
    return Delta(
        parts=tuple(parts),
        finish_reason=_finish(body, refused=refused),
        usage=usage(body.get("usage")),
        model=word(body.get("model")),
        raw=body,
    )


class ResponsesDecoder:
    """Makes deltas of the Responses API's typed events."""

    def __init__(self) -> None:
        self.complete = False
        self._refused = False

    def feed(self, event: Any) -> Delta | None:
        """What is new in one event."""
        told = object_of(event)
        match told.get("type"):
            case "response.output_text.delta":
                return _delta(told)
            case "response.refusal.delta":
                self._refused = True
                return _delta(told)
            case "response.completed" | "response.incomplete":
                self.complete = True
                body = mapping(told.get("response"))
                return Delta(
                    finish_reason=_finish(body, refused=self._refused),
                    usage=usage(body.get("usage")),
                    model=word(body.get("model")),
                )
            case "response.failed":
                error = mapping(mapping(told.get("response")).get("error"))
                raise WireError("The provider reported that the response failed.", {"error": error})
            case "error":
                inner = mapping(told.get("error")) or {k: v for k, v in told.items() if k != "type"}
                raise WireError("The provider reported an error inside the stream.", {"error": inner})
            case _:
                return None


def _delta(event: Mapping[str, Any]) -> Delta | None:
    return Delta(parts=(Text(text),)) if (text := word(event.get("delta"))) else None


def _finish(body: Mapping[str, Any], *, refused: bool) -> FinishReason:
    if body.get("status") == "incomplete":
        return INCOMPLETE.get(word(mapping(body.get("incomplete_details")).get("reason")) or "", "other")
    if refused:
        return "refusal"
    items = map(mapping, array(body.get("output")))
    return "tool_call" if any(item.get("type") == "function_call" for item in items) else "stop"


def usage(counted: Any) -> Usage | None:
    """Tokens in normal form: input includes what was cached, output what was reasoned."""
    counted = mapping(counted)
    if not counted:
        return None
    read, written = mapping(counted.get("input_tokens_details")), mapping(counted.get("output_tokens_details"))
    return Usage(
        input_tokens=count(counted.get("input_tokens")),
        output_tokens=count(counted.get("output_tokens")),
        cache_read_tokens=count(read.get("cached_tokens")),
        cache_write_tokens=count(read.get("cache_write_tokens")),
        reasoning_tokens=count(written.get("reasoning_tokens")),
    )
