"""The figures of a report are those of a plain sum, whatever the records."""

import math
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Ledger, report
from multiroute_core.display.numbers import decimal_places, seconds, share, short, usd
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.timeline import MOST_BUCKETS
from multiroute_core.report.figures import Requests
from multiroute_core.report.formats import name, period
from multiroute_core.report.moments import moment
from tests.examples import examples
from tests.report.conftest import NOON, failure, hit, record

COUNTS = st.none() | st.integers(0, 10**6)
MONEY = st.none() | st.floats(0, 1000)
RECORDS = st.lists(
    st.builds(
        Record,
        ended_at=st.floats(1.7e9, 1.9e9) | st.floats(NOON, NOON + 7200),
        request_id=st.sampled_from([f"r{n}" for n in range(12)]),
        route=st.sampled_from(["a", "b", "c"]),
        provider=st.sampled_from(["x", "y"]),
        model=st.sampled_from([f"m{n}" for n in range(8)]),
        outcome=st.sampled_from(["success", "success", "cancelled", "cached", "timeout", "server_error"]),
        seconds=st.floats(0, 100),
        first_token_seconds=st.none() | st.floats(0, 100),
        input_tokens=COUNTS,
        output_tokens=COUNTS,
        cache_read_tokens=COUNTS,
        reasoning_tokens=COUNTS,
        cost=MONEY,
        estimated=st.booleans(),
        saved_cost=MONEY,
        stream=st.booleans(),
        tenant=st.none() | st.sampled_from(["t", "u"]),
        task=st.none() | st.just("talk"),
        labels=st.sampled_from([(), ("l",), ("l", "m")]),
        charged=st.none() | st.floats(0, 100),
    ),
    max_size=60,
)
ERRORS = ("timeout", "server_error")


def total(records, field):
    return sum(getattr(each, field) or 0 for each in records)


def charge(each):
    return each.cost if each.charged is None else each.charged


def total_charge(records):
    return sum(charge(each) or 0 for each in records)


def is_unknown(each):
    return charge(each) is None and bool(each.input_tokens or each.output_tokens or each.outcome == "success")


def check(figures, records):
    outcomes = Counter(each.outcome for each in records)
    failed = [each for each in records if each.outcome in (*ERRORS, "cancelled")]
    assert figures.attempts == len(records) - outcomes["cached"]
    assert figures.answers == outcomes["success"] + outcomes["cached"]
    assert figures.cached == outcomes["cached"]
    assert figures.cancelled == outcomes["cancelled"]
    assert figures.failed == sum(outcomes[kind] for kind in ERRORS)
    for field in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"):
        assert getattr(figures, field) == total(records, field)
    assert figures.tokens == figures.input_tokens + figures.output_tokens
    assert figures.cost == pytest.approx(total_charge(records))
    assert figures.saved_cost == pytest.approx(total(records, "saved_cost"))
    assert figures.wasted == pytest.approx(total_charge(failed))
    assert figures.unknown == sum(map(is_unknown, records))
    assert figures.estimated == sum(each.estimated for each in records)
    assert figures.estimated_cost == pytest.approx(total_charge(each for each in records if each.estimated))


@settings(deadline=None, max_examples=examples(40))
@given(RECORDS)
def test_every_figure_is_a_plain_sum(records):
    made = report.of(records)
    check(made.total, records)
    for groups, names in (
        (made.models, lambda each: (each.model,)),
        (made.providers, lambda each: (each.provider,)),
        (made.routes, lambda each: (each.route,)),
        (made.tenants, lambda each: (each.tenant,)),
        (made.tasks, lambda each: (each.task,)),
        (made.labels, lambda each: each.labels),
    ):
        assert {group.name for group in groups} == {found for each in records for found in names(each)}
        for group in groups:
            check(group, [each for each in records if group.name in names(each)])
        costs = [group.cost for group in groups]
        assert costs == sorted(costs, reverse=True)
    assert Counter({(f.route, f.kind): f.count for f in made.failures}) == Counter(
        (each.route, each.outcome) for each in records if each.outcome in ERRORS
    )


@settings(deadline=None, max_examples=examples(40))
@given(RECORDS)
def test_requests_are_counted_once_however_many_tries_they_took(records):
    by_request = {}
    for each in records:
        by_request.setdefault(each.request_id, []).append(each.outcome)
    answered = [o for o in by_request.values() if "success" in o or "cached" in o]
    failed = [o for o in by_request.values() if o not in answered and any(each in ERRORS for each in o)]
    requests = report.of(records).requests
    assert requests.count == len(by_request)
    assert requests.answered == len(answered)
    assert requests.failed == len(failed)
    assert requests.cancelled == len(by_request) - len(answered) - len(failed)
    assert requests.tried_again == sum(sum(each != "cached" for each in o) > 1 for o in by_request.values())
    assert requests.rescued == sum(any(each in ERRORS for each in o) for o in answered)


def test_a_failover_is_one_request_of_two_tries():
    tries = [
        failure(0, request_id="a"),
        record(1, request_id="a"),
        record(2),
        hit(3),
        failure(4),
        failure(5, "cancelled"),
    ]
    assert report.of(tries).requests == Requests(count=5, answered=3, failed=1, cancelled=1, tried_again=1, rescued=1)


