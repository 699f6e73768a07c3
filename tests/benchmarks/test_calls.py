"""No change makes every call or every chunk costlier unseen: function calls and objects are counted, not timed."""

import pytest

from benchmarks import calls

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("face", calls.LIMITS)
async def test_a_call_and_a_chunk_cost_no_more_than_their_limits(face):
    cost = await calls.measure(face, calls.faces()[face])
    assert calls.is_within_limits(cost), cost
