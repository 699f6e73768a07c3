"""A batch whose process is killed and started again: what was answered is not asked again. Redis and wrapped models too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redis_servers import running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PROMPTS = 400
CONCURRENCY = 8

PROGRAM = """
import asyncio, os, sys
from multiroute_core import Router
from multiroute_core.cache.redis import RedisCache
from multiroute_core.engine import caching
from multiroute_core.testing import Answer, scripted_route

caching.LEASE_SECONDS = 2.0  # a killed process holds the prompts that it had in flight for so long
face, cache, asked, prompts, concurrency = sys.argv[1:]
if not cache.startswith("sqlite:"):
    cache = RedisCache(cache, timeout=10.0)  # on a busy machine an answer may take longer than 20 ms
file = os.open(asked, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def behaviour(call):
    os.write(file, (call.text + "\\n").encode())  # survives a SIGKILL, as a request that was sent
    return Answer("{asked}!", headers=0.002)

router = Router([scripted_route("a", behaviour)], cache=cache)
texts = (f"prompt {n}" for n in range(int(prompts)))
show = lambda p: print(p.done, p.cached, flush=True)
if face == "amap":
    results = asyncio.run(router.amap(texts, concurrency=int(concurrency), progress=show))
else:
    results = router.map(texts, concurrency=int(concurrency), progress=show)
assert results.texts == [f"prompt {n}!" for n in range(int(prompts))]
router.close()
"""


def start(face, cache, asked):
    command = [sys.executable, "-c", PROGRAM, face, cache, str(asked), str(PROMPTS), str(CONCURRENCY)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("face", ["map", "amap"])
@pytest.mark.parametrize("store", ["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def test_nothing_is_asked_twice_but_what_was_in_flight(face, store, tmp_path):
    if store == "sqlite":
        resume(face, f"sqlite:///{tmp_path}/answers.db", tmp_path)
    else:
        with running("valkey") as server:
            resume(face, server.url, tmp_path)


def resume(face, cache, tmp_path):
    asked = tmp_path / "asked"
    with start(face, cache, asked) as first:
        assert first.stdout is not None
        done = 0
        for line in first.stdout:
            done = int(line.split()[0])
            if done >= PROMPTS // 2:
                first.send_signal(signal.SIGKILL)
                break
        first.wait()
    assert first.returncode == -signal.SIGKILL
    before = asked.read_text().split("\n")[:-1]
    assert PROMPTS // 2 <= len(before) < PROMPTS
    with start(face, cache, asked) as second:
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    calls = asked.read_text().split("\n")[:-1]
    assert sorted(set(calls)) == sorted(f"prompt {n}" for n in range(PROMPTS))
    twice = len(calls) - PROMPTS
    assert twice <= CONCURRENCY, f"{twice} were asked again"
    done, cached = map(int, output.split("\n")[-2].split())
    assert done == PROMPTS
    assert cached >= PROMPTS // 2 - CONCURRENCY
