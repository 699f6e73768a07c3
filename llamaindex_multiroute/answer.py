"""Convert MultiRoute's responses to LlamaIndex responses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.llm import ToolSelection

from llamaindex_multiroute.blocks import arguments_of, block_of
from llamaindex_multiroute.convert import KEPT, to_additional_kwargs
from multiroute_core import Chunk, InvalidToolCall, Reasoning, Response, Text, ToolCall, ToolCallDelta
from multiroute_core._util.prototype import Prototype
from multiroute_core.messages import Part
from multiroute_core.parsing import message_json


def response_out(response: Response, delta: str | None = None) -> ChatResponse:
    """Convert a complete response. Usage and routing data stay outside the message, which goes into the memory."""
    parts = response.parts
    if len(parts) == 1 and type(only := parts[0]) is Text and only.raw is None:  # the common case
        message = _MESSAGE.build(blocks=[_TEXT_BLOCK.build(text=only.text)])
        return _RESPONSE.build(message=message, delta=delta, raw=_raw(response), additional_kwargs=_metadata(response))
    thoughts = response.usage.reasoning_tokens if response.usage is not None else None
    message = _message(parts, thoughts)
    message.additional_kwargs.update(to_additional_kwargs(parts))
    return ChatResponse(message=message, delta=delta, raw=_raw(response), additional_kwargs=_metadata(response))


_TEXT_BLOCK = Prototype(TextBlock(text=""))
_MESSAGE = Prototype(ChatMessage(role=MessageRole.ASSISTANT, blocks=[], additional_kwargs={}))
_RESPONSE = Prototype(
    ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT), delta="", raw=None, additional_kwargs={})
)
_PARTIAL = Prototype(ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT), delta="", additional_kwargs={}))


class Answer:
    """Accumulates a stream: each LlamaIndex response holds everything so far and the latest delta."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._text = ""
        self._reasoning = ""
        self._calls: dict[int, InvalidToolCall] = {}
        self._rest: list[Part] = []

    def add(self, chunk: Chunk) -> ChatResponse:
        """Add a chunk and return the response so far; the last chunk returns the complete response.

        If another route restarts the response, the text so far is discarded and `additional_kwargs["restarted"]` is
        True.
        """
        if chunk.response is not None:
            return response_out(chunk.response, chunk.text)
        if chunk.restarted:
            self._forget()
            return ChatResponse(message=_message(()), delta="", additional_kwargs={"restarted": True})
        thought = ""
        for part in chunk.parts:
            match part:
                case Text():
                    self._text += part.text
                case Reasoning():
                    thought += part.text
                case ToolCallDelta():
                    self._calls[part.index] = _longer(self._calls.get(part.index), part)
                case _:
                    self._rest.append(part)
        self._reasoning += thought
        if not (self._reasoning or self._calls or self._rest):  # nearly every chunk
            message = _MESSAGE.build(blocks=[_TEXT_BLOCK.build(text=self._text)])
            return _PARTIAL.build(message=message, delta=chunk.text)
        so_far: list[Part] = [Reasoning(self._reasoning), Text(self._text), *self._rest, *self._calls.values()]
        own = {"thinking_delta": thought} if thought else {}
        return ChatResponse(message=_message(so_far), delta=chunk.text, additional_kwargs=own)


def selections(response: ChatResponse, *, required: bool) -> list[ToolSelection]:
    """The tool calls of a response; in a stream, with the arguments received so far.

    A call with malformed arguments in a complete response must not run: a truncated path or number is wrong, and
    without it a tool would run with its defaults. LlamaIndex has no type for such a call, so it gets a name that no
    tool has. LlamaIndex's agents reply that the tool does not exist, and the model reads the reason in that name.

    Raises:
        ValueError: `required` is True, and there is no call or one is malformed.
    """
    invalid = {call.id: call.error for call in _malformed(response)}
    selected: list[ToolSelection] = []
    for block in response.message.blocks:
        if not isinstance(block, ToolCallBlock):
            continue
        call_id = block.tool_call_id or ""
        name = block.tool_name
        if call_id not in invalid:
            selected.append(ToolSelection(tool_id=call_id, tool_name=name, tool_kwargs=arguments_of(block.tool_kwargs)))
        elif required:
            raise ValueError(f"The call of the tool {name!r} is malformed and was not run. {invalid[call_id]}")
        else:
            invalid_name = f"{name}{_NOT_RUN}{invalid[call_id].removesuffix('.')})"
            selected.append(ToolSelection(tool_id=call_id, tool_name=invalid_name, tool_kwargs={}))
    if required and not selected:
        raise ValueError("Expected at least one tool call, but got 0 tool calls.")
    return selected


_NOT_RUN = " (not run: "


