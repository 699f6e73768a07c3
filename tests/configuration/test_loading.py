"""`Router.from_file`: what a file says is what the constructor gets, and every mistake in it is named."""

import gc
import inspect
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import (
    Budget,
    CacheConfig,
    ConfigurationError,
    Ledger,
    Limit,
    PromptOptimizer,
    RequestLog,
    Route,
    Router,
    SemanticCache,
    guards,
    telemetry,
)
from multiroute_core.configuration import reading
from multiroute_core.configuration.catalogue import EXPORTERS, HOOKS, TABLES, Catalogue
from multiroute_core.configuration.loading import load
from multiroute_core.configuration.problems import Problems
from multiroute_core.configuration.shapes import Fields, Unwritable
from multiroute_core.configuration.variables import conceal_values, substitute
from multiroute_core.guards.identity import identify_function
from multiroute_core.telemetry import LogEvents, OpenTelemetry, PrometheusMetrics, Webhook
from tests.configuration.files import configurations, write
from tests.examples import examples

ROUTE = {"route": "openai:gpt-4.1", "api_key": "k"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "k")


def from_text(tmp_path: Path, text: str, name: str = "routes.toml") -> Router:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return Router.from_file(path)


def failure(tmp_path: Path, text: str, name: str = "routes.toml") -> str:
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, text, name)
    return str(caught.value).replace(str(tmp_path) + os.sep, "")


# A file gives what the constructor gives.


def build_named(value: Any) -> Any:
    if isinstance(value, str):
        value = {"name": value}
    keys = {key: one for key, one in value.items() if key != "name"}
    builders = {**vars(guards), "RequestLog": RequestLog}
    build = getattr(guards, value["name"], None) or builders.get(value["name"]) or getattr(telemetry, value["name"])
    return build(**keys)


def several(value: Any, build: Any) -> Any:
    return [build(one) for one in value] if isinstance(value, list) else build(value)


def build_budget(table: dict[str, Any]) -> Budget:
    alerts = table.get("on_alert")
    return Budget(**{**table, **({"on_alert": [build_named(one) for one in alerts]} if alerts else {})})


def build_cache(value: Any) -> Any:
    if isinstance(value, str):
        return value
    semantic = value.get("semantic")
    return CacheConfig(**{**value, **({"semantic": SemanticCache(**semantic)} if semantic else {})})


BUILD: dict[str, Any] = {
    "routes": lambda value: [one if isinstance(one, str) else Route(one.pop("route"), **one) for one in value],
    "budget": lambda value: several(value, build_budget),
    "limit": lambda value: several(value, lambda table: Limit(**table)),
    "cache": build_cache,
    "ledger": lambda value: value if isinstance(value, str) else Ledger(**value),
    "guards": lambda value: [build_named(one) for one in value],
    "on_event": lambda value: [build_named(one) for one in value],
    "prompt_optimizer": lambda value: PromptOptimizer(**value) if isinstance(value, dict) else value,
}


def to_comparable(config: Any) -> dict[str, Any]:
    """Settings as data: functions by what identifies them, hooks and stores by their repr."""
    values = {name: getattr(config, name) for name in config.__slots__}
    values["guards"] = [(one.name, identify_function(one)) for one in config.guards]
    values["on_event"] = [repr(one) for one in config.on_event]
    values["ledger"] = config.ledger if isinstance(config.ledger, str | None) else type(config.ledger)
    values["budgets"] = [(one, [repr(hook) for hook in one.on_alert]) for one in config.budgets]
    options = config.options
    accept = None if options.accept is None else [identify_function(check) for check in options.accept]
    values["options"] = [accept, *(getattr(options, name) for name in options.__slots__ if name != "accept")]
    values["caching"] = config.caching and [getattr(config.caching, name) for name in CacheConfig.__slots__]
    values["routes"] = [(route, route.api_key) for route in config.routes]
    return values


