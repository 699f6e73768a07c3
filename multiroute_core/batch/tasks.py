"""Batches on a running event loop: a fixed number of tasks that share the iterator of prompts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any

from multiroute_core.batch.reporter import REFRESH_SECONDS, Reporter
from multiroute_core.batch.results import BatchResults
from multiroute_core.errors import MultiRouteError
from multiroute_core.types import Response

_PENDING = MultiRouteError("The batch ended before this prompt had a response; send it again.")


async def map_in_tasks(
    prompts: Iterable[Any] | AsyncIterable[Any],
    send: Callable[[Any], Awaitable[Response]],
    concurrency: int,
    reporter: Reporter,
) -> BatchResults:
    """Send prompts in tasks, and return the results in their order.

    Args:
        prompts: The prompts; the next one is taken when a task is free.
        send: Sends one prompt, and returns its response.
        concurrency: The maximum number of calls in flight.
        reporter: Receives the progress.
    """
    entries: list[Response | Exception] = []
    remaining = _iterate(prompts)
    turn = asyncio.Lock()  # an async generator may not be resumed while it runs

    async def work() -> None:
        while True:
            async with turn:
                try:
                    prompt = await anext(remaining)
                except StopAsyncIteration:
                    return
                index = len(entries)
                entries.append(_PENDING)
            try:
                outcome: Response | Exception = await send(prompt)
            except Exception as error:
                outcome = error
            entries[index] = outcome
            reporter.record(outcome)
            # A call that was answered from the cache never suspends; other tasks of the loop must run all the same.
            await asyncio.sleep(0)

    async def tick() -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            reporter.refresh()

    tasks: list[asyncio.Task[None]] = []
    clock = asyncio.create_task(tick())
    try:
        tasks.extend(asyncio.create_task(work()) for _ in range(_at_most(concurrency, reporter.progress.total)))
        await asyncio.gather(*tasks)
    finally:
        await _cancel([clock, *tasks])
        await remaining.aclose()
        progress = reporter.close()
    return BatchResults(entries, progress)


def _at_most(concurrency: int, total: int | None) -> int:
    return concurrency if total is None else min(concurrency, total)


async def _iterate(prompts: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(prompts, AsyncIterable):
        async for prompt in prompts:
            yield prompt
    else:
        for prompt in prompts:
            yield prompt


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end, also if the caller is cancelled again meanwhile."""
    for task in tasks:
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            task.exception()  # it has been raised by `gather`, or the batch ends with another one
    if cancelled is not None:
        raise cancelled
