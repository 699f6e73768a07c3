"""The accounts in memory and on Redis: the same answers to the same history, by the same clock; and what Redis's falling
away does to them."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.budgets.accounts import (
    LEASE_SECONDS,
    MemoryAccounts,
    ReservationRequest,
    UnavailableError,
    with_baseline,
)
from multiroute_core.budgets.redis import RedisAccounts, _encode_claims
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Link
from tests.examples import examples
from tests.redis_servers import eventually

pytestmark = pytest.mark.redis

IO = SyncIO()
NAMES = ["a", "b:{c} é"]
CAPS = {"a": 100, "b:{c} é": 60}
SECONDS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 40.0, 100.0, LEASE_SECONDS])
numbers = itertools.count()


class Pair:
    """Both, asked the same."""

    def __init__(self, url):
        self.now = 1000.0
        self.link = Link(url, prefix=f"accounts-{next(numbers)}", timeout=10.0)
        self.memory = MemoryAccounts(lambda: self.now)
        self.redis = RedisAccounts(self.link, lambda: self.now)
        self.redis._clock = lambda: self.now
        self.slots, self.out, self.known = itertools.count(), [], {}

    def starts(self):
        day = self.now // 100 * 100
        return day - 100, day, day + 100

    def reserve(self, names, amount, hard):
        claims = [
            ReservationRequest(name, amount, CAPS[name] if hard else None, self.starts(), self.known.get(name))
            for name in names
        ]
        slot = str(next(self.slots))
        while True:
            one, other = (run(accounts.reserve(IO, claims, slot)) for accounts in (self.memory, self.redis))
            assert one == other or one.fresh == other.fresh
            if not one.fresh:
                break
            for place in one.fresh:
                claims[place] = with_baseline(claims[place], (self.starts()[-2], 5))
        assert one == other
        if one.refused_index is None:
            self.out.append((claims, slot, amount))

    def settle(self, number, took):
        claims, slot, amount = self.out.pop(number)
        told = []
        for accounts in (self.memory, self.redis):
            accounts.settle(
                claims, slot, [min(took, amount)] * len(claims), lambda balances: told.append(list(balances))
            )
        run(self.link.call(IO, "PING"))  # what is asked later is answered later
        one, other = told
        assert one == other
        for claim, balance in zip(claims, one, strict=True):
            self.known[claim.account] = balance.period, balance.spent
            if claim.cap is not None:
                assert balance.before <= balance.spent


@settings(max_examples=examples(30), deadline=None)
@given(data=st.data())
def test_memory_and_redis_tell_the_same_story(redis_server, data):
    pair = Pair(redis_server.unix_url)
    try:
        for _ in range(data.draw(st.integers(1, 40))):
            pair.now += data.draw(SECONDS)
            if pair.out and data.draw(st.booleans()):
                pair.settle(data.draw(st.integers(0, len(pair.out) - 1)), data.draw(st.integers(0, 40)))
            else:
                names = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
                pair.reserve(names, data.draw(st.integers(0, 40)), data.draw(st.booleans()))
    finally:
        pair.link.close()


def claim(amount=10, cap: int | None = 100, **more):
    return ReservationRequest("a", amount, cap, (0.0, 2.0**40), allow_new=True, **more)


def balance(accounts, **more):
    return run(accounts.reserve(IO, [claim(0, **more)], "look")).balances[0]


@pytest.fixture
def accounts(redis_server):
    with redis_server.client() as client:
        client.flushall()
    link = Link(redis_server.url, prefix="shop", timeout=0.2)
    yield RedisAccounts(link, lambda: 1000.0)
    link.close()


def _nobody(balances):
    pass


def test_the_keys_of_one_reservation_are_in_one_place_and_lapse(redis_server, accounts):
    run(accounts.reserve(IO, [claim(), ReservationRequest("b ä/{x}", 1, None, (0.0, 5000.0), allow_new=True)], "1"))
    with redis_server.client() as client:
        keys = [key.decode() for key in client.keys("*budget*")]
        assert len(keys) == 4
        assert {key[key.index("{") : key.index("}") + 1] for key in keys} == {"{shop}"}
        assert all(client.pttl(key) > 0 for key in keys)


def test_what_was_settled_twice_counts_once(accounts):
    """Where a reply is lost, the multiplexer sends it again and says so."""
    run(accounts.reserve(IO, [claim()], "1"))
    accounts.settle([claim()], "1", [7], _nobody)
    assert balance(accounts)[1:3] == (7, 0)
    again = _encode_claims([claim()], "1", accounts._wall, None, [7], again=True)
    from multiroute_core.state.scripts import script

    run(accounts._link.call(IO, script("spent"), accounts._keys([claim()]), again))
    assert balance(accounts)[1:3] == (7, 0)


class TestAway:
    def test_a_cap_is_refused_and_without_one_it_goes_on(self, redis_server, accounts):
        run(accounts.reserve(IO, [claim()], "1"))
        redis_server.pause()
        try:
            with pytest.raises(UnavailableError):
                run(accounts.reserve(IO, [claim()], "2"))
            assert run(accounts.reserve(IO, [claim(cap=None)], "3")).refused_index is None
            accounts.settle([claim()], "1", [4], _nobody)
            accounts.settle([claim(cap=None)], "3", [5], _nobody)
        finally:
            redis_server.resume()
        eventually(lambda: accounts._link.up)
        assert balance(accounts)[1:3] == (9, 0)  # told when it was back, and the reservation of "2" is free again

    def test_after_a_flush_what_is_known_comes_back(self, redis_server, accounts):
        run(accounts.reserve(IO, [claim(40)], "1"))
        accounts.settle([claim(40)], "1", [40], _nobody)
        assert balance(accounts).spent == 40
        with redis_server.client() as client:
            client.flushall()
        fresh = ReservationRequest("a", 10, 100, (0.0, 2.0**40), (0.0, 40))
        assert run(accounts.reserve(IO, [fresh], "2")).fresh == (0,)
        assert run(accounts.reserve(IO, [with_baseline(fresh, (0.0, 30))], "2")).balances[0].spent == 40
