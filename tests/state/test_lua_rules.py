"""The twins of the rules in Lua: on any history they are, say and decide what the Python rules do."""

import dataclasses
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiroute_core.resilience import (
    adaptive_concurrency,
    call_limits,
    circuit_breaker,
    provider_limits,
    rate_limits,
    retry_budget,
    spend_account,
    token_bucket,
)
from multiroute_core.resilience.adaptive_concurrency import Concurrency
from multiroute_core.resilience.admission import Permit, Rejection, Verdict
from multiroute_core.resilience.call_limits import CallLimitSettings, CallLimitState
from multiroute_core.resilience.circuit_breaker import Breaker, BreakerSettings
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders
from multiroute_core.resilience.rate_limits import RateLimitSettings, RateLimitState
from multiroute_core.state.scripts import RULES, compose
from tests.examples import examples
from tests.redis_servers import KINDS, running

pytestmark = pytest.mark.redis

CALL = f"""
local rules = {{{", ".join(f"{name} = {name}" for name in RULES)}}}
local found = {{rules[asked.rule][asked.name](unpack(asked.args, 1, asked.count))}}
return tell({{rest = 0, first = found[1], second = found[2], third = found[3]}})
"""

SECONDS = st.sampled_from([0.0, 0.1, 0.7, 1.0, 3.3, 14.9, 20.0, 61.0, 400.0]) | st.floats(0.0, 100.0)
BEGIN = st.sampled_from([0.0, 1000.0, 1.79e9 + 1 / 3])
MANY = settings(max_examples=examples(30), deadline=None)


@pytest.fixture(scope="module", params=KINDS)
def lua(request):
    """Calls a function of a rule in Lua."""
    with running(request.param) as server, server.client() as client:
        sha = client.script_load(compose(*RULES) + CALL)

        def call(rule, name, *args):
            asked = {"rule": rule, "name": name, "args": args, "count": len(args)}
            found = msgspec.msgpack.decode(client.evalsha(sha, 0, msgspec.msgpack.encode(asked)))
            return found.get("first"), found.get("second"), found.get("third")

        yield call


