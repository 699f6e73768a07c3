"""`multiroute import`: LiteLLM's file as ours, without its secrets, and a note for everything that is left out."""

import tomllib
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given, settings

from multiroute_core import Router
from multiroute_core.configuration.writing import write_toml
from multiroute_core.migration.litellm_config import convert_config
from multiroute_core.migration.names import BY_NAME
from multiroute_core.route import TokenPrices
from tests.cli.runs import run

FILE = Path(__file__).with_name("litellm.yaml")
SECRETS = ("sk-literal-key-in-the-file-1234", "hush-hush-password", "sk-master-1234", "u:pw@h")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5000), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)
)


def write(path, config):
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_file_becomes_a_router(tmp_path, monkeypatch):
    done = run("import", FILE)
    assert done.returncode == 0
    file = tmp_path / "routes.toml"
    file.write_text(done.stdout)
    for name in (
        "AZURE_API_BASE",
        "AZURE_API_KEY",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "REDIS_HOST",
        "REDIS_PASSWORD",
    ):
        monkeypatch.setenv(
            name,
            {"AZURE_API_BASE": "https://x.openai.azure.com", "REDIS_HOST": "127.0.0.1"}.get(name, "a-key-of-the-test"),
        )
    text = file.read_text().replace('on_event = ["PrometheusMetrics"]\n', "")  # its package may be missing here
    text = (
        text.replace("${REDIS_HOST}:6380", "127.0.0.1:1")
        .replace("redis://:${REDIS_PASSWORD}@127.0.0.1:1/0", "memory")
        .replace("redis://localhost:6379/0", "memory")
    )
    file.write_text(text)
    with Router.from_file(file) as router:
        names = [route.name for route in router.routes]
        assert names == ["azure-eu", "gpt-4o-2", "own", "claude"]
        azure, plain, own, claude = router.routes
        assert azure.base_url == "https://x.openai.azure.com/openai/v1"
        assert (azure.prices, azure.rpm, azure.tags) == ("azure", 600, {"gpt-4o", "gpt-4"})
        assert (plain.api_key, plain.base_url, plain.rpm) == (None, None, 300)
        assert isinstance(own.prices, TokenPrices)
        assert (own.prices.input, own.api_key) == (0.1, "none")  # OpenAI's key must not go there
        assert (claude.backup, claude.max_concurrency) == (True, 20)
        assert (router.options.strategy, router.options.max_retries, router.options.deadline) == ("fastest", 3, 30)


def test_no_secret_is_printed():
    done = run("import", FILE)
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr


def test_everything_that_is_left_out_is_named():
    lines = run("import", FILE).stderr
    for where in (
        "model_list[1].litellm_params.temperature", "model_list[1].litellm_params.organization", "model_list[4]",
        "model_list[5]", "model_list[6]", "router_settings.allowed_fails", "router_settings.cooldown_time",
        "litellm_settings.cache_params.supported_call_types", "litellm_settings.success_callback",
        "general_settings.master_key", "general_settings.database_url", "general_settings.store_model_in_db",
        "environment_variables.X",
    ):  # fmt: skip
        assert f"litellm.yaml: {where}: " in lines, where


def test_two_keys_in_the_file_become_two_variables():
    deployments = [
        {"model_name": "a", "litellm_params": {"model": "openai/gpt-6-luna", "api_key": key}}
        for key in ("sk-one", "sk-two", "sk-one")
    ]
    routes = convert_config({"model_list": deployments}).arguments["routes"]
    assert [one.get("api_key") for one in routes] == [None, "${OPENAI_API_KEY_2}", None]
    assert [one["name"] for one in routes] == ["a-1", "a-2", "a-3"]


