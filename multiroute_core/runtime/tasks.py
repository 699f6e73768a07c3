"""Task runners: generators in tasks of their own, on a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from multiroute_core.runtime.io import END
from multiroute_core.runtime.run_sync import unwrap


class TaskRunner:
    """A generator in a task of its own."""

    def __init__(self, generator: AsyncGenerator[Any, None]) -> None:
        self._items: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue(1)
        self._over = False
        self._closed = False
        self.begun = asyncio.Event()
        self._task = asyncio.create_task(self._work(generator))

    async def next(self) -> Any:
        if self._over:
            return END
        completion = await self._items.get()
        self._over = completion[0] is END
        return unwrap(completion)

    async def close(self) -> None:
        self._closed = True
        self._task.cancel()
        cancelled: asyncio.CancelledError | None = None
        while not self._task.done():
            try:
                await asyncio.wait((self._task,))
            # the caller is cancelled as well; wait for the end of the task first
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _work(self, generator: AsyncGenerator[Any, None]) -> None:
        failure: BaseException | None = None
        try:
            async with contextlib.aclosing(generator):
                async for item in generator:
                    self.begun.set()
                    await self._items.put((item, None))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # passed on to the reader
            failure = error
        if self._closed:
            return
        self.begun.set()
        await self._items.put((END, failure))


async def first(runners: Sequence[TaskRunner], seconds: float | None) -> TaskRunner | None:
    """Return the first runner with a result, or None after a timeout."""
    waits = [asyncio.ensure_future(runner.begun.wait()) for runner in runners]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return next((runner for runner in runners if runner.begun.is_set()), None)
