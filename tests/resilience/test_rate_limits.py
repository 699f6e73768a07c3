"""A quota as a whole: its retry_after, limits, places and headers together, against a log of what was let through."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multiroute_core.resilience.admission import Rejection
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders
from multiroute_core.resilience.rate_limits import (
    RateLimitSettings,
    RateLimitState,
    admit,
    requests_left,
    settle,
    tokens_left,
)
from tests.examples import examples

SLACK = 1e-3
SETTINGS = st.builds(
    RateLimitSettings,
    rpm=st.sampled_from([None, 1.0, 6.0, 60.0]),
    tpm=st.sampled_from([None, 100.0, 1000.0]),
    max_concurrency=st.sampled_from([None, 1, 4]),
)
TOKENS = st.sampled_from([0, 1, 40, 100, 400, 5000])


@dataclass
class Call:
    at: float
    tokens: int
    mark: float
    over: bool = False
    charged: float = 0.0


def lacking(log, per_minute, now):
    """The most that a span up to now took, beyond what came in over it."""
    spans = [sum(n for at, n in log if at >= start) - per_minute / 60 * (now - start) for start, _ in log]
    return max(0.0, *spans, 0.0)


class AllowanceMachine(RuleBasedStateMachine):
    @initialize(rules=SETTINGS)
    def begin(self, rules: RateLimitSettings):
        self.limit_settings = rules
        self.now = 1000.0
        self.state = RateLimitState()
        self.calls: list[Call] = []
        self.retry_after = 0.0
        self.episode_until: float | None = None
        self.told: tuple[float, float] | None = None  # when headers were last told, and the requests that remained

    @property
    def out(self):
        return [call for call in self.calls if not call.over]

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 20.0, 61.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(tokens=TOKENS)
    def ask(self, tokens):
        before, flying = self.state, len(self.out)
        left = requests_left(before, self.limit_settings, self.now), tokens_left(before, self.limit_settings, self.now)
        self.state, shut = admit(before, self.limit_settings, self.now, tokens=tokens, in_flight=flying)
        if shut is not None:
            self.refused(before, shut, tokens, left)
            return
        assert self.now >= self.retry_after, "no call is admitted before retry_after"
        assert self.limit_settings.max_concurrency is None or flying < self.limit_settings.max_concurrency
        charged = tokens if self.limit_settings.tpm is None else min(tokens, self.limit_settings.tpm)
        self.calls.append(Call(self.now, tokens, self.state.taken, charged=charged))
        if self.told is not None:
            self.told = (self.told[0], self.told[1] - 1.0)

    def refused(self, before: RateLimitState, shut: Rejection, tokens: int, left: tuple[float | None, float | None]):
        assert self.state == before, "a refusal takes nothing"
        assert 0 < shut.seconds
        if self.now < self.retry_after:
            assert shut == Rejection("rate_limit", self.retry_after - self.now)
        elif shut.reason == "rate_limit":
            assert self.told is not None
            assert shut.seconds <= self.told[0] + 60.0 - self.now + SLACK, (
                "headers stop nobody for longer than a minute"
            )
        elif shut.reason == "limit":
            # What was used beyond what was there is a debt, in which nothing goes, not even a request of no tokens.
            assert any(
                n is not None and (n < wanted or n == 0.0) for n, wanted in zip(left, (1.0, tokens), strict=True)
            )
        else:
            assert shut.reason == "busy"
            assert self.limit_settings.max_concurrency is not None or self.episode_until is not None
            assert self.out, "one call at a time always goes"

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(),
        used=st.sampled_from([None, 0.0, 0.5, 1.0, 1.2]),
        outcome=st.sampled_from(["success", "success", "success", "rate_limited", "other"]),
        retry_after=st.sampled_from([None, None, None, 3.0, 70.0]),
        remaining=st.sampled_from([None, None, 0.0, 0.5, 1.0]),
    )
    def over(self, data, used, outcome, retry_after, remaining):
        call = data.draw(st.sampled_from(self.out))
        told = None
        if remaining is not None:
            told = RateLimitHeaders(Level(10.0 * remaining, 10.0, self.now + 60.0, self.now))
            self.told = (self.now, 10.0 * remaining)
        took = None if used is None else int(used * call.tokens)
        self.state = settle(
            self.state,
            self.limit_settings,
            self.now,
            tokens=call.tokens,
            used=took,
            mark=call.mark,
            outcome=outcome,
            retry_after=retry_after,
            headroom=told,
            in_flight=len(self.out),
        )
        call.over = True
        if took is not None and took != call.tokens:
            call.charged = float(took)
        if retry_after is not None:
            self.retry_after = max(self.retry_after, self.now + retry_after)
        if outcome == "rate_limited":
            self.episode_until = max(self.episode_until or 0.0, self.now + max(15.0, retry_after or 0.0))

    @invariant()
    def limits_hold_in_hindsight(self):
        left = (
            requests_left(self.state, self.limit_settings, self.now),
            tokens_left(self.state, self.limit_settings, self.now),
        )
        if self.limit_settings.rpm is not None:
            held = self.limit_settings.rpm - lacking(
                [(c.at, 1.0) for c in self.calls], self.limit_settings.rpm, self.now
            )
            assert left[0] is not None
            assert 0.0 <= left[0] <= max(0.0, held) + SLACK
        if self.limit_settings.tpm is not None:
            held = self.limit_settings.tpm - lacking(
                [(c.at, c.charged) for c in self.calls], self.limit_settings.tpm, self.now
            )
            assert left[1] is not None
            assert 0.0 <= left[1] <= max(0.0, held) + SLACK
        if self.limit_settings.rpm is None and (self.told is None or self.now >= self.told[0] + 60.0):
            assert left[0] is None, "what nobody told is not known"

    @invariant()
    def it_always_opens_again(self):
        """Once nothing is in flight, whoever waits as long as he is told gets in within a few tries."""
        state, now = self.state, self.now
        for _ in range(4):  # the retry_after, the headers, the limits, and in
            state, shut = admit(state, self.limit_settings, now, tokens=10, in_flight=0)
            if shut is None:
                return
            now += shut.seconds
        raise AssertionError(f"shut for ever: {shut}")


TestAllowance = pytest.mark.slow(AllowanceMachine.TestCase)
TestAllowance.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)


@st.composite
def levels(draw):
    limit = draw(st.floats(1, 1000))
    return Level(limit * draw(st.floats(0, 1)), limit, 1000.0 + draw(st.floats(1, 100)), 1000.0)


ROOMS = st.none() | st.builds(
    RateLimitHeaders, st.none() | levels(), st.none() | levels(), st.none() | levels(), st.none()
)


def busy(rules: RateLimitSettings, room: RateLimitHeaders | None, asks: list[int]) -> RateLimitState:
    state = RateLimitState(headroom=room)
    for tokens in asks:
        state, _ = admit(state, rules, 1000.0, tokens=tokens, in_flight=0)
    return state


@given(SETTINGS, ROOMS, st.lists(TOKENS, max_size=8), st.floats(0, 70), TOKENS)
def test_the_least_of_what_is_known_is_what_is_left(rules, room, asks, after, tokens):
    state, now = busy(rules, room, asks), 1000.0 + after
    alone = {
        "bucket": RateLimitState(requests=state.requests, tokens=state.tokens),
        "headers": RateLimitState(headroom=state.headroom),
    }
    for left in (requests_left, tokens_left):
        parts = [left(part, rules if name == "bucket" else RateLimitSettings(), now) for name, part in alone.items()]
        known = [part for part in parts if part is not None]
        assert left(state, rules, now) == (min(known) if known else None)


@given(SETTINGS, ROOMS, st.lists(TOKENS, max_size=8), st.floats(0, 70), st.integers(0, 1000))
def test_what_is_left_goes(rules, room, asks, after, tokens):
    state, now = busy(rules, room, asks), 1000.0 + after
    requests, left = requests_left(state, rules, now), tokens_left(state, rules, now)
    _, shut = admit(state, rules, now, tokens=tokens, in_flight=0)
    if (requests is None or requests >= 1.0) and (left is None or left >= tokens):
        assert shut is None
    elif room is None and left is not None and left + SLACK < tokens < (rules.tpm or 0.0):
        assert shut is not None


SCHEDULES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 15.0, 25.0]),
        st.sampled_from([10, 200, 400]),
        st.sampled_from([0, 10, 300, 600]),
        st.sampled_from([0.0, 5.0, 20.0, 45.0]),
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(SCHEDULES)
def test_whoever_ends_first_what_they_used_is_missing_from_the_bucket(calls):
    """Each is let in some time after the one before, reserves, uses, and lasts."""
    rules, state, begin, events = RateLimitSettings(tpm=1000.0), RateLimitState(), 1000.0, []
    for n, (after, _, _, lasts) in enumerate(calls):
        begin += after
        events += [(begin, 0, n), (begin + lasts, 1, n)]
    log: dict[int, Call] = {}
    for now, end, n in sorted(events):
        _, reserved, used, _ = calls[n]
        if not end:
            state, shut = admit(state, rules, now, tokens=reserved, in_flight=0)
            if shut is None:
                log[n] = Call(now, reserved, state.taken, charged=reserved)
        elif n in log:
            state = settle(
                state,
                rules,
                now,
                tokens=reserved,
                used=used,
                mark=log[n].mark,
                outcome="other",
                retry_after=None,
                headroom=None,
                in_flight=1,
            )
            log[n].charged = used
        left = tokens_left(state, rules, now)
        assert left is not None
        assert left <= max(0.0, 1000.0 - lacking([(c.at, c.charged) for c in log.values()], 1000.0, now)) + SLACK


@given(st.integers(2, 40), st.integers(1, 40))
def test_who_learns_of_a_rate_limit_has_fewer_calls_in_flight_after_it(flying, more):
    rules, state = RateLimitSettings(), RateLimitState()
    for _ in range(min(flying, more)):
        state = settle(
            state,
            rules,
            1000.0,
            tokens=0,
            used=None,
            mark=0.0,
            outcome="rate_limited",
            retry_after=2.0,
            headroom=None,
            in_flight=flying,
        )
    _, shut = admit(state, rules, 1001.0, tokens=0, in_flight=0)
    assert shut == Rejection("rate_limit", 1.0)
    most = max(1, int(0.8 * flying))
    for in_flight in range(flying):
        _, shut = admit(state, rules, 1002.0, tokens=0, in_flight=in_flight)
        assert (shut is None) == (in_flight < most), "once, however many were refused together"