@pytest.mark.parametrize(
    ("params", "route"),
    [
        ({"model": "gemini/gemini-3.8-flash"}, {"route": "google:gemini-3.8-flash"}),
        ({"model": "gpt-6-luna"}, {"route": "openai:gpt-6-luna"}),
        (
            {"model": "ollama_chat/llama3"},
            {"route": "openai:llama3", "base_url": "http://localhost:11434/v1", "api_key": "none"},
        ),
        (
            {"model": "ollama/q", "api_base": "http://h:1"},
            {"route": "openai:q", "base_url": "http://h:1/v1", "api_key": "none"},
        ),
        (
            {"model": "together_ai/meta/llama"},
            {
                "route": "openai:meta/llama",
                "base_url": "https://api.together.xyz/v1",
                "api_key": "${TOGETHERAI_API_KEY}",
            },
        ),
        ({"model": "llama", "custom_llm_provider": "groq"}, {"route": "groq:llama"}),
        ({"model": "openrouter/openai/gpt-5.2"}, {"route": "openrouter:openai/gpt-5.2"}),
        (
            {"model": "anthropic/claude-sonnet-5-5", "api_base": "https://gw/v1/messages", "api_key": "os.environ/K"},
            {"route": "anthropic:claude-sonnet-5-5", "base_url": "https://gw", "api_key": "${K}"},
        ),
    ],
)
def test_vendors(params, route):
    conversion = convert_config({"model_list": [{"model_name": "m", "litellm_params": params}]})
    assert conversion.arguments["routes"] == [{**route, "name": "m"}]


def test_fallbacks_come_last_and_in_their_order():
    models = [{"model_name": name, "litellm_params": {"model": f"openai/{name}"}} for name in "abcd"]
    config = {"model_list": models, "litellm_settings": {"fallbacks": [{"d": ["c", "a"]}]}}
    routes = convert_config(config).arguments["routes"]
    assert [(one["name"], one.get("backup", False)) for one in routes] == [
        ("b", False), ("d", False), ("c", True), ("a", True)
    ]  # fmt: skip


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from([*BY_NAME, "master_key", "nonsense"]), VALUES, max_size=6),
    st.sampled_from(["router_settings", "litellm_settings", "general_settings"]),
)
def test_any_setting_is_converted_or_named_and_the_result_is_toml(members, section):
    model = {"model_name": "m", "litellm_params": {"model": "openai/gpt-6-luna", **members}}
    conversion = convert_config({"model_list": [model, model], section: members})
    assert tomllib.loads(write_toml(conversion.arguments)) == conversion.arguments
    assert len({one["name"] for one in conversion.arguments["routes"]}) == len(conversion.arguments["routes"])


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.one_of(VALUES.filter(lambda v: v is not None), st.floats(allow_nan=False)),
        max_size=4,
    )
)
def test_toml_is_read_as_it_was_written(table):
    data = {**table, "tables": [table, table]}
    assert tomllib.loads(write_toml(data)) == data


def test_wrong_arguments(tmp_path):
    assert run("import", tmp_path / "none.yaml").returncode == 2
    assert run("import", write(tmp_path / "a.yaml", {"model_list": []})).returncode == 1


def convert(**params):
    return convert_config(
        {"model_list": [{"model_name": "a", "litellm_params": {"model": "openai/gpt-4.1", **params}}]}
    )


def test_numbers_may_be_texts_or_variables():
    text = "{input_cost_per_token: 3e-7, output_cost_per_token: '0.000002', rpm: '60', timeout: os.environ/T}"
    route = convert(**yaml.safe_load(text)).arguments["routes"][0]
    assert (route["prices"], route["rpm"], route["timeout"]) == ({"input": 0.3, "output": 2.0}, 60, "${T}")
    settings = {"num_retries": "3", "timeout": "os.environ/T", "max_budget": "os.environ/B"}
    arguments = convert_config({"router_settings": settings}).arguments
    assert (arguments["max_retries"], arguments["deadline"], arguments["budget"][0]["usd"]) == (3, "${T}", "${B}")


def test_a_number_that_cannot_be_used_is_left_out_and_named():
    for name, value in (
        ("rpm", "many"),
        ("weight", 0),
        ("max_parallel_requests", -1),
        ("tpm", True),
        ("timeout", ".inf"),
    ):
        conversion = convert(**{name: value})
        assert set(conversion.arguments["routes"][0]) == {"route", "name"}, name
        assert [where for where, _ in conversion.notes] == [f"model_list[0].litellm_params.{name}"]


