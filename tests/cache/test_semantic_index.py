"""Vectors in memory and on Redis: nothing near is missed, nothing far is found, and no scope sees into another."""

import itertools
import logging
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.cache.semantic.index import COUNT
from multiroute_core.cache.semantic.memory import MemoryIndex
from multiroute_core.cache.semantic.redis import RedisIndex
from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Down, Link, Refused
from tests.redis_servers import running

PATIENT = 10.0


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


CLOCK = Clock()
IO = SyncIO(CLOCK)


def unit(*numbers):
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def near(index, scope, vector, threshold, io=IO):
    return run(index.near(io, scope, vector, threshold))


def add(index, scope, vector, key, seconds=100.0, io=IO):
    run(index.add(io, scope, vector, f"text of {key}", key, seconds))


def cosine(a, b):
    """In plain Python."""
    a, b = [float(x) for x in a], [float(x) for x in b]
    return (
        sum(x * y for x, y in zip(a, b, strict=True))
        / math.sqrt(sum(x * x for x in a))
        / math.sqrt(sum(y * y for y in b))
    )


VECTORS = st.lists(st.integers(-3, 3), min_size=3, max_size=3).filter(any).map(lambda numbers: unit(*numbers))
STEPS = st.lists(
    st.tuples(st.sampled_from("st"), VECTORS, st.sampled_from("abcdefghijkl"), st.sampled_from([1.0, 5.0, 50.0])),
    max_size=40,
)


@pytest.mark.slow
@settings(deadline=None)
@given(STEPS, VECTORS, st.sampled_from([0.3, 0.5, 0.9, 0.999, 1.0]), st.sampled_from([3, 8, 100]))
def test_it_finds_what_plain_python_finds(steps, asked, threshold, most):
    """Of the last `most` that were added, those that are not over; each scope by itself."""
    index, kept = MemoryIndex(most), {}
    CLOCK.now = 0.0
    for scope, vector, key, seconds in steps:
        CLOCK.now += 1
        add(index, scope, vector, key, seconds)
        kept.pop((scope, key), None)
        kept[scope, key] = vector, CLOCK.now + seconds
        kept = dict(list(kept.items())[-most:])
    assert len(index) <= most
    for scope in "stu":
        found = near(index, scope, asked, threshold)
        alike = {
            key: cosine(vector, asked)
            for (its, key), (vector, until) in kept.items()
            if its == scope and until > CLOCK.now
        }
        wanted = sorted((value for value in alike.values() if value >= threshold - 1e-6), reverse=True)[:COUNT]
        assert [one.similarity for one in found] == pytest.approx(wanted, abs=1e-5)
        for one in found:
            assert one.similarity == pytest.approx(alike[one.key], abs=1e-5)
            assert one.similarity <= 1.0
            assert one.text == f"text of {one.key}"


@pytest.mark.slow
@given(STEPS, VECTORS)
def test_a_higher_threshold_finds_no_more(steps, asked):
    index = MemoryIndex()
    CLOCK.now = 0.0
    for scope, vector, key, _ in steps:
        add(index, scope, vector, key)
    found = [near(index, "s", asked, threshold) for threshold in (0.1, 0.5, 0.9, 0.99, 1.0)]
    for more, fewer in itertools.pairwise(found):
        assert list(more)[: len(fewer)] == list(fewer)


def test_an_equal_vector_is_found_at_the_highest_threshold():
    index, vector = MemoryIndex(), unit(*np.random.default_rng(0).normal(size=384))
    add(index, "s", vector, "a")
    assert near(index, "s", vector.astype(np.float64), 1.0)[0].key == "a"


def test_what_is_over_takes_no_room():
    index = MemoryIndex()
    for n in range(100):
        add(index, "s", unit(1, n), str(n), 10.0)
    CLOCK.now += 10
    assert near(index, "s", unit(1, 1), 0.0) == () or not near(index, "s", unit(1, 1), 0.0)
    assert len(index) == 0


def test_vectors_of_another_length_are_nothing_to_each_other():
    index = MemoryIndex()
    add(index, "s", unit(1, 2, 3), "a")
    assert not near(index, "s", unit(1, 2), 0.1)
    add(index, "s", unit(1, 2), "b")
    assert [one.key for one in near(index, "s", unit(1, 2), 0.1)] == ["b"]
    assert not near(index, "s", unit(1, 2, 3), 0.1)
    assert len(index) == 1


def test_many_threads_at_once():
    index, io, errors = MemoryIndex(200), SyncIO(), []

    def work(who):
        try:
            for n in range(200):
                vector = unit(who + 1, n + 1, 1)
                add(index, f"scope {who % 2}", vector, f"{who}-{n}", 100.0 if n % 3 else 0.001, io)
                for one in near(index, f"scope {who % 2}", vector, 0.999, io):
                    assert int(one.key.partition("-")[0]) % 2 == who % 2
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(index) <= 200


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "1"])
def test_a_bound_that_is_none_is_refused(most):
    with pytest.raises(ConfigurationError, match="max_entries"):
        MemoryIndex(most)
    with pytest.raises(ConfigurationError, match="max_entries"):
        RedisIndex("redis://127.0.0.1", max_entries=most)


