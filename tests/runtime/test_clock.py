"""The clocks of a router."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Budget, BudgetExceededError, Router, Usage
from multiroute_core.runtime.clock import Clock
from multiroute_core.testing import Answer, scripted_route

DAY = 86_400.0


@given(st.lists(st.tuples(st.floats(0, 10 * DAY), st.floats(-100 * DAY, 100 * DAY)), max_size=20))
def test_steady_time_follows_what_passes_and_not_what_is_set(steps):
    wall, elapsed = 1e9, 50.0
    world = Clock(wall=lambda: wall, elapsed=lambda: elapsed)
    assert world.steady() == 1e9
    for passed, jump in steps:
        elapsed += passed
        wall += passed + jump
        assert abs(world.steady() - (1e9 + elapsed - 50.0)) < 1e-3


def test_a_wall_clock_that_jumps_gives_no_budget_anew():
    """Forward by a day, back again, and then a day that really passes."""
    route = scripted_route("a", Answer("Well.", usage=Usage(1, 10)), prices={"input": 0.0, "output": 100.0})
    router = Router([route], budget=Budget(usd=0.001, hard=True))
    wall, elapsed = 1e9, 0.0
    router._world.wall, router._world.elapsed = lambda: wall, lambda: elapsed
    router.generate("Hi", max_tokens=10)
    for jump in (DAY, 30 * DAY, -DAY, -30 * DAY, 3.0):
        wall = 1e9 + jump
        refused(router)
    elapsed, wall = DAY, 1e9 + DAY
    router.generate("Hi", max_tokens=10)
    refused(router)


def refused(router):
    with pytest.raises(BudgetExceededError):
        router.generate("Hi", max_tokens=10)