def test_what_is_no_deployment_says_why():
    entries = [None, "text", {"litellm_params": {"model": 5}}, {"litellm_params": {"model": "os.environ/M"}}]
    notes = convert_config({"model_list": entries, "litellm_settings": {"default_fallbacks": ["nowhere"]}}).notes
    sentences = [sentence for _, sentence in notes]
    assert sentences[:3] == ["left out: it has no model, which litellm_params names."] * 3
    assert sentences[3] == "left out: its model is in the variable M; write it as route = 'provider:model'."
    assert sentences[4] == "'nowhere' is no model of the list that becomes a route; it is left out."


def convert_all(config):
    """Convert a configuration; return its routes by name, and the notes as lines."""
    conversion = convert_config(config)
    assert tomllib.loads(write_toml(conversion.arguments)) == conversion.arguments
    return {one["name"]: one for one in conversion.arguments["routes"]}, [": ".join(note) for note in conversion.notes]


def deployment(name, model="openai/gpt-6-luna", info=None, **params):
    return {"model_name": name, "litellm_params": {"model": model, **params}, "model_info": info or {}}


def test_a_call_that_chooses_a_group_reaches_its_fallbacks(tmp_path):
    models = [deployment("fast"), deployment("fast", "openai/gpt-4.1"), deployment("strong"), deployment("last")]
    fallbacks = {"fallbacks": [{"fast": ["strong", "last"]}, {"strong": ["last"]}], "default_fallbacks": ["last"]}
    settings = {**fallbacks, "model_group_alias": {"quick": "fast"}}
    routes, _ = convert_all({"model_list": models, "router_settings": settings})
    assert {name: set(one["tags"]) for name, one in routes.items()} == {
        "fast-1": {"fast", "quick"},
        "fast-2": {"fast", "quick"},
        "strong": {"strong", "fast", "quick"},
        "last": {"last", "strong", "fast", "quick"},
    }
    assert [name for name, one in routes.items() if one.get("backup")] == ["strong", "last"]


def test_fallbacks_that_tags_cannot_express_are_named():
    models = [deployment("a"), deployment("b", "openai/gpt-4.1")]
    routes, notes = convert_all({"model_list": models, "router_settings": {"fallbacks": [{"a": ["b"]}, {"b": ["a"]}]}})
    assert [one["tags"] for one in routes.values()] == [["a"], ["b"]]
    for caller, name in (("a", "b"), ("b", "a")):
        assert any(f"route_tags={{{caller!r}}} do not reach {name!r}" in note for note in notes)


def test_fallbacks_and_aliases_of_nothing_are_named():
    settings = {
        "fallbacks": [{"a": ["a", "gone"]}, {"never": ["a"]}],
        "model_group_alias": {"x": "gone", "y": ["a", "b"], "z": {"model": "a", "hidden": True}},
    }
    routes, notes = convert_all({"model_list": [deployment("a")], "router_settings": settings})
    assert (set(routes["a"]["tags"]), routes["a"].get("backup")) == ({"a", "z"}, None)
    for words in ("'gone' is no model", "'never' is no model", "'a' falls back to itself", "alias.x: ", "alias.y: "):
        assert any(words in note for note in notes), words


NO_CHAT_MODELS = [
    *("openai/text-embedding-3-small", "text-embedding-ada-002", "mistral/mistral-embed", "whisper-1", "openai/tts-1"),
    *("openai/gpt-4o-mini-tts", "openai/gpt-4o-transcribe", "dall-e-3", "openai/gpt-image-1", "azure/dall-e-3"),
    *(
        "openai/omni-moderation-latest",
        "openai/gpt-4o-realtime-preview",
        "ollama/nomic-embed-text",
        "gemini/imagen-4.0",
    ),
    *("text-completion-openai/gpt-3.5-turbo-instruct", "openai/davinci-002", "together_ai/x/bge-reranker-v2", "azure/"),
]


