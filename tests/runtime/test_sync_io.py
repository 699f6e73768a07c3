"""The flow without an event loop."""

import asyncio
import contextvars
import sys
import threading
import time

import pytest

from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import END
from multiroute_core.runtime.run_sync import Suspended, iterate, run
from multiroute_core.runtime.sync_io import SyncIO


def limit(seconds):
    made = Deadline()
    made.set("the answer", time.monotonic() + seconds, seconds)
    return made


async def wait(seconds, io, call, *args):
    return await io.thread(limit(seconds), call, *args)


def test_what_needs_a_loop_says_whose_await_it_was():
    async def culprit():
        await asyncio.sleep(0)

    async def flow():
        await culprit()

    with pytest.raises(Suspended, match="needs an event loop") as caught:
        run(flow())
    assert "culprit" in [entry.name for entry in caught.traceback]


def test_hooks_of_a_running_loop_are_set_aside_and_put_back():
    async def inside():
        before = sys.get_asyncgen_hooks()

        async def flow():
            yield 1
            yield 2

        generator = flow()
        assert next(iterate(generator, contextvars.copy_context())) == 1
        assert sys.get_asyncgen_hooks() == before
        assert before.firstiter is not None

    asyncio.run(inside())


def test_leaving_early_runs_the_flows_finally():
    left = []

    async def flow():
        try:
            yield 1
            yield 2
        finally:
            left.append(True)

    items = iterate(flow(), contextvars.copy_context())
    next(items)
    items.close()
    assert left == [True]


@pytest.mark.parametrize(("io", "drive"), [(SyncIO, run), (AsyncIO, asyncio.run)])
class TestThread:
    def test_values_errors_and_context_cross(self, io, drive):
        variable = contextvars.ContextVar("variable")
        variable.set("mine")
        assert drive(wait(5, io(), variable.get)) == "mine"
        with pytest.raises(ZeroDivisionError):
            drive(wait(5, io(), lambda: 1 / 0))

    def test_what_takes_too_long_is_left(self, io, drive):
        release = threading.Event()
        began = time.monotonic()
        with pytest.raises(Expired):
            drive(wait(0.1, io(), release.wait, 30))
        assert time.monotonic() - began < 25
        release.set()
        release.set()


def test_next_gives_end_after_the_last_item():
    async def both():
        source = iter([1])
        return [await SyncIO().next(limit(1), source) for _ in range(2)]

    assert run(both()) == [1, END]


@pytest.mark.parametrize("native", [False, True])
def test_a_thread_that_notices_the_end_first_is_the_same_timeout(native):
    now = [0.0]
    passing = Deadline(lambda: now[0])
    passing.set("the answer", 10.0, 10.0)

    def time_out():
        now[0] = 10.0
        raise OSError("the socket's own timeout")

    with pytest.raises(Expired, match="the answer") as caught:
        if native:
            asyncio.run(AsyncIO().thread(passing, time_out))
        else:
            run(SyncIO().thread(passing, time_out))
    assert isinstance(caught.value.__cause__, OSError)
