"""Who is asked through the incidents of `benchmarks.outages`, and the asking, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.incidents import ROUTES, History, Stretch, arrivals
from multiroute_core import Delta, MultiRouteError, Route, Router
from multiroute_core.parsing.arguments import build
from multiroute_core.pricing.prices import Prices
from multiroute_core.testing import IncomingCall, ScriptedProvider, VirtualLoop, provider_of, run_in_virtual_time

CALL_SECONDS, REQUEST_SECONDS = 30.0, 300.0


@dataclass(slots=True)
class Outcome:
    """What came of one request.

    Attributes:
        stretch: When it was asked.
        number: Of its arrival.
        first_token: Seconds to its first token; None where nobody answered.
        attempts: How many calls were made for it.
        cost: Of its answer, in USD.
    """

    stretch: Stretch
    number: int
    first_token: float | None = None
    attempts: int = 0
    cost: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether anybody answered."""
        return self.first_token is not None

    @property
    def added(self) -> float:
        """Seconds that its first token came later than a healthy provider's."""
        return 0.0 if self.first_token is None else self.first_token - self.healthy

    @property
    def healthy(self) -> float:
        """Seconds to its first token from a healthy provider."""
        return arrivals()[self.number].first_token


class Asks(Protocol):
    """A contestant."""

    async def ask(self, outcome: Outcome) -> None:
        """Ask for the answer to its arrival, and note what comes."""
        ...


class MultiRoute:
    """`multiroute_core.Router` with everything at its defaults."""

    def __init__(self, history: History, loop: VirtualLoop) -> None:
        self.routes = [Route(name, llm=ScriptedProvider(history.script)) for name in ROUTES.values()]
        self.router = Router(self.routes)
        self.loop = loop
        run_in_virtual_time(self.router, loop)

    async def ask(self, outcome: Outcome) -> None:
        began = self.loop.time()
        try:
            async for chunk in self.router.astream(str(outcome.number)):
                if outcome.first_token is None:
                    outcome.first_token = self.loop.time() - began
                if chunk.response is not None:
                    outcome.attempts, outcome.cost = len(chunk.response.attempts), chunk.response.cost or 0.0
        except MultiRouteError as error:
            outcome.first_token, outcome.attempts = None, len(error.attempts)
        finally:
            for route in self.routes:
                provider_of(route).takes.clear()  # nobody asks for them


class Memoryless:
    """Ask the routes in order, every time anew.

    Args:
        tries: How often each one is asked, with an SDK's waits in between.
        routes: How many there are.
    """

    def __init__(self, history: History, loop: VirtualLoop, *, tries: int, routes: int) -> None:
        self.history, self.loop, self.tries = history, loop, tries
        self.routes = [Route(name, api_key="none") for name in ROUTES.values()][:routes]
        self.calls = dict.fromkeys(ROUTES.values(), 0)
        self.prices = Prices()
        self.random = random.Random(0).random

    async def ask(self, outcome: Outcome) -> None:
        began = self.loop.time()
        try:
            async with asyncio.timeout(REQUEST_SECONDS) as limit:
                for route in self.routes:
                    for tried in range(self.tries):
                        if tried:
                            await asyncio.sleep(min(0.5 * 2 ** (tried - 1), 8.0) * (1 - 0.25 * self.random()))
                        outcome.attempts += 1
                        if await self._begins(route.name, outcome.number):
                            limit.reschedule(None)
                            outcome.first_token = self.loop.time() - began
                            outcome.cost = self.prices.cost_on(route, arrivals()[outcome.number].usage) or 0.0
                            return
        except TimeoutError:
            return

    async def _begins(self, route: str, number: int) -> bool:
        """One call, until its first token."""
        self.calls[route] += 1
        asked = IncomingCall(route, self.calls[route], self.loop.time(), build(str(number), {})[0], stream=True)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                for step in self.history.script(asked).steps(asked):
                    await asyncio.sleep(step.after)
                    if isinstance(step.event, Exception):
                        return False
                    if isinstance(step.event, Delta):
                        return True
        except TimeoutError:
            pass
        return False


CONTESTANTS: dict[str, Callable[[History, VirtualLoop], Asks]] = {
    "the first provider alone, SDK's 2 retries": lambda h, loop: Memoryless(h, loop, tries=3, routes=1),
    "fallbacks, each with the SDK's 2 retries": lambda h, loop: Memoryless(h, loop, tries=3, routes=3),
    "fallbacks, each asked once": lambda h, loop: Memoryless(h, loop, tries=1, routes=3),
    "MultiRoute": MultiRoute,
}
OURS = "MultiRoute"


def live(
    contestant: Callable[[History, VirtualLoop], Asks],
    history: History,
    stretches: Sequence[Stretch],
    advance: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Send one contestant through all the stretches.

    Args:
        contestant: Makes it.
        history: What the providers do.
        stretches: When it is asked.
        advance: Called after each stretch.
    """
    loop = VirtualLoop(history.changes[0])
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_live(contestant(history, loop), stretches, loop, advance))


async def _live(
    contestant: Asks, stretches: Sequence[Stretch], loop: VirtualLoop, advance: Callable[[], None]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    running: set[asyncio.Task[None]] = set()
    for stretch in stretches:
        for at, number in stretch.asked():
            await asyncio.sleep(at - loop.time())
            outcomes.append(Outcome(stretch, number))
            task = loop.create_task(contestant.ask(outcomes[-1]))
            running.add(task)
            task.add_done_callback(running.discard)
        advance()
    for task in tuple(running):
        await task
    return outcomes
