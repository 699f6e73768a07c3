"""Equal requests fly once among processes, and a leader that is killed is followed by one other."""

import asyncio
import multiprocessing
import threading
import time

import pytest

from multiroute_core import CacheConfig, Route, Router
from multiroute_core.engine import caching
from multiroute_core.testing.server import ReplayServer
from tests.chat_server import answer
from tests.redis_servers import KINDS, running

pytestmark = pytest.mark.slow

CONTEXT = multiprocessing.get_context("spawn")
TASKS, THREADS = 25, 25


@pytest.fixture(params=["sqlite", *(pytest.param(kind, marks=pytest.mark.redis) for kind in KINDS)])
def cache(request, tmp_path):
    """Where answers are kept."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/llm.db"
    else:
        with running(request.param) as server:
            yield server.url


def router(url, cache):
    # A machine that is busy with other tests may be silent for longer than Redis is allowed to be.
    store = CacheConfig(_patient(cache)) if not cache.startswith("sqlite") else cache
    return Router([Route("openai:gpt-4.1", name="a", base_url=url, api_key="k")], cache=store)


def _patient(url):
    from multiroute_core.cache.redis import RedisCache

    return RedisCache(url, timeout=5.0)


def _many(url, cache, ready, results):
    """So many equal calls at once, from tasks and from threads."""
    with router(url, cache) as asking:
        found = []
        threads = [threading.Thread(target=lambda: found.append(asking.generate("Hi"))) for _ in range(THREADS)]

        async def tasks():
            found.extend(await asyncio.gather(*(asking.agenerate("Hi") for _ in range(TASKS))))

        ready.wait(60)
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
        results.put([(response.text, response.cached) for response in found])


def test_four_processes_with_fifty_calls_each_make_one(cache):
    slowly = answer("Hello.")

    def reply(received):
        time.sleep(1.0)
        return slowly(received)

    with ReplayServer(reply) as server:
        ready, results = CONTEXT.Barrier(4), CONTEXT.SimpleQueue()
        children = [CONTEXT.Process(target=_many, args=(f"{server.url}/v1", cache, ready, results)) for _ in range(4)]
        for child in children:
            child.start()
        found = [one for _ in children for one in results.get()]
        for child in children:
            child.join(30)
        assert [child.exitcode for child in children] == [0] * 4
        assert len(server.requests) == 1
        assert len(found) == 4 * (TASKS + THREADS)
        assert {text for text, _ in found} == {"Hello."}
        assert sum(not cached for _, cached in found) == 1


def _leads(url, cache, lease):
    caching.LEASE_SECONDS = lease
    with router(url, cache) as asking:
        asking.generate("Hi")


def test_a_leader_that_is_killed_is_followed_when_its_lease_is_over(cache, monkeypatch):
    monkeypatch.setattr(caching, "LEASE_SECONDS", 3.0)
    monkeypatch.setattr(caching, "WAIT_SECONDS", 20.0)
    asked, quick = threading.Event(), answer("Hello.")

    def reply(received):
        if not asked.is_set():
            asked.set()
            time.sleep(8.0)
        return quick(received)

    with ReplayServer(reply) as server:
        child = CONTEXT.Process(target=_leads, args=(f"{server.url}/v1", cache, 3.0))
        child.start()
        assert asked.wait(60)
        child.kill()
        child.join()
        began, found = time.monotonic(), []
        with router(f"{server.url}/v1", cache) as asking:
            threads = [threading.Thread(target=lambda: found.append(asking.generate("Hi"))) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [response.text for response in found] == ["Hello."] * 10
        assert len(server.requests) == 2
        assert 0.5 < time.monotonic() - began < 30