@pytest.mark.parametrize("model", NO_CHAT_MODELS)
def test_a_model_that_answers_no_conversation_is_left_out_and_named(model):
    routes, notes = convert_all({"model_list": [deployment("m", model, api_base="http://127.0.0.1:1")]})
    assert not routes
    assert len([note for note in notes if note.startswith("model_list[0]: left out: ")]) == 1


def test_a_chat_model_with_a_mode_or_a_similar_name_stays():
    models = [
        "openai/gpt-4o-audio-preview",
        "openrouter/x/embedder-chat",
        "groq/llama-3.3-70b-instruct",
        "openai/veronica",
    ]
    routes, _ = convert_all({"model_list": [deployment(model, model) for model in models]})
    assert len(routes) == len(models)
    assert convert_all({"model_list": [deployment("m", "openai/my-embed", {"mode": "chat"})]})[0]


@pytest.mark.parametrize(
    ("address", "base_url"),
    [
        ("https://x-openai.openai.azure.com/", "https://x-openai.openai.azure.com/openai/v1"),
        ("https://openai-x.openai.azure.com/openai/v1/", "https://openai-x.openai.azure.com/openai/v1"),
        ("https://x.azure.com/openai/deployments/d/chat/completions?api-version=1", "https://x.azure.com/openai/v1"),
        ("https://gateway.example.com/team/openai", "https://gateway.example.com/team/openai/v1"),
        ("os.environ/AZURE_API_BASE", "${AZURE_API_BASE}/openai/v1"),
    ],
)
def test_addresses_of_azure(address, base_url):
    routes, _ = convert_all({"model_list": [deployment("m", "azure/d", api_base=address, api_key="os.environ/K")]})
    assert routes["m"]["base_url"] == base_url


def test_a_secret_of_the_file_gets_a_variable_that_nothing_else_reads():
    models = [
        deployment("real", api_key="os.environ/OPENAI_API_KEY"),
        deployment("literal", api_key="sk-literal"),
        deployment("my server", api_key="sk-of-the-server", api_base="http://127.0.0.1:1/v1"),
        deployment("1", api_key="sk-of-another", api_base="http://127.0.0.1:2/v1"),
        deployment("silent", "anthropic/claude-haiku-5-5"),
        deployment("claude", "anthropic/claude-haiku-5-5", api_key="sk-ant-literal"),
    ]
    routes, _ = convert_all({"model_list": models})
    assert {name: one.get("api_key") for name, one in routes.items()} == {
        "real": None,
        "literal": "${OPENAI_API_KEY_2}",
        "my server": "${MY_SERVER_API_KEY}",
        "1": "${KEY_1}",
        "silent": None,
        "claude": "${ANTHROPIC_API_KEY_2}",
    }


def test_credentials_of_the_list_are_those_of_the_deployment():
    values = {"api_key": "os.environ/AZURE_KEY", "api_base": "https://x.openai.azure.com"}
    config = {
        "credential_list": [{"credential_name": "ours", "credential_values": values}],
        "model_list": [deployment("m", "azure/d", litellm_credential_name="ours")],
    }
    routes, notes = convert_all(config)
    assert (routes["m"]["api_key"], routes["m"]["base_url"]) == (
        "${AZURE_KEY}", "https://x.openai.azure.com/openai/v1"
    )  # fmt: skip
    assert not any("credential" in note for note in notes)


def test_addresses_of_redis():
    settings = {f"redis_{name}": f"os.environ/R_{name.upper()}" for name in ("host", "port", "db", "username")}
    config = {"router_settings": {**settings, "redis_password": "os.environ/R_P", "redis_ssl": True}}
    assert convert_config(config).arguments["state"] == "rediss://${R_USERNAME}:${R_P}@${R_HOST}:${R_PORT}/${R_DB}"
    cache = convert_config({"litellm_settings": {"cache": "true", "cache_params": {"type": "redis"}}})
    assert cache.arguments["cache"]["store"] == "redis://${REDIS_HOST:-localhost}:${REDIS_PORT:-6379}/0"
    assert any("it has no host" in sentence for _, sentence in cache.notes)


