"""The purses of retries and hedges, by counting what went in and out over every span of time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.resilience.retry_budget import RETRIES, RetryBudget, RetryBudgetSettings, deposit, hedges, withdraw

SLACK = 1e-6
PURSES = st.sampled_from([RETRIES, hedges(0.05), hedges(1.0), RetryBudgetSettings(0.5, 2.0, 0.25, 4.0)])
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 20.0]), st.sampled_from(["request", "request", "try", "try", "try"])
    ),
    max_size=80,
)


def story(rules, steps):
    """Every step with its time, and for a try whether it was paid."""
    purse, now, events = RetryBudget(), 1000.0, []
    for seconds, what in steps:
        now += seconds
        if what == "request":
            purse, paid = deposit(purse, rules, now), None
        else:
            purse, paid = withdraw(purse, rules, now)
        events.append((now, what, paid))
    return events


def count(events, what, paid):
    return sum(1 for event in events if event[1:] == (what, paid))


@settings(deadline=None)
@given(PURSES, STEPS)
def test_no_span_of_time_pays_for_more_than_its_share(rules, steps):
    events = story(rules, steps)
    for start in range(len(events)):
        for end in range(start + 1, len(events) + 1):
            span = events[start:end]
            seconds = span[-1][0] - span[0][0]
            came = rules.share * count(span, "request", None) + rules.per_second * seconds
            most = rules.reserve if start == 0 else max(rules.most, rules.reserve)
            assert count(span, "try", True) <= most + came + SLACK


@settings(deadline=None)
@given(PURSES, STEPS)
def test_who_is_refused_has_spent_it(rules, steps):
    """A purse holds at least what its reserve, refilled over time, would hold; and what the shares would hold."""
    events = story(rules, steps)
    for end, (now, what, paid) in enumerate(events):
        if what != "try" or paid:
            continue
        spans = [events[start:end] for start in range(end + 1)]
        by_time = min(
            rules.reserve + rules.per_second * (now - (span[0][0] if span else now)) - count(span, "try", True)
            for span in spans
        )
        by_share = min(
            rules.reserve + rules.share * count(events[:end], "request", None) - count(events[:end], "try", True),
            *(rules.most + rules.share * count(span, "request", None) - count(span, "try", True) for span in spans),
        )
        assert max(by_time, by_share) < 1.0 + SLACK


@given(PURSES, st.integers(0, 500))
def test_a_flood_of_requests_fills_it_to_the_brim_and_no_further(rules, requests):
    purse = RetryBudget()
    for _ in range(requests):
        purse = deposit(purse, rules, 7.0)
    paid, tries = True, 0
    while paid:
        purse, paid = withdraw(purse, rules, 7.0)
        tries += paid
    filled = min(rules.most, rules.reserve + rules.share * requests)
    assert filled - 1 - SLACK <= tries <= filled + SLACK


@given(PURSES, st.integers(0, 20), st.floats(0, 100))
def test_silence_brings_the_reserve_back_and_no_more(rules, requests, seconds):
    purse = RetryBudget()
    for _ in range(requests):
        purse = deposit(purse, rules, 7.0)
    while (paid := withdraw(purse, rules, 7.0))[1]:
        purse = paid[0]
    left, tries = purse.left, 0
    while (paid := withdraw(purse, rules, 7.0 + seconds))[1]:
        purse, tries = paid[0], tries + 1
    back = min(max(left, rules.reserve), left + seconds * rules.per_second)
    assert back - 1 - SLACK <= tries <= back + SLACK


def test_a_dead_provider_gets_a_fifth_more_in_the_long_run():
    purse, paid = RetryBudget(), 0
    for _ in range(10_000):
        purse = deposit(purse, RETRIES, 0.0)
        for _ in range(3):
            purse, enough = withdraw(purse, RETRIES, 0.0)
            paid += enough
    assert 2000 <= paid <= 2010
