"""The limit accounts in memory and on Redis: the same answers to the same history, by the same clock; and what happens
when Redis falls away, a process is killed, or a tenant calls far too often."""

import contextlib
import itertools
import multiprocessing
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Limit, LimitExceededError, Options, Router, Usage
from multiroute_core.limits import accounts as in_memory
from multiroute_core.limits import redis as on_redis
from multiroute_core.limits.accounts import Admitted, MemoryLimitAccounts, Refused
from multiroute_core.limits.limiter import Limiter
from multiroute_core.limits.redis import RedisLimitAccounts
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Link
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, scripted_route
from tests.examples import examples
from tests.interrupts.steps import Interrupt
from tests.redis_servers import eventually

pytestmark = pytest.mark.redis

IO = SyncIO()
FORK = multiprocessing.get_context("fork")
LIMITS = [
    Limit(rpm=6, tpm=1000, concurrency=2, name="all"),
    Limit(tpm=100, scope="label", name="tokens: {odd} é"),
    Limit(concurrency=5, scope="label", name="places"),
]
SECONDS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 20.0, 70.0, in_memory.LEASE_SECONDS])
numbers = itertools.count()


def claims_of(limits, tokens=10, tenant=None, labels=()):
    options = Options(tenant=tenant, labels=frozenset(labels) or None)
    return Limiter(limits, MemoryLimitAccounts(), time.monotonic).claims(options, tokens)


class Pair:
    """Both, asked the same."""

    def __init__(self, url):
        self.now = 1000.0
        self.link = Link(url, prefix=f"limits-{next(numbers)}", timeout=10.0)
        self.memory, self.redis = MemoryLimitAccounts(), RedisLimitAccounts(self.link)
        self.slots, self.calls = itertools.count(), []

    def admit(self, claims, reserve):
        self.redis._clock = self.now
        self.redis._remembered.clear()
        slot = str(next(self.slots))
        one, other = (
            run(accounts.admit(IO, claims, slot, self.now, reserve=reserve)) for accounts in (self.memory, self.redis)
        )
        assert type(one) is type(other), (one, other)
        if isinstance(one, Refused) and isinstance(other, Refused):
            for (mine, refusal), (twin, also) in zip(one.refusals, other.refusals, strict=True):
                assert (mine, refusal.limit) == (twin, also.limit)
                assert refusal.seconds == pytest.approx(also.seconds, abs=1e-5)
        else:
            assert isinstance(one, Admitted)
            assert isinstance(other, Admitted)
            assert one.marks == other.shared_marks
            self.calls.append((claims, slot, one, other))

    def settle(self, number, used):
        self.redis._clock = self.now
        claims, slot, one, other = self.calls.pop(number)
        for _ in range(2):  # the second time without effect
            self.memory.settle(claims, slot, one, used, self.now)
            self.redis.settle(claims, slot, other, used, self.now)
        run(self.link.call(IO, "PING"))  # what is asked later is answered later

    def check(self, claims):
        self.redis._clock = self.now
        mine, twins = (
            {claim.account: status for claim, status in run(accounts.read(IO, self.now))}
            for accounts in (self.memory, self.redis)
        )
        for claim in claims:
            if claim.account in mine and claim.account in twins:
                status, twin = mine[claim.account], twins[claim.account]
                assert status.requests_left == pytest.approx(twin.requests_left, abs=1e-3)
                assert status.tokens_left == pytest.approx(twin.tokens_left, abs=1e-3)


@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_memory_and_redis_tell_the_same_story(redis_server, data):
    pair = Pair(redis_server.unix_url)
    try:
        for _ in range(data.draw(st.integers(1, 30))):
            pair.now += data.draw(SECONDS)
            if pair.calls and data.draw(st.booleans()):
                used = data.draw(st.sampled_from([None, 0, 10, 90, 300]))
                pair.settle(data.draw(st.integers(0, len(pair.calls) - 1)), used)
            else:
                tenant = data.draw(st.sampled_from([None, "a", "é {}:%"]))
                labels = data.draw(st.sets(st.sampled_from(["x", "y", "z" * 500])))
                claims = claims_of(LIMITS, data.draw(st.sampled_from([1, 10, 90, 500])), tenant, labels)
                pair.admit(claims, data.draw(st.sampled_from([0.0, 0.0, 0.2])))
                pair.check(claims)
    finally:
        pair.link.close()


@pytest.fixture
def link(redis_server):
    with redis_server.client() as client:
        client.flushall()
    link = Link(redis_server.url, prefix="shop", timeout=5.0)
    yield link
    link.close()


def admit(accounts, claims, slot=None, reserve=0.0):
    slot = slot or f"slot-{next(numbers)}"
    return run(accounts.admit(IO, claims, slot, IO.now(), reserve=reserve))


