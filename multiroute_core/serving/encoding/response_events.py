"""Responses: streams in OpenAI's format.

https://platform.openai.com/docs/api-reference/responses-streaming and `ResponseStreamEvent` of openai 2.54.0 (read
2026-11-30). Items of tool calls stay open until the end, because their pieces may alternate. The
input of a custom tool comes whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from multiroute_core.messages import Part, Reasoning, Text, ToolCallDelta, is_refusal
from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.encoding import responses
from multiroute_core.serving.encoding.custom_calls import find_custom_tools, input_of
from multiroute_core.serving.encoding.frames import CallPieces, named
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, Response


@dataclass(slots=True)
class _Item:
    """An output item that is being written."""

    index: int
    id: str
    kind: Literal["text", "refusal", "reasoning", "call", "custom"]
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    raw: JSON | None = None


class ResponsesWriter:
    """Writes a stream as the events of the Responses API."""

    def __init__(self, call: ServedCall) -> None:
        self._call = call
        self._pieces = CallPieces()
        self._custom_tools = find_custom_tools(call)
        self._number = 0
        self._output: dict[int, JSON] = {}
        self._items = 0
        self._open: _Item | None = None
        self._tools: dict[int, _Item] = {}

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk."""
        frames: list[bytes] = []
        if not self._number:
            frames.append(self._event("response.created", response=responses.begin(self._call)))
            frames.append(self._event("response.in_progress", response=responses.begin(self._call)))
        for part in chunk.parts:
            frames += self._part(part)
        if chunk.response is not None:
            frames += self._end(chunk.response)
        return b"".join(frames)

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the events of a failure: `response.failed` and `error`.

        OpenAI's SDK raises an event with an object `error` (`_streaming.py` of openai 2.54.0, read 2026-11-30); the
        documented event has its fields beside the type.
        """
        failed = self._event("response.failed", response=responses.fail(self._call, failure))
        error = {"code": failure.code or failure.type, "message": failure.message, "param": failure.param}
        return failed + self._event("error", **error, **failure.to_openai())

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return named(kind, event)

    def _part(self, part: Part) -> list[bytes]:
        if isinstance(part, Text):
            return self._text(part.text, "refusal" if is_refusal(part) else "text") if part.text else []
        if isinstance(part, Reasoning):
            return self._reason(part)
        if (piece := self._pieces.of(part)) is not None:
            return self._tool(piece)
        frames = self._close()
        if (item := responses.write_item(part, self._call, self._items)) is None:
            return frames
        index = self._take()
        self._output[index] = item
        frames.append(self._event("response.output_item.added", output_index=index, item=item))
        return [*frames, self._event("response.output_item.done", output_index=index, item=item)]

    def _take(self) -> int:
        self._items += 1
        return self._items - 1

    def _begin(self, kind: Literal["text", "refusal"]) -> list[bytes]:
        """Open an item of text unless it is open."""
        if self._open is not None and self._open.kind == kind:
            return []
        frames = self._close()
        index = self._take()
        item = _Item(index, responses.item_id("msg", self._call, index), kind)
        self._open = item
        empty = responses.message_item(item.id, [], "in_progress")
        frames.append(self._event("response.output_item.added", output_index=index, item=empty))
        at = {"item_id": item.id, "output_index": index}
        start = {"part": responses.content_part("", refusal=kind == "refusal"), "content_index": 0}
        return [*frames, self._event("response.content_part.added", **at, **start)]

    def _begin_reasoning(self, own_id: Any) -> list[bytes]:
        """Open an item of reasoning unless it is open. It has OpenAI's own id if that is known from the beginning."""
        if self._open is not None and self._open.kind == "reasoning":
            return []
        frames = self._close()
        index = self._take()
        self._open = _Item(index, own_id or responses.item_id("rs", self._call, index), "reasoning")
        empty = responses.reasoning_item(self._open.id, "")
        return [*frames, self._event("response.output_item.added", output_index=index, item=empty)]

    def _text(self, text: str, kind: Literal["text", "refusal"]) -> list[bytes]:
        frames = self._begin(kind)
        if (item := self._open) is None:
            return frames
        item.pieces.append(text)
        at: JSON = {"item_id": item.id, "output_index": item.index, "content_index": 0, "delta": text}
        if kind == "refusal":
            return [*frames, self._event("response.refusal.delta", **at)]
        return [*frames, self._event("response.output_text.delta", **at, logprobs=[])]

    def _reason(self, part: Reasoning) -> list[bytes]:
        own = responses.raw_item(part)
        if not part.text and (own is None or own.get("type") != "reasoning"):
            return []
        frames = self._begin_reasoning(own and own.get("id"))
        if (item := self._open) is None:
            return frames
        if part.text:
            at: JSON = {"item_id": item.id, "output_index": item.index, "summary_index": 0}
            if not item.pieces:
                start = {"type": "summary_text", "text": ""}
                frames.append(self._event("response.reasoning_summary_part.added", **at, part=start))
            item.pieces.append(part.text)
            frames.append(self._event("response.reasoning_summary_text.delta", **at, delta=part.text))
        if own is not None:  # it ends the item
            item.raw = own
            frames += self._close()
        return frames

    def _tool(self, piece: ToolCallDelta) -> list[bytes]:
        frames: list[bytes] = []
        if (item := self._tools.get(piece.index)) is None:
            frames += self._close()
            index = self._take()
            kind, prefix = ("custom", "ctc") if piece.name in self._custom_tools else ("call", "fc")
            name = responses.item_id(prefix, self._call, index)
            item = _Item(index, name, kind, piece.id or "", piece.name or "")
            self._tools[piece.index] = item
            write = responses.custom_item if kind == "custom" else responses.call_item
            empty = write(item.id, item.call_id, item.name, "", "in_progress")
            frames.append(self._event("response.output_item.added", output_index=index, item=empty))
        elif piece.name:
            item.name += piece.name
        if piece.arguments:
            item.pieces.append(piece.arguments)
            if item.kind == "custom":
                return frames
            at = {"item_id": item.id, "output_index": item.index, "delta": piece.arguments}
            frames.append(self._event("response.function_call_arguments.delta", **at))
        return frames

    def _close(self) -> list[bytes]:
        """End the open item of text or reasoning."""
        item = self._open
        self._open = None
        return [] if item is None else self._finish(item)

    def _finish(self, item: _Item) -> list[bytes]:
        text = "".join(item.pieces)
        at: JSON = {"item_id": item.id, "output_index": item.index}
        if item.kind == "call":
            body = responses.call_item(item.id, item.call_id, item.name, text)
            frames = [self._event("response.function_call_arguments.done", **at, name=item.name, arguments=text)]
        elif item.kind == "custom":
            text = input_of(text)
            body = responses.custom_item(item.id, item.call_id, item.name, text)
            frames = [
                self._event("response.custom_tool_call_input.delta", **at, delta=text),
                self._event("response.custom_tool_call_input.done", **at, input=text),
            ]
        elif item.kind == "reasoning":
            # Clients find the item of an event by its id, so the end has the id of the beginning.
            body = {**(item.raw or responses.reasoning_item(item.id, text)), "id": item.id}
            frames: list[bytes] = []
            if text:
                at["summary_index"] = 0
                part = {"type": "summary_text", "text": text}
                frames = [
                    self._event("response.reasoning_summary_text.done", **at, text=text),
                    self._event("response.reasoning_summary_part.done", **at, part=part),
                ]
        else:
            part = responses.content_part(text, refusal=item.kind == "refusal")
            body = responses.message_item(item.id, [part])
            end: JSON = {"refusal": text} if item.kind == "refusal" else {"text": text, "logprobs": []}
            name = "response.refusal.done" if item.kind == "refusal" else "response.output_text.done"
            frames = [
                self._event(name, **at, content_index=0, **end),
                self._event("response.content_part.done", **at, content_index=0, part=part),
            ]
        self._output[item.index] = body
        return [*frames, self._event("response.output_item.done", output_index=item.index, item=body)]

    def _end(self, response: Response) -> list[bytes]:
        frames = self._close()
        for item in self._tools.values():
            frames += self._finish(item)
        output = [self._output[index] for index in sorted(self._output)]
        body = responses.write_object(response, self._call, output)
        return [*frames, self._event(f"response.{body['status']}", response=body)]
