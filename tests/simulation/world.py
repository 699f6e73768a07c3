"""A world: routes that fail by a schedule, callers that come, wait, and walk away, and the real router between them.

All of it follows from one number. What the router claims is kept beside what its providers know to be true.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
from dataclasses import replace
from typing import Any

from multiroute_core import Budget, Ledger, Router
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import Event, RequestEnded, RequestStarted, RouteSkipped
from multiroute_core.guards import Guard, mask_personal_data, restrict_personal_data
from multiroute_core.testing.scripted import RecordedCall, provider_of
from multiroute_core.testing.virtual import VirtualLoop, run_in_virtual_time
from tests.simulation.callers import Caller, crowd, spelled
from tests.simulation.terrain import terrain
from tests.simulation.watch import MOST_STEPS, Endless, WatchedState, asking

FAULTY_SECONDS = 60.0
"""How long things go wrong; after that they do not."""

COOL_SECONDS = 500.0
"""After so long without faults every break and every retry_after is over."""


BUDGETS = Budget(tokens=10**12, per="session", hard=True), Budget(usd=1e6, per="month", scope="route", hard=True)
"""They count everything and refuse nothing."""


class GuardedLoop(VirtualLoop):
    """Virtual time that never stands still for ever."""

    steps = 0

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Endless(f"it never ends: {self.steps} steps by {self.time():g} s")
        super()._run_once()  # pyright: ignore[reportAttributeAccessIssue]


class World:
    """Everything that follows from `seed`.

    Attributes:
        sound: Routes that never fail.
        callers: Those of the troubled time.
        late: Those that come when all faults are over and everything had time to recover.
        privacy: How personal data is guarded: `"none"`, `"mask"`, or `"restrict"` to routes with the tag `"eu"`.
    """

    def __init__(self, seed: int, users: int = 200) -> None:
        dice = random.Random(seed)
        self.seed = seed
        self.settings: dict[str, Any] = {
            "max_retries": dice.choice((0, 1, 2)),
            # What is sound takes 1.1 s at most, and 0.7 s to its first token.
            "attempt_timeout": dice.choice((1.5, 2.0, 3.0)),
            "first_token_timeout": dice.choice((None, 1.0, 1.5)),
            "stall_timeout": dice.choice((0.5, 1.0)),
            "total_timeout": dice.choice((None, None, 2.0)),
            "hedge_budget": dice.choice((None, None, None, None, 0.05, 0.1, 0.2)),
        }
        self.routes, self.schedule, self.sound = terrain(dice, seed, FAULTY_SECONDS)
        self.callers = crowd(dice, users, FAULTY_SECONDS)
        self.late = [Caller(f"late{n}", 0.0, bool(n % 2), 30.0, options={"deadline": 30.0}) for n in range(4)]
        self.by_name = {caller.name: caller for caller in (*self.callers, *self.late)}
        self.privacy, guards = self._guard_personal_data(random.Random(f"privacy {seed}"))
        self.loop = GuardedLoop()
        self.ledger = Ledger(wall=self.loop.time)
        self.router = Router(
            self.routes, on_event=[self._heard], ledger=self.ledger, budget=BUDGETS, guards=guards, **self.settings
        )
        run_in_virtual_time(self.router, self.loop, seed)
        self.state = WatchedState(self.router._parts.state, self)
        self.router._parts = replace(self.router._parts, state=self.state)
        for route in self.routes:
            provider_of(route).on_end = self.state.ended
        self.skipped: list[RouteSkipped] = []
        self.takes: list[RecordedCall] = []
        self.takes_of: dict[str, list[RecordedCall]] = {}
        self._callers: dict[RecordedCall, Caller] = {}

    def run(self) -> World:
        """Let it happen, to its end."""
        loop = self.loop
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._unhandled)
        gc.disable()  # it would come at moments that do not follow from the seed
        try:
            loop.run_until_complete(self._happen())
            loop.run_until_complete(loop.shutdown_asyncgens())
            # What was dropped is closed by the loop, a step later.
            loop.run_until_complete(asyncio.sleep(1.0))
        finally:
            gc.enable()
            asyncio.set_event_loop(None)
            loop.close()
        self.takes = [take for route in self.routes for take in provider_of(route).takes]
        for take in self.takes:
            self.takes_of.setdefault(self.caller_of(take).name, []).append(take)
        return self

    def _guard_personal_data(self, dice: random.Random) -> tuple[str, list[Guard]]:
        """Give some callers personal data."""
        privacy = dice.choice(("none", "mask", "restrict", "restrict"))
        if privacy == "none":
            return privacy, []
        for number, caller in enumerate(self.callers):
            if dice.random() < 0.5:
                caller.personal_data = f"anna.{number}@example.org"
        if privacy == "mask":
            return privacy, [mask_personal_data(["email"])]
        return privacy, [restrict_personal_data("eu", ["email"])]

    def caller_of(self, take: RecordedCall) -> Caller:
        """Who has asked for this."""
        caller = self._callers.get(take)
        if caller is None:
            caller = self._callers[take] = self.by_name[take.asked.request.messages[0].text.partition(" ")[0]]
        return caller

    def trace(self) -> str:
        """The whole story in one word: equal if and only if all that callers saw is."""
        story = [
            (
                caller.name,
                caller.end,
                caller.ended,
                [(at, spelled(chunk.parts), chunk.restarted) for at, chunk in caller.heard],
                [(attempt.route, attempt.outcome, attempt.seconds) for attempt in caller.attempts],
            )
            for caller in self.by_name.values()
        ]
        return hashlib.sha256(repr(story).encode()).hexdigest()[:16]

    async def _happen(self) -> None:
        tasks = [self.loop.create_task(self._asks(caller)) for caller in self.callers]
        for task, caller in zip(tasks, self.callers, strict=True):
            if caller.leaves == "cancel":
                self.loop.call_later(caller.at + caller.patience, task.cancel)
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                raise error
        await asyncio.sleep(max(0.0, FAULTY_SECONDS - self.loop.time()) + COOL_SECONDS)
        for caller in self.late:
            caller.at = self.loop.time()
            await self._asks(caller)
            await asyncio.sleep(10.0)

    async def _asks(self, caller: Caller) -> None:
        loop, router = self.loop, self.router
        await asyncio.sleep(caller.at - loop.time())
        caller.began = loop.time()
        asking.set(caller)
        try:
            if caller.stream:
                await self._listens(caller)
            else:
                caller.response = await router.agenerate(caller.prompt, **caller.options)
                caller.end = "success"
        except MultiRouteError as error:
            caller.error, caller.end = error, getattr(error, "code", type(error).__name__)
        except asyncio.CancelledError:
            caller.end = "cancel"
            raise
        finally:
            caller.ended = loop.time()

    async def _listens(self, caller: Caller) -> None:
        stream = self.router.astream(caller.prompt, **caller.options)
        heard = 0
        while True:
            chunk = await anext(stream, None)
            if chunk is None:
                caller.end = "success"
                return
            if chunk.parts or chunk.restarted:
                caller.heard.append((self.loop.time(), chunk))
                heard += 1
            caller.response = chunk.response or caller.response
            if caller.leaves in ("close", "drop") and heard >= caller.patience:
                caller.end = caller.leaves
                if caller.leaves == "close":
                    await stream.aclose()
                return  # or else nobody holds the stream any more

    def _heard(self, event: Event) -> None:
        if isinstance(event, RequestStarted):
            caller = self.by_name[event.request.messages[0].text.partition(" ")[0]]
            caller.started += 1
            caller.candidates = event.candidates
            self.state.requests[event.request_id] = caller
        elif isinstance(event, RequestEnded):
            self.state.requests[event.request_id].told.append(event)
        elif isinstance(event, RouteSkipped):
            self.skipped.append(event)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.state.wrongs.append(f"unhandled in the loop: {context.get('exception')!r} ({context['message']})")
