"""Server-sent events of a router's own chunks, for programs that read them directly.

`data` carries a chunk, `error` what went wrong after the first one, `done` the summary of the response.
"""

from __future__ import annotations

from multiroute_core.messages import Blob, Part, Reasoning, Text
from multiroute_core.serving.call import JSON
from multiroute_core.serving.encoding.frames import CallPieces, data, data_url, named, summarize
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, Response, Usage


class ChunkWriter:
    """Writes chunks as events: `text`, `reasoning`, `tool_calls` and `images` of each, and `restarted`."""

    def __init__(self) -> None:
        self._calls = CallPieces()

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk: one of data, and `done` after the last one."""
        body: JSON = {"restarted": True} if chunk.restarted else {}
        if chunk.restarted:
            self._calls = CallPieces()
        for part in chunk.parts:
            self._add(body, part)
        frames = data(body) if body else b""
        return frames if chunk.response is None else frames + named("done", _summarize(chunk.response))

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the error event."""
        return named("error", failure.to_openai())

    def _add(self, body: JSON, part: Part) -> None:
        if isinstance(part, Text | Reasoning):
            name = "text" if isinstance(part, Text) else "reasoning"
            if part.text:
                body[name] = body.get(name, "") + part.text
        elif (piece := self._calls.of(part)) is not None:
            entry: JSON = {"index": piece.index, "id": piece.id, "name": piece.name, "arguments": piece.arguments}
            body.setdefault("tool_calls", []).append({key: value for key, value in entry.items() if value is not None})
        elif isinstance(part, Blob):
            body.setdefault("files", []).append(data_url(part))


def _summarize(response: Response) -> JSON:
    """Return the response's summary with its finish reason, model and token counts."""
    usage = response.usage or Usage()
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    known = {name: count for name, count in counts.items() if count is not None}
    return {
        **summarize(response),
        "finish_reason": response.finish_reason,
        "model": response.model,
        "usage": known or None,
    }
