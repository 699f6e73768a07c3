"""Waiting on an event loop."""

import asyncio
import time

import pytest

from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.deadline import Deadline, Expired


async def test_a_limit_that_moves_is_never_over_before_its_time():
    def slow_clock() -> float:
        """A clock that is interrupted before it is read, as on a busy machine."""
        time.sleep(0.005)
        return time.monotonic()

    limit = Deadline(slow_clock)

    async def move_and_wait():
        limit.set("the answer", time.monotonic() + 0.02, 0.02)
        await asyncio.sleep(60)

    with pytest.raises(Expired):
        await AsyncIO().wait(limit, move_and_wait)
    assert limit.until - time.monotonic() <= 1e-6
