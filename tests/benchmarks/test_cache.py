"""A short run of the cache benchmark finds what it looks for. What it measures in seconds and bytes is not tested."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks import cache, providers
from benchmarks.caches import hits
from benchmarks.caches.contestants import IN_MEMORY
from benchmarks.caches.hits import OURS, Scale

pytestmark = [pytest.mark.slow, pytest.mark.notebook]

SCALE = Scale(rounds=2, times=2, crowd=5, answers=20)
FACES = {
    "memory": {
        "Router": {"generate", "agenerate", "stream", "astream"},
        "ChatMultiRoute": {"invoke", "ainvoke", "stream", "astream"},
        "MultiRoute": {"chat", "stream_chat"},
        IN_MEMORY: {"invoke", "ainvoke", "stream", "astream"},
    },
    "SQLite": {"Router": {"generate", "agenerate", "stream", "astream"}},
    "Redis": {
        "Router": {"generate", "agenerate", "stream", "astream"},
        "ChatMultiRoute": {"invoke", "ainvoke", "stream", "astream"},
    },
}


@pytest.fixture(scope="module")
def found():
    """What runs in this environment, measured shortly: one process, with its rows."""
    (who,) = hits.measured({OURS: Path(sys.executable)}, SCALE, Progress(disable=True))
    return who


def by(who, name, face, store="memory"):
    return next(row for row in who.rows if (row.store, row.name, row.face) == (store, name, face))


def test_every_face_is_asked(found):
    faces = {}
    for row in found.rows:
        faces.setdefault(row.store, {}).setdefault(row.name, set()).add(row.face)
    assert faces == FACES
    assert len(found.rows) == sum(len(own) for store in FACES.values() for own in store.values())


def test_all_that_is_ours_is_a_hit_with_a_time_for_each_round(found):
    for row in found.rows:
        if row.name != IN_MEMORY:
            assert row.note == ""
            assert row.store == "Redis" or not row.misses  # a Redis that is silent for 20 ms counts as away
            assert len(row.whole) == len(row.first) == SCALE.rounds
            assert (0 < row.first_micros < row.micros) if row.stream else (0 < row.first_micros == row.micros)


def test_a_stream_comes_again_in_its_chunks(found):
    assert {row.chunks for row in found.rows if row.timed and row.stream} == {providers.PIECES + 1}


def test_langchains_own_cache_has_its_times_and_no_streams(found):
    for face in ("invoke", "ainvoke"):
        assert by(found, IN_MEMORY, face).timed
    for face in ("stream", "astream"):
        row = by(found, IN_MEMORY, face)
        assert (row.note, row.timed) == ("not cached", False)


def test_of_all_at_once_one_of_ours_asks_and_each_of_theirs(found):
    for row in found.rows:
        assert row.asked == (SCALE.crowd if row.name == IN_MEMORY else 1), row.title


def test_the_round_trip_is_measured_in_the_same_process(found):
    sync, native = found.trips
    assert (sync.native, native.native) == (False, True)
    assert sync.timed
    assert native.timed
    assert found.trip(by(found, "Router", "generate", "Redis")) == sync.micros
    assert found.trip(by(found, "Router", "astream", "Redis")) == native.micros
    assert found.bytes > 500


def test_the_table_says_short_where_a_target_is_missed(found):
    row, own = by(found, "ChatMultiRoute", "invoke"), by(found, IN_MEMORY, "invoke")
    slow = dataclasses.replace(row, whole=[own.micros * 2e-6])
    quick = dataclasses.replace(row, whole=[own.micros * 5e-7])
    assert not hits.verdict(slow, found, found.rows).met
    assert hits.verdict(quick, found, found.rows) == hits.Verdict("≤ InMemoryCache", met=True)
    quick.asked = 2
    assert not hits.verdict(quick, found, found.rows).met


def test_the_table_has_a_line_for_each(found):
    out = io.StringIO()
    short = cache.show_hits([found], SCALE, Console(file=out, width=200))
    lines = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    assert len(lines) == len(found.rows) + len(found.trips)
    assert sum("short" in line for line in lines) == len(short)
    assert sum("not cached" in line for line in lines) == 2


def grown(store, count, *how):
    command = [sys.executable, "-m", "benchmarks.caches.growth", store, str(count), *how]
    told = subprocess.run(command, cwd=hits.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(told.stdout)


@pytest.mark.parametrize("store", ["multiroute", "langchain"])
def test_what_answers_take_is_told(store):
    done = grown(store, SCALE.answers, "traced")
    assert done["held"] == SCALE.answers
    assert SCALE.answers * 1000 < done["bytes"] < SCALE.answers * 20_000  # a kilobyte of text, and what is around it


def test_the_bounded_store_gets_more_than_it_may_hold():
    done = grown("bounded", 2_000)
    assert 0 < done["held"] < 2_000
    assert done["bytes"] is None or done["bytes"] > 0


def test_the_table_of_the_memory_has_a_line_for_each():
    out = io.StringIO()
    found = {store: {"rss": 3 * 2**20, "traced": 2 * 2**20, "held": 1000} for store in cache.GROWTHS}
    cache.show_growth(found, SCALE, Console(file=out, width=200))
    lines = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    assert len(lines) == len(cache.GROWTHS)
    assert all("3.0 MiB" in line and "3,146 bytes" in line for line in lines)
