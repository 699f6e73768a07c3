"""Redis is killed, paused, restarted and emptied in the middle of load: no call fails, and nobody waits for it twice."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from multiroute_core import Router
from multiroute_core.resilience.admission import Outcome, Permit, Rejection, Verdict
from multiroute_core.resilience.circuit_breaker import BreakerSettings
from multiroute_core.route import Route
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Down
from multiroute_core.state.redis import RedisState
from multiroute_core.testing.behaviours import Answer, Fail
from multiroute_core.testing.scripted import scripted_route
from tests.redis_servers import KINDS, eventually, running
from tests.state.admissions import expect_permit, expect_rejection

pytestmark = pytest.mark.redis

TIMEOUT = 0.25
ROUTES = [
    Route("openai:plain"),
    Route("openai:limited", rpm=1e6, tpm=1e9),
    Route("openai:narrow", max_concurrency=3),
]
WELL, FAILED = Outcome(Verdict.SUCCESS, used=5, seconds=1.0), Outcome(Verdict.FAILURE)


def kill(server):
    server.kill()
    time.sleep(1.0)
    server.start()


def pause(server):
    server.pause()
    time.sleep(1.5)
    server.resume()


def restart(server):
    with server.client() as client:
        client.shutdown(nosave=True)
    server.process.wait()
    server.start()


def empty(server):
    with server.client() as client:
        for _ in range(20):
            client.flushall()
            time.sleep(0.05)


FAULTS = {"kill -9": kill, "pause": pause, "restart": restart, "FLUSHALL": empty}


@pytest.fixture(params=KINDS)
def server(request):
    with running(request.param) as found:
        yield found


class Load:
    """Threads and tasks that ask and settle, until told to stop."""

    def __init__(self, state: RedisState) -> None:
        self.state, self.over = state, threading.Event()
        self.errors: list[BaseException] = []
        self.waited: Counter[str] = Counter()  # who asked Redis and got no reply
        self._call, state.link.call = state.link.call, self._counted
        self.given: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self._blocking) for _ in range(3)]
        self.threads.append(threading.Thread(target=lambda: asyncio.run(self._native())))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def _blocking(self):
        io = SyncIO()
        while not self.over.is_set():
            for route in ROUTES:
                try:
                    run(self._step(io, route))
                except BaseException as error:
                    self.errors.append(error)
                time.sleep(0.002)

    async def _native(self):
        await asyncio.gather(*(self._task() for _ in range(10)))

    async def _task(self):
        io = AsyncIO()
        while not self.over.is_set():
            for route in ROUTES:
                try:
                    await self._step(io, route)
                except BaseException as error:
                    self.errors.append(error)
                await asyncio.sleep(0.01)

    async def _counted(self, io, *command):
        try:
            return await self._call(io, *command)
        except Down as error:
            if error.was_sent:
                self.waited[asyncio.current_task().get_name() if io.native else threading.current_thread().name] += 1
            raise

    async def _step(self, io, route):
        state = self.state
        await state.begin_request(io, io.now())
        leave = await state.admit(io, route, io.now(), tokens=5)
        if isinstance(leave, Rejection):
            assert leave.reason == "busy"
            return
        self.given["Redis" if leave.slot > 0 else "here"] += 1
        if io.native:
            await asyncio.sleep(0.002)
        await state.settle(io, route, io.now(), leave, WELL)
        await state.standing(io, route, io.now())


def places(server):
    """The places in flight that Redis knows of."""
    with server.client() as client:
        return sum(client.zcard(key) for key in client.keys("*:places"))


@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_fails_or_waits_twice_and_it_comes_back_by_itself(server, fault):
    state = RedisState(server.url, timeout=TIMEOUT)
    state.know(ROUTES)
    with Load(state) as load:
        eventually(lambda: load.given["Redis"] > 100)
        FAULTS[fault](server)
        if fault in ("kill -9", "pause"):
            assert load.given["here"] > 10, "it went on by local rules"  # how often depends on how busy the machine is
        before = load.given["Redis"]
        eventually(lambda: load.given["Redis"] > before + 100)
    assert load.errors == []
    # Whoever had asked when it fell silent waited once; on a busy machine it may seem silent once more.
    assert max(load.waited.values(), default=0) <= 2, load.waited
    eventually(lambda: places(server) == 0)
    for route in ROUTES:
        assert run(state.standing(SyncIO(), route, 0.0)).in_flight == 0
    assert run(state._local.standing(SyncIO(), ROUTES[2], 0.0)).in_flight == 0
    state.close()


def test_calls_in_an_outage_do_not_knock(server):
    state = RedisState(server.url, timeout=TIMEOUT)
    run(state.begin_request(SyncIO(), 0.0))
    eventually(lambda: state.link.up)
    server.pause()
    io, began = SyncIO(), time.monotonic()
    attempts = state.link._multiplexer().attempts
    for _ in range(500):
        leave = run(state.admit(io, ROUTES[0], io.now()))
        assert isinstance(leave, Permit)
        assert leave.slot < 0
        run(state.settle(io, ROUTES[0], io.now(), leave, WELL))
    lasted = time.monotonic() - began
    assert lasted < 10.0, "five hundred that each waited would take two minutes"
    assert state.link._multiplexer().attempts - attempts <= 2 + lasted / 0.25
    server.resume()
    state.close()


async def test_a_permit_that_nobody_takes_is_given_back(server):
    """Who is called off while Redis is silent leaves nothing behind there: no place and no probe."""
    state, io = RedisState(server.url, timeout=TIMEOUT), AsyncIO()
    broken, narrow = ROUTES[0], ROUTES[2]

    async def called_off(route, **more):
        await until_up(state)
        server.pause()
        task = asyncio.create_task(state.admit(io, route, io.now(), **more))
        await asyncio.sleep(0.05)  # it is on its way
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        server.resume()
        await until_up(state)

    for _ in range(3):
        leave = expect_permit(await state.admit(io, broken, io.now()))
        await state.settle(io, broken, io.now(), leave, FAILED)
    assert (await state.standing(io, broken, io.now())).breaker == "open"
    for _ in range(3):
        await called_off(narrow)
    places = 0
    for _ in range(20):  # on a busy machine Redis may take too long, and the process then decides by itself
        if isinstance(leave := await state.admit(io, narrow, io.now()), Permit):
            places += leave.slot > 0
        if places == 3:
            break
        await until_up(state)
    assert places == 3
    await called_off(broken, early=True)
    assert isinstance(leave := await state.admit(io, broken, io.now(), early=True), Permit)
    assert leave.probe
    await called_off(broken, early=True)  # which Redis refused
    assert isinstance(leave := await state.admit(io, broken, io.now(), early=True), Rejection)
    assert leave.reason == "probing", "a probe is taken back by its own request only"
    state.close()


async def until_up(state):
    """Until Redis is there, and has been told all there is to tell."""
    while not state.link.up:
        await asyncio.sleep(0.01)
    await state.standing(AsyncIO(), ROUTES[0], 0.0)


def outage(server, state, settled):
    """Settle in the middle of an outage, in which Redis gets to see it and cannot reply."""
    server.pause()
    settled()
    eventually(lambda: state.link.away)
    server.resume()
    eventually(lambda: state.link.up)


def test_what_is_settled_in_an_outage_counts_once(server):
    """It reached a silent Redis, which carried it out later; and it was sent again."""
    state, io, route = RedisState(server.url, timeout=TIMEOUT), SyncIO(), Route("openai:counted", tpm=6000)
    leaves = [expect_permit(run(state.admit(io, route, io.now(), tokens=100))) for _ in range(3)]

    def settled():
        for leave in leaves[:2]:
            run(state.settle(io, route, io.now(), leave, FAILED._replace(used=600)))

    outage(server, state, settled)
    told = run(state.standing(io, route, io.now()))
    assert (told.breaker, told.in_flight) == ("closed", 1), "two failures are not four"
    assert told.tokens_left == pytest.approx(6000 - 1300, abs=500), "nor are 1,200 tokens 2,400"
    run(state.settle(io, route, io.now(), leaves[2], FAILED))
    assert run(state.standing(io, route, io.now())).breaker == "open", "and three are three"
    state.close()


def test_what_is_settled_in_an_outage_counts_from_when_it_was(server):
    rules = BreakerSettings(seconds=1.0)
    state, io = RedisState(server.url, timeout=TIMEOUT, settings=rules, random=lambda: 0.5), SyncIO()
    leaves = [expect_permit(run(state.admit(io, ROUTES[0], io.now()))) for _ in range(3)]

    server.pause()
    run(state.standing(io, ROUTES[0], io.now()))
    eventually(lambda: state.link.away)
    for leave in leaves:
        run(state.settle(io, ROUTES[0], io.now(), leave, FAILED))
    eventually(
        lambda: isinstance(leave := run(state.admit(io, ROUTES[0], io.now())), Rejection) and leave.reason == "open"
    )
    time.sleep(1.2)
    server.resume()
    eventually(lambda: state.link.up)
    assert run(state.standing(io, ROUTES[0], io.now())).breaker == "half_open", "the break is over"
    state.close()


def test_what_is_well_for_redis_is_well_here(server):
    """The route failed, and another process's probe found it well again."""
    one, other = (RedisState(server.url, timeout=TIMEOUT) for _ in range(2))
    io, route = SyncIO(), ROUTES[0]
    for _ in range(3):
        run(one.settle(io, route, io.now(), expect_permit(run(one.admit(io, route, io.now()))), FAILED))
    assert run(one.standing(io, route, io.now())).breaker == "open"
    probe = expect_permit(run(other.admit(io, route, io.now(), early=True)))
    run(other.settle(io, route, io.now(), probe, WELL))
    assert run(other.standing(io, route, io.now())).breaker == "closed"
    run(one.settle(io, route, io.now(), expect_permit(run(one.admit(io, route, io.now()))), WELL))
    assert run(one.standing(io, route, io.now())).breaker == "closed"
    server.kill()
    run(one.standing(io, route, io.now()))
    eventually(lambda: one.link.away)
    leave = expect_permit(run(one.admit(io, route, io.now())))
    assert leave.slot < 0
    assert not leave.probe
    one.close()
    other.close()