def test_every_key_is_short_in_one_place_and_expires(redis_server, link):
    names = ["a", "b ä/{x}:%\n", "\ud800", "n" * 10_000, ""]
    claims = [claim for name in names for claim in claims_of(LIMITS[:1], tenant=name or None)]
    assert isinstance(admit(RedisLimitAccounts(link), claims), Admitted)
    with redis_server.client() as client:
        keys = [key.decode() for key in client.keys("*limit*")]
        assert len(keys) == 2 * len(names)
        assert {key[key.index("{") : key.index("}") + 1] for key in keys} == {"{shop}"}
        assert all(len(key) < 300 for key in keys)
        assert all(0 < client.pttl(key) <= 1000 * (in_memory.LEASE_SECONDS + 60) for key in keys)


def test_names_of_limits_and_tenants_do_not_mix(link):
    one = claims_of([Limit(concurrency=1, name="a:b")], tenant="c")
    other = claims_of([Limit(concurrency=1, name="a")], tenant="b:c")
    for accounts in (MemoryLimitAccounts(), RedisLimitAccounts(link)):
        assert isinstance(admit(accounts, one), Admitted)
        assert isinstance(admit(accounts, other), Admitted)


def commands(redis_server):
    with redis_server.client() as client:
        stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


def test_a_flood_does_not_reach_redis(redis_server, link):
    accounts = RedisLimitAccounts(link)
    claims = claims_of([Limit(rpm=1, tpm=1000)], tenant="flood")
    assert isinstance(admit(accounts, claims), Admitted)
    before = commands(redis_server)
    refusals = [admit(accounts, claims) for _ in range(200)]
    assert commands(redis_server) - before == 1
    waits = [refusal.refusals[0][1].seconds for refusal in refusals if isinstance(refusal, Refused)]
    assert len(waits) == 200
    assert all(later <= earlier for earlier, later in itertools.pairwise(waits)), "it counts down"
    assert isinstance(admit(accounts, claims_of([Limit(rpm=1, tpm=1000)], tenant="other")), Admitted)


def test_a_remembered_refusal_holds_for_calls_of_its_size_only(link):
    accounts = RedisLimitAccounts(link)
    limits = [Limit(tpm=100)]
    assert isinstance(admit(accounts, claims_of(limits, 80)), Admitted)
    assert isinstance(admit(accounts, claims_of(limits, 50)), Refused)
    assert isinstance(admit(accounts, claims_of(limits, 10), reserve=0.2), Refused)
    assert isinstance(admit(accounts, claims_of(limits, 10)), Admitted)


def test_a_freed_place_is_available_at_once(link):
    accounts = RedisLimitAccounts(link)
    claims = claims_of([Limit(concurrency=1)])
    admission = admit(accounts, claims, "1")
    assert isinstance(admission, Admitted)
    assert isinstance(admit(accounts, claims), Refused)
    accounts.settle(claims, "1", admission, 5, IO.now())
    assert isinstance(admit(accounts, claims), Admitted)


def test_while_redis_is_away_this_process_decides_and_does_not_start_empty(redis_server):
    link = Link(redis_server.url, prefix="away", timeout=0.2)
    accounts = RedisLimitAccounts(link)
    limits = [Limit(rpm=3, concurrency=2)]
    try:
        eventually(lambda: link.up)
        first = admit(accounts, claims_of(limits), "1")
        assert isinstance(first, Admitted)
        assert first.shared_marks is not None
        redis_server.pause()
        try:
            second = admit(accounts, claims_of(limits), "2")
            assert isinstance(second, Admitted)
            assert second.shared_marks is None
            third = admit(accounts, claims_of(limits))
            assert isinstance(third, Refused)
            assert third.refusals[0][1].limit == "concurrency"
            accounts.settle(claims_of(limits), "1", first, None, IO.now())
            assert isinstance(admit(accounts, claims_of(limits), "3"), Admitted)
            fourth = admit(accounts, claims_of(limits))
            assert isinstance(fourth, Refused)
            assert fourth.refusals[0][1].limit == "rpm"
        finally:
            redis_server.resume()
        eventually(lambda: link.up)
        eventually(lambda: run(accounts.read(IO, IO.now()))[0][1].in_flight == 0)  # the first was settled meanwhile
    finally:
        link.close()


def test_a_usage_that_no_integer_of_redis_holds_frees_the_place(redis_server):
    state = RedisState(redis_server.url, prefix="huge", timeout=10.0)
    answer = Answer("ok", usage=Usage(input_tokens=10**30, output_tokens=1))
    with Router([scripted_route("a", answer)], limit=Limit(concurrency=1, tpm=10), state=state) as router:
        assert router.generate("Hi").text == "ok"
        (status,) = router.limit_statuses()
        assert (status.in_flight, status.tokens_left) == (0, 0)
    state.close()


def _hold(url, is_held):
    accounts = RedisLimitAccounts(Link(url, prefix="killed", timeout=10.0))
    is_held.put(isinstance(admit(accounts, claims_of([Limit(concurrency=1)])), Admitted))
    time.sleep(60)


