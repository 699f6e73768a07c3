"""Two tries at once: the second begins when the first takes longer than usual, and who speaks first goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from multiroute_core.engine.attempt import AttemptRunner
from multiroute_core.errors import RouteError, StreamInterruptedError
from multiroute_core.messages import Part
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import END, IO, Runner


class StartedAttempt:
    """A try that has begun to answer.

    Attributes:
        attempt: The try.
        first: Its first parts; None where its answer is empty.
    """

    __slots__ = ("attempt", "close", "first", "next")

    def __init__(
        self, attempt: AttemptRunner, first: tuple[Part, ...] | None, speaker: AttemptRunner | HedgedAttempt
    ) -> None:
        self.attempt = attempt
        self.first = first
        self.next: Callable[[], Awaitable[tuple[Part, ...] | None]] = speaker.next
        self.close: Callable[[BaseException | None], Awaitable[None]] = speaker.close


class HedgedAttempt:
    """A try that runs apart, in a task or thread of its own, which also closes it."""

    def __init__(self, io: IO, attempt: AttemptRunner) -> None:
        self.attempt = attempt
        self._generation = forks.generation()
        self.runner: Runner = io.start(_parts(attempt), attempt.limit)

    async def next(self) -> tuple[Part, ...] | None:
        """As of the try."""
        if self._generation != forks.generation():  # the thread that reads is the parent's, and the parent reads on
            raise StreamInterruptedError("The stream belongs to the process of which this one is a fork.")
        item: Any = await self.runner.next()
        return None if item is END else item

    async def close(self, error: BaseException | None) -> None:
        """Call the try off, if it is not over."""
        try:
            if self._generation == forks.generation():
                await self.runner.close()
        finally:
            self.attempt.leave()


async def race(
    io: IO,
    first: AttemptRunner,
    seconds: float,
    rival: Callable[[], Awaitable[AttemptRunner | None]],
    ended: Callable[[AttemptRunner, BaseException | None], None],
) -> StartedAttempt | None:
    """Whoever speaks first; the other one is called off. None where both have failed.

    Args:
        io: How it waits.
        first: Who begins.
        seconds: After how many the second one begins.
        rival: The second one; None where nobody may be asked.
        ended: Told of every try that is over, with its error; what it raises ends the race.
    """
    racers = [HedgedAttempt(io, first)]
    alone = True
    try:
        while racers:
            ready = await io.first([racer.runner for racer in racers], seconds if alone else None)
            if ready is None:
                alone = False
                if (second := await rival()) is not None:
                    racers.append(HedgedAttempt(io, second))
                continue
            racer = next(racer for racer in racers if racer.runner is ready)
            try:
                voice = StartedAttempt(racer.attempt, await racer.next(), racer)
            except RouteError as error:
                racers.remove(racer)
                await racer.close(error)
                ended(racer.attempt, error)
                continue
            first.overtaken = racer.attempt is not first
            for loser in [other for other in racers if other is not racer]:
                racers.remove(loser)
                await _called_off(loser, ended)
            racers.clear()
            return voice
        return None
    finally:
        for racer in racers:
            await _called_off(racer, ended)


async def _called_off(racer: HedgedAttempt, ended: Callable[[AttemptRunner, BaseException | None], None]) -> None:
    try:
        await racer.close(None)
    finally:
        ended(racer.attempt, None)


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
