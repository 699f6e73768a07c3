"""Totals and reports are what exact arithmetic over the plain records gives, in every store, however records are split."""

import contextlib
import math
import random
import sqlite3
from array import array
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Ledger, report
from multiroute_core.ledger import segments
from multiroute_core.ledger.aggregate import GROUPS, Group
from multiroute_core.ledger.ledger import summarize
from multiroute_core.ledger.quantiles import find_quantiles
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import MOST, Record
from multiroute_core.ledger.redis import RedisStore
from multiroute_core.ledger.sqlite import SQLiteStore
from multiroute_core.ledger.store import MemoryStore
from multiroute_core.report.report import build
from multiroute_core.report.source import source
from tests.examples import examples
from tests.redis_servers import running

SIZE = 4
"""Records of a segment in these tests."""

amounts = st.none() | st.sampled_from([0.0, 0.1, 0.2, 1e-9, 1e9]) | st.floats(-1e6, 1e6)
counts = st.none() | st.integers(0, 9) | st.integers(0, MOST)
names = st.sampled_from(["", "a", "b", "–", "ü"])
# No record ends in the future: entries on Redis are looked for by its clock.
moments = st.sampled_from([0.0, 86_399.9999999, 86_400.0, 1.75e9]) | st.floats(1.7e9, 1.75e9) | st.floats(0, 7200)
records = st.builds(
    Record,
    ended_at=moments,
    request_id=st.sampled_from("pqrs") | st.uuids().map(str),
    route=names,
    provider=names,
    model=names,
    outcome=st.sampled_from(["success", "success", "cached", "cancelled", "timeout", ""]),
    seconds=st.floats(0, 100) | st.sampled_from([1.0, 2.0]),
    first_token_seconds=st.none() | st.floats(0, 100),
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    reasoning_tokens=counts,
    cost=amounts,
    estimated=st.booleans(),
    saved_cost=amounts,
    stream=st.booleans(),
    charged=st.none() | amounts,
    tenant=st.none() | names,
    task=st.none() | names,
    labels=st.sets(names, max_size=3).map(lambda labels: tuple(sorted(labels))),
)
windows = st.fixed_dictionaries({}, optional={"since": moments, "until": moments})
words = names.filter(bool)
scopes = st.fixed_dictionaries({}, optional={"tenant": names, "route": names, "task": names, "label": words})


