"""The guards' filters on an answer: what may be given out of a stream, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Protocol, TypeVar, cast

from multiroute_core.engine.guarded_call import GuardedCall
from multiroute_core.engine.raw_texts import is_identifier, texts_of_json
from multiroute_core.errors import (
    AllRoutesFailedError,
    GuardBlockedError,
    MultiRouteError,
    RejectedAnswerError,
    StreamInterruptedError,
)
from multiroute_core.guards.guard import AnswerPart, Guard, StreamRestoring
from multiroute_core.messages import (
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    assemble,
)
from multiroute_core.types import Chunk, Response

_AnyError = TypeVar("_AnyError", bound=MultiRouteError)

CONTEXT_CHARACTERS = 400
"""Characters before the held text that a check may look at."""


class TextFilter(Protocol):
    """What one guard does with one text of an answer.

    Attributes:
        has_rewritten: Whether it has changed the text, other than by restoring what the caller wrote.
    """

    has_rewritten: bool

    async def feed(self, piece: str, *, last: bool) -> str:
        """Return what can be given out after this piece; all that is left after the last one."""
        ...


class _CheckFilter:
    """Checks a text and holds back its end, by the guard's window."""

    def __init__(self, call: GuardedCall, guard: Guard, answer_part: AnswerPart, *, rewrites: bool) -> None:
        self._call = call
        self._guard = guard
        self._answer_part: AnswerPart = answer_part
        self._rewrites = rewrites
        self._held = ""
        self._before = ""
        self.has_rewritten = False

    async def feed(self, piece: str, *, last: bool) -> str:
        self._held += piece
        window = self._guard.window
        if not self._held or (not last and (window is None or len(self._held) <= window)):
            return ""
        guarded = self._call.answer_text(
            self._held,
            self._before,
            is_complete=last,
            answer_part=self._answer_part,
            can_rewrite=self._rewrites,
        )
        text = await self._call.check(self._guard, guarded)
        self.has_rewritten = self.has_rewritten or text != self._held
        released = text if last or not window else text[:-window]
        self._held = text[len(released) :]
        self._before = (self._before + released)[-CONTEXT_CHARACTERS:]
        return released


class _RestoringFilter:
    """Restores in a text what the guard has masked in the request."""

    has_rewritten = False

    def __init__(self, call: GuardedCall, guard: Guard, restorer: StreamRestoring) -> None:
        self._call = call
        self._guard = guard
        self._restorer = restorer

    async def feed(self, piece: str, *, last: bool) -> str:
        try:
            released = self._restorer.feed(piece) if piece else ""
            return released + self._restorer.finish() if last else released
        except Exception as error:
            self._call.handle_error(self._guard, error, self._call.answer_text(piece, "", is_complete=last))
            return piece


