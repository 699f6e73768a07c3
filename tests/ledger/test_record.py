"""A record: what it takes from a try, and where its price comes from."""

import copy
import pickle
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot, types

from multiroute_core import Router, Usage
from multiroute_core.events import About
from multiroute_core.ledger.record import KINDS, MOST, NAMES, Record, of_attempt
from multiroute_core.pricing.cost import Cost
from multiroute_core.pricing.prices import Prices
from multiroute_core.route import Route
from multiroute_core.testing import Answer, scripted_route
from multiroute_core.types import Attempt

BUNDLED = f"genai-prices {genai_prices.__version__}"
USED = Usage(1_000, 100)
ATTEMPT = Attempt("a", "openai", "m", "success", 0.5, usage=USED, cost=0.25)


def model(*prices):
    return types.ModelInfo(id="gpt-7", match=types.ClauseEquals("gpt-7"), prices=list(prices))


def price(constraint=None, mtok=1):
    return types.ConditionalPrice(constraint, prices=types.ModelPrice(input_mtok=Decimal(mtok)))


@pytest.fixture
def snapshot():
    """Makes the prices of a model the only ones, as `UpdatePrices` does."""

    def put(info):
        provider = types.Provider(id="openai", name="OpenAI", api_pattern="", models=[info])
        fetched = data_snapshot.DataSnapshot([provider], from_auto_update=True)
        fetched.timestamp = datetime(2026, 11, 20)
        data_snapshot.set_custom_snapshot(fetched)

    yield put
    data_snapshot.set_custom_snapshot(None)


class TestPriceSource:
    def test_prices_without_a_day_are_called_by_their_version(self):
        assert Prices().cost("openai", "gpt-4.1", USED).source == BUNDLED

    def test_prices_with_a_day_name_it(self):
        """For every model of the three vendors that has dated prices: the last day that has come."""
        prices, now, seen = Prices(), datetime(2026, 11, 28, tzinfo=UTC), 0
        for provider in data_snapshot.get_snapshot().providers:
            for info in provider.models if provider.id in ("anthropic", "openai", "google") else ():
                if not isinstance(info.prices, list):
                    continue
                days = [getattr(one.constraint, "start_date", None) for one in info.prices]
                begun = [day for day in days if day is not None and day <= now.date()]
                cost = prices.cost(provider.id, info.id, USED, at=now)
                if begun and cost is not None:
                    assert cost.source == f"{BUNDLED} ({max(begun)})"
                    seen += 1
        assert seen > 3

    def test_the_day_follows_the_time_of_the_call(self, snapshot):
        snapshot(
            model(
                price(),
                price(types.StartDateConstraint(date(2026, 5, 1)), 2),
                price(types.StartDateConstraint(date(2026, 9, 1)), 4),
            )
        )
        prices = Prices()
        told = {
            month: prices.cost("openai", "gpt-7", Usage(1_000_000, 0), at=datetime(2026, month, 15, tzinfo=UTC))
            for month in (4, 6, 10)
        }
        assert told == {4: 1.0, 6: 2.0, 10: 4.0}
        assert [cost.source for cost in told.values()] == [
            "genai-prices of 2026-11-20",
            "genai-prices of 2026-11-20 (2026-05-01)",
            "genai-prices of 2026-11-20 (2026-09-01)",
        ]

    def test_it_is_made_once(self):
        prices = Prices()
        first, second = (prices.cost("google", "gemini-2.5-pro", USED) for _ in range(2))
        assert first.source is second.source

    def test_new_prices_have_a_new_one(self, snapshot):
        prices = Prices()
        assert prices.cost("openai", "gpt-4.1", USED).source == BUNDLED
        snapshot(model(price()))
        assert prices.cost("openai", "gpt-7", USED).source == "genai-prices of 2026-11-20"
        assert prices.cost("openai", "gpt-4.1", USED) is None

    def test_own_ones_free_ones_and_none(self):
        prices = Prices()
        own = Route("openai:gpt-4.1", prices={"input": 1.0, "output": 1.0})
        assert prices.cost_on(own, USED).source == "the route's own"
        assert prices.cost("local", "smollm2", USED).source == "free"
        assert prices.cost("openai", "nobody-knows", USED) is None

    def test_a_cost_is_a_number_and_keeps_its_source(self):
        cost = Cost(0.5, "free")
        assert (cost, str(cost), f"{cost:.2f}", cost + 1) == (0.5, "0.5", "0.50", 1.5)
        for again in (pickle.loads(pickle.dumps(cost)), copy.copy(cost), copy.deepcopy(cost)):
            assert (again, again.source) == (0.5, "free")


class TestRecord:
    def test_a_try_says_where_its_price_comes_from(self):
        routes = [scripted_route("a", Answer(usage=USED), prices={"input": 1.0, "output": 1.0})]
        response = Router(routes).generate("Hi")
        (attempt,) = response.attempts
        assert (attempt.price_source, type(attempt.cost)) == ("the route's own", float)
        assert type(response.cost) is float

    def test_an_unknown_cost_has_no_price(self):
        (attempt,) = Router([scripted_route("a", Answer(usage=USED))]).generate("Hi").attempts
        assert (attempt.cost, attempt.price_source) == (None, None)

    def test_what_no_store_could_keep_is_made_so_that_each_can(self):
        odd = replace(ATTEMPT, model="m\ud800", usage=Usage(10**30, 10, MOST, MOST + 1, None, -(10**30)))
        record = of_attempt(odd, 1.0, "r", About(False, "\udfff", "t", frozenset({"\ud800x"})))
        assert (record.model, record.tenant, record.labels) == ("m?", "?", ("?x",))
        assert (record.input_tokens, record.output_tokens) == (None, 10)
        assert (record.cache_read_tokens, record.cache_write_tokens, record.reasoning_tokens) == (MOST, None, None)

    def test_days_and_months_are_utc(self):
        record = Record(0.0, "r", "a", "p", "m", "o", 1.0)
        assert (record.day, record.month) == ("1970-01-01", "1970-01")

    def test_each_field_has_its_kind(self):
        record = of_attempt(
            replace(ATTEMPT, first_token_seconds=0.1, price_source="free", usage=Usage(1, 1, 1, 1, 1, 1, 1, 1)),
            1.0,
            "r",
            About(True, "t", "t", frozenset({"b", "a"})),
        )
        record = replace(record, saved_cost=0.5, prompt_cache_saving=0.5)
        assert {name: type(getattr(record, name)) for name in NAMES} == KINDS
        assert record.labels == ("a", "b")
        assert record.to_dict()["labels"] == ["a", "b"]
