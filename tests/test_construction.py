"""How ChatMultiRoute and MultiRoute are constructed: routes by position or as a list, options by name."""

import inspect

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Route, Router

NAMES = ("openai:gpt-4.1", "anthropic:claude-haiku-5-5")
both = pytest.mark.parametrize("adapter", [ChatMultiRoute, MultiRoute])


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "k")


def names(model):
    return tuple(route.name for route in model.router.routes)


@both
def test_routes_by_position_as_a_list_and_by_name(adapter):
    assert names(adapter(*NAMES)) == NAMES
    assert names(adapter(list(NAMES))) == NAMES
    assert names(adapter(name for name in NAMES)) == NAMES
    assert names(adapter(routes=list(NAMES))) == NAMES
    assert names(adapter(Route(NAMES[0], name="first"), NAMES[1])) == ("first", NAMES[1])
    with pytest.raises(ConfigurationError, match="given twice"):
        adapter(NAMES[0], routes=[NAMES[1]])


@both
def test_a_model_alone_is_the_route_and_beside_routes_it_selects(adapter):
    assert names(adapter(model="openai:gpt-4.1")) == ("openai:gpt-4.1",)
    assert names(adapter(model="gpt-4.1")) == ("openai:gpt-4.1",)
    assert names(adapter(model="claude-haiku-5-5")) == ("anthropic:claude-haiku-5-5",)
    with pytest.raises(ConfigurationError, match="write 'provider:model', for example model='openai:llama-9'"):
        adapter(model="llama-9")
    selecting = adapter(*NAMES, model="gpt-4.1")
    assert (names(selecting), selecting.model) == (NAMES, "gpt-4.1")


@both
def test_none_is_no_limit_and_not_given_is_the_routers_default(adapter):
    limits, default = adapter(NAMES[0], attempt_timeout=None).router.limits, Router([NAMES[0]]).limits
    assert limits.attempt is None
    assert (limits.first_token, limits.stall) == (default.first_token, default.stall)
    assert adapter(NAMES[0]).router.limits == default


@both
def test_every_option_is_an_explicit_keyword(adapter):
    parameters = inspect.signature(adapter.__init__).parameters
    options = inspect.signature(Router).parameters.keys() | {"model", "temperature", "max_tokens", "timeout", "api_key"}
    assert options <= parameters.keys()
    kinds = {
        parameter.kind for name, parameter in parameters.items() if name not in ("self", "positional", "base_fields")
    }
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


@both
def test_what_is_misspelt_is_named(adapter):
    with pytest.raises(ConfigurationError, match="did you mean 'strategy'"):
        adapter(NAMES[0], stratgy="fastest")
