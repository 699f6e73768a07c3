"""Closing a stream also closes the provider's stream.

LlamaIndex's callbacks wrap a stream in a generator that does not close it; the stream is closed when its last reference
is dropped. But a handler that stores the exception of an early exit, as `LlamaDebugHandler` does, keeps the stream
alive through the traceback's frames. The provider would keep sending, and its connection would stay open.
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
    """Close `stream` together with the stream that the enclosing method returns."""
    if (streams := _open_streams.get()) is not None:
        streams.append(stream)
    return stream


def closing(face: F) -> F:
    """Decorate a method so that closing its returned stream closes every registered stream."""

    @functools.wraps(face)
    def closing_face(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        with _opening() as streams:
            responses = face(*args, **kwargs)
        return _closing(responses, streams)

    return cast("F", closing_face)


def aclosing(face: F) -> F:
    """Async version of `closing`."""

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
