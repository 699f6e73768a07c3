"""The cache's laws in random worlds: few questions, many callers, faults, and callers that walk away.

A hit gives again what a provider said to its end, piece by piece, and costs nothing; only whole answers are kept; equal
requests that are on their way together fly once; and nothing is left behind.
"""

import asyncio
import contextlib
import random
from collections import defaultdict

import pytest

from multiroute_core import CacheConfig, MultiRouteError, Router
from multiroute_core.engine.caching import JITTER, WAIT_SECONDS
from multiroute_core.testing import Answer, VirtualLoop, provider_of, random_schedule, run_in_virtual_time

NAMES = ("a", "b")
SECONDS = 60.0
ANSWER = Answer(("{route} ", "{number} ", "{asked}"), first_token=0.2, per_chunk=0.1)
WHOLE = {"stop", "tool_call"}


class Caller:
    """One caller, and what it got: chunks, and how it ended."""

    def __init__(self, number, dice):
        self.number, self.at = number, round(dice.uniform(0, SECONDS) * 4) / 4
        self.question = f"q{dice.randrange(6)}"
        self.stream = dice.random() < 0.5
        self.leaves = dice.random() < 0.2
        self.patience = dice.choice((0.0, 0.1, 0.3, 0.6))
        self.cache = dice.choice((None, None, None, None, False, "refresh"))
        self.deadline = dice.choice((2.0, 10.0, 60.0))
        self.began = self.ended = 0.0
        self.heard, self.response, self.error = [], None, None

    async def ask(self, router, clock):
        await asyncio.sleep(self.at - clock.time())
        self.began = clock.time()
        options = {"cache": self.cache, "deadline": self.deadline}
        try:
            if self.stream:
                async with contextlib.aclosing(router.astream(self.question, **options)) as stream:
                    async for chunk in stream:
                        self.heard.append(chunk)
                self.response = self.heard[-1].response
            else:
                self.response = await router.agenerate(self.question, **options)
        except MultiRouteError as error:
            self.error = error
        finally:
            self.ended = clock.time()


class World:
    """Everything that follows from a seed."""

    def __init__(self, seed):
        dice = random.Random(seed)
        schedule = random_schedule(seed, NAMES, seconds=SECONDS, trouble=0.4, answer=ANSWER)
        self.routes = [schedule.route(name) for name in NAMES]
        self.ttl = dice.choice((3.0, 20.0, 1000.0))
        self.stale = dice.choice((0.0, 30.0))
        self.ends = []
        self.router = Router(
            self.routes,
            cache=CacheConfig(ttl=self.ttl, stale_if_error=self.stale),
            max_retries=1,
            first_token_timeout=1.0,
            stall_timeout=0.5,
            on_stream_error=dice.choice(("raise", "restart")),
            on_event=[lambda event: self.ends.append(event) if type(event).__name__ == "RequestEnded" else None],
        )
        self.callers = [Caller(number, dice) for number in range(120)]
        self.loop = VirtualLoop()
        run_in_virtual_time(self.router, self.loop, seed)

    def run(self):
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.happen())
        self.takes = [take for route in self.routes for take in provider_of(route).takes]
        return self

    async def happen(self):
        tasks = [asyncio.create_task(caller.ask(self.router, self.loop)) for caller in self.callers]
        for task, caller in zip(tasks, self.callers, strict=True):
            if caller.leaves:
                self.loop.call_at(caller.at + caller.patience, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(1.0)


def text(take):
    return "".join(part.text for part in take.parts)


def hits_are_true(world):
    """What is given again was said by a provider, wholly, lately, to the same question; it costs and uses nothing."""
    said = {text(take): take for take in world.takes}
    for caller in world.callers:
        found = caller.response
        if found is None or not found.cached:
            continue
        take = said.get(found.text)
        if take is None or take.finish_reason is None or take.cut:
            yield f"{caller.number} got {found.text!r}, which nobody has said to its end"
            continue
        age = caller.began - take.ended
        if take.asked.text != caller.question:
            yield f"{caller.number} asked {caller.question} and got {found.text!r}"
        most = world.ttl * (1 + JITTER)
        if not found.stale and age > most:
            yield f"{caller.number} got an answer of {age:g} s; the oldest is {most:g} s"
        if found.stale and (not world.stale or age > most + world.stale or age < world.ttl * (1 - JITTER)):
            yield f"{caller.number} got an answer of {age:g} s as a stale one"
        if caller.cache is not None:
            yield f"{caller.number} got a hit with cache={caller.cache!r}"
        if (found.cost, found.usage.total_tokens) != (0.0, 0) or (found.attempts and not found.stale):
            yield f"{caller.number} paid for a hit: {found}"


def streams_are_replayed(world):
    """A hit is streamed in the pieces of its original, if that was streamed, and else in one."""
    said = {text(take): take for take in world.takes}
    for caller in world.callers:
        if caller.stream and caller.response is not None and caller.response.cached and not caller.response.stale:
            pieces = [chunk.text for chunk in caller.heard if chunk.text]
            take = said[caller.response.text]
            if pieces != ([part.text for part in take.parts] if take.asked.stream else [text(take)]):
                yield f"{caller.number} heard {pieces}"


def equal_requests_fly_once(world):
    """While a request leads, nobody who may wait for it is answered by a provider before it is.

    It leads if no equal one was on its way when it began. Who has waited for half of the deadline, or for the lease,
    goes alone.
    """
    equal = defaultdict(list)
    for caller in world.callers:
        if caller.cache is None:
            equal[caller.question].append(caller)
    for question, callers in equal.items():
        for one in callers:
            led = not any(c is not one and c.began <= one.began <= c.ended for c in callers)
            if not led or one.response is None or one.response.cached:
                continue
            for other in callers:
                if other.began <= one.began or other.began >= one.ended or other.response is None:
                    continue
                waited = min(WAIT_SECONDS, other.deadline / 2)
                if not other.response.cached and one.ended < other.began + waited:
                    yield f"{other.number} asked {question} while {one.number} was on its way"


def nothing_is_left(world):
    """At rest no flight is on its way, and every request was told to have ended."""
    if world.router._parts.cache._flights._flights:
        yield f"flights are left: {world.router._parts.cache._flights._flights}"
    for take in world.takes:
        if take.ended is None:
            yield f"a call of {take.asked.text} is still open"


LAWS = (hits_are_true, streams_are_replayed, equal_requests_fly_once, nothing_is_left)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(10))
def test_every_law_holds_in_every_world(batch):
    for seed in range(batch * 6, batch * 6 + 6):
        world = World(seed).run()
        wrongs = [f"{law.__name__}: {wrong}" for law in LAWS for wrong in law(world)]
        assert not wrongs, f"World({seed}).run() breaks {len(wrongs)} laws, the first: {wrongs[0]}"


@pytest.mark.slow
def test_the_worlds_are_full_of_what_can_happen():
    found = defaultdict(int)
    for seed in range(30):
        world = World(seed).run()
        for caller in world.callers:
            kind = type(caller.error).__name__ if caller.error else "left" if caller.response is None else "asked"
            if caller.response is not None and caller.response.cached:
                kind = "stale" if caller.response.stale else "hit"
            found[kind] += 1
            if kind == "hit" and caller.ended > caller.began:
                found["waited"] += 1
    for kind in ("hit", "stale", "asked", "left", "waited", "AllRoutesFailedError", "StreamInterruptedError"):
        assert found[kind] > 5, dict(found)


def test_a_world_is_the_same_each_time():
    def story(world):
        return [(c.ended, c.response and (c.response.text, c.response.cached)) for c in world.callers]

    assert story(World(5).run()) == story(World(5).run())
