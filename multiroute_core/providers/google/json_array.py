"""Streams as the JSON array that google-generativeai reads, where a gateway makes SSE or one object of them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from multiroute_core.providers import body
from multiroute_core.providers.provider import DONE, Reply, WireError
from multiroute_core.providers.sse import BOM, StreamReader
from multiroute_core.providers.stream_body import error_body_of, to_text_error, to_value

_BLANK = "\ufeff \t\r\n"


def to_array(pieces: Iterator[str]) -> Iterator[str]:
    """The text of a body, which comes in pieces, as that of a JSON array. An array is not touched.

    Raises:
        WireError: it reports an error, or is no stream of answers.
    """
    for piece in pieces:
        if text := piece.lstrip(_BLANK):
            chunks = itertools.chain((text,), pieces)
            yield from chunks if text.startswith("[") else _of_events(chunks)
            return


def without_bom(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A body without the BOM before it. Its pieces are larger than that."""
    for piece in pieces:
        yield piece.removeprefix(BOM)
        break
    yield from pieces


def _of_events(pieces: Iterator[str]) -> Iterator[str]:
    before = "["
    for value in _values(pieces):
        yield before + _answer(value)
        before = ","
    yield "]" if before == "," else "[]"


def _values(pieces: Iterator[str]) -> Iterator[Any]:
    reader = StreamReader()
    for piece in pieces:
        for event in reader.feed(piece.encode()):
            yield to_value(event)
    for event in reader.end():
        yield to_value(event, last=True)
    if reader.text is not None:
        raise to_text_error(reader.text)
    if reader.body is not None:
        yield body.of(Reply(reader.body, {}))


def _answer(value: Any) -> str:
    if value is None or value is DONE:
        return "{}"  # which says nothing
    answer = body.event(value)
    if answer.get("error"):
        raise WireError("The provider reported an error inside the stream.", error_body_of(answer))
    return msgspec.json.encode(answer).decode()