@settings(deadline=None, max_examples=examples(40))
@given(RECORDS)
def test_the_time_line_has_no_gap_and_loses_nothing(records):
    made = report.of(records)
    starts = [bucket.start for bucket in made.buckets]
    if not records:
        assert starts == []
        return
    seconds_of = {"minute": 60, "ten minutes": 600, "hour": 3600, "day": 86400}
    if made.step == "month":
        months = [datetime.fromtimestamp(at, UTC) for at in starts]
        assert all((m.day, m.hour) == (1, 0) for m in months)
        numbers = [m.year * 12 + m.month for m in months]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    else:
        assert starts == [starts[0] + seconds_of[made.step] * place for place in range(len(starts))]
        assert len(starts) <= MOST_BUCKETS
        assert made.last is not None
        assert starts[-1] + seconds_of[made.step] > made.last
    assert made.first is not None
    assert starts[0] <= made.first
    assert math.fsum(bucket.cost for bucket in made.buckets) == pytest.approx(made.total.cost)
    assert sum(bucket.answers for bucket in made.buckets) == made.total.answers
    assert sum(bucket.cached for bucket in made.buckets) == made.total.cached
    assert sum(bucket.failed for bucket in made.buckets) == made.total.failed
    for model in made.models:
        assert math.fsum(b.costs.get(str(model.name), 0) for b in made.buckets) == pytest.approx(model.cost)


@settings(deadline=None, max_examples=examples(40))
@given(RECORDS, st.randoms())
def test_the_order_of_the_records_does_not_matter(records, dice):
    one = report.of(records)
    dice.shuffle(records)
    other = report.of(records)
    assert other == one


@pytest.mark.parametrize(
    ("days", "step"), [(0.01, "minute"), (0.5, "ten minutes"), (3, "hour"), (30, "day"), (700, "month")]
)
def test_the_steps_fit_the_time_that_is_told_of(days, step):
    assert report.of([record(0), record(days * 86400)]).step == step


def test_latencies_are_of_answers_and_first_tokens_of_streams():
    made = report.of(
        [record(n, seconds=n + 1.0, first_token_seconds=(n + 1) / 10) for n in range(20)]
        + [failure(50, seconds=500.0), hit(51, seconds=0.0), record(52, route="b", stream=False)]
    )
    first, second = made.latencies
    assert (first.answers, first.median, first.p95) == (20, 10.0, 19.0)
    assert (first.first_token_median, first.first_token_p95) == (1.0, 1.9)
    assert (second.route, second.answers, second.first_token_median) == ("b", 1, None)


def test_a_ledger_gives_its_records_and_what_it_dropped():
    class Full:
        dropped, quick = 3, True

        def append(self, records, first):
            pass

        def read(self, which):
            return filter(which.takes, [record(n) for n in range(10)])

        def read_spending(self, which):
            raise NotImplementedError

        def forked(self):
            pass

        def close(self):
            pass

    made = report.of(Ledger(Full()), since=NOON + 2, until=NOON + 5)
    assert (made.requests.count, made.dropped, made.since, made.until) == (3, 3, NOON + 2, NOON + 5)
    assert "The ledger dropped 3 records" in str(made)


def test_records_are_chosen_by_time():
    records = [record(n) for n in range(10)]
    assert report.of(iter(records), since=NOON + 2, until=NOON + 5).requests.count == 3
    with pytest.raises(ConfigurationError, match="is later than"):
        report.of(records, since=NOON, until=NOON - 1)


def test_a_report_is_short_where_it_is_only_named():
    assert repr(report.of([record()])) == "<Report: 1 request, $0.00200>"


def test_moments():
    assert moment("since", "90m", NOON) == NOON - 5400
    assert moment("since", "1.5d", NOON) == NOON - 129_600
    assert moment("since", "2026-11-18", NOON) == NOON - 12 * 3600
    assert moment("since", "2026-11-18T13:00+01:00", NOON) == NOON
    assert moment("since", datetime(2026, 11, 18, 12), 0.0) == NOON
    assert moment("since", NOON, 0.0) == NOON
    for wrong in (
        "yesterday",
        "7 days",
        "",
        "-3d",
        "2026-13-01",
        True,
        math.nan,
        math.inf,
        "1" * 400 + "d",
        [],
    ):
        with pytest.raises(ConfigurationError, match="since="):
            moment("since", wrong, NOON)  # pyright: ignore[reportArgumentType]  # also of wrong types


def test_figures_are_written_for_people():
    assert [usd(value) for value in (0, 1234.5, 0.5, 0.0412, 0.00012)] == [
        "$0",
        "$1,234.50",
        "$0.500",
        "$0.0412",
        "$0.000120",
    ]
    assert (decimal_places([0.001, 12.0]), usd(0.001, 2)) == (2, "<$0.01")
    assert [short(count) for count in (0, 999, 1000, 48_230_000, 999_960, 2e12)] == [
        "0",
        "999",
        "1.0K",
        "48.2M",
        "1.0M",
        "2.0T",
    ]
    assert [share(part, 10_000) for part in (0, 1, 1234, 9999, 10_000)] == [
        "0 %",
        "<0.1 %",
        "12.3 %",
        ">99.9 %",
        "100 %",
    ]
    assert [seconds(value) for value in (None, 0.123, 12.34, 1234)] == ["–", "0.12 s", "12.3 s", "1,234 s"]
    assert period(NOON, NOON + 60) == "2026-11-18 12:00 to 12:01 UTC"
    assert period(NOON, NOON + 86400) == "2026-11-18 12:00 to 2026-11-19 12:00 UTC"


@given(st.text())
def test_a_name_is_harmless_and_short(text):
    shown = name(text)
    assert 1 <= len(shown) <= 60
    assert shown.encode()  # no half of a surrogate pair
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u202e\u2066\u200f" for letter in shown)


def test_many_tenants_are_told_apart():
    assert len(report.of(record(n, tenant=f"t{n}") for n in range(2000)).tenants) == 2000
