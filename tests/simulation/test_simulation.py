"""The real flow on virtual time, in worlds full of faults: every law holds in every one of them."""

import os
from collections import Counter

import pytest

from tests.simulation.laws import judged
from tests.simulation.world import World

pytestmark = pytest.mark.slow

WORLDS = int(os.environ.get("MULTIROUTE_WORLDS", "64"))
"""Each has 204 requests; `scripts/simulate` runs as many more as it is told."""

BATCH = 8

BROKEN = "broken_stream"


@pytest.mark.parametrize("batch", range(WORLDS // BATCH))
def test_every_law_holds_in_every_world(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        wrongs = judged(World(seed))
        assert not wrongs, "\n".join([f"Replay it: scripts/simulate --seed {seed}", *wrongs[:10]])


@pytest.mark.parametrize("seed", range(4))
def test_a_world_is_the_same_whenever_it_happens(seed):
    assert World(seed).run().trace() == World(seed).run().trace()


def test_the_worlds_are_full_of_what_can_happen():
    """A simulation in which nothing goes wrong proves nothing."""
    seen: Counter[str] = Counter()
    for seed in range(1000, 1030):
        world = World(seed).run()
        seen["hedged"] += len(world.state.hedges)
        for caller in world.callers:
            outcomes = [attempt.outcome for attempt in caller.attempts]
            seen.update({f"end: {caller.end}", *(f"attempt: {outcome}" for outcome in outcomes)})
            seen["more than one attempt"] += len(outcomes) > 1
            seen["restarted"] += len(caller.voices) > 1
            seen["continued"] += caller.on_stream_error == "continue" and caller.end == "success" and BROKEN in outcomes
            seen["declined, and another one asked"] += bool(caller.options["fallback_on"]) and len(outcomes) > 1
            seen["calls of tools"] += bool(caller.response and caller.response.tool_calls)
        seen.update(why for skipped in world.skipped for why in [f"shut: {skipped.reason}"])
    ends = "success broken_stream cancel close drop AllRoutesFailedError DeadlineExceededError bad_request"
    outcomes = "success cancelled server_error overloaded rate_limit connection bad_reply authentication not_found"
    more = "quota_exhausted bad_request content_filter context_overflow timeout broken_stream"
    expected = {f"end: {end}" for end in ends.split()} | {f"attempt: {o}" for o in (outcomes + " " + more).split()}
    expected |= {f"shut: {why}" for why in ("open", "probing", "rate_limit", "limit", "busy")}
    expected |= {"hedged", "restarted", "continued", "declined, and another one asked", "calls of tools"}
    assert not {what for what in expected if not seen[what]}
    assert seen["more than one attempt"] > 500