# On Redis


@pytest.fixture(scope="module")
def redis_server():
    with running("redis") as server:
        yield server


@pytest.fixture(scope="module")
def valkey_server():
    with running("valkey") as server:
        yield server


def patient_index(url, **options):
    """An index on a link that a busy machine does not time out; the index closes it."""
    index = RedisIndex(Link(url, timeout=PATIENT), **options)
    index._own = True
    return index


def opened(server, **options):
    with server.client() as client:
        client.flushall()
    return patient_index(server.url, **options)


@pytest.mark.redis
async def test_redis_finds_what_memory_finds(redis_server):
    index, memory, io = opened(redis_server), MemoryIndex(), AsyncIO()
    random, missed = np.random.default_rng(1), 0
    for n in range(300):
        vector = unit(*random.normal(size=16))
        for one in (index, memory):
            await one.add(io, "st"[n % 2], vector, f"text {n} é \"'", f"key {n}", 100.0)
    for n in range(50):
        vector, scope = unit(*random.normal(size=16)), "st"[n % 2]
        found, wanted = [await one.near(io, scope, vector, 0.5) for one in (index, memory)]
        missed += [one.key for one in found[:1]] != [one.key for one in wanted[:1]]
        exact = {one.key: one for one in await memory.near(io, scope, vector, -1.0)}
        for one in found:
            if one.key in exact:
                assert one.similarity == pytest.approx(exact[one.key].similarity, abs=1e-4)
                assert one.text == exact[one.key].text
            assert int(one.key.split()[1]) % 2 == n % 2
    assert missed <= 2, "the graph finds the nearest, almost always"
    assert await index.near(io, "u", vector, -1.0) == []
    await index.aclose()


@pytest.mark.redis
def test_redis_forgets_what_is_over_and_the_set_with_its_last(redis_server):
    index, io = opened(redis_server), SyncIO()
    add(index, "s", unit(1, 0), "short", 0.3, io)
    add(index, "s", unit(1, 0.01), "long", 1.2, io)
    assert {one.key for one in near(index, "s", unit(1, 0), 0.9, io)} == {"short", "long"}
    until = time.monotonic() + 10
    while len(near(index, "s", unit(1, 0), 0.9, io)) == 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert {one.key for one in near(index, "s", unit(1, 0), 0.9, io)} <= {"long"}
    with redis_server.client() as client:
        while client.exists(index._name("s")) and time.monotonic() < until:
            time.sleep(0.02)
        assert not client.exists(index._name("s"))
    index.close()


@pytest.mark.redis
def test_redis_replaces_and_keeps_no_more_than_it_may(redis_server):
    index, io = opened(redis_server, max_entries=20), SyncIO()
    vectors = [unit(*numbers) for numbers in np.random.default_rng(2).normal(size=(61, 16))]
    for n in range(60):
        add(index, "s", vectors[n], f"key {n}", 100.0, io)
        assert near(index, "s", vectors[n], 0.999, io)[0].key == f"key {n}", "the newest is never the one that goes"
    with redis_server.client() as client:
        assert client.execute_command("VCARD", index._name("s")) == 20
    add(index, "s", vectors[60], "key 59", 100.0, io)
    assert near(index, "s", vectors[60], 0.999, io)[0].key == "key 59"
    assert not near(index, "s", vectors[59], 0.999, io)
    index.close()


@pytest.mark.redis
def test_processes_that_share_redis_find_each_others(redis_server):
    one, other = opened(redis_server), patient_index(redis_server.url)
    add(one, "s", unit(1, 2), "a", 100.0, SyncIO())
    assert near(other, "s", unit(1, 2), 0.99, SyncIO())[0].key == "a"
    one.close()
    other.close()


@pytest.mark.redis
def test_redis_refuses_vectors_of_another_length(redis_server):
    index, io = opened(redis_server), SyncIO()
    add(index, "s", unit(1, 2, 3), "a", 100.0, io)
    with pytest.raises(Refused, match="dimension"):
        near(index, "s", unit(1, 2), 0.5, io)
    index.close()


@pytest.mark.redis
def test_a_server_without_vector_sets_is_told_once_and_memory_serves(valkey_server, caplog):
    index, io = opened(valkey_server), SyncIO()
    assert not near(index, "s", unit(1, 2), 0.9, io)
    add(index, "s", unit(1, 2), "a", 100.0, io)
    assert near(index, "s", unit(1, 2), 0.9, io)[0].key == "a"
    told = [record for record in caplog.records if "does not support vector sets" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING]
    index.close()


@pytest.mark.redis
def test_a_redis_that_is_away_is_no_index():
    with running("redis") as server:
        index = patient_index(server.url)
        add(index, "s", unit(1, 2), "a", 100.0, SyncIO())
        server.kill()
        with pytest.raises(Down):
            near(index, "s", unit(1, 2), 0.9, SyncIO())
    index.close()
