"""Chat Completions: complete responses and streams in OpenAI's format.

https://platform.openai.com/docs/api-reference/chat and `openai.types.chat` of openai 2.54.0 (read 2026-11-30).
Reasoning is `reasoning_content`, as DeepSeek names it (https://api-docs.deepseek.com/guides/reasoning_model,
2026-11-30); images are `images`, as OpenRouter names them. What the router adds is under `multiroute`.
"""

from __future__ import annotations

from typing import Any

from multiroute_core.messages import InvalidToolCall, Part, Reasoning, Text, ToolCall, ToolCallDelta, is_refusal
from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.encoding.custom_calls import find_custom_tools, input_of
from multiroute_core.serving.encoding.frames import DONE, CallPieces, arguments_of, data, data_url, images, summarize
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, FinishReason, Response, Usage

_FINISH: dict[FinishReason | None, str] = {
    "length": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""OpenAI's words for finish reasons; every other one is `stop`.

A refusal that is a field of the message ends with `stop` too. With `content_filter` OpenAI's SDK raises
`ContentFilterFinishReasonError`, and the client does not see the refusal
(https://platform.openai.com/docs/guides/structured-outputs#refusals and `lib/_parsing/_completions.py` of openai
2.54.0, read 2026-11-30)."""


def write(response: Response, call: ServedCall) -> JSON:
    """Return the body of a complete response."""
    refusal = "".join(part.text for part in response.parts if isinstance(part, Text) and is_refusal(part))
    text = "".join(part.text for part in response.parts if isinstance(part, Text) and not is_refusal(part))
    calls = [part for part in response.parts if isinstance(part, ToolCall | InvalidToolCall)]
    message: JSON = {"role": "assistant", "content": text, "refusal": refusal or None}
    if not text and (calls or refusal):
        message["content"] = None
    if reasoning := response.reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        custom = find_custom_tools(call)
        message["tool_calls"] = [
            write_call(one.id, one.name, arguments_of(one), is_custom=one.name in custom) for one in calls
        ]
    if pictures := images(response.parts):
        message["images"] = [{"type": "image_url", "image_url": {"url": data_url(blob)}} for blob in pictures]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(response)}
    return {
        "id": f"chatcmpl-{call.id}",
        "object": "chat.completion",
        "created": call.created,
        "model": response.model,
        "choices": [choice],
        "usage": write_usage(response.usage),
        "multiroute": summarize(response),
    }


def write_call(call_id: str, name: str, arguments: str, *, is_custom: bool) -> JSON:
    """Return a tool call."""
    if is_custom:
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": input_of(arguments)}}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def write_usage(usage: Usage | None) -> JSON | None:
    """Return the token counts, with details where they are known."""
    if usage is None:
        return None
    prompt = usage.input_tokens or 0
    completion = usage.output_tokens or 0
    prompt_details = {"cached_tokens": usage.cache_read_tokens or 0, "audio_tokens": usage.input_audio_tokens or 0}
    if usage.cache_write_tokens:
        prompt_details["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens or 0,
            "audio_tokens": usage.output_audio_tokens or 0,
        },
    }


def _finish(response: Response) -> str:
    if response.finish_reason == "refusal" and any(map(is_refusal, response.parts)):
        return "stop"
    return _FINISH.get(response.finish_reason, "stop")


class ChatWriter:
    """Writes a stream as `chat.completion.chunk`s. Calls of custom tools come whole, at the end."""

    def __init__(self, call: ServedCall) -> None:
        self._call = call
        self._calls = CallPieces()
        self._begun = False
        self._custom_tools = find_custom_tools(call)
        self._custom: dict[int, list[ToolCallDelta]] = {}

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk."""
        frames: list[bytes] = []
        if not self._begun:
            self._begun = True
            frames.append(self._frame({"role": "assistant", "content": ""}))
        frames += [self._frame(delta) for part in chunk.parts if (delta := self._delta(part))]
        if chunk.response is not None:
            frames += self._end(chunk.response)
        return b"".join(frames)

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the error, as OpenAI's SDK reads it from a stream."""
        return data(failure.to_openai())

    def _delta(self, part: Part) -> JSON | None:
        if isinstance(part, Text):
            return {"refusal" if is_refusal(part) else "content": part.text} if part.text else None
        if isinstance(part, Reasoning):
            return {"reasoning_content": part.text} if part.text else None
        if (piece := self._calls.of(part)) is not None:
            if piece.index in self._custom or piece.name in self._custom_tools:
                self._custom.setdefault(piece.index, []).append(piece)
                return None
            function: JSON = {"arguments": piece.arguments}
            if piece.name:
                function["name"] = piece.name
            entry: JSON = {"index": piece.index, "function": function}
            if piece.id:
                entry |= {"id": piece.id, "type": "function"}
            return {"tool_calls": [entry]} if piece.id or piece.name or piece.arguments else None
        if pictures := images((part,)):
            return {"images": [{"type": "image_url", "image_url": {"url": data_url(pictures[0])}}]}
        return None

    def _end_custom(self) -> list[bytes]:
        frames: list[bytes] = []
        for index, pieces in self._custom.items():
            arguments = "".join(piece.arguments for piece in pieces)
            whole = write_call(pieces[0].id or "", pieces[0].name or "", arguments, is_custom=True)
            frames.append(self._frame({"tool_calls": [{"index": index, **whole}]}))
        return frames

    def _end(self, response: Response) -> list[bytes]:
        end = self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(response)}])
        end |= {"model": response.model, "multiroute": summarize(response)}
        frames = [*self._end_custom(), data(end)]
        if self._call.include_usage:
            frames.append(data(self._chunk([]) | {"model": response.model, "usage": write_usage(response.usage)}))
        return [*frames, DONE]

    def _frame(self, delta: JSON) -> bytes:
        return data(self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]))

    def _chunk(self, choices: list[Any]) -> JSON:
        call = self._call
        chunk: JSON = {
            "id": f"chatcmpl-{call.id}",
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": call.model,
            "choices": choices,
        }
        return chunk | {"usage": None} if call.include_usage else chunk
