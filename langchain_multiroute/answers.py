"""Responses as LangChain messages: complete ones, and chunks that merge to the same message.

Content is plain text if that is lossless. Otherwise (reasoning, images, provider-specific content) it consists of
LangChain's standard content blocks, marked `output_version: "v1"`. Data that LangChain has no field for, such as
signatures, is stored in `additional_kwargs["multiroute"]` and sent back to its provider from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    InputTokenDetails,
    OutputTokenDetails,
    ToolCallChunk,
    UsageMetadata,
)
from langchain_core.utils.json import parse_partial_json

from langchain_multiroute.blocks import block, is_cited
from langchain_multiroute.refusals import add_refusal, is_refused, refusal_block
from multiroute_core import Chunk, Response, Usage
from multiroute_core._util.prototype import Prototype
from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    Uri,
    VendorPart,
    is_refusal,
)
from multiroute_core.parsing import message_json
from multiroute_core.provider_table import PROVIDERS

KEPT = "multiroute"
"""Key for MultiRoute's data in a message's `additional_kwargs` and `response_metadata`."""

BESIDE_BLOCKS_ONLY = frozenset({"anthropic"})
"""Providers for which LangChain reads tool calls only from blocks; with plain text it would miss them."""


def message_out(response: Response) -> AIMessage:
    """Convert a complete response."""
    parts = response.parts
    about = metadata(response)
    has_refusal = is_refused(response, about["model_provider"])
    if len(parts) == 1 and type(only := parts[0]) is Text and only.raw is None and not has_refusal:  # the common case
        return _TEXT_MESSAGE.build(content=only.text, usage_metadata=usage_out(response.usage), response_metadata=about)
    more = to_additional_kwargs(parts)
    content: Any = "".join(part.text for part in parts if isinstance(part, Text) and not is_refusal(part))
    calls = any(isinstance(part, ToolCall) for part in parts)
    own = _wrapped_message(parts)
    if own is not None and isinstance(own.get("content"), str):  # the same content as from the wrapped model alone
        more |= _beside(own)
    elif (
        (calls and about["model_provider"] in BESIDE_BLOCKS_ONLY)
        or not all(isinstance(part, Text | ToolCall | InvalidToolCall) for part in parts)
        or any(is_cited(part) for part in parts)
    ):
        content = blocks_of(parts)
        about["output_version"] = "v1"
    if has_refusal:
        content = add_refusal(response, content, more, about)
    return AIMessage(
        content=content,
        tool_calls=[{"name": c.name, "args": dict(c.arguments), "id": c.id} for c in response.tool_calls],
        invalid_tool_calls=[
            {"type": "invalid_tool_call", "name": c.name, "args": c.arguments, "id": c.id, "error": c.error}
            for c in response.invalid_tool_calls
        ],
        additional_kwargs=more,
        usage_metadata=usage_out(response.usage),
        response_metadata=about,
    )


def _wrapped_message(parts: Sequence[Part]) -> Mapping[str, Any] | None:
    """A wrapped model's message in the format of `message_to_dict`; None if none was stored."""
    body = next((p.raw.body for p in parts if isinstance(p, VendorPart) and p.raw.api == "langchain"), None)
    return None if body is None else cast("Mapping[str, Any]", body.get("data"))


def _beside(message: Mapping[str, Any]) -> dict[str, Any]:
    """A wrapped model's reasoning, in the field where LangChain reads it next to plain text."""
    thought = cast("Mapping[str, Any]", message.get("additional_kwargs") or {}).get("reasoning_content")
    return {"reasoning_content": thought} if isinstance(thought, str) else {}


