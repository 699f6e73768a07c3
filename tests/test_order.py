"""Which routes are asked, and in which order."""

import pytest

from multiroute_core import ConfigurationError, Route
from multiroute_core.abilities import CARRIES, Facts
from multiroute_core.options import Options
from multiroute_core.order import candidates, expected_usage
from multiroute_core.request import build

CODE = Route("anthropic:claude-sonnet-5-5", tasks={"code_generation"}, tags={"eu", "fast"})
ANY = Route("openai:gpt-6-luna", tags={"fast"})
LONG = Route("google:gemini-3.8-flash", tasks={"long_context"})
SPARE = Route("local:smollm2", backup=True, tasks={"code_generation"})
REQUEST, _ = build("Hello", {})
FACTS = {route.name: Facts("google", CARRIES["google"]) for route in (CODE, ANY, LONG, SPARE)}


def names(order=None, **wanted):
    costs = {"anthropic": 3.0, "openai": 1.0, "google": 2.0, "local": 0.0}
    routes = candidates(
        REQUEST, [CODE, ANY, LONG, SPARE], Options(order=order, **wanted), FACTS, lambda r, _: costs[r.provider]
    )
    return [route.provider for route in routes]


def test_as_listed_by_default_and_backups_last():
    assert names() == ["anthropic", "openai", "google", "local"]


def test_cheapest_by_expected_cost_but_a_backup_stays_last():
    assert names(order="cheapest") == ["openai", "google", "anthropic", "local"]


def test_unknown_prices_come_last_and_keep_their_order():
    routes = candidates(
        REQUEST, [CODE, ANY, LONG], Options(order="cheapest"), FACTS, lambda r, _: None if r is CODE else 1.0
    )
    assert routes == [ANY, LONG, CODE]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("code_generation", ["anthropic", "openai", "google", "local"]),
        ("long_context", ["google", "openai", "anthropic", "local"]),
        ("general", ["openai", "anthropic", "google", "local"]),
        ("one of my own", ["openai", "anthropic", "google", "local"]),
    ],
)
def test_task(task, expected):
    assert names(task=task) == expected


def test_tags_filter():
    assert names(route_tags=frozenset({"fast"})) == ["anthropic", "openai"]
    assert names(route_tags=frozenset({"fast", "eu"})) == ["anthropic"]
    with pytest.raises(ConfigurationError, match=r"no-such.*'eu', 'fast'"):
        names(route_tags=frozenset({"no-such"}))


def test_model_filter_takes_names_and_models():
    assert names(model="gpt-6-luna") == ["openai"]
    assert names(model="google:gemini-3.8-flash") == ["google"]
    with pytest.raises(ConfigurationError, match="did you mean 'gpt-6-luna'"):
        names(model="gpt-6-lune")


def test_without_fallback_only_the_first():
    assert names(fallback=False, task="long_context") == ["google"]


def test_expected_usage_follows_length_and_max_tokens():
    request, _ = build("x" * 400, {"max_tokens": 50})
    assert (expected_usage(request).input_tokens, expected_usage(request).output_tokens) == (101, 50)
