"""The bucket of a limit per minute, by counting over every span of time what was let through.

The model is a log. In hindsight, what each caller really used stands at the moment at which it was let in, and the bucket
lacks the most that any span up to now took beyond what came in over it.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multiroute_core.resilience import token_bucket
from tests.examples import examples

SLACK = 1e-3
RATES = st.sampled_from([1.0, 60.0, 90.0, 1000.0])
SHARES = st.sampled_from([0.01, 0.1, 0.3, 0.5, 1.0])


@dataclass
class Entry:
    at: float
    reserved: float
    mark: float
    used: float | None = None
    settled: float | None = None

    @property
    def counts(self):
        return self.reserved if self.used is None else self.used


def lacking(log: list[tuple[float, float]], per_minute: float, now: float) -> float:
    """The most that a span up to now took, beyond what came in over it."""
    spans = (sum(n for at, n in log if at >= start) - per_minute / 60 * (now - start) for start, _ in log)
    return max(0.0, *spans) if log else 0.0


class LimitMachine(RuleBasedStateMachine):
    @initialize(per_minute=RATES, now=st.sampled_from([0.0, 1.7e9]))
    def begin(self, per_minute, now):
        self.per_minute, self.now, self.tat = per_minute, now, 0.0
        self.taken, self.log = 0.0, list[Entry]()

    @rule(seconds=st.sampled_from([0.0, 0.5, 6.0, 30.0, 59.0, 60.0, 100.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(share=SHARES | st.just(3.0))
    def take(self, share):
        amount = share * self.per_minute
        wants = min(amount, self.per_minute)
        before = self.tat
        self.tat, wait = token_bucket.take(before, self.per_minute, amount, self.now)
        if not wait:
            assert self.hindsight() + wants <= self.per_minute + SLACK * self.per_minute
            self.taken += wants
            self.log.append(Entry(self.now, wants, self.taken))
            return
        assert self.tat == before, "a refusal takes nothing"
        assert self.unreturned() + wants > self.per_minute - SLACK * self.per_minute, "there was not enough"
        _, still = token_bucket.take(self.tat, self.per_minute, amount, self.now + wait)
        assert still == 0.0, "it is there when it was said to be"
        if wait > 0.1:
            _, still = token_bucket.take(self.tat, self.per_minute, amount, self.now + wait - 0.1)
            assert still == pytest.approx(0.1, abs=SLACK), "and not before"

    @precondition(lambda self: any(entry.settled is None for entry in self.log))
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.0, 0.4, 1.0, 1.5]))
    def settle(self, data, share):
        entry = data.draw(st.sampled_from([entry for entry in self.log if entry.settled is None]))
        before = self.tat
        used = share * entry.reserved
        since = self.taken - entry.mark
        self.tat = token_bucket.settle(before, self.per_minute, entry.reserved, used, self.now, since)
        self.taken += max(0.0, used - entry.reserved)
        entry.used, entry.settled = used, self.now
        assert (self.tat <= before) if used <= entry.reserved else (self.tat > before)

    def hindsight(self) -> float:
        return lacking([(entry.at, entry.counts) for entry in self.log], self.per_minute, self.now)

    def unreturned(self) -> float:
        """As if nothing had come back, and what was used beyond had been taken when it was told."""
        more = [
            (e.settled, max(0.0, e.used - e.reserved)) for e in self.log if e.settled is not None and e.used is not None
        ]
        return lacking([(e.at, e.reserved) for e in self.log] + more, self.per_minute, self.now)

    @invariant()
    def what_is_left_lies_between(self):
        left = token_bucket.left(self.tat, self.per_minute, self.now)
        slack = SLACK * self.per_minute
        assert 0.0 <= left <= max(0.0, self.per_minute - self.hindsight()) + slack
        assert left >= self.per_minute - self.unreturned() - slack


TestLimit = pytest.mark.slow(LimitMachine.TestCase)
TestLimit.settings = settings(max_examples=examples(120), stateful_step_count=30, deadline=None)


@settings(deadline=None)
@given(RATES, st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.3, 1.0, 7.0, 61.0]), SHARES), max_size=60))
def test_no_span_lets_more_through_than_a_minutes_worth_and_what_came_in(per_minute, asks):
    tat, now, through = 0.0, 1.7e9, []
    for seconds, share in asks:
        now += seconds
        tat, wait = token_bucket.take(tat, per_minute, share * per_minute, now)
        if not wait:
            through.append((now, share * per_minute))
    for start, (begin, _) in enumerate(through):
        total = 0.0
        for end, amount in through[start:]:
            total += amount
            assert total <= per_minute * (1 + (end - begin) / 60) + SLACK * per_minute


@given(
    st.lists(st.tuples(st.floats(1, 20), st.floats(0, 30), st.floats(0, 9), st.floats(0, 9)), max_size=8),
)
def test_in_a_bucket_that_never_was_full_every_token_is_settled_exactly(calls):
    """Ten tokens a second come in over twenty seconds, and 300 are gone from the beginning."""
    tat, wait = token_bucket.take(0.0, 600.0, 300.0, 100.0)
    assert wait == 0.0
    events = sorted(
        [(begin, 0, n) for n, (_, _, begin, _) in enumerate(calls)]
        + [(begin + lasts, 1, n) for n, (_, _, begin, lasts) in enumerate(calls)]
    )
    taken, marks = 300.0, {}
    for after, end, n in events:
        reserved, used, _, _ = calls[n]
        if not end:
            tat, wait = token_bucket.take(tat, 600.0, reserved, 100.0 + after)
            assert wait == 0.0
            taken += reserved
            marks[n] = taken
        else:
            tat = token_bucket.settle(tat, 600.0, reserved, used, 100.0 + after, taken - marks[n])
            taken += max(0.0, used - reserved)
    left = 600.0 - 300.0 - sum(used for _, used, _, _ in calls) + 10.0 * 20.0
    assert token_bucket.left(tat, 600.0, 120.0) == pytest.approx(min(left, 600.0), abs=SLACK)


@given(RATES, SHARES, SHARES, st.floats(61, 1000))
def test_what_comes_back_to_a_bucket_that_was_full_meanwhile_is_lost(per_minute, reserved, later, seconds):
    tat, _ = token_bucket.take(0.0, per_minute, reserved * per_minute, 0.0)
    tat, wait = token_bucket.take(tat, per_minute, later * per_minute, seconds)
    assert wait == 0.0
    tat = token_bucket.settle(tat, per_minute, reserved * per_minute, 0.0, seconds, later * per_minute)
    assert token_bucket.left(tat, per_minute, seconds) == pytest.approx((1 - later) * per_minute, abs=SLACK)


def test_a_call_that_is_refused_takes_nothing():
    tat, wait = token_bucket.take(0.0, 60.0, 60.0, 100.0)
    assert wait == 0.0
    assert token_bucket.take(tat, 60.0, 30.0, 100.0) == (tat, 30.0)
    assert token_bucket.take(tat, 60.0, 30.0, 130.0)[1] == 0.0
