"""What a route says of itself: limits, quota, weight, region, prices."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Route, Router, Usage
from multiroute_core.pricing.prices import Prices
from multiroute_core.route import TokenPrices
from multiroute_core.testing import Answer, scripted_route

amounts = st.floats(1e-3, 1e6) | st.integers(1, 10**6)
prices = st.fixed_dictionaries(
    {"input": st.floats(0, 100), "output": st.floats(0, 100)},
    optional={"cache_read": st.none() | st.floats(0, 100), "cache_write": st.none() | st.floats(0, 100)},
)
said = st.fixed_dictionaries(
    {},
    optional={
        "rpm": amounts,
        "tpm": amounts,
        "max_concurrency": st.integers(1, 500),
        "rate_limit_group": st.sampled_from(["account", "mine"]),
        "weight": amounts,
        "region": st.sampled_from(["eu", "us-east"]),
        "prices": prices,
    },
)


@given(said)
def test_what_is_said_stays_through_copies_pickles_and_new_keys(given_settings):
    route = Route("openai:gpt-6-luna", name="one", api_key="sk-secret", **given_settings)
    for name in ("rpm", "tpm", "max_concurrency", "region"):
        assert getattr(route, name) == given_settings.get(name)
    assert route.weight == given_settings.get("weight", 1)
    assert route.rate_limit_group == given_settings.get("rate_limit_group", "one"), (
        "by default a route shares with none"
    )
    assert copy.deepcopy(route) == route.with_key(None)
    assert pickle.loads(pickle.dumps(route)) == route.with_key(None)
    assert route.with_key("other") == Route("openai:gpt-6-luna", name="one", api_key="other", **given_settings)
    assert "secret" not in repr(route)
    assert hash(route.prices) == hash(copy.deepcopy(route).prices)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rpm": 0}, "rpm=0 is not valid; expected a number greater than 0"),
        ({"rpm": 10**400}, "expected a number greater than 0"),
        ({"rpm": True}, "rpm=True is not valid; expected a number greater than 0"),
        ({"tpm": float("nan")}, "tpm=nan is not valid; expected a number greater than 0"),
        ({"tpm": float("inf")}, "tpm=inf is not valid; expected a number greater than 0"),
        ({"tpm": "40k"}, "tpm='40k' is not valid; expected a number greater than 0"),
        ({"weight": -1}, "weight=-1 is not valid; expected a number greater than 0"),
        ({"max_concurrency": 0}, "max_concurrency=0 is not valid; expected an integer of at least 1"),
        ({"max_concurrency": 1.5}, "max_concurrency=1.5 is not valid; expected an integer"),
        ({"rate_limit_group": ""}, "rate_limit_group='' is not valid; expected a non-empty string"),
        ({"region": 7}, "region=7 is not valid; expected a non-empty string"),
        ({"prices": 3}, "prices=3 is not valid; expected a mapping"),
        ({"prices": {"input": 1}}, "lacks 'output', in USD per million tokens"),
        ({"prices": {"input": 1, "output": -2}}, "output=-2 is not valid; expected USD per million tokens, at least 0"),
        ({"prices": {"input": 1, "output": 2, "cache_reed": 1}}, "Unknown price 'cache_reed': did you mean 'cache_re"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ConfigurationError) as error:
        Route("openai:gpt-6-luna", **settings)
    assert sentence in str(error.value)


@given(prices, st.integers(0, 10**6), st.integers(0, 10**5), st.data())
def test_its_own_prices_make_its_costs(listed, total, output, data):
    read = data.draw(st.integers(0, total))
    write = data.draw(st.integers(0, total - read))
    usage = Usage(total, output, cache_read_tokens=read, cache_write_tokens=write)
    kinds = [listed["input"] if (p := listed.get(name)) is None else p for name in ("cache_read", "cache_write")]
    by_hand = (total - read - write) * listed["input"] + read * kinds[0] + write * kinds[1] + output * listed["output"]
    for given_prices in (listed, TokenPrices(**listed)):
        route = Route("openai:gpt-6-luna", prices=given_prices)
        assert Prices().cost_on(route, usage) == pytest.approx(by_hand / 1e6)


def test_without_prices_of_its_own_the_table_says():
    route, usage = Route("openai:gpt-6-luna"), Usage(1_000, 100)
    assert Prices().cost_on(route, usage) == Prices().cost("openai", "gpt-6-luna", usage) is not None
    assert Prices().cost_on(route, usage, model="gpt-4.1") == Prices().cost("openai", "gpt-4.1", usage)
    for unknown in (None, Usage(), Usage(cache_read_tokens=5)):
        assert Prices().cost_on(Route("openai:x", prices={"input": 1, "output": 1}), unknown) is None
    assert Prices().cost_on(Route("openai:nobody-knows"), usage) is None


def test_an_answer_carries_the_cost_by_the_prices_of_its_route():
    usage = Usage(2_000_000, 1_000_000, cache_read_tokens=1_000_000)
    priced = scripted_route("a", Answer(usage=usage), prices={"input": 2, "output": 5, "cache_read": 0.5})
    bare = scripted_route("b", Answer(usage=usage))
    router = Router([priced, bare])
    assert router.generate("Hello").cost == pytest.approx(7.5)
    assert router.generate("Hello").attempts[-1].cost == pytest.approx(7.5)
    assert router.generate("Hello", model="b").cost is None
