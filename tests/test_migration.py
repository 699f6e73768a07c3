"""The migration table: what people bring from five libraries works, or the line in the error works when typed in."""

# Names that type checkers refuse are the subject.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false

import contextlib
import gc
import inspect
import json
import re
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai.chat_models import _client_utils
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, CacheConfig, ConfigurationError, Route, Router
from multiroute_core.migration.actions import LeaveOut, ProviderOption, Rename
from multiroute_core.migration.names import BY_NAME, TABLE
from multiroute_core.telemetry import LogEvents
from multiroute_core.testing import Answer, ReplayServer, ScriptedProvider
from tests.chat_server import answer
from tests.migration_page import page

pytestmark = pytest.mark.wire

ROOT = Path(__file__).parent.parent
CONSTRUCTORS = {"Router": Router, "ChatMultiRoute": ChatMultiRoute, "MultiRoute": MultiRoute}


class Colour(BaseModel):
    """A colour."""

    name: str


def weather(city: str) -> str:
    """The weather in a city."""
    return "fine"


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

VALUES: dict[str, Any] = {
    "model_name": "gpt-4.1",
    "max_completion_tokens": 50,
    "max_tokens_to_sample": 50,
    "max_output_tokens": 50,
    "stop_sequences": ["END"],
    "timeout": 30,
    "request_timeout": 30,
    "default_request_timeout": 30.0,
    "num_retries": 1,
    "stream_chunk_timeout": 20.0,
    "reasoning_effort": "low",
    "effort": "low",
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "thinking_budget": 2000,
    "thinking_level": "low",
    "system_prompt": "Be brief.",
    "response_format": Colour,
    "drop_params": True,
    "model_provider": "openai",
    "custom_llm_provider": "openai",
    "api_key": "sk-one",
    "openai_api_key": "sk-one",
    "anthropic_api_key": "sk-ant-two",
    "google_api_key": "three",
    "use_responses_api": False,
    "rpm": 60,
    "tpm": 100_000,
    "weight": 2,
    "max_parallel_requests": 4,
    "default_max_parallel_requests": 4,
    "region_name": "eu",
    "fallbacks": ["gpt-4o"],
    "default_fallbacks": ["openai:gpt-4o"],
    "model_list": [
        {"model_name": "a", "litellm_params": {"model": "openai/gpt-4.1", "rpm": 6, "api_key": "sk-one"}},
        {"model_name": "a", "litellm_params": {"model": "gpt-4o"}},
    ],
    "model_kwargs": {"presence_penalty": 0.5},
    "additional_kwargs": {"presence_penalty": 0.5},
    "extra_body": {"presence_penalty": 0.5},
    "default_headers": {"x-team": "a"},
    "extra_headers": {"x-team": "a"},
    "default_query": {"team": "a"},
    "organization": "org-1",
    "openai_organization": "org-1",
    "betas": ["files-api-2025-04-14"],
    "logit_bias": {"50256": -100},
    "service_tier": "flex",
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "modalities": ["text"],
    "audio": {"voice": "alloy", "format": "wav"},
    "audio_config": {"voice": "alloy", "format": "wav"},
    "verbosity": "low",
    "top_k": 40,
    "mcp_servers": [],
    "container": "c1",
    "stream_usage": True,
    "stream_options": {"include_usage": True},
    "n": 1,
    "logprobs": False,
    "top_logprobs": None,
    "http_client": httpx.Client(),
    "http_async_client": httpx.AsyncClient(),
    "async_http_client": httpx.AsyncClient(),
    "openai_proxy": None,
    "anthropic_proxy": None,
    "client": None,
    "async_client": None,
    "root_client": None,
    "root_async_client": None,
    "http_socket_options": (),
    "api_version": "2024-10-21",
    "openai_api_version": "2024-10-21",
    "azure_deployment": "gpt-4.1",
    "deployment_id": "gpt-4.1",
    "stream": True,
    "streaming": True,
    "tools": [TOOL],
    "tool_choice": "weather",
    "functions": [weather],
    "function_call": "auto",
    "routing_strategy": "simple-shuffle",
    "redis_url": "redis://127.0.0.1:1/0",
    "redis_host": "127.0.0.1",
    "max_budget": 20,
    "stream_timeout": 10,
    "mock_response": "Hello.",
    "callbacks": [],
    "callback_manager": CallbackManager([]),
    "metadata": {"team": "a"},
    "is_chat_model": True,
    "is_function_calling_model": True,
    "context_window": 8192,
    "disable_streaming": False,
    "strict": False,
}
"""A value for each name that needs a certain one; the others get True."""