@contextlib.contextmanager
def refusing() -> Generator[None, None, None]:
    """Context manager that reports a malformed call if LlamaIndex looks up its tool and finds none.

    Raises:
        ValueError: LlamaIndex looked up the tool of a malformed call.
    """
    try:
        yield
    except KeyError as error:
        name, _, reason = str(error.args[0] if error.args else "").partition(_NOT_RUN)
        if not reason:
            raise
        raise ValueError(
            f"The call of the tool {name!r} is malformed and was not run. {reason.removesuffix(')')}."
        ) from None


def _malformed(response: ChatResponse) -> list[InvalidToolCall]:
    """The calls of a complete response whose arguments are truncated or malformed.

    They are read from the message, so this also works if only the message was stored.
    """
    try:
        parts = message_json.from_json(response.message.additional_kwargs[KEPT]["parts"])
    except (KeyError, TypeError, AttributeError):
        return []  # a partial stream, or another library's message
    return [part for part in parts if isinstance(part, InvalidToolCall)]


def single(response: ChatResponse) -> ChatResponse:
    """The response with only its first tool call, for callers that run one tool at a time."""
    message = response.message
    later = [block for block in message.blocks if isinstance(block, ToolCallBlock)][1:]
    if not later:
        return response
    own = dict(message.additional_kwargs)
    own["tool_calls"] = own["tool_calls"][:1]
    if KEPT in own:
        parts = message_json.from_json(own[KEPT]["parts"])
        calls = [part for part in parts if isinstance(part, ToolCall | InvalidToolCall)]
        later_calls = {id(part) for part in calls[1:]}
        own[KEPT] = {"parts": message_json.to_json(part for part in parts if id(part) not in later_calls)}
    blocks = [block for block in message.blocks if not any(block is other for other in later)]
    cut = ChatMessage(role=message.role, blocks=blocks, additional_kwargs=own)
    return response.model_copy(update={"message": cut})


def _longer(so_far: InvalidToolCall | None, delta: ToolCallDelta) -> InvalidToolCall:
    """Add a delta to a partial call, whose arguments are incomplete JSON."""
    call = so_far or InvalidToolCall("", "", "", "")
    call_id = call.id or delta.id or ""
    return InvalidToolCall(call_id, call.name + (delta.name or ""), call.arguments + delta.arguments, "")


def _message(parts: Sequence[Part], thoughts: int | None = None) -> ChatMessage:
    """The message of a response: reasoning, all text as one block (as in a stream), then calls.

    LlamaIndex's structured prediction and some memories read calls from `additional_kwargs`, where they were stored
    before call blocks existed; so they are also stored there, in OpenAI's format.
    """
    text = "".join(part.text for part in parts if isinstance(part, Text))
    reasoning = "".join(part.text for part in parts if isinstance(part, Reasoning))
    blocks: list[ContentBlock] = [ThinkingBlock(content=reasoning, num_tokens=thoughts)] if reasoning else []
    blocks.append(TextBlock(text=text))
    other_blocks = (block_of(part) for part in parts if not isinstance(part, Text | Reasoning))
    blocks += [block for block in other_blocks if block is not None]
    own: dict[str, Any] = {}
    if calls := [_encode_call(part) for part in parts if isinstance(part, ToolCall | InvalidToolCall)]:
        own["tool_calls"] = calls
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=own)


def _encode_call(call: ToolCall | InvalidToolCall) -> dict[str, Any]:
    arguments = call.arguments if isinstance(call, InvalidToolCall) else json.dumps(dict(call.arguments))
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


class _Spared(int):
    """Zero tokens of a cached response. LlamaIndex's counter treats a plain 0 as "unknown" and estimates tokens."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = int.__hash__


def _count_tokens(response: Response) -> dict[str, int]:
    """Token counts for LlamaIndex: ints only; empty if the provider reported none."""
    usage = response.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _raw(response: Response) -> dict[str, Any]:
    """The provider's response body if available, with usage in the format that token counters read."""
    raw = {k: v for k, v in (response.raw or {"model": response.model}).items() if k not in ("usage", "usage_metadata")}
    if usage := _count_tokens(response):
        raw["usage"] = dict.fromkeys(usage, _Spared()) if response.cached else usage
    return raw


def _metadata(response: Response) -> dict[str, Any]:
    metadata = {
        **_count_tokens(response),
        "model": response.model,
        "provider": response.provider,
        "finish_reason": response.finish_reason,
        **response.summary(),
    }
    if (usage := response.usage) is not None:
        parts = {"cache_read_tokens": usage.cache_read_tokens, "reasoning_tokens": usage.reasoning_tokens}
        metadata |= {name: count for name, count in parts.items() if count is not None}
    if (invalid := response.invalid_tool_calls) and (calls := message_json.to_json(invalid)):
        metadata["invalid_tool_calls"] = calls
    return metadata