SILENT = [
    ({"include": ["models.yaml"]}, "include"),
    ({"litellm_settings": ["a", "list"]}, "litellm_settings"),
    ({"model_list": {"a": "table"}}, "model_list"),
    ({"model_list": [{**deployment("m"), "surprise": 1}]}, "model_list[0].surprise"),
    ({"model_list": [deployment("m", info={"supports_vision": True})]}, "model_list[0].model_info.supports_vision"),
    ({"model_list": [deployment("m", info={"base_model": "gpt-4o"})]}, "model_list[0].model_info.base_model"),
    ({"model_list": [deployment("m", order=2)]}, "model_list[0].litellm_params.order"),
    ({"model_list": [deployment("m", input_cost_per_token="os.environ/I")]}, "model_list[0].input_cost_per_token"),
    ({"router_settings": {"timeout": 30}, "litellm_settings": {"request_timeout": 60}}, "litellm_settings.request_timeout"),
    ({"router_settings": {"num_retries": 1}, "litellm_settings": {"num_retries": 2}}, "litellm_settings.num_retries"),
    ({"litellm_settings": {"budget_duration": "1d"}}, "litellm_settings.budget_duration"),
    ({"litellm_settings": {"max_budget": 1}, "general_settings": {"max_budget": 2}}, "general_settings.max_budget"),
    ({"litellm_settings": {"cache": "perhaps"}}, "litellm_settings.cache"),
    ({"litellm_settings": {"cache_params": {"ttl": 60}}}, "litellm_settings.cache_params"),
    ({"litellm_settings": {"drop_params": "no"}}, "litellm_settings.drop_params"),
    ({"litellm_settings": {"content_policy_fallbacks": [{"a": ["b"]}]}}, "litellm_settings.content_policy_fallbacks"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "where"), SILENT, ids=[where for _, where in SILENT])
def test_nothing_is_dropped_in_silence(config, where):
    assert where in [place for place, _ in convert_config(config).notes]


def test_the_same_value_twice_and_values_of_nothing_are_no_notes():
    config = {
        "model_list": [deployment("m", order=None, info={"id": None, "mode": None, "max_tokens": None})],
        "router_settings": {"timeout": 30},
        "litellm_settings": {
            "request_timeout": 30,
            "cache": False,
            "content_policy_fallbacks": [],
            "drop_params": True,
        },
        "general_settings": None,
    }
    assert convert_config(config).notes == ()


OTHERS = ["nonsense", "master_key", "database_url", "custom_llm_provider", "tags", "base_model", "redis_ssl", "cache"]
OTHERS += ["cache_params", "redis_username", "order", "api_version", "input_cost_per_token", 5]
QUIET = {"drop_params": [True], "cache": [False], "cache_params": [False], "custom_llm_provider": [False]}
QUIET |= {"content_policy_fallbacks": [False]}


def build_config():
    models = [deployment("a"), deployment("b", "openai/gpt-4.1")]
    return {"model_list": models, "router_settings": {}, "litellm_settings": {}, "general_settings": {}}


@pytest.mark.parametrize(
    "place", ["router_settings", "litellm_settings", "general_settings", "params", "info", "entry", "top"]
)
def test_every_member_anywhere_changes_the_result_or_is_named(place):
    plain = convert_config(build_config())
    for name in (*BY_NAME, *OTHERS):
        for value in ("x", 5, True, False, ["y"], {"a": "b"}, [{"a": ["b"]}]):
            config = build_config()
            entry = config["model_list"][0]
            places = {"params": entry["litellm_params"], "info": entry["model_info"], "entry": entry, "top": config}
            target: Any = places.get(place, config.get(place))
            if name in target:
                continue
            target[name] = value
            action = BY_NAME[name].action if name in BY_NAME else None
            accepted = [*getattr(action, "accepted", ()), *QUIET.get(name, ())]
            if not any(value is one for one in accepted):
                assert convert_config(config) != plain, (name, value)