ADDRESSES = ("base_url", "openai_api_base", "api_base", "openai_base_url", "anthropic_api_url", "azure_endpoint")
NAMES = tuple(BY_NAME)


@pytest.fixture(scope="module")
def server():
    """A server; the clients that the frameworks' models keep for its address are closed with it."""
    with ReplayServer(answer()) as server:
        yield server
        for client in gc.get_objects():
            if issubclass(type(client), httpx.Client) and str(client.base_url).startswith(server.url):
                client.close()
        VALUES["http_client"].close()
        _client_utils._cached_sync_httpx_client.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def namespace(server, monkeypatch):
    """What a user has imported, and the variables that lines name; every address is that of the server."""
    url = f"{server.url}/v1"
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, url)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-of-the-environment")
    server.requests.clear()
    own = (Router, ChatMultiRoute, MultiRoute, Route, Budget, CacheConfig, LogEvents, ScriptedProvider, Answer)
    theirs = (ChatOpenAI, ChatAnthropic, AzureChatOpenAI, OpenAI, ChatMessage, Colour)
    values = {name: value_of(name, url) for name in NAMES}
    variables = {"azure_endpoint": server.url, "api_version": "2024-10-21", "weather": weather}
    return {c.__name__: c for c in (*own, *theirs)} | values | variables


def value_of(name: str, url: str) -> Any:
    if name in ADDRESSES:
        return url
    if name == "openai_client":
        return openai.OpenAI(api_key="k", base_url=url)
    if name == "async_openai_client":
        return openai.AsyncOpenAI(api_key="k", base_url=url)
    return VALUES.get(name, True)


def ask(thing: Any) -> str:
    """Send a request with whatever a line results in; the answer's text."""
    if isinstance(thing, Router):
        return thing.generate("Hi").text
    if isinstance(thing, MultiRoute):
        return thing.complete("Hi").text
    if isinstance(thing, BaseChatModel):
        return str(thing.invoke("Hi").text)
    if inspect.isgenerator(thing):
        return "".join(str(piece.delta or "") if hasattr(piece, "delta") else str(piece.text) for piece in thing)
    if isinstance(thing, AIMessage):
        return str(thing.text)
    if hasattr(thing, "invoke"):  # with tools or a schema
        with contextlib.suppress(ValueError):  # the server's answer is no colour
            thing.invoke("Hi")
        return "Hello."
    if hasattr(thing, "complete"):
        with contextlib.suppress(ValueError):
            thing.complete("Hi")
        return "Hello."
    return str(getattr(thing, "text", None) or thing.message.content)


def line_in(error: ConfigurationError) -> str | None:
    """The line that an error says to write; None if it says to leave the argument out."""
    text = str(error)
    assert "\n" not in text
    assert len(text) < 330
    assert "sk-one" not in text
    if text.endswith("; leave it out."):
        return None
    assert "; write " in text, text
    return text.partition("; write ")[2]


def close(thing: Any) -> None:
    router = getattr(thing, "router", thing)
    if isinstance(router, Router):
        router.close()


@pytest.mark.slow
@pytest.mark.parametrize("owner", CONSTRUCTORS)
@pytest.mark.parametrize("name", NAMES)
def test_each_spelling_works_or_its_line_does(name, owner, namespace, server):
    build = CONSTRUCTORS[owner]
    arguments = {name: namespace[name]} | ({} if name in ("model_name", "model_list") else {"model": "gpt-4.1"})
    try:
        thing = build(**arguments)
    except ConfigurationError as error:
        line = line_in(error)
        arguments.pop(name)
        thing = build(**arguments) if line is None else eval(line, dict(namespace))
    assert ask(thing) == "Hello."
    if "ScriptedProvider" not in repr(thing) and name != "mock_response":
        assert server.requests, "the request went to the server"
    close(thing)


