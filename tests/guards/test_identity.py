"""What identifies guards and checks in the frameworks' cache keys, and their pickles."""

import functools
import pickle

import pytest
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Router
from multiroute_core.guards import (
    Guard,
    ban_text,
    block_prompt_leaks,
    detect_injection,
    mask_personal_data,
    restrict_personal_data,
    strip_hidden_text,
)
from multiroute_core.guards.identity import identify_function, name_function

ROUTES = ["openai:gpt-4.1"]


class City(BaseModel):
    name: str


class Town(BaseModel):
    name: str


def accept_all(response):
    return True


def accept_up_to(length, response):
    return len(response.text) <= length


def check_nothing(text):
    return None


CHECKS = {
    "none": None,
    "function": accept_all,
    "part": functools.partial(accept_up_to, 5),
    "other part": functools.partial(accept_up_to, 6),
    "model": City,
    "other model": Town,
    "schema": {"type": "object"},
    "other schema": {"type": "array"},
    "several": [City, accept_all],
}

GUARDS = {
    "none": [],
    "function": [check_nothing],
    "answers": [Guard(check_nothing, origins=["answer"])],
    "hidden": [strip_hidden_text()],
    "flags": [strip_hidden_text(flag_only=True)],
    "mask": [mask_personal_data()],
    "e-mail": [mask_personal_data(["email"])],
    "eu": [restrict_personal_data("eu")],
    "local": [restrict_personal_data("local")],
    "ban": [ban_text("x")],
    "other ban": [ban_text("y")],
    "long ban": [ban_text("x" * 300 + "y")],
    "other long ban": [ban_text("x" * 300 + "z")],
    "injection": [detect_injection()],
    "leak": [block_prompt_leaks()],
    "two": [strip_hidden_text(), block_prompt_leaks()],
}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.mark.parametrize(
    "key_of", [lambda s: ChatMultiRoute(ROUTES, **s)._get_llm_string(), lambda s: MultiRoute(ROUTES, **s).to_json()]
)
@pytest.mark.parametrize(("name", "values"), [("accept", CHECKS), ("guards", GUARDS)])
def test_different_checks_have_different_cache_keys_and_the_same_ones_the_same(key_of, name, values):
    keys = {one: key_of({name: value}) for one, value in values.items()}
    assert len(set(keys.values())) == len(values)
    assert keys == {one: key_of({name: value}) for one, value in values.items()}
    assert not any(" at 0x" in one for one in keys.values())


def test_functions_that_hold_values_are_never_taken_for_each_other():
    def build(length):
        return lambda response: len(response.text) <= length

    functions = [build(length) for length in range(5)]
    assert len({identify_function(function) for function in functions}) == 5
    assert identify_function(functions[0]) == identify_function(functions[0])


@pytest.mark.parametrize("guards", GUARDS)
@pytest.mark.parametrize("check", CHECKS)
def test_routers_with_guards_and_checks_are_pickled(guards, check):
    router = Router(ROUTES, guards=GUARDS[guards], accept=CHECKS[check], fallback_on=[accept_all])
    settings = router._parts.settings
    again = pickle.loads(pickle.dumps(router))._parts.settings
    assert [*map(identify_function, again.guards)] == [*map(identify_function, settings.guards)]


def test_the_name_of_a_part_is_that_of_its_function():
    assert name_function(functools.partial(accept_up_to, 5)) == "accept_up_to"
    assert Guard(functools.partial(check_nothing)).name == "check_nothing"
