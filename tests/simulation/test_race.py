"""Two tries at once, on virtual time and with real threads: whoever loses is closed, recorded, and costs no permit."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator

import pytest

from multiroute_core import BadRequestError, Router, Usage
from multiroute_core.errors import AllRoutesFailedError, AuthenticationError, DeadlineExceededError, RouteError
from multiroute_core.events import RouteSkipped
from multiroute_core.testing import (
    Answer,
    DropConnection,
    Fail,
    Hang,
    Step,
    VirtualLoop,
    provider_of,
    run_in_virtual_time,
    scripted_route,
)
from multiroute_core.testing.behaviours import HEADERS, PING
from multiroute_core.types import Delta

pytestmark = pytest.mark.slow

TICK = 0.02
"""The seconds in which answers usually begin. A rival is asked when it takes longer."""

LONG = 1.0
"""So long that a rival is asked, however busy the machine is: in sync code threads race in real time."""

WARM = 20
"""So many answers have to be known."""

FACES = ("generate", "stream", "agenerate", "astream")


class Metered:
    """Tell the tokens of the prompt, as Anthropic does, and say nothing."""

    def steps(self, incoming) -> Iterator[Step]:
        yield Step(0.0, HEADERS)
        yield Step(0.0, Delta(usage=Usage(7, 0)))
        yield Step(math.inf, PING)


class Duel:
    """A router whose first route is well known, and then behaves as `first` does."""

    def __init__(self, face, first, second, *, backup=False, **settings):
        self.face, self.events = face, []
        usual = Answer("usual", first_token=TICK)
        second = second if isinstance(second, list) else [second]
        self.routes = [scripted_route("a", [usual] * WARM + [first]), scripted_route("b", second, backup=backup)]
        self.router = Router(
            self.routes, on_event=[self.events.append], **{"hedge_budget": 0.05, "max_retries": 0} | settings
        )
        self.loop = None
        if face[0] == "a":
            self.loop = VirtualLoop()
            run_in_virtual_time(self.router, self.loop)
        for _ in range(WARM):
            assert self.ask(model="a").route == "a"

    def ask(self, **options):
        """What comes of one request, by this face."""
        self.heard = []
        if self.loop is not None:
            return self.loop.run_until_complete(self.aask(**options))
        if self.face == "generate":
            return self.router.generate("Hi", **options)
        for chunk in self.router.stream("Hi", **options):
            self.heard.append(chunk)
        return self.heard[-1].response

    async def aask(self, **options):
        if self.face == "agenerate":
            return await self.router.agenerate("Hi", **options)
        async for chunk in self.router.astream("Hi", **options):
            self.heard.append(chunk)
        return self.heard[-1].response

    def end(self):
        """At rest no call, no place and no thread is left."""
        assert [provider_of(route).in_flight for route in self.routes] == [0, 0]
        standings = self.router.health().routes
        assert [standing.in_flight for standing in standings.values()] == [0, 0]
        if self.loop is not None:
            assert not asyncio.all_tasks(self.loop)
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
        return standings


def tries(attempts):
    return {(attempt.route, attempt.outcome) for attempt in attempts}


@pytest.fixture(params=FACES)
def face(request):
    before = set(threading.enumerate())
    yield request.param
    for _ in range(500):  # a thread that has said its last word needs a moment to end
        if not (left := set(threading.enumerate()) - before):  # those of other tests may end meanwhile
            return
        time.sleep(0.01)
    raise AssertionError(f"threads are left: {left}")


def test_the_loser_is_called_off_and_blamed_for_nothing(face):
    duel = Duel(face, Answer("late", first_token=10 * LONG), Answer("soon"))
    response = duel.ask()
    assert response.text == "soon"
    assert [(attempt.route, attempt.outcome) for attempt in response.attempts] == [
        ("a", "cancelled"),
        ("b", "success"),
    ]
    assert [standing.breaker for standing in duel.end().values()] == ["closed", "closed"]
    (loser,) = provider_of(duel.routes[0]).takes[WARM:]
    assert (loser.finish_reason, loser.parts) == (None, [])


@pytest.mark.parametrize("face", ["stream", "astream"])
def test_the_tokens_of_the_loser_are_kept(face):
    duel = Duel(face, Metered(), Answer("soon"))
    response = duel.ask()
    assert {(a.route, a.outcome): a.usage for a in response.attempts}["a", "cancelled"] == Usage(7, 0)
    assert response.usage == provider_of(duel.routes[1]).takes[-1].usage
    duel.end()


def test_a_tie_loses_nothing(face):
    """Both begin in the same moment; on virtual time to the nanosecond."""
    first = Answer(("one ", "one"), first_token=3 * TICK, per_chunk=TICK)
    duel = Duel(face, first, Answer(("two ", "two"), first_token=2 * TICK, per_chunk=TICK), hedge_budget=0.5)
    for _ in range(5):
        response = duel.ask()
        assert response.text in ("one one", "two two")
        if duel.heard:
            assert "".join(chunk.text for chunk in duel.heard) == response.text
        assert len(response.attempts) == 2 or duel.loop is None  # where time is real, one may be over before the other
        assert "success" in [attempt.outcome for attempt in response.attempts]
    duel.end()


def test_the_deadline_calls_both_off(face):
    duel = Duel(face, Hang(), Hang())
    with pytest.raises(DeadlineExceededError) as caught:
        duel.ask(deadline=LONG)
    assert tries(caught.value.attempts) == {("a", "timeout"), ("b", "timeout")}
    duel.end()


@pytest.mark.parametrize("face", ["agenerate", "astream"])
@pytest.mark.parametrize("ticks", [0.5, 1, 2])
def test_a_caller_that_gives_up_takes_both_along(face, ticks):
    """Before the rival is asked, in that very moment, and after it."""
    duel = Duel(face, Hang(), Hang())

    async def main():
        task = asyncio.ensure_future(duel.aask())
        await asyncio.sleep(ticks * TICK)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert duel.loop is not None
    duel.loop.run_until_complete(main())
    assert len(provider_of(duel.routes[1]).takes) in {0.5: (0,), 1: (0, 1), 2: (1,)}[ticks]
    assert tries(duel.events[-1].attempts) <= {("a", "cancelled"), ("b", "cancelled")}
    assert [standing.breaker for standing in duel.end().values()] == ["closed", "closed"]


def test_a_rival_that_is_shut_is_not_asked(face):
    duel = Duel(face, Answer("late", first_token=LONG), [Fail(AuthenticationError), Answer("soon")])
    with pytest.raises(AuthenticationError):
        duel.ask(model="b")
    response = duel.ask()
    assert [(attempt.route, attempt.outcome) for attempt in response.attempts] == [("a", "success")]
    assert [event.route for event in duel.events if isinstance(event, RouteSkipped)] == ["b"]
    duel.end()


def test_a_rival_that_cannot_be_paid_for_is_not_asked(face):
    """There is one to begin with, and a twentieth for each request."""
    duel = Duel(face, Answer("late", first_token=LONG), Answer("soon"))
    assert [duel.ask().text for _ in range(3)] == ["soon", "soon", "late"]
    assert len(provider_of(duel.routes[1]).takes) == 2
    duel.end()


def test_a_backup_is_no_rival(face):
    duel = Duel(face, Answer("late", first_token=LONG), Answer("soon"), backup=True)
    assert duel.ask().text == "late"
    assert not provider_of(duel.routes[1]).takes
    duel.end()


def test_the_first_one_fails_and_the_rival_goes_on(face):
    duel = Duel(face, Fail(after=3 * TICK), Answer("soon", first_token=5 * TICK))
    response = duel.ask()
    assert [(a.route, a.outcome) for a in response.attempts] == [("a", "server_error"), ("b", "success")]
    duel.end()


def test_a_fault_of_the_caller_ends_the_race(face):
    duel = Duel(face, Hang(), Fail(BadRequestError))
    with pytest.raises(BadRequestError) as caught:
        duel.ask()
    assert tries(caught.value.attempts) == {("a", "cancelled"), ("b", "bad_request")}
    duel.end()


def test_both_fail(face):
    duel = Duel(face, Fail(after=4 * TICK), Fail(after=TICK))
    with pytest.raises(AllRoutesFailedError, match="2 attempts failed") as caught:
        duel.ask()
    assert all(isinstance(error, RouteError) for error in caught.value.errors)
    duel.end()


@pytest.mark.parametrize("face", ["stream", "astream"])
def test_the_loser_takes_over_when_the_winner_breaks_off(face):
    duel = Duel(face, Answer("late", first_token=LONG), DropConnection(1), on_stream_error="restart")
    assert duel.ask().text == "late"
    assert [(chunk.text, chunk.restarted) for chunk in duel.heard] == [
        ("one ", False),
        ("", True),
        ("late", False),
        ("", False),
    ]
    assert [(a.route, a.outcome) for a in duel.heard[-1].attempts] == [
        ("a", "cancelled"),
        ("b", "broken_stream"),
        ("a", "success"),
    ]
    duel.end()
