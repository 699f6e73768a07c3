"""A fleet: real processes that share limits, places, breakers and purses by nothing but Redis."""

import multiprocessing
import time

import pytest

from multiroute_core.resilience.admission import Outcome, Permit, Rejection, Verdict
from multiroute_core.resilience.circuit_breaker import BreakerSettings
from multiroute_core.route import Route
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state import redis as on_redis
from multiroute_core.state.redis import RedisState
from tests.state.admissions import expect_permit, expect_rejection

pytestmark = pytest.mark.redis

IO = SyncIO()
FORK = multiprocessing.get_context("fork")
WORKERS = 4
PATIENT = 10.0
FAILED, WELL, SPENT = Outcome(Verdict.FAILURE), Outcome(Verdict.SUCCESS), Outcome(Verdict.PERMANENT, shared=True)


@pytest.fixture(autouse=True)
def empty(server):
    with server.client() as client:
        client.flushall()


def _work(number, work, url, barrier, results, args):
    try:
        state = RedisState(url, timeout=PATIENT, settings=BreakerSettings(seconds=1.0, probe=60.0))
        barrier.wait(60)
        results.put((number, work(state, barrier, *args)))
        state.close()
    except BaseException as error:
        results.put((number, error))
        barrier.abort()
        raise


def fleet(server, work, *args):
    """What `work(state, barrier, *args)` gives in each of four processes, in the order of their numbers."""
    barrier, results = FORK.Barrier(WORKERS), FORK.SimpleQueue()
    workers = [
        FORK.Process(target=_work, args=(number, work, server.url, barrier, results, args)) for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    found = dict(results.get() for _ in workers)
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert not [error for error in found.values() if isinstance(error, BaseException)]
    return [found[number] for number in range(WORKERS)]


def admit(state, route, **more):
    leave = run(state.admit(IO, route, time.monotonic(), **more))
    assert isinstance(leave, Rejection) or leave.slot > 0, "Redis is there, so it decides"
    return leave


def settle(state, route, leave, outcome):
    run(state.settle(IO, route, time.monotonic(), leave, outcome))


def standing(state, route):
    return run(state.standing(IO, route, time.monotonic()))


SIXTY = Route("openai:sixty", rpm=60)


def _takes_all(state, barrier, seconds):
    """Asks at least 30 times, and once more when `seconds` are over, however busy the machine is."""
    taken = []
    asked_times = 0
    until = time.monotonic() + seconds
    is_over = False
    while not is_over or asked_times < 30:
        now = time.monotonic()
        is_over = now >= until
        asked_times += 1
        leave = admit(state, SIXTY)
        if isinstance(leave, Permit):
            taken.append((now, time.monotonic()))
            settle(state, SIXTY, leave, WELL)
        else:
            assert leave.reason == "limit"
            time.sleep(0.002)
    return taken


def test_four_processes_share_sixty_requests_a_minute(server):
    taken = sorted(taken for found in fleet(server, _takes_all, 2.5) for taken in found)
    for first, (asked, _) in enumerate(taken):
        for last in range(first, len(taken)):
            most = 60 + (taken[last][1] - asked)
            assert last - first + 1 <= most + 1, "never more than the burst and the rate, in any window"
    assert len(taken) >= 61, "and no less"


NARROW = Route("openai:narrow", max_concurrency=5)


def _crowds(state, barrier, url, seconds):
    import redis

    most = 0
    start = time.monotonic()
    with redis.Redis.from_url(url) as client:
        while time.monotonic() < start + seconds or (most < 3 and time.monotonic() < start + PATIENT):
            leave = admit(state, NARROW)
            if isinstance(leave, Rejection):
                assert leave.reason == "busy"
                continue
            most = max(most, client.incr("flying"))
            time.sleep(0.005)
            client.decr("flying")
            settle(state, NARROW, leave, WELL)
    return most


def test_four_processes_share_five_places(server):
    mosts = fleet(server, _crowds, server.url, 1.0)
    assert max(mosts) <= 5
    assert max(mosts) >= 3, "four processes can be at it at once"
    state = RedisState(server.url, timeout=PATIENT)
    assert standing(state, NARROW).in_flight == 0
    state.close()


def _holds(url, held):
    state = RedisState(url, timeout=PATIENT)
    held.put([expect_permit(admit(state, NARROW)).slot for _ in range(5)])
    time.sleep(60)


def test_the_places_of_a_process_that_dies_lapse(server, monkeypatch):
    monkeypatch.setattr(on_redis, "SLOT_SECONDS", 2.0)
    held = FORK.SimpleQueue()
    holder = FORK.Process(target=_holds, args=(server.url, held))
    holder.start()
    assert len(set(held.get())) == 5
    holder.kill()
    holder.join(20)
    state = RedisState(server.url, timeout=PATIENT)
    leave = admit(state, NARROW)
    assert isinstance(leave, Rejection)
    assert leave.reason == "busy"
    time.sleep(2.1)
    assert standing(state, NARROW).in_flight == 0
    assert isinstance(admit(state, NARROW), Permit)
    state.close()


PLAIN = Route("openai:plain")


def _probes(state, barrier):
    seen = []
    if barrier.wait(60) == 0:
        for leave in [admit(state, PLAIN) for _ in range(3)]:
            settle(state, PLAIN, leave, FAILED)
        standing(state, PLAIN)  # now they are told
    for outcome in (FAILED, WELL):
        barrier.wait(60)
        seen.append(admit(state, PLAIN))  # all find it open
        if outcome is WELL:
            time.sleep(2.7)  # the second break is over by itself, the first one is cut short
        barrier.wait(60)
        leave = admit(state, PLAIN, early=outcome is FAILED)
        seen.append(leave)
        barrier.wait(60)
        if isinstance(leave, Permit):
            settle(state, PLAIN, leave, outcome)
            standing(state, PLAIN)
    barrier.wait(60)
    seen.append(admit(state, PLAIN))
    return seen


def test_one_probe_for_the_whole_fleet(server):
    """One process's failures open the route for all, one probe decides for all, and closes it for all."""
    told = list(zip(*fleet(server, _probes), strict=True))
    for opened in (told[0], told[2]):
        assert [leave.reason for leave in opened] == ["open"] * WORKERS
    for probed in (told[1], told[3]):
        permits = [leave for leave in probed if isinstance(leave, Permit)]
        assert [permit.probe for permit in permits] == [True]
        assert [leave.reason for leave in probed if isinstance(leave, Rejection)] == ["probing"] * (WORKERS - 1)
    assert all(isinstance(leave, Permit) and not leave.probe for leave in told[4])


ACCOUNT = [Route(f"openai:{name}", name=name, rate_limit_group="the {account}") for name in ("one", "other")]


def _spends(state, barrier):
    if barrier.wait(60) == 0:
        state.know(ACCOUNT)
        settle(state, ACCOUNT[0], admit(state, ACCOUNT[0]), SPENT)
        standing(state, ACCOUNT[0])
    barrier.wait(60)
    return [admit(state, route) for route in ACCOUNT]


def test_a_spent_quota_is_spent_for_every_route_of_every_process(server):
    for leaves in fleet(server, _spends):
        assert [leave.reason for leave in leaves] == ["open", "open"]


def test_a_spent_quota_is_spent_for_a_route_that_only_another_process_knows(server):
    one, other = (RedisState(server.url, timeout=PATIENT) for _ in range(2))
    settle(other, ACCOUNT[1], admit(other, ACCOUNT[1]), WELL)
    assert standing(other, ACCOUNT[1]).breaker == "closed"
    settle(one, ACCOUNT[0], admit(one, ACCOUNT[0]), SPENT)
    assert standing(one, ACCOUNT[0]).breaker == "open"
    assert expect_rejection(admit(other, ACCOUNT[1])).reason == "open"
    one.close()
    other.close()


def _pays(state, barrier):
    for _ in range(5):
        run(state.begin_request(IO, time.monotonic()))
    barrier.wait(60)
    standing(state, PLAIN)
    barrier.wait(60)
    return sum(run(state.afford(IO, time.monotonic())) for _ in range(30))


def test_a_fleet_pays_for_its_retries_out_of_one_purse(server):
    began = time.monotonic()
    paid = sum(fleet(server, _pays))
    lasted = time.monotonic() - began
    assert 14 <= paid <= 14 + lasted, "ten to begin with, a fifth of twenty requests, and one a second"


def test_nothing_stays_for_ever_and_all_of_a_quota_is_in_one_slot(server):
    state = RedisState(server.url, timeout=PATIENT, hedge_budget=0.1, prefix="a {fleet}")
    for route in (ACCOUNT[0], Route("openai:é {x}", rpm=60, tpm=1000, max_concurrency=3)):
        run(state.begin_request(IO, 0.0))
        settle(state, route, admit(state, route, tokens=5), FAILED._replace(used=7, retry_after=100_000.0))
        admit(state, route)
        assert standing(state, route).retry_in > 99_000
    assert isinstance(admit(state, NARROW), Permit)
    assert run(state.afford(IO, 0.0, hedge=True))
    with server.client() as client:
        keys = {key.decode(): client.pttl(key) for key in client.keys()}
    tags = {key.split("}")[0] for key in keys if key.startswith("{")}
    assert len(tags) == 4, "three quotas, and the purses"
    assert all(key.isascii() and "{fleet" not in key for key in keys)
    assert all(0 < left < 200_000_000 for left in keys.values()), keys
    assert all(keys[key] > 99_000_000 for key in keys if key.endswith(":allowance")), (
        "a retry_after outlasts what it closes"
    )
    state.close()


def test_two_fleets_on_one_redis_know_nothing_of_each_other(server):
    one, other = (RedisState(server.url, timeout=PATIENT, prefix=prefix) for prefix in ("one", "other"))
    for _ in range(3):
        settle(one, PLAIN, admit(one, PLAIN), FAILED)
    assert standing(one, PLAIN).breaker == "open"
    assert standing(other, PLAIN).breaker == "closed"
    one.close()
    other.close()
