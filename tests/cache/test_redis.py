"""The cache on Redis: entries, claims that one process has, and what happens when Redis is away."""

import asyncio
import copy
import gc
import multiprocessing
import pickle
import time
from typing import Any

import pytest

from multiroute_core.cache.redis import RedisCache
from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Down, Link
from tests.redis_servers import eventually, running

pytestmark = pytest.mark.redis

IO = SyncIO()
FORK = multiprocessing.get_context("fork")
PATIENT = 10.0


@pytest.fixture
def cache(redis_server):
    with redis_server.client() as client:
        client.flushall()
    found = RedisCache(redis_server.url, timeout=PATIENT)
    yield found
    found.close()


def test_what_is_put_is_got_and_replaced_and_goes(cache):
    assert run(cache.get(IO, "a")) is None
    value = bytes(range(256)) * 4000
    run(cache.put(IO, "a", value, 60.0))
    assert run(cache.get(IO, "a")) == value
    run(cache.put(IO, "a", b"", 0.2))
    assert run(cache.get(IO, "a")) == b""
    eventually(lambda: run(cache.get(IO, "a")) is None)


async def test_on_a_loop(cache):
    io = AsyncIO()
    await asyncio.gather(*(cache.put(io, f"key {n}", str(n).encode(), 60.0) for n in range(200)))
    assert await asyncio.gather(*(cache.get(io, f"key {n}") for n in range(200))) == [b"%d" % n for n in range(200)]
    tokens = await asyncio.gather(*(cache.claim(io, "one", 60.0) for _ in range(50)))
    assert sum(token is not None for token in tokens) == 1


def test_each_operation_is_one_command(cache, redis_server):
    with redis_server.client() as client:
        run(cache.get(IO, "a"))
        client.config_resetstat()
        run(cache.get(IO, "a"))
        run(cache.put(IO, "a", b"1", 60.0))
        token = run(cache.claim(IO, "a", 60.0))
        stats = client.info("commandstats")
        assert {name: found["calls"] for name, found in stats.items() if name in ("cmdstat_get", "cmdstat_set")} == {
            "cmdstat_get": 1,
            "cmdstat_set": 2,
        }
        run(cache.release(IO, "a", token))
        eventually(lambda: not client.exists("multiroute:claim:a"))


def test_nothing_stays_for_ever(cache, redis_server):
    run(cache.put(IO, "a", b"1", 60.0))
    run(cache.claim(IO, "a", 30.0))
    with redis_server.client() as client:
        assert 0 < client.pttl("multiroute:entry:a") <= 60_000
        assert 0 < client.pttl("multiroute:claim:a") <= 30_000


def test_a_claim_is_one_callers_until_it_is_given_back_or_lapses(cache):
    token = run(cache.claim(IO, "a", 60.0))
    assert token is not None
    assert run(cache.claim(IO, "a", 60.0)) is None
    run(cache.release(IO, "a", "somebody else's"))
    assert run(cache.claim(IO, "a", 60.0)) is None
    run(cache.release(IO, "a", token))
    assert (short := run(cache.claim(IO, "a", 0.2))) is not None, "it is free for whoever asks next"
    eventually(lambda: run(cache.claim(IO, "a", 60.0)) is not None)
    run(cache.release(IO, "a", short))
    assert run(cache.claim(IO, "a", 60.0)) is None, "a claim that has lapsed gives nothing back"


def test_a_finalizer_may_give_a_claim_back(cache, redis_server):
    token = run(cache.claim(IO, "a", 60.0))

    class Dropped:
        def __del__(self):
            run(cache.release(IO, "a", token))

    dropped: Any = Dropped()
    dropped.circle = dropped
    del dropped
    gc.collect()
    assert run(cache.claim(IO, "a", 60.0)) is not None


def _claims(url, barrier, results):
    cache = RedisCache(url, timeout=PATIENT)
    barrier.wait(60)
    results.put([run(cache.claim(IO, f"key {n}", 60.0)) is not None for n in range(50)])
    cache.close()


def test_of_four_processes_one_has_the_claim(redis_server, cache):
    barrier, results = FORK.Barrier(4), FORK.SimpleQueue()
    workers = [FORK.Process(target=_claims, args=(redis_server.url, barrier, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert [sum(claimed) for claimed in zip(*found, strict=True)] == [1] * 50


def test_two_prefixes_know_nothing_of_each_other(redis_server, cache):
    other = RedisCache(redis_server.url, prefix="another", timeout=PATIENT)
    run(cache.put(IO, "a", b"1", 60.0))
    assert run(other.get(IO, "a")) is None
    assert run(other.claim(IO, "b", 60.0))
    assert run(cache.claim(IO, "b", 60.0))
    other.close()


def test_a_link_that_is_shared_stays_open(redis_server):
    link = Link(redis_server.url, timeout=PATIENT)
    one, other = RedisCache(link), RedisCache(link)
    run(one.put(IO, "shared", b"1", 60.0))
    one.close()
    asyncio.run(one.aclose())
    assert run(other.get(IO, "shared")) == b"1"
    link.close()
    with pytest.raises(Down):
        run(other.get(IO, "shared"))


def test_copies_and_pickles(redis_server):
    cache = RedisCache(redis_server.url, prefix="a {shop}", timeout=PATIENT)
    run(cache.put(IO, "a", b"1", 60.0))
    assert copy.copy(cache) is cache
    assert copy.deepcopy([cache])[0] is cache
    other = pickle.loads(pickle.dumps(cache))
    assert run(other.get(IO, "a")) == b"1"
    assert repr(cache) == repr(other) == f"RedisCache(Link('redis://127.0.0.1:{redis_server.port}/0'))"
    assert other.link.timeout == PATIENT
    for found in (cache, other):
        found.close()
    secret = RedisCache("redis://:s3cret@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="credentials"):
        pickle.dumps(secret)
    assert "s3cret" not in repr(secret)
    secret.close()


def test_while_redis_is_silent_one_waits_and_then_nobody():
    with running("redis") as server:
        cache = RedisCache(server.url, timeout=0.25)
        run(cache.put(IO, "a", b"1", 60.0))
        server.pause()
        began = time.monotonic()
        for _ in range(200):
            with pytest.raises(Down):
                run(cache.get(IO, "a"))
            with pytest.raises(Down):
                run(cache.claim(IO, "b", 60.0))
        assert time.monotonic() - began < 10.0, "four hundred that each waited would take more than a minute"
        server.resume()
        eventually(lambda: cache.link.up)
        assert run(cache.get(IO, "a")) == b"1"
        assert run(cache.claim(IO, "b", 60.0)) is not None
        cache.close()


def test_a_claim_that_nobody_heard_of_is_given_back():
    """It reached a silent Redis, and was carried out later."""
    with running("valkey") as server:
        cache = RedisCache(server.url, timeout=0.25)
        run(cache.get(IO, "a"))
        server.pause()
        with pytest.raises(Down):
            run(cache.claim(IO, "a", 60.0))
        server.resume()
        eventually(lambda: cache.link.up)
        run(cache.get(IO, "a"))
        assert run(cache.claim(IO, "a", 60.0)) is not None
        cache.close()