def test_what_redis_said_last_holds_while_it_is_away(server):
    """Another process's failures, and what the fleet has used up."""
    one, other = (RedisState(server.url, timeout=TIMEOUT) for _ in range(2))
    io, few = SyncIO(), Route("openai:few", rpm=2)
    for _ in range(3):
        run(one.settle(io, ROUTES[0], io.now(), expect_permit(run(one.admit(io, ROUTES[0], io.now()))), FAILED))
    run(one.standing(io, ROUTES[0], io.now()))
    for _ in range(2):
        assert isinstance(run(one.admit(io, few, io.now())), Permit)
    assert expect_rejection(run(other.admit(io, ROUTES[0], io.now()))).reason == "open"
    assert expect_rejection(run(other.admit(io, few, io.now()))).reason == "limit"
    server.kill()
    run(other.standing(io, ROUTES[0], io.now()))
    eventually(lambda: other.link.away)
    assert expect_rejection(run(other.admit(io, ROUTES[0], io.now()))).reason == "open"
    assert run(other.standing(io, ROUTES[0], io.now())).retry_in > 0
    assert expect_rejection(run(other.admit(io, few, io.now()))).reason == "limit"
    early = run(other.admit(io, ROUTES[0], io.now(), early=True))
    assert isinstance(early, Permit), "nobody is shut out for ever"
    one.close()
    other.close()


