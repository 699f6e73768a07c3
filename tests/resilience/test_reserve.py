"""The reserve that calls of low priority leave: whatever a batch takes, one more call of its size finds room."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.resilience import adaptive_concurrency, provider_limits, rate_limits, token_bucket
from multiroute_core.resilience.adaptive_concurrency import Concurrency
from multiroute_core.resilience.admission import BATCH_RESERVE
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders
from multiroute_core.resilience.rate_limits import RateLimitSettings, RateLimitState


def batch_places(most=None, state=None):
    """How many calls a batch alone gets into flight."""
    in_flight = 0
    while adaptive_concurrency.admits(state or Concurrency(), most, in_flight, BATCH_RESERVE) and in_flight < 1000:
        in_flight += 1
    return in_flight


def test_the_places_that_a_batch_may_have():
    assert [batch_places(most) for most in (1, 2, 3, 4, 5, 10, 16, 100)] == [1, 1, 2, 3, 4, 8, 12, 80]
    assert [batch_places(None, Concurrency(limit)) for limit in (1.0, 1.9, 2.5, 5.0, 6.4)] == [1, 1, 1, 4, 5]
    assert batch_places(10, Concurrency(5.0)) == 4
    assert batch_places() == 1000, "without a limit there is nothing to leave"


@given(st.integers(2, 60), st.floats(1.0, 60.0), st.integers(0, 60))
def test_beside_a_batch_there_is_a_place(most, limit, busy):
    for fixed, state in ((most, Concurrency()), (None, Concurrency(limit)), (most, Concurrency(limit))):
        places = min(most if fixed else 60.0, state.limit or 60.0)
        if adaptive_concurrency.admits(state, fixed, busy, BATCH_RESERVE):
            assert adaptive_concurrency.admits(state, fixed, busy), "who may with a reserve, may without"
            if places >= 2.0:
                assert adaptive_concurrency.admits(state, fixed, busy + 1), "one more finds a place"


@given(
    st.floats(2.0, 100_000.0), st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 0.5)), min_size=1, max_size=40)
)
def test_a_bucket_has_room_for_one_more_like_it(per_minute, calls):
    tat = now = 1000.0
    for seconds, share in calls:
        now += seconds
        amount = share * per_minute
        after, wait = token_bucket.take(tat, per_minute, amount, now, BATCH_RESERVE)
        if not wait:
            tat = after
            assert token_bucket.take(tat, per_minute, amount, now)[1] == 0.0
            assert token_bucket.left(tat, per_minute, now) >= BATCH_RESERVE * per_minute - 1e-3
        else:
            assert token_bucket.take(tat, per_minute, amount, now + wait, BATCH_RESERVE)[1] == 0.0, "so long, no longer"


def test_a_call_larger_than_what_is_left_beside_a_reserve_goes_alone():
    assert token_bucket.take(0.0, 100.0, 5000.0, 1000.0, BATCH_RESERVE) == (1060.0, 0.0)
    assert token_bucket.take(1001.0, 100.0, 5000.0, 1000.0, BATCH_RESERVE)[1] > 0.0


def test_a_batch_alone_gets_the_full_rate():
    """A reserve lowers the level that a batch may reach, not the rate at which the bucket refills."""
    now, state, settings = 1000.0, RateLimitState(), RateLimitSettings(rpm=60)
    sent = 0
    while now < 1600.0:
        state, rejection = rate_limits.admit(state, settings, now, tokens=1, in_flight=0, reserve=BATCH_RESERVE)
        sent += rejection is None
        now += 0.0 if rejection is None else rejection.seconds
    assert 648 - 1 <= sent <= 648 + 1  # 48 at once, then one a second


def test_what_headers_report_is_left_as_well():
    level = Level(remaining=100.0, limit=1000.0, reset=60.0, at=0.0)
    room = RateLimitHeaders(tokens=level)
    assert provider_limits.take(room, 0.0, 50.0)[1] == 0.0
    assert provider_limits.take(room, 0.0, 50.0, BATCH_RESERVE)[1] > 0.0
    full = RateLimitHeaders(tokens=Level(remaining=1000.0, limit=1000.0, reset=60.0, at=0.0))
    assert provider_limits.take(full, 0.0, 5000.0, BATCH_RESERVE)[1] == 0.0


def test_the_limit_grows_while_a_batch_alone_uses_the_route():
    state = adaptive_concurrency.limited(Concurrency(), 0.0, 20, None)
    assert state.limit == 16.0
    now = 100.0
    for _ in range(40):
        places = batch_places(None, state)
        for _ in range(places):
            state = adaptive_concurrency.record_answer(state, now, places)
        now += 1.0
    assert state.limit is not None
    assert state.limit > 40.0
    small = adaptive_concurrency.limited(Concurrency(), 0.0, 2, None)
    for second in range(100, 130):
        small = adaptive_concurrency.record_answer(small, float(second), batch_places(None, small))
    assert small.limit is not None
    assert small.limit > 3.0
