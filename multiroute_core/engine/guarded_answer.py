"""The guards' filters on an answer: what may be given out of a stream, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from multiroute_core.engine.guarded_call import GuardedCall
from multiroute_core.errors import GuardBlockedError
from multiroute_core.guards.guard import Guard, StreamRestoring
from multiroute_core.messages import (
    InvalidToolCall,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    assemble,
)
from multiroute_core.types import Chunk, Response

CONTEXT_CHARACTERS = 400
"""Characters before the held text that a check may look at."""


class TextFilter(Protocol):
    """What one guard does with one text of an answer."""

    async def feed(self, piece: str, *, last: bool) -> str:
        """Return what can be given out after this piece; all that is left after the last one."""
        ...


class _CheckFilter:
    """Checks a text and holds back its end, by the guard's window."""

    def __init__(self, call: GuardedCall, guard: Guard, *, rewrites: bool) -> None:
        self._call = call
        self._guard = guard
        self._rewrites = rewrites
        self._held = ""
        self._before = ""

    async def feed(self, piece: str, *, last: bool) -> str:
        self._held += piece
        window = self._guard.window
        if not self._held or (not last and (window is None or len(self._held) <= window)):
            return ""
        guarded = self._call.answer_text(self._held, self._before, is_complete=last)
        text = await self._call.check(self._guard, guarded, rewrites=self._rewrites)
        released = text if last or not window else text[:-window]
        self._held = text[len(released) :]
        self._before = (self._before + released)[-CONTEXT_CHARACTERS:]
        return released


class _RestoringFilter:
    """Restores in a text what the guard has masked in the request."""

    def __init__(self, restorer: StreamRestoring) -> None:
        self._restorer = restorer

    async def feed(self, piece: str, *, last: bool) -> str:
        released = self._restorer.feed(piece) if piece else ""
        return released + self._restorer.finish() if last else released


class _Chain:
    """The filters of one text, in the order in which it passes them."""

    def __init__(self, filters: Sequence[TextFilter]) -> None:
        self._filters = filters

    async def feed(self, piece: str, *, last: bool = False) -> str:
        for text_filter in self._filters:
            piece = await text_filter.feed(piece, last=last)
        return piece


class AnswerFilters:
    """The filters of one answer.

    Args:
        call: The call.
        stream: Whether the answer is streamed.
    """

    def __init__(self, call: GuardedCall, *, stream: bool) -> None:
        self._call = call
        self._stream = stream
        self._given: list[Part] = []
        self._open: tuple[object, Part, _Chain] | None = None

    async def apply(self, chunk: Chunk) -> Chunk:
        """Return the chunk as the guards let it pass.

        Raises:
            GuardBlockedError: A guard blocks the answer; `partial_text` holds what was given out of a stream.
        """
        if chunk.restarted:
            self._given.clear()
            self._open = None
        try:
            if not self._stream:
                response = chunk.response
                return chunk if response is None else replace(chunk, response=await self._apply_whole(response))
            parts: list[Part] = []
            for part in chunk.parts:
                parts += await self._apply_piece(part)
            response = chunk.response
            if response is not None:
                parts += await self._end_open()
            self._given += parts
            if response is not None:
                response = self._rebuild(response)
            return Chunk(tuple(parts), response, chunk.restarted)
        except GuardBlockedError as error:
            if self._stream and self._given:
                error.partial_text = self._given_text()
            if chunk.response is not None:
                error.attempts = chunk.response.attempts
            raise

    def _given_text(self) -> str:
        return "".join(part.text for part in self._given if isinstance(part, Text))

    async def _apply_piece(self, part: Part) -> list[Part]:
        """Filter a piece of a stream; a piece of another part ends the one before."""
        if isinstance(part, ToolCallDelta):
            key: object = ("call", part.index)
            text = part.arguments
        elif isinstance(part, Text | Reasoning):
            key = type(part)
            text = part.text
        else:
            return [*await self._end_open(), part]
        parts: list[Part] = []
        if self._open is not None and self._open[0] != key:
            parts += await self._end_open()
        if self._open is None:
            self._open = (key, part, self._chain(is_json=isinstance(part, ToolCallDelta)))
        last = part.raw is not None  # it ends a part, see `messages.assemble`
        released = await self._open[2].feed(text, last=last)
        if last:
            self._open = None
        if isinstance(part, ToolCallDelta):
            parts.append(replace(part, arguments=released))
        elif released or last:
            parts.append(replace(part, text=released))
        return parts

    async def _end_open(self) -> list[Part]:
        """Return what is still held back of the current part."""
        if self._open is None:
            return []
        _, part, chain = self._open
        self._open = None
        released = await chain.feed("", last=True)
        if not released:
            return []
        if isinstance(part, ToolCallDelta):
            return [ToolCallDelta(part.index, arguments=released)]
        return [Reasoning(released) if isinstance(part, Reasoning) else Text(released)]

    def _rebuild(self, response: Response) -> Response:
        """Return the response at the end of a stream, with what was given out."""
        parts = assemble(self._given)
        if parts == response.parts:
            return response
        return replace(response, parts=parts)

    async def _apply_whole(self, response: Response) -> Response:
        parts = [await self._apply_part(part) for part in response.parts]
        if all(map(lambda one, other: one == other, parts, response.parts)):
            return response
        return replace(response, parts=tuple(parts), raw=None)

    async def _apply_part(self, part: Part) -> Part:
        if isinstance(part, Text | Reasoning):
            return replace(part, text=await self._chain(is_json=False).feed(part.text, last=True))
        if isinstance(part, ToolCall):
            return replace(part, arguments=await self._apply_values(part.arguments))
        if isinstance(part, InvalidToolCall):
            return replace(part, arguments=await self._chain(is_json=True).feed(part.arguments, last=True))
        return part

    async def _apply_values(self, value: Any) -> Any:
        if isinstance(value, str):
            return await self._chain(is_json=False).feed(value, last=True)
        if isinstance(value, Mapping):
            return {key: await self._apply_values(one) for key, one in cast("Mapping[Any, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [await self._apply_values(one) for one in cast("Sequence[Any]", value)]
        return value

    def _chain(self, *, is_json: bool) -> _Chain:
        """Return new filters for one text, those of the last guard first."""
        call = self._call
        filters: list[TextFilter] = []
        for place, guard in reversed([*enumerate(call.guards)]):
            if (masking := call.maskings.get(place)) is not None:
                filters.append(_RestoringFilter(masking.stream(json=is_json)))
            if guard.check is not None and "answer" in guard.origins:
                filters.append(_CheckFilter(call, guard, rewrites=not is_json))
        return _Chain(filters)
