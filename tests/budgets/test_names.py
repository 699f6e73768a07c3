"""Names of budgets, tenants and labels: no two of them share an account, whatever characters they have."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Budget, BudgetExceededError, Router, Usage
from multiroute_core.budgets.reservation import _account
from multiroute_core.state.link import LONGEST_NAME, key_name
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, scripted_route
from tests.redis_servers import eventually

pytestmark = pytest.mark.redis

PRICES = {"input": 1.0, "output": 1.0}
NAMES = ["a", "a:b", "b:c", "c", "%", "%3A", ":", "\ud800", "x:places", "x", "n" * 5000, "n" * 5000 + ":places"]
numbers = itertools.count()


@contextlib.contextmanager
def router_at(url, where, **options):
    state = "memory" if where == "memory" else RedisState(url, prefix=f"names-{next(numbers)}", timeout=10.0)
    options.setdefault("script", Answer("ok", usage=Usage(input_tokens=4, output_tokens=6)))
    with Router([scripted_route("a", options.pop("script"), prices=PRICES)], state=state, **options) as router:
        yield router
    if isinstance(state, RedisState):
        state.close()


@given(*[st.text(st.sampled_from("ab:%#\ud800"), max_size=4)] * 4)
def test_accounts_and_keys_are_as_different_as_their_names(budget, value, other_budget, other_value):
    one = _account(Budget(usd=1, name=budget or "x"), value)
    other = _account(Budget(usd=1, name=other_budget or "x"), other_value)
    is_same = (budget or "x", value) == (other_budget or "x", other_value)
    assert (one == other) is is_same
    keys = [key_name(*account.split(":", 1)) for account in (one, other)]
    assert (keys[0] == keys[1]) is is_same
    assert f"{keys[0]}:places" != keys[1]


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_each_budget_counts_its_own_tenants_only(redis_server, where):
    budgets = [Budget(tokens=1000, hard=True, name=name, scope="tenant") for name in ("a", "a:b", "a%3Ab")]
    with router_at(redis_server.url, where, budget=budgets) as router:
        for tenant in NAMES:
            router.generate("Hi", tenant=tenant, max_tokens=5)
        expected = {(budget.name, tenant): 10 for budget in budgets for tenant in NAMES}
        eventually(lambda: {(one.budget, one.scope_value): one.spent for one in router.budgets()} == expected)
        with redis_server.client() as client:
            assert all(len(key) < LONGEST_NAME + 60 for key in client.keys("*names-*"))


def test_earlier_spending_of_a_tenant_with_half_an_emoji_is_known(tmp_path):
    options = {"budget": Budget(tokens=15, hard=True, scope="tenant"), "ledger": f"sqlite:///{tmp_path}/ledger.db"}
    with router_at("", "memory", **options) as router:
        router.generate("Hi", tenant="\ud83d", labels={"\ud83d"}, max_tokens=5)
        assert router.ledger.spent(since=0.0, tenant="\ud83d", label="\ud83d").tokens == 10
    with router_at("", "memory", **options) as router, pytest.raises(BudgetExceededError, match="5 tokens left"):
        router.generate("Hi", tenant="\ud83d", max_tokens=5)


def test_amounts_that_no_integer_of_redis_holds(redis_server):
    huge = Answer("ok", usage=Usage(input_tokens=10**30, output_tokens=1))
    budgets = [Budget(tokens=10, name="small"), Budget(usd=10**15, hard=True, name="large")]
    with router_at(redis_server.url, "redis", budget=budgets, script=huge) as router:
        assert router.generate("Hi", max_tokens=10**12).text == "ok"
        assert router.generate("Hi").text == "ok"
