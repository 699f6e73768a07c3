"""Anthropic's Messages API."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from multiroute_core.errors import RouteError
from multiroute_core.messages import Text, Wire
from multiroute_core.providers import body, classify, models
from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.provider import Decoder, Encoded, Reply, WireError
from multiroute_core.providers.sampling import sampling
from multiroute_core.providers.stainless import StainlessDoor
from multiroute_core.route import Route
from multiroute_core.types import Delta, FinishReason, Request, Usage

SAMPLING_VERSION = "2023-06-01"
"""The API version that still takes temperature and top_p; SDKs from 2.0 on send 2026-10-21, which refuses them."""

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "refusal",
}


class AnthropicProvider(StainlessDoor):
    """Anthropic, or a server that speaks its wire at `base_url` (without `/v1`)."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        sdk = importlib.import_module("anthropic")
        super().__init__(sdk, sdk.Anthropic, sdk.AsyncAnthropic, {"api_key": api_key, "base_url": base_url})

    def wire(self, route: Route) -> Wire:
        """The API that the route speaks."""
        return "anthropic"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """The body of `POST /v1/messages`."""
        traits = models.lookup("anthropic", route.model)
        dropped: list[str] = []
        temperature, top_p = sampling(request, traits, dropped)
        if request.seed is not None:
            dropped.append("seed: the Messages API has no seed")
        turns = [(m.role, text) for m in request.turns if (text := m.text)]  # it refuses empty texts
        made: dict[str, Any] = {
            "model": route.model,
            "max_tokens": request.max_tokens or traits.max_output,  # required here
            "messages": [{"role": role, "content": text} for role, text in turns],
        }
        if system := request.instructions:
            made["system"] = system
        given = {
            "temperature": temperature,
            "top_p": top_p,
            "stop_sequences": list(request.stop) or None,
            "stream": stream or None,
        }
        made.update((name, value) for name, value in given.items() if value is not None)
        sampled = temperature is not None or top_p is not None
        return Encoded("/v1/messages", made, tuple(dropped), {"anthropic-version": SAMPLING_VERSION} if sampled else {})

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """A whole message."""
        found = body.of(reply)
        if found.get("type") == "error" or not isinstance(found.get("content"), list):
            raise WireError("The provider answered with something that is no message.", found)
        texts = [word(mapping(block).get("text")) for block in array(found.get("content"))]
        return Delta(
            parts=tuple(Text(text) for text in texts if text),
            finish_reason=FINISH.get(word(found.get("stop_reason")) or "", "other"),
            usage=usage(found.get("usage")),
            model=word(found.get("model")),
            raw=found,
        )

    def decoder(self, encoded: Encoded) -> Decoder:
        """A decoder for one stream."""
        return MessagesDecoder()

    def classify(self, error: Exception) -> RouteError:
        """The error's class."""
        return classify.classify(error)


class MessagesDecoder:
    """Makes deltas of the Messages API's events. Input is counted at the start, output at the end."""

    def __init__(self) -> None:
        self.complete = False
        self._started = False
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}

    def feed(self, event: Any) -> Delta | None:
        """What is new in one event."""
        told = body.event(event)
        match told.get("type"):
            case "content_block_delta":
                text = word(mapping(told.get("delta")).get("text"))
                return Delta(parts=(Text(text),)) if text else None
            case "content_block_start":
                text = word(mapping(told.get("content_block")).get("text"))
                return Delta(parts=(Text(text),)) if text else None
            case "message_start":
                if self._started:
                    raise WireError("The stream began anew in its middle.", told)
                self._started = True
                message = mapping(told.get("message"))
                self._usage = dict(mapping(message.get("usage")))
                return Delta(usage=usage(self._usage), model=word(message.get("model")))
            case "message_delta":
                counted = mapping(told.get("usage"))
                self._usage.update((name, value) for name, value in counted.items() if value is not None)
                self._reason = word(mapping(told.get("delta")).get("stop_reason")) or self._reason
                return Delta(usage=usage(self._usage))
            case "message_stop":
                self.complete = True
                return Delta(finish_reason=FINISH.get(self._reason or "", "other"))
            case "error":
                raise WireError("The provider reported an error inside the stream.", told)
            case _:
                return None


def usage(counted: Any) -> Usage | None:
    """Tokens in normal form: Anthropic counts cache reads and writes apart from the input."""
    counted = mapping(counted)
    if not counted:
        return None
    read, write = count(counted.get("cache_read_input_tokens")), count(counted.get("cache_creation_input_tokens"))
    fresh = count(counted.get("input_tokens"))
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (write or 0),
        output_tokens=count(counted.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=count(mapping(counted.get("cache_creation")).get("ephemeral_1h_input_tokens")),
        reasoning_tokens=count(mapping(counted.get("output_tokens_details")).get("thinking_tokens")),
    )
