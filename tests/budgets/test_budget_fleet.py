"""A budget under fire: four processes with sixty-four threads each, one of which is killed, and a Redis that is flushed,
paused and started anew."""

import contextlib
import multiprocessing
import signal
import threading
import time

import pytest

from multiroute_core import Budget, BudgetExceededError, Router, Usage
from multiroute_core.budgets import redis
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, SlowAnswer, scripted_route
from tests.redis_servers import KINDS, eventually, running

pytestmark = pytest.mark.redis

FORK = multiprocessing.get_context("fork")
WORKERS, THREADS = 4, 64
CALLS = 600
"""How many calls the budget can pay for."""
PRICE = 0.001
ANSWER = Answer("Well.", usage=Usage(input_tokens=0, output_tokens=10))


@pytest.fixture(params=KINDS)
def server(request):
    with running(request.param) as found:
        yield found


@contextlib.contextmanager
def router_on(url, made, script=None, **options):
    """A router whose route counts the calls that it gets."""

    def counted(asked):
        with made.get_lock():
            made.value += 1
        return SlowAnswer(0.05, ANSWER)

    route = scripted_route("a", script or counted, prices={"input": 0.0, "output": 100.0})
    state = RedisState(url, prefix="fire", timeout=10.0)
    budget = Budget(usd=CALLS * PRICE, hard=True)
    with Router([route], state=state, budget=budget, deadline=600.0, **options) as router:
        yield router
    state.close()


def spend_all(router):
    """Call until nothing is left, in many threads; how many calls were answered."""
    answered, errors = [], []

    def one():
        try:
            while True:
                router.generate("Hi", max_tokens=10)
                answered.append(1)
        except BudgetExceededError as error:
            if error.remaining is None:
                errors.append(error)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    return len(answered)


def _work(url, made, answered):
    with router_on(url, made) as router:
        answered.put(spend_all(router))


def balance(router):
    (accounts,) = [router._parts.spending.accounts]
    from multiroute_core.budgets.accounts import ReservationRequest
    from multiroute_core.runtime.run_sync import run
    from multiroute_core.runtime.sync_io import SyncIO

    (budget,) = router._parts.spending.budgets
    look = ReservationRequest("usd/day:", 0, None, budget.starts(time.time()), allow_new=True)
    return run(accounts.reserve(SyncIO(), [look], "look")).balances[0]


def test_a_worker_is_killed_in_the_middle(server, monkeypatch):
    monkeypatch.setattr(redis, "LEASE_SECONDS", 5.0)
    made, answered = FORK.Value("i", 0), FORK.SimpleQueue()
    workers = [FORK.Process(target=_work, args=(server.url, made, answered)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    eventually(lambda: made.value > CALLS // 4, 60)
    workers[0].kill()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0, 0, 0]
    assert made.value <= CALLS  # what the dead one had reserved is still held, so nobody has overspent
    in_flight = CALLS - made.value + THREADS
    with router_on(server.url, made) as router:
        eventually(lambda: balance(router).held == 0, 60)  # and not for ever
        spend_all(router)
        assert CALLS <= made.value <= CALLS + in_flight
        last = balance(router)
        assert (last.spent, last.held) == (CALLS * 1_000_000, 0)


def test_redis_is_flushed_paused_and_started_anew(server, tmp_path):
    """Nothing is refused that could be paid for, but while Redis is away; and no cent is forgotten."""
    made = FORK.Value("i", 0)
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    with router_on(server.url, made, lambda _: _counted(made), ledger=ledger) as router:

        def some(number):
            done = 0
            until = time.monotonic() + 60.0
            while done < number:
                assert time.monotonic() < until
                try:
                    router.generate("Hi", max_tokens=10)
                    done += 1
                except BudgetExceededError as error:
                    assert "cannot be read now" in str(error)
                    time.sleep(0.05)

        some(50)
        with server.client() as client:
            client.flushall()
        some(50)
        state = router._parts.state
        assert isinstance(state, RedisState)
        state.link.timeout = 0.2
        server.kill()
        with pytest.raises(BudgetExceededError, match="is hard, and its spending cannot be read now"):
            some_at_once = [router.generate("Hi", max_tokens=10) for _ in range(3)]
            assert not some_at_once
        server.start()
        some(100)
        assert balance(router).spent == made.value * 1_000_000 == 200_000_000
        answered = spend_all(router)
        assert made.value == 200 + answered == CALLS
        assert router.ledger.spent(since=0).usd == pytest.approx(CALLS * PRICE)
    with server.client() as client:
        client.flushall()
    with router_on(server.url, made, lambda _: _counted(made), ledger=ledger) as router:  # a new process knows it too
        with pytest.raises(BudgetExceededError):
            router.generate("Hi", max_tokens=10)


def _counted(made):
    made.value += 1
    return ANSWER


def test_an_alert_is_told_once_in_a_fleet(server):
    made, told = FORK.Value("i", 0), FORK.SimpleQueue()

    def work():
        state = RedisState(server.url, prefix="alerts", timeout=10.0)
        route = scripted_route("a", ANSWER, prices={"input": 0.0, "output": 100.0})
        budget = Budget(usd=0.1, alerts=(0.5, 1.0), on_alert=lambda alert: told.put(alert.threshold))
        with Router([route], state=state, budget=budget) as router:
            for _ in range(50):
                router.generate("Hi", max_tokens=10)
            eventually(lambda: balance(router).held == 0, 60)

    workers = [FORK.Process(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not made.value
    found = []
    while not told.empty():
        found.append(told.get())
    assert found == [0.5, 1.0]


def test_what_was_reserved_for_a_route_that_is_not_called_is_free_again(server):
    """Redis does not notice that nobody holds a reservation any more, as this process does."""
    prices = {"input": 0.0, "output": 100.0}
    answer = Answer("Well.", usage=Usage(input_tokens=0, output_tokens=10))
    routes = [scripted_route("first", answer, prices=prices, rpm=1), scripted_route("second", answer, prices=prices)]
    state = RedisState(server.url, timeout=10.0)  # a busy machine is no reason to count a Redis as away
    with Router(routes, state=state, budget=Budget(usd=0.0021, hard=True)) as router:
        assert router.generate("Hi", max_tokens=10).route == "first"
        # The first is at its rate limit; the budget does not cover both reservations at once.
        assert router.generate("Hi", max_tokens=10).route == "second"
    state.close()
