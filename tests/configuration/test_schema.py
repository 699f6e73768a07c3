"""The JSON schema: published as it is generated, valid, and of one mind with the loader."""

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from multiroute_core import ConfigurationError, Router
from multiroute_core.configuration import build_schema
from multiroute_core.configuration.loading import load
from multiroute_core.configuration.schema import dump_schema
from tests.configuration.files import configurations, write
from tests.examples import examples

ROOT = Path(__file__).parent.parent.parent
SCHEMA = build_schema(Router)
VALIDATOR = Draft202012Validator(SCHEMA)

ODD = (0, -1, 1, 2, 3.0, 0.5, 1.5, True, "", " ", "x", "1", "none", "memory", None, [], [1], [""], {}, {"name": "x"})

UNSAID = ("timezone", "level", "url", "secret", "headers", "prices", "regions", "name", "texts", "words", "timeout")
"""Keys whose range no schema says; the timeout is that of guards and webhooks."""


def is_loadable(path: Path, data: Any) -> bool:
    write(path, data)
    try:
        load(path, Router, Router._check_arguments)
    except ConfigurationError:
        return False
    return True


def test_the_published_schema_is_what_the_signatures_say():
    published = ROOT / "multiroute_core/configuration/schema.json"
    assert published.read_text(encoding="utf-8") == dump_schema(Router), "run scripts/schema"
    Draft202012Validator.check_schema(json.loads(published.read_text(encoding="utf-8")))


def test_every_argument_of_a_router_has_a_key():
    assert set(SCHEMA["properties"]) - {"$schema"} == set(inspect.signature(Router).parameters)


@settings(max_examples=examples(25))
@given(configurations())
def test_what_the_loader_accepts_the_schema_accepts(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "accepted.json"
    assert is_loadable(path, data)
    assert list(VALIDATOR.iter_errors(data)) == []


def places(value: Any, path: tuple[Any, ...] = ()):
    """The paths of all values but those within JSON schemas."""
    yield path
    if path[-1:] in (("accept",), ("schema",), ("on_alert",)):
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, dict):
        return {key: replaced(inner, path[1:], value) if key == path[0] else inner for key, inner in data.items()}
    return [replaced(inner, path[1:], value) if number == path[0] else inner for number, inner in enumerate(data)]


@settings(max_examples=examples(60))
@given(configurations(), st.data())
def test_what_the_schema_rejects_the_loader_rejects_and_the_other_way_round(tmp_path_factory, data, draw):
    path = draw.draw(st.sampled_from([one for one in places(data) if one and not set(one) & set(UNSAID)]))
    value = draw.draw(st.sampled_from(ODD).filter(lambda one: one is not None or path != ("routes",)))
    changed = replaced(data, path, value)
    file = tmp_path_factory.getbasetemp() / "changed.json"
    assert is_loadable(file, changed) == VALIDATOR.is_valid(changed), (path, value)


@settings(max_examples=examples(5))
@given(configurations(), st.sampled_from(["deadlin", "Routes", "x"]))
def test_an_unknown_key_is_rejected_by_both(tmp_path_factory, data, key):
    changed = {**data, key: 1}
    assert not VALIDATOR.is_valid(changed)
    assert not is_loadable(tmp_path_factory.getbasetemp() / "unknown.json", changed)


@pytest.mark.parametrize(
    "data",
    [
        {"budget": {"usd": 1, "tokens": 1}},
        {"budget": {"per": "day"}},
        {"budget": {"usd": 1, "scope_values": ["a"]}},
        {"limit": {"scope": "label"}},
        {"routes": [{"timeout": 3}]},
        {"routes": ["openai"]},
        {"guards": [{"regions": ["DE"]}]},
        {"guards": ["ban_text"]},
        {"guards": [{"name": "mask_personal_data", "false_alarms": "one_percent"}]},
        {"guards": ["scan_with_llm_guard"]},
        {"prompt_optimizer": {"summarize": "x"}},
        {"cache": {"semantic": {"embed": "x"}}},
        {"cache": "sqlite://x"},
        {"ledger": {"export": ["JSONLines"]}},
        {"on_event": ["JSONLines"]},
    ],
)
def test_how_keys_depend_on_each_other(tmp_path, data):
    data = {"routes": [{"route": "openai:gpt-4.1", "api_key": "k"}], **data}
    assert not VALIDATOR.is_valid(data)
    assert not is_loadable(tmp_path / "x.json", data)


def test_a_reference_may_stand_for_any_plain_value(tmp_path, monkeypatch):
    for name, value in {"KEY": "k", "RPM": "60", "HARD": "true", "STRATEGY": "cheapest"}.items():
        monkeypatch.setenv(name, value)
    data = yaml.safe_load(
        "strategy: ${STRATEGY}\nroutes: [{route: 'openai:gpt-4.1', api_key: '${KEY}', rpm: '${RPM}', backup: '${HARD}'}]"
    )
    assert VALIDATOR.is_valid(data)
    assert is_loadable(tmp_path / "x.json", data)


def documented_files() -> list[str]:
    page = (ROOT / "docs/configuration_file.md").read_text(encoding="utf-8")
    return [
        *re.findall(r"```toml\n(.*?)```", page, re.DOTALL),
        (ROOT / "examples/routes.toml").read_text(encoding="utf-8"),
    ]


@pytest.mark.parametrize("text", documented_files())
def test_what_the_docs_show_is_valid(tmp_path, monkeypatch, text):
    monkeypatch.setenv("TEAM_A_KEY", "k")
    data = tomllib.loads(text)
    assert list(VALIDATOR.iter_errors(data)) == []
    assert is_loadable(tmp_path / "x.json", data)
    schema = re.search(r"#:schema \.\./(\S+)", text)
    assert schema is not None
    assert (ROOT / schema[1]).exists()