def plain(value: Any) -> Any:
    """A value of the rules as Lua has it: nothing stands for None."""
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(found) for name, found in value.items() if found is not None and name != "prober"}
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, but for the last digits of a float."""
    one, other = plain(one), plain(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, bool) or isinstance(one, str) or one is None or other is None:
        return one == other
    if not one and other == []:  # an empty table of Lua is an empty list
        return True
    if isinstance(one, dict) or isinstance(other, dict):
        return False
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-6)


def agree(one, other, what=""):
    assert same(one, other), f"{what}: Python says {plain(one)}, Lua {plain(other)}"


AMOUNTS = st.sampled_from([0.0, 1.0, 40.0, 100.0, 5000.0]) | st.floats(0.0, 1e6)
RESERVE = st.sampled_from([0.0, 0.0, 0.2, 1.0])
PER_MINUTE = st.sampled_from([1.0, 6.0, 60.0, 40_000.0]) | st.floats(0.01, 1e7)


@MANY
@given(
    now=BEGIN,
    ahead=st.floats(-100.0, 100.0),
    per_minute=PER_MINUTE,
    one=AMOUNTS,
    other=AMOUNTS,
    third=AMOUNTS,
    reserve=RESERVE,
)
def test_limits(lua, now, ahead, per_minute, one, other, third, reserve):
    tat = now + ahead
    for mine, (first, second, _) in (
        (
            token_bucket.take(tat, per_minute, one, now, reserve),
            lua("token_bucket", "take", tat, per_minute, one, now, reserve),
        ),
        (
            (token_bucket.settle(tat, per_minute, one, other, now, third), None),
            lua("token_bucket", "settle", tat, per_minute, one, other, now, third),
        ),
        ((token_bucket.left(tat, per_minute, now), None), lua("token_bucket", "left", tat, per_minute, now)),
    ):
        agree(mine[0], first)
        agree(mine[1], second)


@MANY
@given(
    now=BEGIN,
    steps=st.lists(
        st.tuples(
            SECONDS,
            st.sampled_from(["answered", "answered", "answered", "limited", "admits"]),
            st.sampled_from([1, 1, 2, 2, 3, 8]),
            st.sampled_from([None, None, 3.0, 70.0]),
            RESERVE,
        ),
        max_size=60,
    ),
)
@example(
    now=0.0, steps=[(0.0, "limited", 2, None, 0.0), (20.0, "answered", 1, None, 0.0), (0.0, "answered", 1, None, 0.0)]
)
def test_concurrency(lua, now, steps):
    mine, twin = Concurrency(), lua("adaptive_concurrency", "new")[0]
    for seconds, what, in_flight, retry_after, reserve in steps:
        now += seconds
        if what == "admits":
            agree(
                adaptive_concurrency.admits(mine, retry_after, in_flight, reserve),
                lua("adaptive_concurrency", "admits", twin, retry_after, in_flight, reserve)[0],
            )
        elif what == "answered":
            mine = adaptive_concurrency.record_answer(mine, now, in_flight)
            twin = lua("adaptive_concurrency", "answered", twin, now, in_flight)[0]
        else:
            mine = adaptive_concurrency.limited(mine, now, in_flight, retry_after)
            twin = lua("adaptive_concurrency", "limited", twin, now, in_flight, retry_after)[0]
        agree(mine, twin, what)


@st.composite
def levels(draw, now):
    limit = draw(st.sampled_from([1.0, 10.0, 1000.0]))
    remaining = limit * draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    at = now - draw(st.sampled_from([0.0, 0.5, 30.0]))
    return Level(remaining, limit, at + draw(st.sampled_from([0.5, 6.0, 60.0, 3600.0])), at)


def headrooms(now):
    level = st.none() | levels(now)
    return st.builds(RateLimitHeaders, level, level, level, level)


@MANY
@given(now=BEGIN, data=st.data())
def test_headroom(lua, now, data):
    mine = twin = None
    for _ in range(data.draw(st.integers(0, 20))):
        now += data.draw(SECONDS)
        if mine is None or data.draw(st.booleans()):
            told = data.draw(headrooms(now))
            mine = provider_limits.learn(mine, told, now)
            twin = lua("provider_limits", "learn", twin, plain(told), now)[0]
        else:
            tokens = data.draw(st.sampled_from([0, 1, 40, 5000]))
            reserve = data.draw(RESERVE)
            mine, wait = provider_limits.take(mine, now, tokens, reserve)
            twin, other, _ = lua("provider_limits", "take", twin, now, tokens, reserve)
            agree(wait, other)
        agree(mine, twin)
        agree(provider_limits.requests_left(mine, now), lua("provider_limits", "requests_left", twin, now)[0])
        agree(provider_limits.tokens_left(mine, now), lua("provider_limits", "tokens_left", twin, now)[0])


SETTINGS = st.builds(
    RateLimitSettings,
    rpm=st.sampled_from([None, 1.0, 6.0, 60.0]),
    tpm=st.sampled_from([None, 100.0, 1000.0]),
    max_concurrency=st.sampled_from([None, 1, 4]),
)


@MANY
@given(now=BEGIN, rules=SETTINGS, data=st.data())
def test_allowance(lua, now, rules, data):
    mine, twin, said = RateLimitState(), lua("rate_limits", "new")[0], plain(rules)
    calls = []
    for _ in range(data.draw(st.integers(0, 30))):
        now += data.draw(SECONDS)
        if not calls or data.draw(st.booleans()):
            tokens = data.draw(st.sampled_from([0, 1, 40, 400, 5000]))
            reserve = data.draw(RESERVE)
            mine, shut = rate_limits.admit(mine, rules, now, tokens=tokens, in_flight=len(calls), reserve=reserve)
            twin, stop, _ = lua("rate_limits", "admit", twin, said, now, tokens, len(calls), reserve)
            agree(shut, stop)
            if shut is None:
                calls.append((tokens, mine.taken))
        else:
            tokens, mark = calls.pop(data.draw(st.integers(0, len(calls) - 1)))
            ended = {
                "tokens": tokens,
                "used": data.draw(st.none() | st.sampled_from([0, tokens, 2 * tokens, 7])),
                "mark": mark,
                "outcome": data.draw(st.sampled_from(["success", "rate_limited", "other"])),
                "retry_after": data.draw(st.sampled_from([None, None, 3.0, 70.0])),
                "headroom": data.draw(st.none() | headrooms(now)),
                "in_flight": len(calls) + 1,
            }
            mine = rate_limits.settle(mine, rules, now, **ended)
            twin = lua("rate_limits", "settle", twin, said, now, {**ended, "headroom": plain(ended["headroom"])})[0]
        agree(mine, twin)
        agree(rate_limits.requests_left(mine, rules, now), lua("rate_limits", "requests_left", twin, said, now)[0])
        agree(rate_limits.tokens_left(mine, rules, now), lua("rate_limits", "tokens_left", twin, said, now)[0])


CALL_SETTINGS = st.builds(
    CallLimitSettings,
    rpm=st.sampled_from([None, 1.0, 6.0, 60.0]),
    tpm=st.sampled_from([None, 100.0, 1000.0]),
    concurrency=st.sampled_from([None, 1, 4]),
)


@MANY
@given(now=BEGIN, rules=CALL_SETTINGS, data=st.data())
def test_call_limits(lua, now, rules, data):
    mine, twin, said = CallLimitState(), lua("call_limits", "new")[0], plain(rules)
    calls = []
    for _ in range(data.draw(st.integers(0, 30))):
        now += data.draw(SECONDS)
        if not calls or data.draw(st.booleans()):
            tokens = data.draw(st.sampled_from([0, 1, 40, 400, 5000]))
            reserve = data.draw(RESERVE)
            mine, refusal = call_limits.admit(mine, rules, now, tokens=tokens, in_flight=len(calls), reserve=reserve)
            twin, other, _ = lua("call_limits", "admit", twin, said, now, tokens, len(calls), reserve)
            agree(refusal, other)
            if refusal is None:
                calls.append((tokens, mine.taken))
        else:
            tokens, mark = calls.pop(data.draw(st.integers(0, len(calls) - 1)))
            used = data.draw(st.none() | st.sampled_from([0, tokens, 2 * tokens, 7]))
            mine = call_limits.settle(mine, rules, now, tokens=tokens, used=used, mark=mark)
            twin = lua("call_limits", "settle", twin, said, now, tokens, used, mark)[0]
        agree(mine, twin)
        agree(call_limits.lasts(mine, now), lua("call_limits", "lasts", twin, now)[0])
        agree(call_limits.requests_left(mine, rules, now), lua("call_limits", "requests_left", twin, said, now)[0])
        agree(call_limits.tokens_left(mine, rules, now), lua("call_limits", "tokens_left", twin, said, now)[0])


BREAKERS = st.sampled_from(
    [
        BreakerSettings(),
        BreakerSettings(failures=3, calls=6, seconds=4, longest=40, permanent=100, forget=50, probe=20),
        BreakerSettings(failures=50, calls=6, seconds=8, longest=16, permanent=64, forget=20, probe=10, window=40),
        BreakerSettings(failures=1, calls=100, seconds=1, longest=512, permanent=4, forget=1000, probe=2, window=10),
    ]
)


@MANY
@given(now=BEGIN, rules=BREAKERS, data=st.data())
def test_breaker(lua, now, rules, data):
    mine, twin, said = Breaker(), lua("circuit_breaker", "new")[0], plain(rules)
    permits = []
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(SECONDS)
        agree(mine.condition(now), lua("circuit_breaker", "condition", twin, now)[0])
        if not permits or data.draw(st.booleans()):
            early = data.draw(st.booleans())
            agree(circuit_breaker.shut(mine, now, early=early), lua("circuit_breaker", "shut", twin, now, early)[0])
            mine, leave = circuit_breaker.admit(mine, rules, now, early=early)
            twin, permit, stop = lua("circuit_breaker", "admit", twin, said, now, early)
            if isinstance(leave, Rejection):
                agree(leave, stop)
            else:
                agree({"generation": leave.generation, "probe": leave.probe}, permit)
                permits.append(leave)
        else:
            leave = permits.pop(data.draw(st.integers(0, len(permits) - 1)))
            verdict = data.draw(st.sampled_from([Verdict.FAILURE, *Verdict]))
            random = data.draw(st.floats(0.0, 1.0))
            mine = circuit_breaker.settle(mine, rules, now, leave, verdict, random)
            given_back = {"generation": leave.generation, "probe": leave.probe}
            twin = lua("circuit_breaker", "settle", twin, said, now, given_back, verdict.value, random)[0]
        agree(mine, twin)


def test_the_longest_break_is_the_longest_in_lua_as_well(lua):
    """A break doubles, and 2 ** 1024 is no number."""
    rules, mine, twin, now = BreakerSettings(failures=1), Breaker(), lua("circuit_breaker", "new")[0], 0.0
    for _ in range(70):
        mine, leave = circuit_breaker.admit(mine, rules, now, early=True)
        assert isinstance(leave, Permit)
        twin, permit, _ = lua("circuit_breaker", "admit", twin, plain(rules), now, True)
        mine = circuit_breaker.settle(mine, rules, now, leave, Verdict.FAILURE, 0.5)
        twin = lua("circuit_breaker", "settle", twin, plain(rules), now, permit, "failure", 0.5)[0]
        agree(mine, twin)
        now += 1.0
    assert twin["breaks"] == 65


@MANY
@given(
    now=BEGIN,
    rules=st.sampled_from([retry_budget.RETRIES, retry_budget.hedges(0.05), retry_budget.hedges(1.0)]),
    steps=st.lists(st.tuples(SECONDS, st.booleans()), max_size=60),
)
def test_budget(lua, now, rules, steps):
    mine, twin, said = retry_budget.RetryBudget(), lua("retry_budget", "new")[0], plain(rules)
    for seconds, begins in steps:
        now += seconds
        if begins:
            mine, twin = retry_budget.deposit(mine, rules, now), lua("retry_budget", "deposit", twin, said, now)[0]
        else:
            mine, enough = retry_budget.withdraw(mine, rules, now)
            twin, other, _ = lua("retry_budget", "withdraw", twin, said, now)
            agree(enough, other)
        agree(mine, twin)


@MANY
@given(
    cap=st.none() | st.integers(0, 10**13),
    steps=st.lists(st.tuples(SECONDS, st.booleans(), st.integers(0, 10**13), st.none() | st.integers(0, 10**13))),
)
def test_spend(lua, cap, steps):
    mine, twin, now, held = spend_account.Account(), lua("spend_account", "new")[0], 1000.0, []
    for seconds, reserves, amount, heard in steps:
        now += seconds
        day = now // 50 * 50
        known = None if heard is None else (day, heard)
        starts = (day - 50, day, day + 50)
        mine, twin = (
            spend_account.current(mine, starts, now, known),
            lua("spend_account", "current", twin, starts, now, known)[0],
        )
        agree(mine, twin)
        if reserves or not held:
            after, other = (
                spend_account.reserve(mine, cap, amount),
                lua("spend_account", "reserve", twin, cap, amount)[0],
            )
            assert (after is None) == (other is None)
            if after is not None:
                mine, twin = after, other
                held.append(amount)
        else:
            before = held.pop()
            mine, twin = (
                spend_account.settle(mine, before, amount),
                lua("spend_account", "settle", twin, before, amount)[0],
            )
        agree(mine, twin)
