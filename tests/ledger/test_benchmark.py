"""A short run of the ledger's benchmark finds what it looks for. What it measures in µs and MiB is not tested."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks import ledger
from benchmarks.ledger import OFF, Scale
from multiroute_core import ConfigurationError

SCALE = Scale(rounds=3, calls=40, attempts=1_000)
PLACES = [OFF, "memory", "SQLite", "Redis"]


@pytest.fixture(scope="module")
def timed():
    return ledger.timed(SCALE, Progress(disable=True))


@pytest.fixture(scope="module")
def grown():
    return ledger.grown(SCALE, Progress(disable=True))


def lines(show, *given):
    out = io.StringIO()
    short = show(*given, Console(file=out, width=200))
    return [line for line in out.getvalue().splitlines() if line.startswith("│")], short


@pytest.mark.slow
@pytest.mark.notebook
def test_every_place_has_its_times(timed):
    assert [who.name for who in timed] == PLACES
    for who in timed:
        assert len(who.calls) == len(who.cpu) == SCALE.rounds
        assert min(who.calls) > 0
    for who in timed[1:]:
        assert who.router.ledger.dropped == 0
    with pytest.raises(ConfigurationError, match="has no ledger"):
        _ = timed[0].router.ledger


@pytest.mark.slow
@pytest.mark.notebook
def test_a_ledger_is_compared_in_the_same_round(timed):
    off, memory = timed[:2]
    off.calls, memory.calls = [10.0, 100.0, 20.0], [15.0, 105.0, 60.0]
    assert memory.more(off)[0] == 5.0
    rows, short = lines(ledger.show_time, timed[:2])
    assert "+5.0" in rows[1]
    assert short == []
    memory.calls = [30.0, 120.0, 40.0]
    rows, short = lines(ledger.show_time, timed[:2])
    assert "short" in rows[1]
    assert short == ["memory (+20.0 µs)"]


@pytest.mark.slow
@pytest.mark.notebook
def test_every_place_tells_its_memory_on_the_way(grown):
    assert list(grown) == PLACES[1:]
    for told in grown.values():
        assert [one["attempts"] for one in told] == list(range(100, 1_001, 100))
        assert all(one["rss"] > 2**20 for one in told)
        assert (told[-1]["held"], told[-1]["waiting"], told[-1]["dropped"]) == (SCALE.attempts, 0, 0)


@pytest.mark.slow
@pytest.mark.notebook
def test_the_table_says_short_where_memory_grows(grown):
    rows, _ = lines(ledger.show_growth, grown)
    assert len(rows) == 3
    steady = [{**one, "rss": 100} for one in grown["memory"]]
    rising = [{**one, "rss": 100 + number} for number, one in enumerate(grown["memory"])]
    rising[-1]["rss"] = 120
    rows, short = lines(ledger.show_growth, {"steady": steady, "rising": rising})
    assert short == ["rising (memory grows by 15%)"]
