"""Chunk pump: reads the chunks of a stream in one task and hands over the events, with a timeout for each.

How this works: an async stream has to be read by a single task, because its timeouts belong to that task. So the pump
reads in a task of its own and fills a short queue; whoever writes the response waits for the queue, and may give up
waiting without disturbing the stream. Stopping the pump cancels the task, and with it the call to the provider. A sync
stream is read in AnyIO's worker threads; the router watches their cancel scopes (`runtime/readers.py`), and the pump
closes the stream itself where no thread is reading it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, TypeAlias, cast

import anyio
import anyio.to_thread

from multiroute_core.runtime.readers import call_off_within
from multiroute_core.serving.call import EventWriter
from multiroute_core.types import Chunk

_log = logging.getLogger(__name__)

Chunks: TypeAlias = AsyncIterable[Chunk] | Iterable[Chunk]


class Signal(enum.Enum):
    """What comes in place of events."""

    SILENCE = "silence"
    """Nothing has arrived in time."""
    END = "end"
    """The stream is over, or the pump was stopped."""


SILENCE = Signal.SILENCE
END = Signal.END

_AHEAD = 8
"""How many chunks are read ahead."""


class ChunkPump:
    """Reads a stream and hands over its events.

    Args:
        chunks: The chunks of a sync or async stream.
        writer: Writes them as events.
    """

    def __init__(self, chunks: Chunks, writer: EventWriter) -> None:
        self._chunks = chunks
        self._writer = writer
        self._queue: asyncio.Queue[bytes | BaseException | Signal] = asyncio.Queue(_AHEAD)
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Start to read, on the running event loop."""
        self._task = asyncio.create_task(self._read())

    async def next(self, timeout: float | None) -> bytes | Signal:  # noqa: ASYNC109
        """Return the next events; all that are ready come together.

        Args:
            timeout: Seconds to wait; None waits without a limit.

        Raises:
            Exception: What the stream has raised.
        """
        if self._queue.empty() and self._stopped:
            return END
        try:
            async with asyncio.timeout(timeout):
                first = await self._queue.get()
        except TimeoutError:
            return SILENCE
        if not isinstance(first, bytes):
            return self._finish(first)
        frames = [first]
        while not self._queue.empty():
            following = self._queue.get_nowait()
            if not isinstance(following, bytes):
                self._queue.put_nowait(following)
                break
            frames.append(following)
        return b"".join(frames)

    def stop(self) -> None:
        """Cancel the stream; whoever waits in `next` gets `END`."""
        if self._stopped:
            return
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(END)

    async def close(self) -> None:
        """Stop, and wait until the stream is closed."""
        self.stop()
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.exception()
        else:
            await _close(self._chunks)

    def _finish(self, last: BaseException | Signal) -> Signal:
        self._stopped = True
        if isinstance(last, BaseException):
            raise last
        return END

    async def _read(self) -> None:
        is_over = False
        try:
            async for chunk in _iterate(self._chunks):
                _check_type(chunk)
                if frames := self._writer.feed(chunk):
                    await self._queue.put(frames)
            is_over = True
            last: BaseException | Signal = END
        except Exception as error:
            last = error
        finally:
            if not is_over:
                await _close(self._chunks)
        await self._queue.put(last)


def _check_type(chunk: Any) -> None:
    """Refuse a value that is not a chunk, and log it: the response cannot report it."""
    if not isinstance(chunk, Chunk):
        what = f"The stream yields {type(chunk).__name__} in place of a Chunk"
        message = f"{what}; pass what router.astream(…) or router.stream(…) returns."
        _log.error(message)
        raise TypeError(message)


async def _iterate(chunks: Chunks) -> AsyncIterator[Chunk]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
        return
    iterator = iter(chunks)
    limiter = anyio.CapacityLimiter(1)  # AnyIO's own admits 40 threads, which so many silent streams would occupy
    while (step := await _step_in_thread(iterator, limiter)) is not END:
        yield cast("Chunk", step)


async def _step_in_thread(iterator: Iterator[Chunk], limiter: anyio.CapacityLimiter) -> Chunk | Signal:
    """Take one step in a worker thread. If the task is cancelled meanwhile, the thread is left behind."""
    scope = anyio.CancelScope()
    try:
        with scope:
            return await anyio.to_thread.run_sync(_step, iterator, abandon_on_cancel=True, limiter=limiter)
    except asyncio.CancelledError:
        scope.cancel()  # this is what the router sees in the thread
        call_off_within(asyncio.get_running_loop(), scope)
        raise
    return END


def _step(iterator: Iterator[Chunk]) -> Chunk | Signal:
    return next(iterator, END)


async def _close(chunks: Any) -> None:
    """Close the stream. A sync one closes in a thread, because it may wait; one that a thread is reading refuses."""
    if (aclose := getattr(chunks, "aclose", None)) is not None:
        with contextlib.suppress(Exception):
            await aclose()
    elif (close := getattr(chunks, "close", None)) is not None:
        threading.Thread(target=_close_quietly, args=(close,), daemon=True).start()


def _close_quietly(close: Any) -> None:
    with contextlib.suppress(Exception):
        close()
