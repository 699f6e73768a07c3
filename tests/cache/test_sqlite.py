"""The cache in a file: its contract, what goes when it is full, what is left behind."""

import contextlib
import copy
import gc
import os
import pickle
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.cache import sqlite_file
from multiroute_core.cache.sqlite import GRAIN, OVERHEAD, SQLiteCache
from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from tests.cache.sqlite_files import Clock, get, put, sound
from tests.examples import examples


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llm.db"


@pytest.fixture
def cache(path, clock):
    made = SQLiteCache(path, clock=clock)
    yield made
    made.close()


@pytest.fixture(params=[SyncIO, AsyncIO])
def io(request):
    return request.param()


# The contract


async def test_what_is_put_is_got_until_its_time_is_over(cache, clock, io):
    assert cache.shared
    assert await cache.get(io, "a") is None
    await cache.put(io, "a", b"1", 10.0)
    await cache.put(io, "b", b"", 20.0)
    clock.now += 9.9
    assert await cache.get(io, "a") == b"1"
    clock.now += 0.1
    assert await cache.get(io, "a") is None
    assert await cache.get(io, "b") == b""


async def test_a_put_replaces_what_was_there_and_its_time(cache, clock, io):
    await cache.put(io, "a", b"1" * 5000, 100.0)
    await cache.put(io, "a", b"22", 10.0)
    assert await cache.get(io, "a") == b"22"
    assert cache.bytes == 1 + 2 + OVERHEAD
    clock.now += 10
    assert await cache.get(io, "a") is None


async def test_a_claim_is_one_at_a_time(cache, io):
    token = await cache.claim(io, "a", 10.0)
    assert token
    assert await cache.claim(io, "a", 10.0) is None
    assert await cache.claim(io, "b", 10.0) is not None
    await cache.release(io, "a", "another")
    assert await cache.claim(io, "a", 10.0) is None
    await cache.release(io, "a", token)
    assert await cache.claim(io, "a", 10.0) not in (None, token)


async def test_a_claim_lapses_and_its_holder_cannot_give_back_the_next_one(cache, clock, io):
    late = await cache.claim(io, "a", 10.0)
    clock.now += 10
    assert await cache.claim(io, "a", 10.0) is not None
    await cache.release(io, "a", late)
    assert await cache.claim(io, "a", 10.0) is None


async def test_another_cache_on_the_file_sees_the_same(cache, path, clock, io):
    other = SQLiteCache(path, clock=clock)
    await cache.put(io, "a", b"1", 10.0)
    assert await other.get(io, "a") == b"1"
    token = await other.claim(io, "b", 10.0)
    assert await cache.claim(io, "b", 10.0) is None
    await cache.release(io, "b", token)
    assert await other.claim(io, "b", 10.0) is not None
    other.close()


def test_it_is_there_when_the_kernel_runs_again(path, clock):
    for told in (None, b"1"):
        cache = SQLiteCache(path, clock=clock)
        assert get(cache, "a") == told
        put(cache, "a", b"1")
        cache.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_closed_opens_again(cache):
    put(cache, "a", b"1")
    cache.close()
    assert get(cache, "a") == b"1"
    put(cache, "b", b"2")
    run(cache.aclose())
    assert get(cache, "b") == b"2"


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(st.data())
def test_whatever_happens_no_entry_is_wrong_late_or_too_many(data):
    clock, last, most = Clock(), {}, 0
    with tempfile.TemporaryDirectory() as folder:
        cache = SQLiteCache(Path(folder) / "x.db", max_bytes=2000, clock=clock)
        for n in range(data.draw(st.integers(1, 25))):
            key = data.draw(st.sampled_from("abcdef"))
            match data.draw(st.sampled_from(["put", "put", "get", "wait", "reopen"])):
                case "put":
                    size = data.draw(st.sampled_from([0, 1, 300, 900, 3000]))
                    seconds = data.draw(st.sampled_from([1.0, 100.0]))
                    last[key] = (b"%d," % n * size)[:size], clock.now + seconds
                    put(cache, key, last[key][0], seconds)
                    most = max(most, sum(len(content) + 1 + OVERHEAD for content, _ in last.values()))
                    if size < 2000:
                        assert get(cache, key) == last[key][0]
                case "get":
                    found = get(cache, key)
                    if found is not None:
                        assert found == last[key][0]
                        assert clock.now < last[key][1]
                    elif key in last and most <= 2000:
                        assert clock.now >= last[key][1], "nothing is lost while there was room for all"
                case "wait":
                    clock.now += data.draw(st.sampled_from([0.5, 5.0, GRAIN, 200.0]))
                case "reopen":
                    cache.close()
                    cache = SQLiteCache(Path(folder) / "x.db", max_bytes=2000, clock=clock)
            assert cache.bytes <= 2000
        cache.close()
        sound(Path(folder) / "x.db")