@settings(max_examples=examples(40))
@given(configurations(), st.sampled_from([".toml", ".yaml", ".json"]))
def test_a_file_gives_the_settings_of_the_constructor(tmp_path_factory, data, extension):
    path = write(tmp_path_factory.getbasetemp() / f"routes{extension}", data)
    arguments = load(path, Router, Router._check_arguments).arguments
    expected = {key: BUILD[key](value) if key in BUILD else value for key, value in data.items()}
    actual = Router._check_arguments(**arguments)
    assert to_comparable(actual) == to_comparable(Router._check_arguments(**expected))


def test_the_keys_are_the_parameters_of_the_constructors():
    catalogue = Catalogue(Router, dict)
    assert list(catalogue.top.keys) == list(inspect.signature(Router).parameters)
    for table in TABLES:
        assert list(catalogue.top_table(table).keys) == list(inspect.signature(table).parameters), table


def test_only_functions_and_objects_cannot_be_written():
    catalogue = Catalogue(Router, dict)
    unwritable = {
        f"{fields.name}.{key}"
        for fields in [catalogue.top, *catalogue._fields.values()]
        for key, shape in fields.keys.items()
        if isinstance(shape, Unwritable)
    }
    assert unwritable == {
        "Route.llm",
        "SemanticCache.embed",
        "PromptOptimizer.summarize",
        "Ledger.wall",
        "LogEvents.logger",
        "OpenTelemetry.tracer_provider",
        "OpenTelemetry.meter_provider",
        "RequestLog.wall",
        "Webhook.wall",
        "Webhook.timing",
        "JSONLines.timing",
        "BigQuery.client",
        "BigQuery.timing",
        "OpenAIModeration.client",
        "PresidioFinder.analyzer",
        "scan_with_llm_guard.scanner",
    }


def test_every_guard_and_every_sink_has_a_name():
    catalogue = Catalogue(Router, dict)
    built: set[str] = {fields.name for fields in catalogue._fields.values() if isinstance(fields, Fields)}
    functions = {
        name
        for name in guards.__all__
        if inspect.isfunction(getattr(guards, name)) and "Guard" in str(inspect.signature(getattr(guards, name)))
    }
    assert {name for name in functions if "-> 'Guard'" in str(inspect.signature(getattr(guards, name)))} <= built
    classes = {name for name in telemetry.__all__ if callable(getattr(getattr(telemetry, name), "__call__", None))}
    hooks = {name for name in classes if "__call__" in vars(getattr(telemetry, name))}
    assert hooks - {"Outbox"} <= {*HOOKS, *EXPORTERS}


# The formats.

FULL = """
strategy = "cheapest"
attempt_timeout = "none"
cache = {store = "sqlite:///DIR/cache.db", ttl = 60}
fallback_on = ["refusal"]
accept = {type = "object"}

[[routes]]
route = "openai:gpt-4.1"
api_key = "${A_KEY}"
prices = {input = 1, output = 2}

[[routes]]
route = "anthropic:claude-haiku-5-5"
api_key = "${B_KEY:-fallback}"

[[guards]]
name = "mask_personal_data"
regions = ["DE"]

[ledger]
store = "sqlite:///DIR/ledger.db"
export = [{name = "JSONLines", path = "DIR/calls.jsonl"}]

[[on_event]]
name = "Webhook"
url = "https://host/hook"

[[on_event]]
name = "LogEvents"
level = "DEBUG"
"""