class _Chain:
    """The filters of one text, in the order in which it passes them."""

    def __init__(self, filters: Sequence[TextFilter]) -> None:
        self._filters = filters

    async def feed(self, piece: str, *, last: bool = False) -> str:
        for text_filter in self._filters:
            piece = await text_filter.feed(piece, last=last)
        return piece

    def keep_raw(self, raw: Raw | None) -> Raw | None:
        """Return the raw form of the text, unless it holds text that a guard has rewritten."""
        has_rewritten = any(text_filter.has_rewritten for text_filter in self._filters)
        return None if has_rewritten and raw is not None and any(texts_of_json(raw.body)) else raw


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
        self._open: tuple[Text | Reasoning, _Chain] | None = None
        self._calls: dict[int, _Chain] = {}

    async def apply(self, chunk: Chunk) -> Chunk:
        """Return the chunk as the guards let it pass.

        Raises:
            GuardBlockedError: A guard blocks the answer; `partial_text` holds what was given out of a stream.
        """
        if chunk.restarted:
            self._given.clear()
            self._open = None
            self._calls.clear()
        try:
            if not self._stream:
                response = chunk.response
                return chunk if response is None else replace(chunk, response=await self._apply_whole(response))
            parts: list[Part] = []
            for part in chunk.parts:
                parts += await self._apply_piece(part)
            response = chunk.response
            if response is not None:
                parts += [*await self._end_open(), *await self._end_calls()]
            self._given += parts
            if response is not None:
                response = self._rebuild(response)
            return replace(chunk, parts=tuple(parts), response=response)
        except GuardBlockedError as error:
            if self._stream and self._given:
                error.partial_text = self._given_text()
            if chunk.response is not None:
                error.attempts = chunk.response.attempts
            raise

    async def apply_error(self, error: _AnyError) -> _AnyError:
        """Return a copy of an error in which the guards have seen its answers; the error itself if it holds none."""
        if isinstance(error, StreamInterruptedError) and error.partial is not None:
            guarded = copy(error)
            guarded.partial = await self._apply_interrupted(error.partial)
        elif isinstance(error, RejectedAnswerError) and error.answer is not None:
            guarded = copy(error)
            guarded.answer = await self._apply_unless_blocked(error.answer)
        elif isinstance(error, AllRoutesFailedError) and error.errors:
            guarded = copy(error)
            self._given.clear()  # no error in it is that of a stream that was given out
            guarded.errors = tuple([await self.apply_error(one) for one in error.errors])
            guarded.__cause__ = guarded.errors[-1]
            return guarded
        else:
            return error
        guarded.__cause__ = error.__cause__
        return guarded

    async def _apply_interrupted(self, partial: Response) -> Response | None:
        if not self._given:
            return await self._apply_unless_blocked(partial)
        try:
            rest = [*await self._end_open(), *await self._end_calls()]
        except GuardBlockedError:
            rest = []
        return replace(partial, parts=assemble([*self._given, *rest]), raw=None)

    async def _apply_unless_blocked(self, response: Response) -> Response | None:
        try:
            return await self._apply_whole(response)
        except GuardBlockedError:
            return None

    def _given_text(self) -> str:
        return "".join(part.text for part in self._given if isinstance(part, Text))

    async def _apply_piece(self, part: Part) -> list[Part]:
        """Filter a piece of a stream; a piece of another part ends a text before it, but not a tool call."""
        if isinstance(part, ToolCallDelta):
            if (chain := self._calls.get(part.index)) is None:
                chain = self._calls[part.index] = self._chain("tool_call", is_json=True)
            arguments = await chain.feed(part.arguments)
            return [*await self._end_open(), replace(part, arguments=arguments)]
        if not isinstance(part, Text | Reasoning):
            return [*await self._end_open(), await self._apply_part(part)]
        parts: list[Part] = []
        if self._open is not None and type(self._open[0]) is not type(part):
            parts += await self._end_open()
        if self._open is None:
            self._open = (part, self._chain(_part_of(part)))
        chain = self._open[1]
        last = part.raw is not None  # it ends a part, see `messages.assemble`
        released = await chain.feed(part.text, last=last)
        if last:
            self._open = None
        raw = chain.keep_raw(part.raw)
        if released or raw is not None:
            parts.append(replace(part, text=released, raw=raw))
        return parts

    async def _end_open(self) -> list[Part]:
        """Return what is still held back of the current text."""
        if self._open is None:
            return []
        part, chain = self._open
        self._open = None
        released = await chain.feed("", last=True)
        return [type(part)(released)] if released else []

    async def _end_calls(self) -> list[Part]:
        """Return what is still held back of the tool calls, whose pieces may alternate."""
        parts: list[Part] = []
        for index, chain in self._calls.items():
            if released := await chain.feed("", last=True):
                parts.append(ToolCallDelta(index, arguments=released))
        self._calls.clear()
        return parts

    def _rebuild(self, response: Response) -> Response:
        """Return the response at the end of a stream, with what was given out."""
        parts = assemble(self._given)
        if parts == response.parts:
            return response
        return replace(response, parts=parts, raw=None)

    async def _apply_whole(self, response: Response) -> Response:
        parts = [await self._apply_part(part) for part in response.parts]
        if all(map(lambda one, other: one == other, parts, response.parts)):
            return response
        return replace(response, parts=tuple(parts), raw=None)

    async def _apply_part(self, part: Part) -> Part:
        if isinstance(part, Text | Reasoning):
            chain = self._chain(_part_of(part))
            text = await chain.feed(part.text, last=True)
            return replace(part, text=text, raw=chain.keep_raw(part.raw))
        if isinstance(part, ToolCall):
            raw = part.raw
            chains: list[_Chain] = []
            arguments = await self._apply_values(part.arguments, chains)
            for chain in chains:
                raw = chain.keep_raw(raw)
            return replace(part, arguments=arguments, raw=raw)
        if isinstance(part, InvalidToolCall):
            return replace(part, arguments=await self._chain("tool_call", is_json=True).feed(part.arguments, last=True))
        return part

    async def _apply_values(self, value: Any, chains: list[_Chain]) -> Any:
        """Return a JSON value with its texts filtered; adds the filters to `chains`."""
        if isinstance(value, str):
            chains.append(chain := self._chain("tool_call"))
            return await chain.feed(value, last=True)
        if isinstance(value, Mapping):
            return {
                key if is_identifier(key) else await self._apply_values(key, chains): await self._apply_values(
                    one, chains
                )
                for key, one in cast("Mapping[Any, Any]", value).items()
            }
        if isinstance(value, list | tuple):
            return [await self._apply_values(one, chains) for one in cast("Sequence[Any]", value)]
        return value

    def _chain(self, answer_part: AnswerPart, *, is_json: bool = False) -> _Chain:
        """Return new filters for one text, those of the last guard first."""
        call = self._call
        filters: list[TextFilter] = []
        for place, guard in reversed([*enumerate(call.guards)]):
            if (masking := call.maskings.get(place)) is not None:
                filters.append(_RestoringFilter(call, guard, masking.stream(json=is_json)))
            if guard.check is not None and "answer" in guard.origins:
                filters.append(_CheckFilter(call, guard, answer_part, rewrites=not is_json))
        return _Chain(filters)


def _part_of(part: Text | Reasoning) -> AnswerPart:
    return "text" if isinstance(part, Text) else "reasoning"