def test_the_place_of_a_killed_process_comes_back(redis_server, monkeypatch):
    monkeypatch.setattr(on_redis, "LEASE_SECONDS", 1.0)
    is_held = FORK.SimpleQueue()
    holder = FORK.Process(target=_hold, args=(redis_server.url, is_held))
    holder.start()
    assert is_held.get()
    holder.kill()
    holder.join(20)
    link = Link(redis_server.url, prefix="killed", timeout=10.0)
    accounts = RedisLimitAccounts(link)
    assert isinstance(admit(accounts, claims_of([Limit(concurrency=1)])), Refused)
    eventually(lambda: isinstance(admit(accounts, claims_of([Limit(concurrency=1)])), Admitted))
    link.close()


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_the_child_of_a_fork_leaves_the_calls_of_its_parent_alone(redis_server, where):
    """It has places of its own, and ending the parent's stream there frees nothing of the parent."""
    state = "memory" if where == "memory" else RedisState(redis_server.url, prefix="fork", timeout=10.0)
    router = Router([scripted_route("a", Answer(["one", "two"]))], limit=Limit(concurrency=1), state=state)
    stream = router.stream("Hi")
    next(stream)
    replies = FORK.SimpleQueue()

    def in_child():
        list(stream)
        try:
            replies.put(router.generate("Hi").text)
        except LimitExceededError as error:
            replies.put(error.kind)

    child = FORK.Process(target=in_child)
    child.start()
    child.join(30)
    assert replies.get() == ("onetwo" if where == "memory" else "concurrency")
    with pytest.raises(LimitExceededError):
        router.generate("Hi")
    list(stream)
    assert router.generate("Hi").text
    router.close()
    if isinstance(state, RedisState):
        state.close()


MODULES = ("multiroute_core.engine.limiting", "multiroute_core.limits.limiter", "multiroute_core.limits.redis")


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_interrupt_at_any_step_frees_the_place_on_redis(redis_server):
    state = RedisState(redis_server.url, prefix="interrupts", timeout=10.0)
    router = Router([scripted_route("a", Answer("ok"))], limit=Limit(concurrency=1, tpm=10**6), state=state)
    for number in range(0, 2000, 3):
        interrupt = Interrupt(number, *MODULES)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            router.generate("Hi")
        interrupt.previous.clear()  # its frames of functions that have returned still hold their arguments
        eventually(lambda: not any(one.in_flight for one in router.limit_statuses()))
        if not interrupt.has_happened:
            break
    assert number > 60
    assert not router._parts.limiter._watched
    router.close()
    state.close()


def test_idle_accounts_are_removed(monkeypatch):
    monkeypatch.setattr(in_memory, "ROOM", 10)
    accounts = MemoryLimitAccounts()
    accounts._sweep_at = 10
    limits = [Limit(rpm=60, concurrency=3)]
    for number in range(200):
        claims = claims_of(limits, tenant=f"tenant {number}")
        admission = run(accounts.admit(IO, claims, str(number), float(number)))
        assert isinstance(admission, Admitted)
        if number:
            accounts.settle(claims, str(number), admission, None, float(number))
        assert len(accounts._accounts) <= 12
    assert ("rpm/concurrency/tenant", "tenant 0") in accounts._accounts, "a call is in flight"


def test_several_labels_are_admitted_together_or_not_at_all(link):
    limits = [Limit(rpm=2, scope="label"), Limit(rpm=10)]
    for accounts in (MemoryLimitAccounts(), RedisLimitAccounts(link)):
        for _ in range(2):
            assert isinstance(admit(accounts, claims_of(limits, labels=["x"])), Admitted)
        refused = admit(accounts, claims_of(limits, labels=["x", "y"]))
        assert isinstance(refused, Refused)
        (number, refusal) = refused.refusals[0]
        assert (claims_of(limits, labels=["x", "y"])[number].scope_value, refusal.limit) == ("x", "rpm")
        for _ in range(2):
            assert isinstance(admit(accounts, claims_of(limits, labels=["y"])), Admitted)
        assert isinstance(admit(accounts, claims_of(limits, labels=["z"])), Admitted)


def _crowd(url, most):
    import redis

    state = RedisState(url, prefix="crowd", timeout=10.0)
    route = scripted_route("a", Answer("ok"))
    with Router([route], state=state, limit=Limit(concurrency=3)) as router, redis.Redis.from_url(url) as client:
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            try:
                for chunk in router.stream("Hi"):
                    if chunk.response is None:
                        most.put(client.incr("flying"))
                        time.sleep(0.002)
                        client.decr("flying")
            except LimitExceededError:
                time.sleep(0.001)


def test_processes_share_the_places_of_a_tenant(redis_server):
    with redis_server.client() as client:
        client.flushall()
    most = FORK.Queue()
    workers = [FORK.Process(target=_crowd, args=(redis_server.url, most)) for _ in range(4)]
    for worker in workers:
        worker.start()
    counts = []
    while any(worker.is_alive() for worker in workers) or not most.empty():
        counts.append(most.get(timeout=20)) if not most.empty() else time.sleep(0.005)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert counts
    assert max(counts) <= 3