def test_a_router_with_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-a")
    text = FULL.replace("DIR", str(tmp_path)) + '\n[[on_event]]\nname = "OpenTelemetry"\n'
    text += f'\n[[on_event]]\nname = "PrometheusMetrics"\ndirectory = "{tmp_path}/metrics"\n'
    with from_text(tmp_path, text) as router:
        assert [route.api_key for route in router.routes] == ["sk-a", "fallback"]
        assert router.limits.attempt is None
        hooks = router._settings.on_event
        assert [type(hook) for hook in hooks] == [Webhook, LogEvents, OpenTelemetry, PrometheusMetrics]
        assert (tmp_path / "calls.jsonl").exists()
        assert len(list((tmp_path / "metrics").iterdir())) == 1, "a file is checked before anything is opened"
        assert router.file == tmp_path / "routes.toml"
        assert pickle.loads(pickle.dumps(Router([ROUTE["route"]]))).file is None
        router.ledger.close()
        assert "sk-a" not in repr(router) + str(router) + repr(router._configuration) + repr(vars(router))
    del router
    gc.collect()


@pytest.mark.parametrize("adapter", [ChatMultiRoute, MultiRoute])
def test_the_frameworks_take_a_router_from_a_file(tmp_path, adapter):
    model = adapter(router=from_text(tmp_path, 'routes = ["openai:gpt-4.1"]\ndeadline = 7'))
    assert model.router.options.deadline == 7


def test_a_file_without_routes_takes_those_of_the_environment(tmp_path):
    assert len(from_text(tmp_path, "deadline = 3").routes) == 3


# Mistakes.

PLANTED = """
strategi = "fastest"
deadline = -20
max_retries = "two"
hedge_budget = 4
cache = "mysql://me:secret@host"
routes = ["nobody:x", {route = "openai:gpt-4.1", timeout = -3, wieght = 3, rpm = 0, api_key = "${MISSING}"}]
guards = ["strip_hiden_text", {name = "mask_personal_data", regions = "DE"}]
on_event = [{name = "LogEvents", level = "DEBUGG"}]
[[budget]]
usd = -20
hard = "yes"
[[limit]]
rpm = 60
concurrency = 0
[prompt_optimizer]
summarize = "x"
"""

NAMED = """
line 2, strategi: the key 'strategi' is unknown; did you mean 'strategy'?
line 3, deadline: deadline=-20 is not valid; expected a number of seconds greater than 0.
line 4, max_retries: max_retries='two' is not valid; expected an integer.
line 5, hedge_budget: hedge_budget=4 is not valid; expected a share greater than 0 and at most 1.
line 6, cache: cache='mysql://…@host' is not valid; expected 'memory', 'sqlite:///path' or 'redis://host:6379/0'.
line 7, routes[0]: Unknown provider 'nobody': expected one of
line 7, routes[1].timeout: timeout=-3 is not valid; expected a number of seconds greater than 0.
line 7, routes[1].wieght: the key 'wieght' is unknown; did you mean 'weight'?
line 7, routes[1].rpm: rpm=0 is not valid; expected a number greater than 0.
line 7, routes[1].api_key: the environment variable MISSING is not set; set it, or write a default: ${MISSING:-…}.
line 8, guards[0]: 'strip_hiden_text' is not the name of a guard; did you mean 'strip_hidden_text'?
line 8, guards[1].regions: regions='DE' is not valid; expected a list, each a text.
line 9, on_event[0].level: level='DEBUGG' is not a valid logging level; expected 'DEBUG', 'INFO' or 'WARNING'.
line 11, budget[0].usd: usd=-20 is not valid; expected a number of at least 0.
line 12, budget[0].hard: hard='yes' is not valid; expected true or false.
line 15, limit[0].concurrency: concurrency=0 is not valid; expected a number of calls of at least 1, or None.
line 17, prompt_optimizer.summarize: summarize takes a function, which cannot be written in a file; leave it out, or
"""


