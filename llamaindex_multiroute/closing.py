"""Streams that end at the provider when they are closed.

LlamaIndex's callbacks wrap a stream in a generator of their own, which does not close it: they leave that to the last
reference. But a handler that keeps the exception of the early end, as `LlamaDebugHandler` does, keeps by the frames of
its traceback the stream too. The provider would go on sending, and its connection would stay open.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

_open_streams: ContextVar[list[Any] | None] = ContextVar("multiroute_opened", default=None)


def register(stream: S) -> S:
    """Have `stream` closed together with the one that the face around it returns."""
    if (streams := _open_streams.get()) is not None:
        streams.append(stream)
    return stream


def closing(face: F) -> F:
    """Have a face close what it opened when the stream that it returned is closed."""

    @functools.wraps(face)
    def closing_face(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        with _opening() as streams:
            responses = face(*args, **kwargs)
        return _closing(responses, streams)

    return cast("F", closing_face)


def aclosing(face: F) -> F:
    """The same for a face that is awaited."""

    @functools.wraps(face)
    async def closing_face(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        with _opening() as streams:
            responses = await cast("Awaitable[Any]", face(*args, **kwargs))
        return _aclosing(responses, streams)

    return cast("F", closing_face)


@contextlib.contextmanager
def _opening() -> Generator[list[Any], None, None]:
    streams: list[Any] = []
    token = _open_streams.set(streams)
    try:
        yield streams
    finally:
        _open_streams.reset(token)


def _closing(responses: Any, streams: list[Any]) -> Generator[Any, None, None]:
    try:
        yield from responses
    finally:
        for stream in streams:
            stream.close()


async def _aclosing(responses: Any, streams: list[Any]) -> AsyncGenerator[Any, None]:
    try:
        async with contextlib.aclosing(responses):
            async for response in responses:
                yield response
    finally:
        for stream in streams:
            await stream.aclose()
