"""The four faces agree: on the same schedule and seed they say, try, tell and take the same."""

import asyncio
from typing import Any

import pytest

from multiroute_core import MultiRouteError, Router
from multiroute_core.errors import StreamInterruptedError
from multiroute_core.runtime import sync_io
from multiroute_core.testing import Answer, VirtualClock, VirtualLoop, provider_of, random_schedule, run_in_virtual_time

pytestmark = pytest.mark.slow

REQUESTS = 30
NAMES = ("a", "b", "c")
SETTINGS: dict[str, Any] = {"attempt_timeout": 2.0, "first_token_timeout": 1.0, "stall_timeout": 0.5, "deadline": 8.0}
STRATEGIES = ("priority", "weighted", "least_busy", "fastest", "cheapest")
STREAM_ERRORS = ("raise", "restart", "continue")


class Life:
    """One caller's requests by one face, one every two seconds or so, and all that came of them."""

    def __init__(self, seed, clock, *, sleep=None):
        self.schedule = random_schedule(
            seed, NAMES, seconds=50.0, trouble=0.5, answer=Answer(("one ", "two ", "three"))
        )
        limits = {"rpm": 20, "tpm": 4000, "rate_limit_group": "account"} if seed % 2 else {}
        self.routes = [self.schedule.route(name, sleep=sleep, **(limits if name != "c" else {})) for name in NAMES]
        self.clock, self.events, self.story = clock, [], []
        self.router = Router(
            self.routes,
            strategy=STRATEGIES[seed % 5],
            on_stream_error=STREAM_ERRORS[seed % 3],
            fallback_on={"refusal"} if seed % 2 else (),
            on_event=[self.heard],
            **SETTINGS,
        )
        run_in_virtual_time(self.router, clock, seed)

    def heard(self, event):
        self.events.append((type(event).__name__, round(self.clock.time(), 6), getattr(event, "route", "")))

    def end(self, response, heard, error):
        attempts = error.attempts if error else response.attempts
        kept = error.partial if isinstance(error, StreamInterruptedError) else response
        self.story.append(
            (
                type(error).__name__,
                tuple(heard),
                kept and (kept.text, kept.finish_reason, kept.usage, kept.route),
                [(a.route, a.outcome, round(a.seconds, 6), a.usage) for a in attempts],
                round(self.clock.time(), 6),
            )
        )

    @property
    def all(self):
        takes = [len(provider_of(route).takes) for route in self.routes]
        assert not any(provider_of(route).in_flight for route in self.routes)
        return self.story, self.events, takes


def sync_life(seed, monkeypatch, *, stream):
    clock = VirtualClock()
    monkeypatch.setattr(sync_io, "time", clock)
    life = Life(seed, clock, sleep=clock.sleep)
    for number in range(REQUESTS):
        response, heard, error = None, [], None
        try:
            if stream:
                for chunk in life.router.stream(f"q{number}"):
                    heard += [chunk.text or chunk.restarted]
                    response = chunk.response
            else:
                response = life.router.generate(f"q{number}")
        except MultiRouteError as failure:
            error = failure
        life.end(response, heard, error)
        clock.sleep(2.05)
    return life.all


def async_life(seed, *, stream):
    loop = VirtualLoop()
    life = Life(seed, loop)

    async def main():
        for number in range(REQUESTS):
            response, heard, error = None, [], None
            try:
                if stream:
                    async for chunk in life.router.astream(f"q{number}"):
                        heard += [chunk.text or chunk.restarted]
                        response = chunk.response
                else:
                    response = await life.router.agenerate(f"q{number}")
            except MultiRouteError as failure:
                error = failure
            life.end(response, heard, error)
            await asyncio.sleep(2.05)

    loop.run_until_complete(main())
    loop.close()
    return life.all


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("seed", range(25))
def test_sync_and_async_are_the_same(seed, stream, monkeypatch):
    assert sync_life(seed, monkeypatch, stream=stream) == async_life(seed, stream=stream)


@pytest.mark.parametrize("seed", range(25))
def test_whole_and_streamed_answers_say_the_same(seed, monkeypatch):
    """Where neither met a fault; a stream that was cut is an answer that never was."""
    whole, streamed = (async_life(seed, stream=stream)[0] for stream in (False, True))
    good = [
        (a, b)
        for a, b in zip(whole, streamed, strict=True)
        if a[0] == b[0] == "NoneType" and len(a[3]) == len(b[3]) == 1
    ]
    assert good
    assert all(a[2][0] == b[2][0] == "".join(b[1][:-1]) for a, b in good)