@pytest.fixture(scope="module", autouse=True)
def small_segments():
    """Segments of few records, so that few records fill several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SIZE", SIZE)
        yield


@pytest.fixture(scope="module")
def servers():
    with running("valkey") as valkey, running("redis") as redis:
        yield [valkey, redis]


def build_groups(kept, by):
    """The groups by exact arithmetic, record by record."""
    rows = {}
    for each in kept:
        for name in each.labels if by == "label" and each.labels else [by != "label" and getattr(each, by) or "–"]:
            rows.setdefault(name, []).append(each)

    def add(values):
        return float(sum(map(Fraction, filter(None, values))))

    def charge(each):
        return each.cost if each.charged is None else each.charged

    groups = [
        Group(
            name=name,
            requests=len({each.request_id for each in own}),
            attempts=sum(each.outcome != "cached" for each in own),
            failed=sum(each.outcome not in ("success", "cached", "cancelled") for each in own),
            cancelled=sum(each.outcome == "cancelled" for each in own),
            cached=sum(each.outcome == "cached" for each in own),
            input_tokens=sum(each.input_tokens or 0 for each in own),
            output_tokens=sum(each.output_tokens or 0 for each in own),
            cost=add(map(charge, own)),
            estimated_cost=add(charge(each) for each in own if each.estimated),
            unknown=sum(charge(each) is None and bool(each.input_tokens or each.output_tokens) for each in own),
            saved_cost=add(each.saved_cost for each in own),
        )
        for name, own in rows.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.cost, -group.attempts, group.name)))


def select(kept, window, scope=()):
    """The records that match."""
    return [
        each
        for each in kept
        if window.get("since", -math.inf) <= each.ended_at < window.get("until", math.inf)
        and all(
            value in each.labels if name == "label" else getattr(each, name) == value
            for name, value in dict(scope).items()
        )
    ]


def append(ledger, kept, sizes):
    """Stores records in batches."""
    start = 0
    while start < len(kept):
        size = sizes.choice([1, 2, 3, 5, 11])
        ledger.store.append(kept[start : start + size], start)
        start += size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ledgers")


@contextlib.contextmanager
def open_file(folder):
    """An empty ledger in a file, with small segments."""
    path = folder / "l.db"
    for each in folder.iterdir():
        each.unlink()
    ledger = Ledger(SQLiteStore(f"sqlite:///{path}"))
    try:
        yield ledger, path
    finally:
        ledger.close()


@pytest.mark.redis
@settings(max_examples=examples(30), deadline=None)
@given(kept=st.lists(records, max_size=30), window=windows, scope=scopes, sizes=st.randoms())
def test_every_store_gives_the_same_totals_and_reports(servers, folder, kept, window, scope, sizes):
    with contextlib.ExitStack() as stack:
        file, path = stack.enter_context(open_file(folder))
        ledgers = [Ledger(MemoryStore()), file]
        for server in servers:
            with server.client() as client:
                client.flushall()
            ledgers.append(Ledger(RedisStore(server.url)))
            stack.callback(ledgers[-1].close)
        for ledger in ledgers:
            append(ledger, kept, sizes)
        for by in GROUPS:
            for filters in ({}, scope):
                expected = build_groups(select(kept, window, filters), by)
                for ledger in ledgers:
                    assert ledger.totals(by, **window, **filters) == expected, (ledger, by, filters)
        if window.get("since", -math.inf) <= window.get("until", math.inf):
            expected = report.of(select(kept, window))
            for ledger in ledgers:
                summary = summarize(ledger, LedgerQuery.of(window.get("since"), window.get("until"), {}))
                assert build(summary) == expected, ledger
            with contextlib.closing(source(str(path))) as reader:
                assert build(reader.summarize(window.get("since"), window.get("until"))) == expected


@settings(max_examples=examples(30), deadline=None)
@given(kept=st.lists(records, min_size=SIZE * 3, max_size=40), sizes=st.randoms(), window=windows)
def test_records_that_others_delete_or_change_no_longer_count(folder, kept, sizes, window):
    with open_file(folder) as (ledger, path):
        append(ledger, kept, sizes)
        removed = {sizes.randrange(len(kept)) for _ in range(3)}
        changed = sizes.randrange(len(kept))
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM segments").fetchone()[0] > 0
            db.executemany("DELETE FROM records WHERE id = ?", [(place + 1,) for place in removed])
            db.execute("UPDATE records SET cost = 5.5, charged = NULL, model = 'z' WHERE id = ?", (changed + 1,))
            db.commit()
        rest = ledger.query()
        assert len(rest) == len(kept) - len(removed)
        for step in range(2):
            for by in ("model", "label"):
                assert ledger.totals(by, **window) == build_groups(select(rest, window), by), step
            assert report.of(ledger) == report.of(rest)
            more = sizes.sample(kept, SIZE * 2)
            ledger.store.append(more, len(kept))
            rest += more


def test_each_complete_segment_is_summarized_once_and_read_from_there(folder):
    kept = [Record(float(number), f"r{number}", "a", "o", "m", "success", 1.0, cost=0.1) for number in range(50)]
    with open_file(folder) as (ledger, path):
        append(ledger, kept, random.Random(0))
        with contextlib.closing(sqlite3.connect(path)) as db:
            numbers = [row[0] for row in db.execute("SELECT segment FROM segments ORDER BY segment")]
            assert numbers[-1] == 50 // SIZE - 1
            for _ in range(SIZE):  # a batch may have filled several
                ledger.store.append([], 50)
            stored = "SELECT segment, first, last FROM segments ORDER BY segment"
            assert db.execute(stored).fetchall() == [
                (number, float(number * SIZE), float(number * SIZE + SIZE - 1)) for number in range(50 // SIZE)
            ]
            # The triggers go first, so that only the summaries tell what the records were.
            db.executescript(
                "DROP TRIGGER segments_after_update; DROP TRIGGER segments_after_delete;"
                f"UPDATE records SET cost = 99 WHERE id <= {50 // SIZE * SIZE}"
            )
        assert ledger.totals("model")[0].cost == 5.0


def test_processes_that_write_in_turn_build_the_same_summaries(folder):
    kept = [Record(float(number), f"r{number // 2}", "a", "o", "m", "success", 1.0, cost=0.1) for number in range(60)]
    with open_file(folder) as (ledger, path):
        other = SQLiteStore(f"sqlite:///{path}")
        for start in range(0, 60, 3):
            (other if start % 2 else ledger.store).append(kept[start : start + 3], start)
        other.close()
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM segments").fetchone()[0] >= 13
        assert ledger.totals("model") == build_groups(kept, "model")
        assert report.of(ledger) == report.of(kept)


def test_a_file_without_summaries_gets_them_while_records_are_written(folder):
    kept = [Record(float(number), f"r{number}", "a", "o", "m", "success", 1.0, cost=0.1) for number in range(40)]
    with open_file(folder) as (ledger, path):
        append(ledger, kept, random.Random(0))
        ledger.close()
        with contextlib.closing(sqlite3.connect(path)) as db:  # as an older version left it
            db.executescript(
                "DROP TABLE segments; DROP TABLE segment_requests; DROP TABLE segment_changes;"
                "DROP TRIGGER segments_after_update; DROP TRIGGER segments_after_delete"
            )
        with contextlib.closing(source(str(path))) as reader:
            assert build(reader.summarize()) == report.of(kept)
        again = Ledger(SQLiteStore(f"sqlite:///{path}"))
        assert again.totals("model") == build_groups(kept, "model")
        for number in range(12):
            again.store.append([kept[0]], number)
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM segments").fetchone()[0] >= 10
        assert again.totals("model") == build_groups(kept + [kept[0]] * 12, "model")
        again.close()


def test_records_that_cannot_be_written_count_too(folder):
    kept = [Record(float(number), f"r{number // 2}", "a", "o", "m", "success", 1.0, cost=0.1) for number in range(31)]
    with open_file(folder) as (ledger, _):
        append(ledger, kept[:25], random.Random(0))
        store: Any = ledger.store
        assert build(store.select(LedgerQuery(), kept[25:]).summarize()) == report.of(kept)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.floats(0, 9) | st.sampled_from([1.0, 2.0]), max_size=300))),
    st.sampled_from([0.5, 0.95, 1.0]),
)
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(runs, share):
    sorted_runs = [(key, array("d", sorted(values))) for key, values in runs]
    quantiles = find_quantiles(lambda: sorted_runs, [share])
    values_by_key = {key: [value for own, values in runs if own == key for value in values] for key, _ in runs}
    assert set(quantiles) == {key for key, values in values_by_key.items() if values}
    for key, (count, (value,)) in quantiles.items():
        values = sorted(values_by_key[key])
        assert count == len(values)
        assert value == values[math.ceil(share * count) - 1]
