"""Converts streams to the JSON array that google-generativeai expects, if a gateway sends SSE or one object. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from multiroute_core.providers import body
from multiroute_core.providers.body import to_text_error
from multiroute_core.providers.provider import DONE, Reply, WireError
from multiroute_core.providers.sse import BOM, StreamReader
from multiroute_core.providers.stream_body import error_body_of, to_value

_BLANK = "\ufeff \t\r\n"


def to_array(pieces: Iterator[str]) -> Iterator[str]:
    """Convert the text of a streamed body to a JSON array. An array passes through unchanged.

    Raises:
        WireError: If the body reports an error or is not a response stream.
    """
    for piece in pieces:
        if text := piece.lstrip(_BLANK):
            chunks = itertools.chain((text,), pieces)
            yield from chunks if text.startswith("[") else _of_events(chunks)
            return


def without_bom(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Strip a leading BOM from a body. Its chunks are larger than the BOM."""
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
        return "{}"  # an empty chunk
    answer = body.event(value)
    if answer.get("error"):
        raise WireError("The provider reported an error inside the stream.", error_body_of(answer))
    return msgspec.json.encode(answer).decode()
