"""How ChatMultiRoute and MultiRoute are constructed: routes by position or as a list, options by name."""

import dataclasses
import inspect
import pydoc
import subprocess
import sys
from typing import Any

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Options, Route, Router
from multiroute_core.adapter import CALL_FIELDS, DEFAULT

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
    with pytest.raises(ConfigurationError, match="passed twice"):
        adapter(NAMES[0], routes=[NAMES[1]])


@both
def test_a_model_alone_is_the_route_and_beside_routes_it_selects(adapter):
    assert names(adapter(model="openai:gpt-4.1")) == ("openai:gpt-4.1",)
    assert names(adapter(model="gpt-4.1")) == ("openai:gpt-4.1",)
    assert names(adapter(model="claude-haiku-5-5")) == ("anthropic:claude-haiku-5-5",)
    with pytest.raises(ConfigurationError, match="expected 'provider:model', for example model='openai:llama-9'"):
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


def test_the_options_agree_in_names_and_defaults():
    """An adapter's default means "not given": the router's default stands in `Router`, and nowhere else."""
    settings = dict(inspect.signature(Router).parameters)
    del settings["routes"]
    options = {field.name: field.default for field in dataclasses.fields(Options)}
    assert set(options.values()) == {None}, "of a call: as the router says"
    first, second = (dict(inspect.signature(adapter.__init__).parameters) for adapter in (ChatMultiRoute, MultiRoute))
    own = {"streaming": first.pop("streaming"), "context_window": second.pop("context_window")}
    assert {parameter.default for parameter in own.values()} == {None}
    assert [(p.name, p.kind, p.default) for p in first.values()] == [
        (p.name, p.kind, p.default) for p in second.values()
    ]
    assert settings.keys() | options.keys() <= first.keys()
    for name in settings.keys() | options.keys():
        no_limit = name in settings and settings[name].default is not None and "None" in settings[name].annotation
        assert first[name].default is DEFAULT if no_limit else first[name].default in (None, DEFAULT)
    for adapter in (ChatMultiRoute, MultiRoute):
        assert set(CALL_FIELDS) <= adapter.model_fields.keys()
        assert {adapter.model_fields[name].default for name in CALL_FIELDS} == {None}
    router = Router([NAMES[0]])
    for name in settings.keys() & options.keys() - {"cache"}:
        default = settings[name].default
        assert getattr(router.options, name) == (frozenset(default) if default == () else default)


SHOW = """
import inspect, {package}
for _ in range(2):
    print(*(f"{{p.kind.name}}:{{p.name}}" for p in inspect.signature({package}.{name}).parameters.values()))
    {package}.{name}("openai:gpt-4.1", api_key="k")
"""


@pytest.mark.slow
@both
def test_the_class_shows_its_parameters_before_the_first_instance_and_after(adapter):
    code = SHOW.format(package=adapter.__module__.partition(".")[0], name=adapter.__name__)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, after = out.splitlines()
    assert before == after
    shown = [parameter.split(":") for parameter in before.split()]
    assert shown[:3] == [["VAR_POSITIONAL", "positional"], ["KEYWORD_ONLY", "routes"], ["KEYWORD_ONLY", "router"]]
    assert {kind for kind, _ in shown[1:]} == {"KEYWORD_ONLY"}
    names = {name for _, name in shown}
    assert inspect.signature(Router).parameters.keys() <= names
    assert {"ChatMultiRoute": "rate_limiter", "MultiRoute": "system_prompt"}[adapter.__name__] in names
    plain = pydoc.plaintext  # pyright: ignore[reportAttributeAccessIssue]  # typeshed does not know it
    assert "attempt_timeout" in pydoc.render_doc(adapter, renderer=plain).partition("Method resolution")[0]


def test_an_instance_has_no_signature_of_its_class():
    instance: Any = type("Callable", (ChatMultiRoute,), {"__call__": lambda self, x: x})(NAMES[0])
    assert "routes" not in inspect.signature(instance).parameters