def test_every_planted_mistake_is_named_in_order(tmp_path):
    first, *lines = failure(tmp_path, PLANTED).splitlines()
    expected = NAMED.strip().splitlines()
    assert first == f"routes.toml has {len(expected)} errors:"
    assert [line.strip()[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected


def test_a_file_of_another_kind_has_a_short_error(tmp_path):
    first, *lines = failure(tmp_path, "".join(f"deadlin{n} = {n}\n" for n in range(3000))).splitlines()
    assert first == "routes.toml has 3,000 errors:"
    assert (len(lines), lines[-1]) == (101, "  … and 2,900 more.")
    assert "line 100, deadlin99: the key 'deadlin99' is unknown; did you mean 'deadline'?" in lines[99]


@settings(max_examples=examples(100))
@given(shapes=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), max_size=12), data=st.data())
def test_problems_are_sorted_as_their_keys_stand_in_the_file(shapes, data):
    paths = {tuple(shape[:length]) for shape in shapes for length in range(len(shape) + 1)} | {()}
    order = sorted(paths)  # a table stands before the keys in it
    added = data.draw(st.lists(st.sampled_from(order), max_size=6))
    problems = Problems("f", order=order)
    for path in added:
        problems.add(path, "x")
    ranks = {path: max(place for place, other in enumerate(order) if other[: len(path)] == path) for path in order}
    assert [path for path, _ in problems.sort()] == sorted(added, key=lambda path: (ranks[path], -len(path)))


def test_yaml_names_the_lines_too(tmp_path):
    text = "routes:\n  - openai:gpt-4.1\n  - route: openai:gpt-4.1\n    name: b\n    timeout: -1\ncache: 3\n"
    assert failure(tmp_path, text, "routes.yaml").splitlines()[1:] == [
        "  line 5, routes[1].timeout: timeout=-1 is not valid; expected a number of seconds greater than 0.",
        "  line 6, cache: cache=3 is not valid; expected a text or a table of CacheConfig.",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("r.toml", "deadline = 3\nx = = 4", "r.toml, line 2, column 5: Invalid value; correct the syntax there."),
        ("r.toml", "deadline = 3\ndeadline = 4", "r.toml, line 2: Cannot overwrite a value; correct"),
        ("r.toml", "x = [", "r.toml, line 1: "),
        ("r.json", '{"deadline": }', "r.json, line 1, column 14: Expecting value; correct the syntax there."),
        ("r.json", '{"a": 1, "a": 2}', "r.json: the key 'a' is there twice in one object; remove one of them."),
        ("r.json", '{"deadline": NaN}', "r.json: NaN is not JSON; expected a number."),
        ("r.json", "[]", "r.json holds no table; expected keys such as 'routes' at the top."),
        ("r.yaml", "a: 1\nb: 2\na: 3", "r.yaml, line 3, column 1: the key 'a' is there twice; remove one of them;"),
        ("r.yaml", "a: [", "r.yaml, line 1, column "),
        ("r.yaml", "1: a", "r.yaml, line 1, column 1: a key that is not a text; put it in quotes;"),
        ("r.yaml", "a: !!python/object:os.system x", "r.yaml, line 1, column 4: could not determine a constructor"),
        ("r.yaml", "a: &a [*a]", "r.yaml is too large; expected at most 50,000 values on 60 levels"),
        ("r.yaml", "x: 2026-13-41", "r.yaml: month must be in 1..12"),
        ("r.toml", f"deadline = {'9' * 5000}", "r.toml: a number has too many digits; expected at most 64 bits."),
        ("r.json", f'{{"deadline": {"9" * 5000}}}', "r.json: a number has too many digits; expected at most 64 bits."),
        ("r.yaml", f"deadline: {'9' * 5000}", "r.yaml: a number has too many digits; expected at most 64 bits."),
        ("r.toml", f"{'k' * 3000} = 1", f'r.toml, line 1, "{"k" * 200}…": the key \'kkk'),
        ("r.toml", "", "r.toml is empty; expected keys such as 'routes' at the top."),
        ("r.yaml", "\ufeff \n", "r.yaml is empty; expected keys such as 'routes' at the top."),
        ("r.json", "", "r.json is empty; expected keys such as 'routes' at the top."),
        ("r.ini", "", "r.ini has no known format; expected a file .toml, .yaml, .yml or .json."),
        (
            "r.toml",
            "guards = 3\n[budget]",
            "r.toml has 2 errors:\n  line 1, guards: guards=3 is not valid; expected a list",
        ),
        (
            "r.toml",
            "deadline = 1979-05-27",
            "r.toml, line 1, deadline: deadline=date(...) is not valid; expected a number.",
        ),
        ("r.toml", "deadline = nan", "r.toml, line 1, deadline: deadline=nan is not valid; expected a number."),
        *(
            ("r.toml", f"routes = {one}\ndeadline = -1", "r.toml has 2 errors:\n  line 1, routes: ")
            for one in ("3", '"nobody:x"', '{route = "openai:a"}', "[]")
        ),
        ("r.toml", 'routes = ["${"]', "r.toml, line 1, routes[0]: '${' begins no valid reference; expected '${NAME}'"),
        ("r.toml", 'routes = ["openai:a", "openai:a"]', "r.toml, line 1, routes: Two routes are named 'openai:a'"),
        (
            "r.toml",
            "[[limit]]\nrpm = 1\n[[limit]]\nrpm = 2",
            "r.toml, line 1, limit: Two limits are named 'rpm/tenant'",
        ),
        (
            "r.toml",
            '[[guards]]\nregions = ["DE"]',
            "r.toml, line 1, guards[0]: guards={'regions': ['DE']} is not valid;",
        ),
        ("r.toml", '[ledger]\nexport = [{name = "JSONLines"}]', "r.toml, line 2, ledger.export[0]: the key 'path' is"),
    ],
)
def test_an_error_says_where_and_what_to_do(tmp_path, name, text, expected):
    assert failure(tmp_path, text, name).startswith(expected)


