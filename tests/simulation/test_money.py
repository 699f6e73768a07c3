"""A hard budget holds in every world: ten dialects and more, concurrency, hedges, retries, cut streams, wrapped models."""

import os

import pytest

from tests.simulation.money import World, run

pytestmark = pytest.mark.slow

WORLDS = int(os.environ.get("MULTIROUTE_MONEY_WORLDS", "40"))
"""Each has 100 requests. `scripts/simulate --money` runs as many as one likes."""

BATCH = 8


@pytest.mark.parametrize("batch", range(WORLDS // BATCH))
def test_every_law_of_money_holds(batch):
    _, broken = run(range(batch * BATCH, (batch + 1) * BATCH), 100)
    assert not broken, "\n".join(
        f"Replay it: scripts/simulate --money --seed {seed} --users 100\n" + "\n".join(wrongs[:5])
        for seed, wrongs in broken.items()
    )


def test_the_worlds_are_full_of_what_can_happen():
    counts, _ = run(range(1_000, 1_016), 100)
    ends = "success refused left".split()
    outcomes = "success cancelled server_error broken_stream".split()
    expected = {f"request: {end}" for end in ends} | {f"attempt: {outcome}" for outcome in outcomes}
    expected.add("worlds that crossed the cap")
    assert not {name for name in expected if not counts[name]}


def test_a_world_is_the_same_each_time():
    one, other = (World(5, 60).run() for _ in range(2))
    assert (one.ends, one.accounts.account) == (other.ends, other.accounts.account)
