"""OpenAI's Responses API, always with `store=False`: nothing of the conversation stays at the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, NoAnswer, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.types import Delta, FinishReason, Part, Request, Text, Usage

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
    for item in body["output"]:
        for content in (item.get("content") or ()) if item.get("type") == "message" else ():
            text = content.get("text") or content.get("refusal")
            refused = refused or content.get("type") == "refusal"
            if text:
                parts.append(Text(text))
    return Delta(
        parts=tuple(parts),
        finish_reason=_finish(body, refused=refused),
        usage=usage(body.get("usage")),
        model=body.get("model"),
        raw=body,
    )


class ResponsesDecoder:
    """Makes deltas of the Responses API's typed events."""

    def __init__(self) -> None:
        self.complete = False
        self._refused = False

    def feed(self, event: Any) -> Delta | None:
        """What is new in one event."""
        match event.get("type"):
            case "response.output_text.delta":
                return Delta(parts=(Text(event["delta"]),)) if event.get("delta") else None
            case "response.refusal.delta":
                self._refused = True
                return Delta(parts=(Text(event["delta"]),)) if event.get("delta") else None
            case "response.completed" | "response.incomplete":
                self.complete = True
                body = event["response"]
                return Delta(
                    finish_reason=_finish(body, refused=self._refused),
                    usage=usage(body.get("usage")),
                    model=body.get("model"),
                )
            case "response.failed":
                body: Mapping[str, Any] = event.get("response") or {}
                raise WireError("The provider reported that the response failed.", {"error": body.get("error") or {}})
            case "error":
                raise WireError("The provider reported an error inside the stream.", {"error": _error(event)})
            case _:
                return None


def _error(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The error of an `error` event, which the API nests or not."""
    inner = event.get("error")
    return inner if isinstance(inner, Mapping) else {k: v for k, v in event.items() if k != "type"}  # pyright: ignore[reportUnknownVariableType]


def _finish(body: Mapping[str, Any], *, refused: bool) -> FinishReason:
    if body.get("status") == "incomplete":
        details: Mapping[str, Any] = body.get("incomplete_details") or {}
        return INCOMPLETE.get(details.get("reason") or "", "other")
    if refused:
        return "refusal"
    items: list[Mapping[str, Any]] = body.get("output") or []
    return "tool_call" if any(item.get("type") == "function_call" for item in items) else "stop"


def usage(counted: Mapping[str, Any] | None) -> Usage | None:
    """Tokens in normal form: input includes what was cached, output what was reasoned."""
    if not counted:
        return None
    read: Mapping[str, Any] = counted.get("input_tokens_details") or {}
    written: Mapping[str, Any] = counted.get("output_tokens_details") or {}
    return Usage(
        input_tokens=counted.get("input_tokens"),
        output_tokens=counted.get("output_tokens"),
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=written.get("reasoning_tokens"),
    )