def test_a_bomb_of_aliases_is_rejected(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert failure(tmp_path, "\n".join(lines), "r.yaml").startswith("r.yaml is too large")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="none.toml cannot be read: No such file or directory"):
        Router.from_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'deadline = 3\nstrategy = "\xe9"')
    with pytest.raises(ConfigurationError, match="line 2: the file is not UTF-8"):
        Router.from_file(tmp_path / "latin.toml")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    assert failure(tmp_path, "#" * 101) == "routes.toml is too large; expected at most 100 bytes."


@pytest.mark.parametrize("path", [None, 3, b"routes.toml", ["routes.toml"], "a\0b.toml"])
def test_what_is_no_path_is_a_sentence(path):
    with pytest.raises(ConfigurationError, match="expected the path of a configuration file|a path has no zero byte"):
        Router.from_file(path)


def test_yaml_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    assert "run: pip install PyYAML, or write TOML or JSON." in failure(tmp_path, "a: 1", "r.yml")


def test_missing_keys_name_the_file(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert failure(tmp_path, 'routes = ["openai:gpt-4.1"]').startswith("routes.toml: Route 'openai:gpt-4.1' has no API")


def test_routes_without_a_key_are_left_out_and_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("OPENAI_API_KEY")
    with caplog.at_level(logging.WARNING):
        router = from_text(tmp_path, 'routes = ["openai:a", "anthropic:b"]\nskip_missing_keys = true')
    assert [route.name for route in router.routes] == ["anthropic:b"]
    assert len(caplog.records) == 1


# The environment.

SECRET = "hunter2-äß"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('deadline = "${X}"', "line 1, deadline"),
        ('strategy = "${X}"', "line 1, strategy"),
        ('cache = "${X}"', "line 1, cache"),
        ('state = "redis${X}"', "line 1, state"),
        ('routes = ["${X}"]', "line 1, routes[0]"),
        ('routes = [{route = "${X}:b"}]', "line 1, routes[0].route"),
        ('routes = [{route = "openai:a", base_url = "${X}"}]', "line 1, routes[0].base_url"),
        ('routes = [{route = "openai:a", prices = "${X}"}]', "line 1, routes[0].prices"),
        ('routes = [{route = "openai:a", name = "${X}"}, {route = "openai:b", name = "${X}"}]', "line 1, routes"),
        ('guards = ["${X}"]', "line 1, guards[0]"),
        ('guards = [{name = "block_secrets", origins = ["${X}"]}]', "line 1, guards[0].origins[0]"),
        ('budget = {usd = "${X}"}', "line 1, budget.usd"),
        ('budget = {usd = 1, timezone = "${X}"}', "line 1, budget.timezone"),
        ('on_event = [{name = "Webhook", url = "${X}"}]', "line 1, on_event[0].url"),
        ('on_event = [{name = "Webhook", url = "https://h", headers = {"${X}" = 1}}]', "line 1, on_event[0].headers"),
    ],
)
def test_a_value_from_the_environment_is_in_no_error(tmp_path, monkeypatch, text, where):
    monkeypatch.setenv("X", SECRET)
    message = failure(tmp_path, text)
    assert SECRET not in message
    assert f"routes.toml, {where}" in message
    assert "X" in message


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-7", -7), ("-7.5", -7.5), ("1" * 400, None), ("1e999", None), ("no", None)]
)
def test_a_number_from_the_environment_is_in_no_error(tmp_path, monkeypatch, text, value):
    monkeypatch.setenv("RPM", text)
    message = failure(
        tmp_path,
        'routes = [{route = "openai:a", rpm = "${RPM}", weight = "${RPM}", timeout = "${RPM}", max_concurrency = "${RPM}"}]',
    )
    assert "from '${RPM}', is not valid; expected" in message
    assert f"={text}" not in message
    assert value is None or f"={value}" not in message


