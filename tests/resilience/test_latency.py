"""The quantiles of the last answers, by their definition."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.resilience.latency import FEWEST, SAMPLES, Latencies

TIMES = st.lists(st.floats(0, 100) | st.sampled_from([0.0, 0.1, 1.0]), max_size=260)
SHARES = st.sampled_from([0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0])


def recorded(times):
    latencies = Latencies()
    for seconds in times:
        latencies.record(seconds)
    return latencies


@pytest.mark.slow
@given(TIMES, SHARES, st.sampled_from([0, 1, 2, FEWEST]))
def test_it_is_the_least_time_within_which_the_share_came(times, share, fewest):
    found, last = recorded(times).quantile(share, fewest=fewest), times[-SAMPLES:]
    if len(last) < max(1, fewest):
        assert found is None
        return
    assert found in last
    least = Fraction(str(share)) * len(last)
    assert sum(seconds <= found for seconds in last) >= least, "so many came within it"
    faster = sum(seconds < found for seconds in last)
    assert faster < least or faster == 0, "and with less time, fewer"


@given(TIMES)
def test_only_the_last_ones_count(times):
    latencies = recorded(times)
    assert len(latencies) == min(len(times), SAMPLES)
    fresh = recorded(times[-SAMPLES:])
    assert latencies.quantile(0.9, fewest=1) == fresh.quantile(0.9, fewest=1)


@given(st.lists(st.floats(0, 100), max_size=FEWEST + 2))
def test_a_few_answers_decide_nothing(times):
    assert (recorded(times).quantile(0.5) is None) == (len(times) < FEWEST)


def test_quantiles_by_example():
    assert recorded([1.0] * (FEWEST - 1)).quantile(0.5) is None
    assert recorded([1.0] * FEWEST).quantile(0.5) == 1.0
    assert recorded([]).quantile(0.5, fewest=0) is None
    assert recorded([3.0, 1.0, 2.0, 4.0]).quantile(0.5, fewest=1) == 2.0
    assert recorded([3.0, 1.0, 2.0, 4.0]).quantile(0.51, fewest=1) == 3.0
    assert recorded([float(n) for n in range(300)]).quantile(0.0) == 100.0
