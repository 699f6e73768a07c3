"""What a provider's prompt cache saved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Route, Usage
from multiroute_core.pricing.prices import Prices
from multiroute_core.pricing.savings import find_prompt_cache_saving
from multiroute_core.route import TokenPrices

PRICES = Prices()
CLAUDE = Route("anthropic:claude-sonnet-4-5", api_key="k")
OWN = Route("openai:mine", api_key="k", prices=TokenPrices(input=10, output=20, cache_read=1, cache_write=12))
counts = st.integers(0, 10_000)


@given(counts, counts, counts)
def test_it_is_what_the_same_tokens_would_cost_more_without_a_cache(fresh, read, write):
    usage = Usage(fresh + read + write, 100, cache_read_tokens=read, cache_write_tokens=write)
    assert find_prompt_cache_saving(PRICES, OWN, "mine", usage) == pytest.approx(
        (9 * read - 2 * write) / 1e6, abs=1e-12
    )


def test_reads_save_and_writes_cost():
    def saving(**tokens: Any) -> float | None:
        return find_prompt_cache_saving(PRICES, CLAUDE, CLAUDE.model, Usage(1_000, 1, **tokens))

    assert saving(cache_read_tokens=1_000) == pytest.approx(0.0027)
    assert saving(cache_write_tokens=1_000) == pytest.approx(-0.00075)
    assert saving(cache_write_tokens=1_000, cache_write_1h_tokens=1_000) == pytest.approx(-0.003)
    assert saving() == 0.0


@pytest.mark.parametrize("usage", [None, Usage(), Usage(None, 5, cache_read_tokens=3)])
def test_unknown_counts_have_no_saving(usage):
    assert find_prompt_cache_saving(PRICES, CLAUDE, CLAUDE.model, usage) is None


def test_an_unknown_price_has_no_saving():
    route = Route("openai:unknown-model", api_key="k")
    assert find_prompt_cache_saving(PRICES, route, route.model, Usage(100, 1, cache_read_tokens=50)) is None


def test_a_stated_cost_does_not_hide_it():
    usage = Usage(1_000, 1, cache_read_tokens=1_000, stated_cost=5.0)
    assert find_prompt_cache_saving(PRICES, OWN, "mine", usage) == pytest.approx(0.009)
