"""Virtual time: hours in an instant, in order, and a wait that cannot end is told."""

import asyncio
import threading
import time

import pytest

from multiroute_core import Router
from multiroute_core.testing import (
    Answer,
    Deadlock,
    VirtualClock,
    VirtualLoop,
    run,
    run_in_virtual_time,
    scripted_route,
)


def test_hours_pass_in_an_instant_and_to_the_moment():
    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(10_000):
            await asyncio.sleep(0.1)
        return loop.time()

    began = time.perf_counter()
    assert run(main()) == 1000.0, "no crumbs of floating point"
    assert time.perf_counter() - began < 100


def test_timers_go_off_in_their_order_and_timeouts_cut_in():
    heard = []

    async def after(seconds):
        await asyncio.sleep(seconds)
        heard.append((seconds, asyncio.get_running_loop().time()))

    async def main():
        await asyncio.gather(*(after(seconds) for seconds in (3.0, 0.05, 3600.0, 0.3, 0.3)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(6)
        return asyncio.get_running_loop().time()

    assert run(main()) == 3605.0
    assert heard == [(seconds, seconds) for seconds in (0.05, 0.3, 0.3, 3.0, 3600.0)]


def test_a_wait_that_cannot_end_says_who_waits_and_where():
    async def main():
        await asyncio.sleep(2)
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the one who waits")
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"At 2 s .*the one who waits at .*test_virtual.py:\d+"):
        run(main())


def test_what_is_sent_to_an_executor_runs_at_once_on_the_loop():
    async def main():
        loop = asyncio.get_running_loop()
        threads = [await asyncio.to_thread(threading.get_ident) for _ in range(3)]
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        return set(threads), loop.time()

    assert run(main()) == ({threading.get_ident()}, 0.0)


def test_a_loop_can_begin_at_any_moment():
    loop = VirtualLoop(start=100.0)
    loop.run_until_complete(asyncio.sleep(1))
    assert loop.time() == 101.0
    loop.close()


def test_a_clock_for_sync_code():
    clock = VirtualClock(5.0)
    clock.sleep(0.1)
    clock.sleep(0.2)
    clock.sleep(-1)
    assert clock() == clock.time() == clock.monotonic() == 5.3


def test_a_rehearsal_is_the_same_each_time():
    def once():
        async def main():
            loop = asyncio.get_running_loop()
            router = Router([scripted_route("a", Answer("Hello.", first_token=0.3))])
            run_in_virtual_time(router, loop, seed=3)
            response = await router.agenerate("Hi")
            return response.attempts, loop.time(), threading.active_count()

        return run(main())

    first = once()
    assert first == once()
    assert first[0][0].seconds == first[1] == 0.3
