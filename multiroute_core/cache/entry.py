"""Cache entries: serialization of a response, and its replay. Pure.

An entry is serialized when it is created: each reader decodes its own copy, and memory, disk and network stores hold
the same bytes. The bytes begin with a format version; other versions are not read.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from multiroute_core._util.json_text import NestingError, nests_too_deep
from multiroute_core.messages import Part, Text, ToolCall, ToolCallDelta, assemble
from multiroute_core.parsing import message_json
from multiroute_core.types import Chunk, FinishReason, Response, Usage

FORM = b"MR1"
"""Prefix of an entry. A higher number belongs to a later MultiRoute."""

NOTHING = Usage(input_tokens=0, output_tokens=0)
"""The usage of a cached response."""


class UnreadableError(Exception):
    """The bytes are not an entry, or one of another format version."""


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
    """A cached response.

    Attributes:
        saved_at: When it was saved, in seconds since 1970.
        fresh_until: When it expires, in seconds since 1970; afterwards it is served only as stale.
        pieces: The stream's pieces as received, plain text as a string; None if the response was not streamed.
        response: The complete response, marked as cached. Its usage and cost are 0; `saved_cost` is its original cost.
    """

    saved_at: float
    fresh_until: float
    pieces: tuple[str | tuple[Part, ...], ...] | None
    response: Response

    @property
    def chunks(self) -> Iterator[tuple[Part, ...]]:
        """The response in stream pieces, each decoded when it is read."""
        if self.pieces is None:
            yield tuple(_pieces(self.response.parts))
            return
        for piece in self.pieces:
            yield (Text(piece),) if isinstance(piece, str) else piece

    def replayed(self, *, stream: bool) -> Iterable[Chunk]:
        """Replay the response, streamed or complete."""
        return self._streamed() if stream else (Chunk(self.response.parts, self.response),)

    def _streamed(self) -> Iterator[Chunk]:
        for parts in self.chunks:
            yield Chunk(parts)
        yield Chunk((), self.response)


def encode(response: Response, pieces: Sequence[tuple[Part, ...]] | None, *, now: float, fresh_until: float) -> bytes:
    """Encode a response as bytes.

    Args:
        response: The response.
        pieces: The pieces in which it was streamed; None for a complete response.
        now: The current time, in seconds since 1970.
        fresh_until: When the entry expires, in seconds since 1970.

    Raises:
        TypeError, OverflowError: A value cannot be serialized.
    """
    record = _Kept(
        saved_at=now,
        fresh_until=fresh_until,
        streamed=pieces is not None,
        pieces=[_brief(parts) for parts in ([response.parts] if pieces is None else pieces)],
        finish_reason=response.finish_reason or "other",
        model=response.model,
        provider=response.provider,
        route=response.route,
        cost=response.cost,
        raw=response.raw,
    )
    return FORM + msgspec.msgpack.encode(record)


def decode(value: bytes) -> Entry:
    """Decode an entry.

    Raises:
        UnreadableError: The bytes are not an entry, or one of another format version.
    """
    if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  (a store may be third-party code)
        raise UnreadableError(f"An entry is a {type(value).__name__}; expected bytes.")
    if value[: len(FORM)] != FORM:
        raise UnreadableError(f"An entry that begins with {value[: len(FORM)]!r} does not have the format {FORM!r}.")
    try:
        record = _DECODER.decode(memoryview(value)[len(FORM) :])
        _check(record)
        entry_pieces = tuple(
            [piece if isinstance(piece, str) else message_json.from_json(piece) for piece in record.pieces]
        )
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"An entry cannot be read: {error}") from error
    texts = [piece for piece in entry_pieces if isinstance(piece, str)]
    if entry_pieces and len(texts) == len(entry_pieces):
        parts = (Text("".join(texts)),)
    else:
        pieces = [(Text(piece),) if isinstance(piece, str) else piece for piece in entry_pieces]
        parts = assemble(itertools.chain.from_iterable(pieces)) if record.streamed else (pieces or [()])[0]
    response = Response(
        parts=parts,
        finish_reason=record.finish_reason,
        usage=NOTHING,
        model=record.model,
        provider=record.provider,
        route=record.route,
        cost=0.0,
        cached=True,
        saved_cost=record.cost,
        prompt_cache_saving=0.0,
        raw=record.raw,
    )
    return Entry(record.saved_at, record.fresh_until, entry_pieces if record.streamed else None, response)


def _check(record: _Kept) -> None:
    """Check that an entry contains nothing that would fail later.

    Raises:
        ValueError: A number is not finite, a cost is negative, or a value is nested too deep.
    """
    if not (
        math.isfinite(record.saved_at) and math.isfinite(record.fresh_until) and 0 <= (record.cost or 0.0) < math.inf
    ):
        raise ValueError("its times and its cost must be finite numbers")
    if (record.raw is not None and nests_too_deep(record.raw)) or any(
        not isinstance(piece, str) and nests_too_deep(piece) for piece in record.pieces
    ):
        raise NestingError


def _brief(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Serialize a piece; most pieces are plain text, which needs no JSON."""
    if len(parts) == 1 and isinstance(only := parts[0], Text) and only.raw is None:
        return only.text
    return message_json.to_json(parts)


def _pieces(parts: Sequence[Part]) -> Iterator[Part]:
    """Convert complete parts to stream pieces."""
    calls = itertools.count()
    for part in parts:
        if isinstance(part, ToolCall):
            arguments = json.dumps(dict(part.arguments), ensure_ascii=False)
            yield ToolCallDelta(next(calls), part.id, part.name, arguments, part.raw)
        else:
            yield part


_DECODER = msgspec.msgpack.Decoder(_Kept)
