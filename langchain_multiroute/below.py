"""Call a chat model below LangChain's tracing layer.

A run of the model's own inside the router's run would count every token twice. This module does the rest of that
layer's work: it waits for the model's rate limiter.
"""

# ruff: noqa: SLF001  (LangChain's base class calls its models through these methods)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from langchain_multiroute.wrapped import OVER
from multiroute_core.providers.provider import Reply
from multiroute_core.runtime.deadline import Deadline, current
from multiroute_core.runtime.io import END, IO
from multiroute_core.runtime.run_sync import run


@dataclass(frozen=True, slots=True)
class Said(Reply):
    """A model's complete response."""

    message: AIMessage


def has_own(model: BaseChatModel, method: str) -> bool:
    """Whether the model's class overrides `method` of the base class."""
    return getattr(type(model), method) is not getattr(BaseChatModel, method)


def who(model: Any) -> Mapping[str, Any]:
    """The model's provider and name; the tracing parameters are the only place where every chat model reports them."""
    return model._get_ls_params()


async def ask(io: IO, limit: Deadline, body: Mapping[str, Any]) -> Said:
    """Request a complete response. A sync model cannot be interrupted at a deadline, so it runs in a thread."""
    if io.native and has_own(body["model"], "_agenerate"):
        return await io.wait(limit, _anow, body)
    return await io.thread(limit, _now, body)


def stream(io: IO, body: Mapping[str, Any]) -> Any:
    """Request a stream; a model without streaming yields its complete response."""
    model = body["model"]
    streams = has_own(model, "_stream")
    if io.native and has_own(model, "_astream"):
        return _astream(body)
    if io.native and not streams and has_own(model, "_agenerate"):
        return _aonce(body)
    return _Chunks(io, _stream(body) if streams else _once(body))


def _now(body: Mapping[str, Any]) -> Said:
    model = body["model"]
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)
    return _to_reply(model._generate(body["messages"], stop=body["stop"], **body["options"]))


async def _anow(body: Mapping[str, Any]) -> Said:
    model = body["model"]
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)
    return _to_reply(await model._agenerate(body["messages"], stop=body["stop"], **body["options"]))


def _once(body: Mapping[str, Any]) -> Iterator[Any]:
    yield _now(body)
    yield OVER


async def _aonce(body: Mapping[str, Any]) -> AsyncIterator[Any]:
    yield await _anow(body)
    yield OVER


def _stream(body: Mapping[str, Any]) -> Iterator[Any]:
    model = body["model"]
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)
    yield from model._stream(body["messages"], stop=body["stop"], **body["options"])
    yield OVER


async def _astream(body: Mapping[str, Any]) -> AsyncIterator[Any]:
    model = body["model"]
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)
    async for chunk in model._astream(body["messages"], stop=body["stop"], **body["options"]):
        yield chunk
    yield OVER


class _Chunks:
    """A sync model's stream, for sync and async callers; each step runs in a thread, since it cannot be interrupted."""

    def __init__(self, io: IO, source: Any) -> None:
        self._io = io
        self._source = source
        self._busy = self._left = False

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> Any:
        chunk = run(self._io.thread(current.get() or Deadline(), self._read))
        if chunk is END:
            raise StopIteration
        return chunk

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> Any:
        chunk = await self._io.thread(Deadline(), self._read)  # no deadline: the event loop cancels it
        if chunk is END:
            raise StopAsyncIteration
        return chunk

    def _read(self) -> Any:
        self._busy = True
        try:
            return next(self._source, END)
        finally:
            self._busy = False
            if self._left:
                self._source.close()

    def close(self) -> None:
        self._left = True  # a worker thread blocked in the model closes the stream when it returns
        if not self._busy:
            self._source.close()

    async def aclose(self) -> None:
        self.close()


def _to_reply(result: Any) -> Said:
    """The message, with the metadata of its generation merged into `response_metadata`."""
    generation = result.generations[0]
    message: AIMessage = generation.message
    about: dict[str, Any] = {
        **(result.llm_output or {}),
        **(generation.generation_info or {}),
        **message.response_metadata,
    }
    return Said(b"", {}, message.model_copy(update={"response_metadata": about}))