def test_what_is_unreadable_is_forgotten_and_what_is_foreign_is_told_once(server, caplog):
    state = RedisState(server.url, timeout=TIMEOUT)
    io, route, foreign = SyncIO(), Route("openai:x", rpm=60), Route("openai:foreign", rpm=60)
    with server.client() as client:
        client.set("{multiroute:openai%3Ax}:allowance", b"\xc1\xff nonsense")
        client.hset("{multiroute:openai%3Ax}:breakers", "openai:x", "nonsense")
        client.lpush("{multiroute:openai%3Aforeign}:allowance", "somebody else's")
    leave = expect_permit(run(state.admit(io, route, io.now(), tokens=5)))
    assert leave.slot > 0
    run(state.settle(io, route, io.now(), leave, WELL))
    assert run(state.standing(io, route, io.now())).requests_left == pytest.approx(59.0, abs=0.5)
    for _ in range(3):
        leave = expect_permit(run(state.admit(io, foreign, io.now())))
        assert leave.slot < 0
        run(state.settle(io, foreign, io.now(), leave, WELL))
    assert state.link.up, "the others do not suffer for it"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "WRONGTYPE" in caplog.text
    state.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_router_answers_through_all_of_it(server, fault):
    failing = scripted_route("failing", lambda asked: Fail() if asked.number % 3 else Answer("First."))
    routes = [failing, scripted_route("sound", Answer("Second."), rpm=1e6, max_concurrency=50)]
    router = Router(routes, max_retries=0)
    state = RedisState(server.unix_url, timeout=TIMEOUT)
    router._parts = replace(router._parts, state=state)
    state.know(routes)
    over, answers, errors = threading.Event(), Counter(), []

    def asks():
        while not over.is_set():
            try:
                answers[router.generate("Hello").text] += 1
                answers["".join(chunk.text for chunk in router.stream("Hello"))] += 1
            except BaseException as error:
                errors.append(error)

    async def listens():
        async def one():
            while not over.is_set():
                try:
                    answers[(await router.agenerate("Hello")).text] += 1
                except BaseException as error:
                    errors.append(error)

        await asyncio.gather(*(one() for _ in range(5)))

    threads = [threading.Thread(target=asks), threading.Thread(target=lambda: asyncio.run(listens()))]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: answers.total() > 50)
        FAULTS[fault](server)
        before = answers.total()
        eventually(lambda: answers.total() > before + 50 and state.link.up)
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert errors == []
    assert answers.keys() <= {"First.", "Second."}
    eventually(lambda: places(server) == 0)
    assert all(standing.in_flight == 0 for standing in router.health().routes.values())
    state.close()
    router.close()
