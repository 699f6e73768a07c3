"""How many calls at once: episodes counted by the clock, and a provider whose true limit is to be found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multiroute_core.resilience.adaptive_concurrency import Concurrency, admits, limited, record_answer
from tests.examples import examples


class ConcurrencyMachine(RuleBasedStateMachine):
    @initialize(most=st.sampled_from([None, None, 1, 5, 40]))
    def begin(self, most):
        self.most, self.now, self.state, self.in_flight = most, 500.0, Concurrency(), 0
        self.episode_until = 0.0
        self.answers = 0  # since the limit last moved or a refusal came

    @rule(seconds=st.sampled_from([0.0, 1.0, 14.0, 15.0, 100.0, 301.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(calls=st.integers(1, 30))
    def start(self, calls):
        for _ in range(calls):
            if admits(self.state, self.most, self.in_flight):
                self.in_flight += 1

    @precondition(lambda self: self.in_flight)
    @rule(calls=st.integers(1, 30))
    def end_well(self, calls):
        for _ in range(min(calls, self.in_flight)):
            before = self.state.limit
            self.state = record_answer(self.state, self.now, self.in_flight)
            self.in_flight -= 1
            self.answers += self.now >= self.episode_until
            after = self.state.limit
            if after == before:
                continue
            assert before is not None, "answers alone set no limit"
            assert self.now >= self.episode_until, "what was sent before the cut says nothing about it"
            assert self.answers >= before, "it moves once in a round"
            assert after is None or after - before == pytest.approx(max(1.0, 0.05 * before))
            self.answers = 0

    @precondition(lambda self: self.in_flight)
    @rule(calls=st.integers(1, 30), retry_after=st.sampled_from([None, 0.0, 5.0, 30.0]))
    def end_refused(self, calls, retry_after):
        for _ in range(min(calls, self.in_flight)):
            before = self.state.limit
            self.state = limited(self.state, self.now, self.in_flight, retry_after)
            after = self.state.limit
            if self.now < self.episode_until:
                assert after == before, "calls that went out together tell one thing"
                self.episode_until = max(self.episode_until, self.now + (retry_after or 0.0))
            else:
                self.episode_until = self.now + max(15.0, retry_after or 0.0)
                held = self.in_flight if before is None else min(self.in_flight, before)
                assert after == (before if self.in_flight == 1 else max(1.0, 0.8 * held))
            self.in_flight -= 1
            self.answers = 0

    @invariant()
    def no_more_than_allowed_and_never_none(self):
        assert admits(self.state, self.most, 0), "one call at a time always goes"
        if self.most is not None:
            assert self.in_flight <= self.most
        if self.state.limit is not None:
            assert self.state.limit >= 1.0
            assert admits(self.state, None, int(self.state.limit) - 1)
            assert not admits(self.state, None, int(self.state.limit))


TestConcurrency = pytest.mark.slow(ConcurrencyMachine.TestCase)
TestConcurrency.settings = settings(max_examples=examples(120), stateful_step_count=30, deadline=None)


@given(st.integers(2, 40), st.floats(0, 14), st.floats(16, 300), st.floats(0, 0.99))
def test_an_episode_lasts_as_long_as_the_longest_door(flying, later, retry_after, share):
    state = limited(Concurrency(), 0.0, flying, None)
    state = limited(state, later, flying, retry_after)
    cut = state.limit
    assert cut is not None
    within = later + share * retry_after
    assert limited(state, within, flying, None).limit == cut
    calm = state
    for _ in range(2 * flying):
        calm = record_answer(calm, within, flying)
    assert calm.limit == cut
    again = limited(state, later + retry_after, flying, None).limit
    assert again == (1.0 if cut == 1.0 else max(1.0, 0.8 * min(flying, cut)))


def hour(capacity: int, demand: int, state: Concurrency, seconds: int = 3600, begin: int = 0):
    """Calls of a second each; the provider refuses those beyond its capacity. Gives each second's answers and refusals."""
    told = []
    for now in range(begin, begin + seconds):
        in_flight = 0
        while in_flight < demand and admits(state, None, in_flight):
            in_flight += 1
        refused = max(0, in_flight - capacity)
        told.append((in_flight - refused, refused))
        for _ in range(refused):
            state = limited(state, float(now), in_flight, None)
            in_flight -= 1
        while in_flight:
            state = record_answer(state, float(now), in_flight)
            in_flight -= 1
    return state, told


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(st.integers(2, 60), st.integers(2, 4))
def test_the_true_limit_is_found_and_used(capacity, times):
    _, told = hour(capacity, capacity * times, Concurrency(), seconds=1200)
    late = told[400:]
    answers, refusals = sum(n for n, _ in late), sum(n for _, n in late)
    assert answers >= 0.7 * capacity * len(late)
    assert refusals <= 0.1 * (answers + refusals) + 1


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(8, 60))
def test_who_asks_for_little_for_long_is_not_limited_any_more(capacity):
    state, _ = hour(capacity, 2 * capacity, Concurrency(), seconds=100)
    assert state.limit is not None
    little = int(state.limit * 0.4)
    state, _ = hour(1000, little, state, seconds=250, begin=100)
    assert state.limit is not None, "not so soon"
    state, _ = hour(1000, little, state, seconds=450, begin=350)
    assert state.limit is None


def test_refusals_of_one_episode_cut_the_limit_once():
    state = limited(Concurrency(), 0.0, 10, None)
    assert state.limit == 8.0
    for in_flight in (9, 8, 7):
        state = limited(state, 1.0, in_flight, None)
    assert state.limit == 8.0
    assert limited(state, 15.0, 8, None).limit == 6.4
    state = limited(state, 1.0, 7, 60.0)  # the provider wants to be left alone for longer
    assert limited(state, 60.0, 8, None).limit == 8.0
    assert limited(state, 61.0, 8, None).limit == 6.4
