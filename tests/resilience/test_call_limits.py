"""The limits of one account: in any span never more than the burst and the rate, and never too many calls at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.resilience import call_limits
from multiroute_core.resilience.call_limits import CallLimitSettings, CallLimitState
from tests.examples import examples

SLACK = 1e-6
SETTINGS = st.builds(
    CallLimitSettings,
    rpm=st.sampled_from([None, 1.0, 1.5, 60.0, 90.0]),
    tpm=st.sampled_from([None, 100.0, 1000.0]),
    concurrency=st.sampled_from([None, 1, 2, 7]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.4, 1.0, 7.0, 61.0]),
        st.sampled_from([1, 30, 100, 5000]),
        st.sampled_from([0.0, 0.0, 0.2]),
        st.booleans(),
    ),
    max_size=60,
)


def most_in_any_span(log, per_minute):
    """How far the amounts admitted in a span exceed what it allows, at most: the burst and what came in over it."""
    return max(
        (
            sum(amount for at, amount in log if begin <= at <= end) - per_minute - per_minute * (end - begin) / 60
            for begin, _ in log
            for end, _ in log
            if end >= begin
        ),
        default=0.0,
    )


@settings(max_examples=examples(100), deadline=None)
@given(rules=SETTINGS, steps=STEPS, begin=st.sampled_from([0.0, 1.79e9]))
def test_no_span_admits_more_and_no_moment_has_too_many_at_once(rules, steps, begin):
    state, now = CallLimitState(), begin
    requests, tokens, ends = [], [], []
    for seconds, amount, reserve, is_end in steps:
        now += seconds
        if is_end and ends:
            ends.pop()
            continue
        before = state
        state, refusal = call_limits.admit(state, rules, now, tokens=amount, in_flight=len(ends), reserve=reserve)
        if refusal is not None:
            assert state is before, "a refusal takes nothing"
            later = now + refusal.seconds + 1e-5
            in_flight = 0 if refusal.limit == "concurrency" else len(ends)
            _, still = call_limits.admit(state, rules, later, tokens=amount, in_flight=in_flight, reserve=reserve)
            assert still is None or still.limit == "concurrency", "there is room when it was said to be"
            continue
        requests.append((now, 1.0))
        tokens.append((now, min(amount, rules.tpm or 0.0)))
        ends.append(now)
        assert len(ends) <= (rules.concurrency or len(ends))
    if rules.rpm is not None:
        assert most_in_any_span(requests, rules.rpm) <= SLACK * max(1.0, begin * 1e-3)
    if rules.tpm is not None:
        assert most_in_any_span(tokens, rules.tpm) <= 1e-2


@given(rules=SETTINGS, amount=st.sampled_from([1, 100, 5000]), used=st.sampled_from([None, 0, 1, 40, 100, 5000]))
def test_a_settlement_corrects_the_reservation(rules, amount, used):
    state, _ = call_limits.admit(CallLimitState(), rules, 1000.0, tokens=amount, in_flight=0)
    after = call_limits.settle(state, rules, 1000.0, tokens=amount, used=used, mark=state.taken)
    left = call_limits.tokens_left(after, rules, 1000.0)
    if rules.tpm is not None:
        charged = min(amount, rules.tpm) if used is None or used == amount else used
        assert left is not None
        assert abs(left - max(0.0, rules.tpm - charged)) < 1e-3
    else:
        assert left is None
        assert after == state
    assert after.requests == state.requests


@given(rules=SETTINGS, steps=st.lists(st.tuples(st.floats(0, 90), st.sampled_from([1, 100, 5000])), max_size=30))
def test_calls_that_were_admitted_elsewhere_never_overdraw(rules, steps):
    state, now = CallLimitState(), 1000.0
    for seconds, amount in steps:
        now += seconds
        state = call_limits.charge(state, rules, now, tokens=amount)
        assert call_limits.lasts(state, now) <= 60.0 + SLACK


def test_a_batch_leaves_a_fifth_of_every_limit():
    rules = CallLimitSettings(rpm=10, concurrency=10)
    state = CallLimitState()
    for _ in range(8):
        state, refusal = call_limits.admit(state, rules, 0.0, tokens=0, in_flight=0, reserve=0.2)
        assert refusal is None
    _, refusal = call_limits.admit(state, rules, 0.0, tokens=0, in_flight=0, reserve=0.2)
    assert refusal is not None
    assert refusal.limit == "rpm"
    assert call_limits.admit(state, rules, 0.0, tokens=0, in_flight=9)[1] is None
    _, refusal = call_limits.admit(CallLimitState(), rules, 0.0, tokens=0, in_flight=8, reserve=0.2)
    assert refusal is not None
    assert refusal.limit == "concurrency"
