"""Hedging: a second attempt starts when the first is slower than usual; the first to respond wins."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.attempt import AttemptRunner
from multiroute_core.errors import RouteError, StreamInterruptedError
from multiroute_core.messages import Part
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import END, IO, Runner


class StartedAttempt:
    """An attempt that has begun to respond.

    Attributes:
        attempt: The attempt.
        first: Its first parts; None if its response is empty.
    """

    __slots__ = ("attempt", "close", "first", "next")

    def __init__(
        self, attempt: AttemptRunner, first: tuple[Part, ...] | None, source: AttemptRunner | HedgedAttempt
    ) -> None:
        self.attempt = attempt
        self.first = first
        self.next: Callable[[], Awaitable[tuple[Part, ...] | None]] = source.next
        self.close: Callable[[BaseException | None], Awaitable[None]] = source.close


class HedgedAttempt:
    """An attempt in a task or thread of its own, which also closes it."""

    def __init__(self, io: IO, attempt: AttemptRunner) -> None:
        self.attempt = attempt
        self._generation = forks.generation()
        self.runner: Runner = io.start(_parts(attempt), attempt.limit)

    async def next(self) -> tuple[Part, ...] | None:
        """Return the next parts, as `AttemptRunner.next` does."""
        if self._generation != forks.generation():  # the reading thread exists only in the parent process
            raise StreamInterruptedError("The stream belongs to the parent process; open it after the fork.")
        item: Any = await self.runner.next()
        return None if item is END else item

    async def close(self, error: BaseException | None) -> None:
        """Cancel the attempt if it is still running."""
        try:
            if self._generation == forks.generation():
                await self.runner.close()
        finally:
            self.attempt.leave()


async def race(
    io: IO,
    first: AttemptRunner,
    seconds: float,
    start_hedge: Callable[[], Awaitable[AttemptRunner | None]],
    on_end: Callable[[AttemptRunner, BaseException | None], None],
) -> StartedAttempt | None:
    """Return the attempt that responds first and cancel the other one; None if both failed.

    Args:
        io: Sync or async I/O.
        first: The first attempt.
        seconds: The delay before the second attempt starts.
        start_hedge: Starts the second attempt; returns None if none may start.
        on_end: Called with every ended attempt and its error; an error that it raises ends the race.
    """
    racers = [HedgedAttempt(io, first)]
    alone = True
    try:
        while racers:
            ready = await io.first([racer.runner for racer in racers], seconds if alone else None)
            if ready is None:
                alone = False
                if (second := await start_hedge()) is not None:
                    racers.append(HedgedAttempt(io, second))
                continue
            racer = next(racer for racer in racers if racer.runner is ready)
            try:
                active = StartedAttempt(racer.attempt, await racer.next(), racer)
            except RouteError as error:
                racers.remove(racer)
                await racer.close(error)
                on_end(racer.attempt, error)
                continue
            first.overtaken = racer.attempt is not first
            for loser in [other for other in racers if other is not racer]:
                racers.remove(loser)
                await _cancel(loser, on_end)
            racers.clear()
            return active
        return None
    finally:
        for racer in racers:
            await _cancel(racer, on_end)


async def _cancel(racer: HedgedAttempt, on_end: Callable[[AttemptRunner, BaseException | None], None]) -> None:
    try:
        await racer.close(None)
    finally:
        on_end(racer.attempt, None)


async def _parts(attempt: AttemptRunner) -> AsyncGenerator[tuple[Part, ...], None]:
    error: BaseException | None = None
    try:
        while (parts := await attempt.next()) is not None:
            yield parts
    except BaseException as caught:
        error = caught
        raise
    finally:
        await attempt.close(error)