def test_errors_over_several_routes_are_clear_although_they_use_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("K", "sk-1")
    monkeypatch.setenv("RPM", "1000")
    text = 'routes = [{route = "openai:a", api_key = "${K}"}, {route = "openai:a", api_key = "${K}"}]'
    assert "line 1, routes: Two routes are named 'openai:a'; give one of them" in failure(tmp_path, text)
    text = """routes = [
        {route = "openai:a", rate_limit_group = "g", rpm = "${RPM}"},
        {route = "openai:b", rate_limit_group = "g", rpm = 2},
    ]"""
    assert "and say rpm=${RPM} and rpm=2; say it once" in failure(tmp_path, text)


def test_references(tmp_path, monkeypatch):
    monkeypatch.setenv("HOST", "example.org")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("RPM", "60")
    text = """
    [[routes]]
    route = "openai:${MODEL:-gpt-4.1}"
    base_url = "https://${HOST}:${PORT:-8080}/v1"
    name = "a$$b $x ${EMPTY:-c}"
    rpm = "${RPM}"
    backup = "${BACKUP:-true}"
    """
    (route,) = from_text(tmp_path, text).routes
    assert (route.model, route.base_url, route.name) == ("gpt-4.1", "https://example.org:8080/v1", "a$b $x c")
    assert (route.rpm, route.backup) == (60, True)
    assert type(route.name) is str
    assert "EMPTY is empty" in failure(tmp_path, 'routes = [{route = "openai:a", name = "${EMPTY}"}]')


def test_a_literal_key_is_in_no_error(tmp_path):
    message = failure(tmp_path, 'routes = [{route = "openai:a", api_key = ["sk-123456789"]}]')
    assert "sk-123456789" not in message


def test_a_short_value_is_hidden_as_a_word_only():
    data = substitute({"a": "${A}", "b": "${B}", "c": "${C}"}, {"A": "1", "B": "k", "C": "secret-12"}, Problems(""))
    message = "HTTP 401 (1): the key k is unknown, as xsecret-12x is"
    assert conceal_values(message, data) == "HTTP 401 (${A}): the key ${B} is unknown, as x${C}x is"