OF_INVOKE = {"stop", "callbacks", "metadata", "tool_choice"}
"""Arguments that LangChain's or LlamaIndex's own methods take, or that need others beside them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_INVOKE])
def test_in_a_call_as_well(name, namespace, server):
    """The three entry points say the same."""
    value = namespace[name]
    route = Route("openai:gpt-4.1")
    router, chat, llm = Router(route), ChatMultiRoute(route), MultiRoute(route)
    outcomes = []
    for call in (
        lambda **options: router.generate("Hi", **options).text,
        lambda **options: chat.invoke("Hi", **options).text,
        lambda **options: llm.complete("Hi", **options).text,
    ):
        try:
            outcomes.append(str(call(**{name: value})))
        except ConfigurationError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[2]
    if name not in ("strict", "tools", "stream", "functions"):  # LangChain's binding takes or reads them itself
        assert outcomes[0] == outcomes[1]
    text = outcomes[0]
    if text in ("Hello.", '{"'):
        return
    if text.endswith("; leave it out."):
        return
    assert "; write " in text, text
    line = text.partition("; write ")[2]
    names = namespace | {"router": router, "routes": [route]}
    if re.match(r"\w+=", line):
        assert router.generate("Hi", **eval(f"dict({line})", names)).text == "Hello."
    elif "=..." not in line:
        result = eval(line.replace("provider:model", "openai:gpt-4.1"), names)
        assert isinstance(result, Route | Router) or ask(result) == "Hello."


def test_the_table_has_a_value_for_each_name_and_no_name_twice():
    assert len(NAMES) == sum(len(row.names) for row in TABLE) >= 100
    assert set(VALUES) <= set(NAMES)


@pytest.mark.parametrize("adapter", [ChatMultiRoute, MultiRoute])
def test_what_works_means_the_same(adapter, namespace, server):
    """What a translated argument becomes, read from the model and from the request that the server got."""
    model = adapter(
        model_name="gpt-4.1",
        max_completion_tokens=50,
        stop_sequences=["END"],
        request_timeout=30,
        num_retries=1,
        stream_chunk_timeout=20,
        openai_api_base=f"{server.url}/elsewhere/v1",
        openai_api_key="sk-one",
        organization="org-1",
        default_headers={"x-team": "a"},
        model_kwargs={"presence_penalty": 0.5},
        frequency_penalty=0.25,
        default_query={"team": "a"},
        drop_params=False,
        fallbacks=["openai:gpt-4o"],
        extra={"openai": {"seed": 7}},
        http_client=None,
    )
    assert ask(model) == "Hello."
    (request,) = server.requests
    body = json.loads(request.body)
    assert request.path == "/elsewhere/v1/chat/completions?team=a"
    assert body["model"] == "gpt-4.1"
    assert (body["max_completion_tokens"], body["stop"], body["seed"]) == (50, ["END"], 7)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0.5, 0.25)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (headers["authorization"], headers["openai-organization"], headers["x-team"]) == (
        "Bearer sk-one",
        "org-1",
        "a",
    )
    router = model.router
    assert [route.name for route in router.routes] == ["openai:gpt-4.1", "openai:gpt-4o"]
    assert (model.deadline, model.max_retries, router.limits.stall) == (30.0, 1, 20.0)
    router.close()


def test_a_router_takes_routes_keys_and_addresses_so_too(namespace, server):
    for router in (
        Router(model="gpt-4.1", base_url=f"{server.url}/v1", api_key="sk-one"),
        Router(model="llama3.2:3b", base_url=f"{server.url}/v1", api_key="sk-one"),
        Router("openai:gpt-4.1", base_url=f"{server.url}/v1", openai_api_key="sk-one", timeout=20),
        Router(model="gpt-4.1", model_provider="openai", api_key="sk-one", fallbacks=["claude-haiku-5-5"]),
    ):
        server.requests.clear()
        assert router.generate("Hi").text == "Hello."
        headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
        assert headers["authorization"] == "Bearer sk-one"
        router.close()
    assert [route.name for route in router.routes] == ["openai:gpt-4.1", "anthropic:claude-haiku-5-5"]


@pytest.mark.parametrize("owner", CONSTRUCTORS)
def test_what_belongs_to_one_route_or_provider_of_several_is_answered_with_the_line(owner, namespace, server):
    build, routes = CONSTRUCTORS[owner], ["openai:gpt-4.1", "anthropic:claude-haiku-5-5"]
    for arguments in (
        {"base_url": f"{server.url}/v1"},
        {"rpm": 60, "temperature": 0.5},
        {"presence_penalty": 0.5},
        {"default_headers": {"x-team": "a"}},
        {"use_responses_api": False},
    ):
        if owner == "Router":
            arguments.pop("temperature", None)
        with pytest.raises(ConfigurationError) as caught:
            build(routes, **arguments)
        line = line_in(caught.value)
        assert line is not None
        thing = eval(line, dict(namespace))
        assert ask(thing) == "Hello."
        close(thing)


@pytest.mark.parametrize("owner", CONSTRUCTORS)
def test_two_names_of_one_argument_are_refused(owner):
    with pytest.raises(ConfigurationError, match="request_timeout and deadline mean the same; pass only one of them"):
        CONSTRUCTORS[owner]("openai:gpt-4.1", api_key="k", request_timeout=5, deadline=5)


def test_keys_and_headers_are_not_shown():
    for owner, build in CONSTRUCTORS.items():
        with pytest.raises(ConfigurationError) as caught:
            build(
                ["openai:gpt-4.1", "anthropic:claude-haiku-5-5"],
                default_headers={"authorization": "Bearer verysecret"},
                openai_api_key="sk-verysecret-0123456789",
                base_url="http://user:verysecret@127.0.0.1/v1",
            )
        assert "verysecret" not in str(caught.value), owner


# Whether the table is complete.


def public_names(model: Any) -> set[str]:
    fields = model.model_fields.items()
    return {name for name, _ in fields} | {field.alias for _, field in fields if field.alias}


LITELLM_COMPLETION = (
    "model messages timeout temperature top_p n stream stream_options stop max_completion_tokens max_tokens modalities "
    "prediction audio presence_penalty frequency_penalty logit_bias user reasoning_effort verbosity response_format seed "
    "tools tool_choice logprobs top_logprobs parallel_tool_calls web_search_options "
    "include_server_side_tool_invocations deployment_id extra_headers safety_identifier service_tier store "
    "prompt_cache_key prompt_cache_retention functions function_call base_url api_version api_key model_list thinking "
    "shared_session enable_json_schema_validation"
).split()
LITELLM_ROUTER = (
    "model_list assistants_config search_tools guardrail_list redis_url redis_host redis_port redis_password redis_db "
    "cache_responses cache_kwargs caching_groups client_ttl polling_interval default_priority num_retries max_fallbacks "
    "timeout stream_timeout default_litellm_params default_max_parallel_requests set_verbose debug_level "
    "default_fallbacks fallbacks context_window_fallbacks content_policy_fallbacks model_group_alias "
    "enable_pre_call_checks enable_tag_filtering tag_filtering_match_any tag_routing_prefix plugins retry_after "
    "retry_policy model_group_retry_policy allowed_fails allowed_fails_policy cooldown_time disable_cooldowns "
    "fallback_on_unsupported_params routing_strategy optional_pre_call_checks routing_strategy_args routing_groups "
    "provider_budget_config alerting_config router_general_settings deployment_affinity_ttl_seconds "
    "model_group_affinity_config ignore_invalid_deployments enable_health_check_routing health_check_staleness_threshold "
    "health_check_ignore_transient_errors background_health_check_model_groups enable_weighted_failover "
    "enable_mid_stream_fallback_continuation fallback_access_check fallback_budget_check auto_router_capability_limit "
    "session_affinity_repin_on_failover"
).split()
"""The signatures of `litellm.completion` and `litellm.Router` (2026-11-29), which is not among the tests' packages."""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (public_names(ChatOpenAI), ChatMultiRoute),
        (public_names(ChatAnthropic), ChatMultiRoute),
        (public_names(OpenAI) | set(inspect.signature(OpenAI).parameters) - {"kwargs"}, MultiRoute),
        (set(inspect.signature(init_chat_model).parameters) - {"kwargs"}, ChatMultiRoute),
        (set(LITELLM_COMPLETION) - {"messages"}, ChatMultiRoute),
        (set(LITELLM_ROUTER), Router),
    ],
    ids=["ChatOpenAI", "ChatAnthropic", "OpenAI", "init_chat_model", "completion", "LiteLLM-Router"],
)
def test_every_argument_of_the_five_libraries_is_known(theirs, ours):
    own = set(inspect.signature(ours).parameters) | set(getattr(ours, "model_fields", {}))
    assert theirs - own - set(NAMES) == set()


def test_rows_name_options_that_exist():
    options = {*inspect.signature(ChatMultiRoute).parameters, "system", "output_schema"}
    for row in TABLE:
        if isinstance(row.action, Rename):
            assert row.action.option in options | {"provider", "fallbacks", "model_list"}, row.names
        if isinstance(row.action, ProviderOption):
            assert row.action.provider in ("openai", "anthropic")
        if isinstance(row.action, LeaveOut):
            assert not row.action.reason.endswith(".")


def test_the_page_shows_the_table():
    """`python -m tests.migration_page > docs/migration.md` writes it anew."""
    assert (ROOT / "docs/migration.md").read_text() == page()