def blocks_of(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """LangChain's standard blocks for `parts`; a cache point is set on the preceding block, as for Anthropic."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, CachePoint):
            if blocks:
                blocks[-1]["cache_control"] = {"type": "ephemeral", "ttl": part.ttl}
        elif (content_block := block(part)) is not None:
            blocks.append(content_block)
    return blocks


_TEXT_MESSAGE = Prototype(AIMessage(content="", usage_metadata=None, response_metadata={}))
_TEXT_CHUNK = Prototype(AIMessageChunk(content="", tool_call_chunks=[], response_metadata={}))


class ChunkBuilder:
    """Convert a stream's chunks to LangChain chunks.

    Text is emitted as plain strings until a non-text part comes first, or in blocks from the start if `blocks` is set.
    A stream cannot change the format afterwards, because emitted strings stay strings. Reasoning that arrives after
    such text is stored but not shown.

    Args:
        blocks: Whether all content is emitted as blocks.
    """

    def __init__(self, *, blocks: bool) -> None:
        self._blocks = blocks
        self._said = False
        self._open: type[Part] | None = None
        self._place = -1
        self._begun: set[int] = set()

    def chunk(self, chunk: Chunk) -> AIMessageChunk:
        """Convert a chunk. Names and usage are set on the last one only: merging would concatenate and sum them."""
        text: list[str] = []
        content: list[str | dict[str, Any]] = []
        calls: dict[int, ToolCallChunk] = {}
        for part in chunk.parts:
            if isinstance(part, VendorPart) and part.raw.api in ("langchain", "llamaindex"):
                continue  # a wrapped model's own message is stored, not shown
            if not self._said and not isinstance(part, Text | ToolCallDelta):
                self._blocks = True
            self._said = True
            if isinstance(part, ToolCallDelta):
                self._add_call(part, calls, content)
            elif self._blocks:
                if (content_block := block(part)) is not None:
                    content.append({**content_block, "index": self._index(part)})
            elif is_refusal(part):
                continue  # the last chunk carries the refusal
            elif isinstance(part, Text):
                text.append(part.text)
            elif isinstance(part, Blob | Uri | File):
                content.extend(["".join(text)] if text else [])
                content.append(_late(part))
                text.clear()
        return self._build_chunk(chunk.response, content if self._blocks or content else "".join(text), calls)

    def _add_call(
        self, piece: ToolCallDelta, calls: dict[int, ToolCallChunk], content: list[str | dict[str, Any]]
    ) -> None:
        """Add a tool call delta to those of one chunk.

        A chunk has one entry per index: LangChain merges entries of different chunks by index, but takes two entries of
        the same chunk for two calls.
        """
        self._open = None
        index = piece.index
        if (call := calls.get(index)) is not None:
            _lengthen(call, piece)
            if self._blocks:
                mark = f"lc_tc_{index}"
                block = next(block for block in content if isinstance(block, dict) and block.get("index") == mark)
                block.update(cast("dict[str, Any]", call), index=mark)
            return
        if index in self._begun and not (piece.arguments or piece.id or piece.name):
            return  # an empty delta only ends the call
        self._begun.add(index)
        calls[index] = ToolCallChunk(
            name=piece.name, args=piece.arguments, id=piece.id, index=index, type="tool_call_chunk"
        )
        if self._blocks:
            content.append({**calls[index], "index": f"lc_tc_{index}"})

    def _build_chunk(self, response: Response | None, content: Any, calls: dict[int, ToolCallChunk]) -> AIMessageChunk:
        about: dict[str, Any] = {"output_version": "v1"} if self._blocks else {}
        if response is None:
            if not calls and not about and type(content) is str:  # nearly every chunk
                return _TEXT_CHUNK.build(content=content)
            return AIMessageChunk(content=content, tool_call_chunks=[*calls.values()], response_metadata=about)
        for end in _unmistakable(response):
            if (call := calls.get(end.index)) is not None:
                _lengthen(call, end)
            else:
                calls[end.index] = ToolCallChunk(
                    name=None, args=end.arguments, id=None, index=end.index, type="tool_call_chunk"
                )
        own = _wrapped_message(response.parts)
        more = to_additional_kwargs(response.parts) | ({} if own is None or self._blocks else _beside(own))
        about = metadata(response) | about
        if is_refused(response, about["model_provider"]):
            content = self._with_refusal(response, content, more, about)
        return AIMessageChunk(
            content=content,
            tool_call_chunks=[*calls.values()],
            additional_kwargs=more,
            usage_metadata=usage_out(response.usage),
            response_metadata=about,
            chunk_position="last",
        )

    def _with_refusal(self, response: Response, content: Any, more: dict[str, Any], about: dict[str, Any]) -> Any:
        """The last content with the refusal; in block format, a refusal with text has already been emitted."""
        if not self._blocks:
            return add_refusal(response, content, more, about)
        if any(is_refusal(part) for part in response.parts):
            return content
        self._place += 1
        return [*content, {**refusal_block(response), "index": f"lc_{self._place}"}]

    def _index(self, part: Part) -> str:
        """The index by which LangChain merges the chunks of a block."""
        kind = type(part)
        goes_on = kind is self._open
        if not goes_on:
            self._place += 1
        self._open = kind if isinstance(part, Text | Reasoning) and part.raw is None else None
        return f"lc_{self._place}"


def _late(part: Blob | Uri | File) -> dict[str, Any]:
    """A media block after text that was emitted as a string; LangChain then reads images in the `image_url` format."""
    content_block = cast("dict[str, Any]", block(part))
    if isinstance(part, Blob) and part.modality == "image":
        return {"type": "image_url", "image_url": {"url": f"data:{part.mime_type};base64,{content_block['base64']}"}}
    return content_block


def to_additional_kwargs(parts: Sequence[Part]) -> dict[str, Any]:
    """The `additional_kwargs` for data in `parts` beyond plain text and plain calls; empty if there is none."""
    return {} if all(_plain(part) for part in parts) else {KEPT: {"parts": message_json.to_json(parts)}}


def metadata(response: Response) -> dict[str, Any]:
    """Model, provider and finish reason, and under `multiroute` the routing data of `Response.summary`."""
    inner: Mapping[str, Any] = (response.raw or {}).get("langchain") or {}  # of a wrapped LangChain model
    spec = PROVIDERS.get(response.provider)  # LangChain selects its block translators by its own names of providers
    return {
        **inner,
        "model_name": response.model,
        "model_provider": inner.get("model_provider") or (response.provider if spec is None else spec.langchain_name),
        "finish_reason": response.finish_reason,
        KEPT: response.summary(),
    }


_DETAILS = attrgetter(
    "cache_read_tokens", "cache_write_tokens", "input_audio_tokens", "reasoning_tokens", "output_audio_tokens"
)
_NO_DETAILS = (None,) * 5


def usage_out(usage: Usage | None) -> UsageMetadata | None:
    """LangChain's usage metadata; None if the token counts are unknown."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    usage_metadata = UsageMetadata(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )
    if _DETAILS(usage) == _NO_DETAILS:
        return usage_metadata
    read: dict[str, int | None] = {
        "cache_read": usage.cache_read_tokens,
        "cache_creation": usage.cache_write_tokens,
        "audio": usage.input_audio_tokens,
    }
    output_details: dict[str, int | None] = {"reasoning": usage.reasoning_tokens, "audio": usage.output_audio_tokens}
    if details := {name: count for name, count in read.items() if count is not None}:
        usage_metadata["input_token_details"] = cast("InputTokenDetails", details)
    if details := {name: count for name, count in output_details.items() if count is not None}:
        usage_metadata["output_token_details"] = cast("OutputTokenDetails", details)
    return usage_metadata


def _plain(part: Part) -> bool:
    """Whether the message represents `part` without loss."""
    raw: Raw | None = getattr(part, "raw", None)
    match part:
        case Text():
            return raw is None
        case InvalidToolCall():
            return not _looks_valid(part.arguments)  # a stream alters those that look valid; store the text
        case ToolCall():
            return raw is None or _nothing_more(raw, part)
        case _:
            return False


def _nothing_more(raw: Raw, call: ToolCall) -> bool:
    """Whether a provider's call holds only name, id and arguments, encoded as they would be encoded again."""
    body = {name: value for name, value in raw.body.items() if value is not None}
    match raw.api:
        case "anthropic":
            return body == {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        case "openai.chat":
            function = {"name": call.name, "arguments": _encode_arguments(call)}
            return body == {"type": "function", "id": call.id, "function": function}
        case "google":
            function = {"name": call.name, "args": call.arguments}
            return body in ({"functionCall": function}, {"functionCall": {**function, "id": call.id}})
        case _:
            return False


def _encode_arguments(call: ToolCall) -> str:
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def _lengthen(call: ToolCallChunk, piece: ToolCallDelta) -> None:
    """Add the next chunk of a call; name chunks are concatenated as in LangChain."""
    call["args"] = (call["args"] or "") + piece.arguments
    call["id"] = call["id"] or piece.id
    if piece.name:
        call["name"] = (call["name"] or "") + piece.name


def _unmistakable(response: Response) -> list[ToolCallDelta]:
    """Deltas that mark calls with truncated or malformed arguments as invalid.

    LangChain completes truncated JSON in streams, so an agent would run a tool with half of its arguments. An extra
    bracket makes it an invalid call, as in a complete response.
    """
    calls = [part for part in response.parts if isinstance(part, ToolCall | InvalidToolCall)]
    ends: list[ToolCallDelta] = []
    for index, call in enumerate(calls):
        if isinstance(call, InvalidToolCall) and _looks_valid(call.arguments):
            end = next((end for end in ("]", '"]', '\\"]', "]]") if not _looks_valid(call.arguments + end)), "]")
            ends.append(ToolCallDelta(index, arguments=end))
    return ends


def _looks_valid(arguments: str) -> bool:
    try:
        return isinstance(parse_partial_json(arguments) if arguments else {}, dict)
    except ValueError:
        return False
