"""Hedging in simulation: a tail three times shorter, for a load that keeps to its share."""

import pytest

from tests.simulation.hedging import measure

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("seed", range(3))
def test_the_tail_is_three_times_shorter_for_five_percent_more_calls(seed, stream):
    without, hedged = (measure(hedge, requests=2000, seed=seed, stream=stream) for hedge in (None, 0.05))
    assert without.load == 1.0
    assert hedged.load <= 1.05
    assert hedged.quantile(0.99) <= without.quantile(0.99) / 3
    assert hedged.quantile(0.5) <= without.quantile(0.5) * 1.05