# How much it holds


def test_the_least_recently_used_go_when_it_is_full(path, clock):
    cache = SQLiteCache(path, max_bytes=10 * (1 + 100 + OVERHEAD), clock=clock)
    for key in "abcdefghij":
        clock.now += 1
        put(cache, key, b"x" * 100, 1e6)
    clock.now += GRAIN
    for key in "ac":  # used again: they are the last to go
        clock.now += 1
        assert get(cache, key)
    for key, gone in zip("klm", "bde", strict=True):
        clock.now += 1
        put(cache, key, b"x" * 100, 1e6)
        assert get(cache, gone) is None
    assert {key for key in "abcdefghijklm" if get(cache, key)} == set("acfghijklm")
    clock.now += 1
    put(cache, "n", b"x" * 1000, 1e6)
    assert cache.bytes <= cache.max_bytes
    assert get(cache, "n")
    assert get(cache, "j"), "a large one drives out no more than it must"
    cache.close()
    sound(path)


def test_what_is_larger_than_the_cache_is_not_kept_nor_what_it_replaces(path):
    cache = SQLiteCache(path, max_bytes=1000)
    put(cache, "a", b"1")
    put(cache, "b", b"1")
    put(cache, "a", b"x" * 1000)
    assert (get(cache, "a"), get(cache, "b")) == (None, b"1")
    cache.close()


def test_what_is_over_is_cleared_away(cache, clock, path):
    for n in range(20):
        put(cache, str(n), b"x" * 100, 10.0)
    clock.now += 10
    for n in range(4):
        put(cache, f"new {n}", b"y", 10.0)
    cache.close()
    assert set(sound(path)) == {f"new {n}" for n in range(4)}


def test_reads_write_no_more_than_once_in_a_while(cache, clock, path):
    for n in range(50):
        put(cache, str(n), b"x", 1e6)
    writes = set()
    with contextlib.closing(sqlite3.connect(path)) as watching:
        for _ in range(20):  # twenty minutes, a thousand reads
            clock.now += GRAIN
            for n in range(50):
                assert get(cache, str(n)) == b"x"
                writes.add(watching.execute("PRAGMA data_version").fetchone())
        assert 10 <= len(writes) <= 21
        assert watching.execute("SELECT max(used) FROM entries").fetchone()[0] >= clock.now - GRAIN


@pytest.mark.parametrize("max_bytes", [0, -1, True, 1.5, "1"])
def test_a_size_that_is_none_is_refused(path, max_bytes):
    with pytest.raises(ConfigurationError, match="max_bytes"):
        SQLiteCache(path, max_bytes=max_bytes)
    assert not path.exists()


# What is left behind


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, to count descriptors")
def test_no_descriptor_is_left_open(path):
    def descriptors():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for n in range(10):
        cache = SQLiteCache(path)
        put(cache, f"k{n}", b"1")
        threads = [threading.Thread(target=get, args=(cache, "k0")) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if n % 2:
            cache.close()  # and the others are collected
    del cache
    with contextlib.suppress(ConfigurationError):
        (path.parent / "bad").write_bytes(b"x" * 1000)
        SQLiteCache(path.parent / "bad")
    assert descriptors() <= before


def test_a_copy_is_the_same_and_a_pickle_opens_the_file_again(path):
    cache = SQLiteCache(path, max_bytes=12345)
    put(cache, "a", b"1")
    assert copy.copy(cache) is cache
    assert copy.deepcopy([cache])[0] is cache
    other = pickle.loads(pickle.dumps(cache))
    assert (other.path, other.max_bytes, get(other, "a")) == (cache.path, 12345, b"1")
    assert str(path) in repr(cache)
    other.close()
    cache.close()


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_just_after_a_transaction_has_begun_leaves_none_open(cache, path, monkeypatch, interrupts, caplog):
    begin, left = sqlite_file._begin, iter(range(interrupts))

    def interrupted(db, wait):
        begin(db, wait)
        if next(left, None) is not None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sqlite_file, "_begin", interrupted)
    for _ in range(interrupts):
        with pytest.raises(KeyboardInterrupt):
            put(cache, "a", b"1")
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")  # raises while somebody writes
    put(cache, "a", b"2")
    assert get(cache, "a") == b"2"
    assert caplog.messages == []


def test_a_transaction_that_was_left_open_is_rolled_back_first(cache, caplog):
    """The interrupt came while SQLite rolled back, and nobody was left to do it."""
    put(cache, "a", b"1")
    cache._writer.open().execute("BEGIN IMMEDIATE")
    put(cache, "b", b"2")
    assert (get(cache, "a"), get(cache, "b")) == (b"1", b"2")
    assert caplog.messages == []
