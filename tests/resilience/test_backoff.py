"""The pause before a retry: spread over the whole of a span that doubles up to twenty seconds."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.resilience.backoff import backoff

ROUNDS = st.integers(1, 3000)


@given(ROUNDS)
def test_the_span_doubles_from_half_a_second_to_twenty_seconds(round_):
    span = 0.5
    for _ in range(min(round_, 50) - 1):
        span *= 2
    assert backoff(round_, 1.0) == min(span, 20.0)


@given(ROUNDS, st.integers(2, 100))
def test_callers_that_failed_together_are_spread_evenly_over_it(round_, callers):
    pauses = [backoff(round_, caller / callers) for caller in range(callers + 1)]
    assert pauses[0] == 0.0, "full jitter reaches down to nothing"
    gaps = [after - before for before, after in zip(pauses, pauses[1:], strict=False)]
    assert max(gaps) - min(gaps) < 1e-9
    assert abs(sum(gaps) - backoff(round_, 1.0)) < 1e-9


@given(ROUNDS, st.floats(0, 1))
def test_a_later_round_never_comes_back_sooner_for_the_same_luck(round_, random):
    assert 0.0 <= backoff(round_, random) <= backoff(round_ + 1, random) <= 20.0


def test_pauses_by_example():
    assert [backoff(round_, 1.0) for round_ in (1, 2, 3, 6, 7, 2000)] == [0.5, 1.0, 2.0, 16.0, 20.0, 20.0]
    assert [backoff(3, random) for random in (0.0, 0.25, 0.5)] == [0.0, 0.5, 1.0]
