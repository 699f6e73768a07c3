"""What is kept of an answer, and how it is given again. Pure.

An entry is bytes from the moment it is made: whoever gets it decodes a copy of their own, and a store on a disk or a
network keeps the same as one in memory. The bytes say which form they have; those of another form are not read.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from multiroute_core._util.json_text import NestingError, nests_too_deep
from multiroute_core.messages import Part, Text, ToolCall, ToolCallDelta, assemble
from multiroute_core.parsing import message_json
from multiroute_core.types import Chunk, FinishReason, Response, Usage

FORM = b"MR1"
"""How an entry begins. A number that is higher belongs to a later MultiRoute."""

NOTHING = Usage(input_tokens=0, output_tokens=0)
"""What an answer from the cache uses."""


class UnreadableError(Exception):
    """Bytes that are no entry, or one of another form."""


class _Kept(msgspec.Struct, array_like=True):
    saved_at: float
    fresh_until: float
    streamed: bool
    pieces: list[str | list[dict[str, Any]]]
    finish_reason: FinishReason
    model: str
    provider: str
    route: str
    cost: float | None
    raw: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer that was kept.

    Attributes:
        saved_at: When, in seconds since 1970.
        fresh_until: Until when it may be given, in seconds since 1970; later only for want of a better one.
        said: What was said, piece by piece as it came, a bit of text as it stands; None for an answer that was not
            streamed.
        response: The whole answer, marked as cached. It used nothing and cost nothing; `saved_cost` is what it cost
            when it was asked for.
    """

    saved_at: float
    fresh_until: float
    said: tuple[str | tuple[Part, ...], ...] | None
    response: Response

    @property
    def chunks(self) -> Iterator[tuple[Part, ...]]:
        """What was said, in pieces, each made when it is read."""
        if self.said is None:
            yield tuple(_pieces(self.response.parts))
            return
        for told in self.said:
            yield (Text(told),) if isinstance(told, str) else told

    def replayed(self, *, stream: bool) -> Iterator[Chunk]:
        """The answer once more, in the face that is asked for."""
        if not stream:
            yield Chunk(self.response.parts, self.response)
            return
        for parts in self.chunks:
            yield Chunk(parts)
        yield Chunk((), self.response)


def encode(response: Response, said: Sequence[tuple[Part, ...]] | None, *, now: float, fresh_until: float) -> bytes:
    """An answer as bytes.

    Args:
        response: The answer.
        said: The pieces in which it was streamed; None for a whole one.
        now: The time, in seconds since 1970.
        fresh_until: Until when it may be given.

    Raises:
        TypeError, OverflowError: there is something in it that has no form in bytes.
    """
    kept = _Kept(
        saved_at=now,
        fresh_until=fresh_until,
        streamed=said is not None,
        pieces=[_brief(parts) for parts in ([response.parts] if said is None else said)],
        finish_reason=response.finish_reason or "other",
        model=response.model,
        provider=response.provider,
        route=response.route,
        cost=response.cost,
        raw=response.raw,
    )
    return FORM + msgspec.msgpack.encode(kept)


def decode(value: bytes) -> Entry:
    """The entry that bytes hold.

    Raises:
        UnreadableError: they hold none, or one of another form.
    """
    if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  (a store is anybody's object)
        raise UnreadableError(f"An entry is {type(value).__name__} where bytes should be.")
    if value[: len(FORM)] != FORM:
        raise UnreadableError(f"An entry that begins with {value[: len(FORM)]!r} has another form than {FORM!r}.")
    try:
        kept = _DECODER.decode(memoryview(value)[len(FORM) :])
        _check(kept)
        said = tuple([told if isinstance(told, str) else message_json.from_json(told) for told in kept.pieces])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"An entry cannot be read: {error}") from error
    texts = [told for told in said if isinstance(told, str)]
    if said and len(texts) == len(said):
        parts = (Text("".join(texts)),)
    else:
        pieces = [(Text(told),) if isinstance(told, str) else told for told in said]
        parts = assemble(itertools.chain.from_iterable(pieces)) if kept.streamed else (pieces or [()])[0]
    response = Response(
        parts=parts,
        finish_reason=kept.finish_reason,
        usage=NOTHING,
        model=kept.model,
        provider=kept.provider,
        route=kept.route,
        cost=0.0,
        cached=True,
        saved_cost=kept.cost,
        raw=kept.raw,
    )
    return Entry(kept.saved_at, kept.fresh_until, said if kept.streamed else None, response)


def _check(kept: _Kept) -> None:
    """See that an entry holds nothing that would fail later.

    Raises:
        ValueError: a number is not finite, a cost is negative, or a value is nested too deep.
    """
    if not (math.isfinite(kept.saved_at) and math.isfinite(kept.fresh_until) and 0 <= (kept.cost or 0.0) < math.inf):
        raise ValueError("its times and its cost must be finite numbers")
    if (kept.raw is not None and nests_too_deep(kept.raw)) or any(
        not isinstance(piece, str) and nests_too_deep(piece) for piece in kept.pieces
    ):
        raise NestingError


def _brief(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Most pieces are a bit of text, and nothing else."""
    if len(parts) == 1 and isinstance(only := parts[0], Text) and only.raw is None:
        return only.text
    return message_json.to_json(parts)


def _pieces(parts: Sequence[Part]) -> Iterator[Part]:
    """Whole parts as a stream would bring them."""
    calls = itertools.count()
    for part in parts:
        if isinstance(part, ToolCall):
            told = json.dumps(dict(part.arguments), ensure_ascii=False)
            yield ToolCallDelta(next(calls), part.id, part.name, told, part.raw)
        else:
            yield part


_DECODER = msgspec.msgpack.Decoder(_Kept)
