"""The benchmark of prompt caching meets its target on every face."""

from __future__ import annotations

import pytest

from benchmarks.prompt_cache import CASES, FACES, TARGET, WIDE_TURNS, find_input_cost, measure

PLAIN, BY_HAND, DEFAULT, ALWAYS = CASES[:4]


@pytest.mark.parametrize("face", FACES)
def test_input_is_three_times_cheaper_than_without_marks(face):
    always = measure(face, ALWAYS)
    cost = find_input_cost(always)
    assert TARGET * cost <= find_input_cost(measure(face, PLAIN))
    for turn in WIDE_TURNS:  # all that was cached before is read, however much a turn adds
        before = always[turn]
        assert always[turn + 1].cache_read_tokens == (before.cache_read_tokens or 0) + (before.cache_write_tokens or 0)


def test_it_is_cheaper_than_the_default_and_than_a_mark_by_hand():
    costs = [find_input_cost(measure("Router", case)) for case in (ALWAYS, DEFAULT, BY_HAND)]
    assert costs == sorted(costs)
