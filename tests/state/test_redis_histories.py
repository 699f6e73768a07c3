"""The whole state on Redis beside the one in memory: the same answers to the same history, by the same clock."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.resilience.admission import Outcome, Permit, Rejection, Verdict
from multiroute_core.resilience.circuit_breaker import BreakerSettings
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders
from multiroute_core.route import Route
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.memory import MemoryState
from multiroute_core.state.redis import RedisState
from tests.examples import examples

pytestmark = pytest.mark.redis

IO = SyncIO()
RULES = BreakerSettings(failures=2, calls=4, seconds=4, longest=40, permanent=100, forget=50, probe=20)
ROUTES = [
    Route("openai:plain"),
    Route("openai:limited", rpm=6, tpm=1000),
    Route("openai:narrow", max_concurrency=2),
    Route("openai:one", name="{one} é", rate_limit_group="an {account}", rpm=60),
    Route("openai:two", name="two:{", rate_limit_group="an {account}", max_concurrency=3),
    Route("openai:three", name="three", rate_limit_group="an {account}"),
]
SECONDS = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.7, 1.0, 3.3, 4.0, 20.0, 61.0, 400.0, 900.0])
VERDICTS = st.sampled_from([*Verdict, Verdict.SUCCESS, Verdict.FAILURE, Verdict.FAILURE, Verdict.PERMANENT])
numbers = itertools.count()


class Pair:
    """Both states, asked the same."""

    def __init__(self, url: str) -> None:
        self.random, self.now = 0.5, 1000.0
        options = {
            "settings": RULES,
            "hedge_budget": 0.2,
            "random": lambda: self.random,
            "wall": lambda: 1.7e9 + self.now,
        }
        self.memory = MemoryState(**options)
        self.redis = RedisState(url, prefix=f"pair-{next(numbers)}", timeout=10.0, **options)
        self.redis._clock = lambda now: now
        for state in (self.memory, self.redis):
            state.know(ROUTES)
        self.out: list[tuple[Route, Permit, Permit]] = []

    def take_back(self):
        """The one in memory takes abandoned places back when it needs them; the other one at once."""
        for quota in self.memory._quotas.values():
            self.memory._abandoned(quota, self.now)

    def both(self, name, *args, **more):
        self.take_back()
        one, other = (run(getattr(state, name)(IO, *args, **more)) for state in (self.memory, self.redis))
        assert isinstance(other, type(one)), f"{name}{args}: {one} and {other}"
        return one, other

    def admit(self, route, tokens, early, reserve=0.0):
        one, other = self.both("admit", route, self.now, tokens=tokens, early=early, reserve=reserve)
        if isinstance(one, Rejection):
            assert one.reason == other.reason
            assert math.isclose(one.seconds, other.seconds, abs_tol=1e-6)
        else:
            assert math.isclose(one.mark, other.mark, abs_tol=1e-6)
            alike = {"slot": 0, "mark": 0.0, "place": None}  # each has its own way to say where the permit is held
            assert one._replace(**alike) == other._replace(**alike)
            assert other.slot > 0, "Redis gave it"
            self.out.append((route, one, other))

    def settle(self, number, outcome):
        self.take_back()
        route, one, other = self.out.pop(number)
        run(self.memory.settle(IO, route, self.now, one, outcome))
        run(self.redis.settle(IO, route, self.now, other, outcome))

    def confirm(self, number):
        route, one, other = self.out[number]
        sure = run(self.memory.confirm(IO, route, self.now, one))
        other = run(self.redis.confirm(IO, route, self.now, other))
        assert (sure.generation, sure.probe) == (other.generation, other.probe)
        self.out[number] = route, sure, other

    def look(self, route):
        one, other = (dataclasses.asdict(standing) for standing in self.both("standing", route, self.now))
        for name, value in one.items():
            if isinstance(value, float):
                assert math.isclose(value, other[name], abs_tol=1e-6), name
            else:
                assert value == other[name], name


@st.composite
def outcomes(draw, now):
    limited = draw(st.booleans())
    told = None
    if draw(st.integers(0, 3)) == 0:
        limit = draw(st.sampled_from([3.0, 1000.0]))
        level = Level(limit * draw(st.sampled_from([0.0, 0.5, 1.0])), limit, now + 30.0, now - 0.5)
        told = RateLimitHeaders(requests=level) if limit < 10 else RateLimitHeaders(tokens=level, output_tokens=level)
    return Outcome(
        draw(VERDICTS),
        retry_after=draw(st.sampled_from([None, None, None, 1.0, 30.0])),
        limited=limited,
        shared=draw(st.integers(0, 4)) == 0,
        used=draw(st.sampled_from([None, 0, 10, 700])),
        headroom=told,
        first_token=draw(st.sampled_from([None, 0.2])),
        seconds=draw(st.sampled_from([None, 2.0])),
    )


@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_memory_and_redis_tell_the_same_story(server, data):
    pair = Pair(server.unix_url)
    try:
        for _ in range(data.draw(st.integers(1, 60))):
            pair.now += data.draw(SECONDS)
            pair.random = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
            what = data.draw(st.sampled_from(["admit", "admit", "admit", "settle", "settle", "confirm", "look", "pay"]))
            route = ROUTES[data.draw(st.integers(0, len(ROUTES) - 1))]
            if what == "admit":
                tokens, reserve = (data.draw(st.sampled_from(few)) for few in ([0, 10, 400, 5000], [0.0, 0.0, 0.2]))
                pair.admit(route, tokens, data.draw(st.booleans()), reserve)
            elif what == "look":
                pair.look(route)
            elif what == "pay":
                run(pair.memory.begin_request(IO, pair.now))
                run(pair.redis.begin_request(IO, pair.now))
                one, other = pair.both("afford", pair.now, hedge=data.draw(st.booleans()))
                assert one == other
            elif pair.out:
                number = data.draw(st.integers(0, len(pair.out) - 1))
                if what == "settle":
                    pair.settle(number, data.draw(outcomes(pair.now)))
                elif pair.out[number][1].probe:
                    pair.confirm(number)
        for route in ROUTES:
            pair.look(route)
    finally:
        pair.redis.close()


def test_a_spent_quota_leaves_those_alone_that_are_shut_or_being_probed(server):
    pair, spent = Pair(server.unix_url), Outcome(Verdict.PERMANENT, shared=True)
    one, other, third = ROUTES[3:]
    pair.admit(one, 0, False)
    pair.settle(0, spent)
    pair.admit(other, 0, True)  # a probe
    for pair.now in (1001.0, 1002.0, 1003.0):
        pair.admit(one, 0, True)
        pair.settle(1, spent)
        for route in (one, other, third):
            pair.look(route)
            pair.admit(route, 0, False)
    pair.settle(0, Outcome(Verdict.SUCCESS))
    assert run(pair.redis.standing(IO, other, pair.now)).breaker == "closed"
    assert run(pair.redis.standing(IO, third, pair.now)).retry_in == pytest.approx(97.0)
    pair.redis.close()


def test_a_try_that_cannot_be_paid_for_costs_nothing(server):
    """A hedge is paid for out of two purses, or out of none."""
    pair = Pair(server.unix_url)
    paid = [pair.both("afford", pair.now, hedge=hedge) for hedge in [True] * 5 + [False] * 12]
    assert [one for one, _ in paid] == [other for _, other in paid] == [True] + [False] * 4 + [True] * 9 + [False] * 3
    pair.redis.close()
