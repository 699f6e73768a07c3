"""The migration table: other libraries' argument names, and what becomes of each; `docs/migration.md` shows it.

Read in langchain 1.5, langchain-openai 1.7, langchain-anthropic 1.7, llama-index-llms-openai 0.8, LiteLLM (2026-11-29).
"""

from __future__ import annotations

from multiroute_core.migration.actions import (
    ForeignName,
    Invert,
    LeaveOut,
    ProviderKey,
    ProviderOption,
    Rename,
    RouteSetting,
    Write,
    WriteCall,
)

_OPENAI = "ChatOpenAI"
_ANTHROPIC = "ChatAnthropic"
_LLAMA = "LlamaIndex's OpenAI"
_LITELLM = "LiteLLM"
_INIT = "init_chat_model"


def _row(names: str, libraries: str, action: object, note: str = "") -> ForeignName:
    return ForeignName(tuple(names.split()), libraries, action, note)  # pyright: ignore[reportArgumentType]


def _on_the_model(langchain: str, llamaindex: str) -> WriteCall:
    """The line for an argument that only a framework's model takes: the model becomes a route.

    Args:
        langchain: LangChain's model; or another's, which needs a `Route` in LangChain too.
        llamaindex: LlamaIndex's model; empty for the same model inside a `Route`.
    """
    is_langchain = langchain.startswith(("Chat", "Azure"))
    return WriteCall(
        {
            "Router": f"Router(Route(llm={langchain}))",
            "ChatMultiRoute": f"ChatMultiRoute({langchain if is_langchain else f'Route(llm={langchain})'})",
            "MultiRoute": f"MultiRoute({llamaindex or f'Route(llm={langchain})'})",
        },
        "a framework's model takes it, and can be a route",
    )


ALIASES = (
    _row("model_name", f"{_OPENAI}, {_ANTHROPIC}", Rename("model")),
    _row("max_completion_tokens", f"{_OPENAI}, {_LITELLM}", Rename("max_tokens")),
    _row("max_tokens_to_sample", _ANTHROPIC, Rename("max_tokens")),
    _row("max_output_tokens", "ChatGoogleGenerativeAI", Rename("max_tokens")),
    _row("stop_sequences", f"{_OPENAI}, {_ANTHROPIC}", Rename("stop")),
    _row(
        "timeout request_timeout default_request_timeout",
        f"{_OPENAI}, {_ANTHROPIC}, {_LLAMA}, {_LITELLM}",
        Rename("deadline"),
        "Seconds until the caller has a result, retries and fallbacks included; `attempt_timeout` limits one attempt.",
    ),
    _row("num_retries", _LITELLM, Rename("max_retries"), "Rounds over all routes."),
    _row("stream_chunk_timeout", _OPENAI, Rename("stall_timeout")),
    _row(
        "reasoning_effort effort thinking thinking_budget thinking_level",
        f"{_OPENAI}, {_ANTHROPIC}, {_LLAMA}, {_LITELLM}",
        Rename("reasoning"),
        "Every provider's format is accepted for every provider.",
    ),
    _row("system_prompt", _LLAMA, Rename("system")),
    _row("response_format", f"{_OPENAI}, {_LITELLM}", Rename("output_schema")),
    _row("drop_params", _LITELLM, Invert("strict_params"), "Unsupported parameters are dropped by default."),
)
"""Names that only need another word."""

ROUTES = (
    _row(
        "model_provider custom_llm_provider", f"{_INIT}, {_LITELLM}", Rename("provider"), "The part before the colon."
    ),
    _row(
        "base_url openai_api_base api_base openai_base_url anthropic_api_url",
        f"{_OPENAI}, {_ANTHROPIC}, {_LLAMA}, {_LITELLM}",
        RouteSetting("base_url"),
    ),
    _row("api_key", f"{_OPENAI}, {_ANTHROPIC}, {_LLAMA}, {_LITELLM}", Rename("api_key")),
    _row("openai_api_key", _OPENAI, ProviderKey("openai")),
    _row("anthropic_api_key", _ANTHROPIC, ProviderKey("anthropic")),
    _row("google_api_key", "ChatGoogleGenerativeAI", ProviderKey("google")),
    _row("use_responses_api", _OPENAI, RouteSetting("api", {True: "responses", False: "chat"})),
    _row("rpm", _LITELLM, RouteSetting("rpm")),
    _row("tpm", _LITELLM, RouteSetting("tpm")),
    _row("weight", _LITELLM, RouteSetting("weight")),
    _row("max_parallel_requests default_max_parallel_requests", _LITELLM, RouteSetting("max_concurrency")),
    _row("region_name", _LITELLM, RouteSetting("region")),
    _row(
        "fallbacks default_fallbacks",
        _LITELLM,
        Rename("fallbacks"),
        "A list of models; they are appended to the routes.",
    ),
    _row("model_list", _LITELLM, Rename("model_list"), "The routes are `litellm_params.model`, in the same order."),
)
"""Names that belong to the routes."""

PROVIDER_OPTIONS = (
    _row("model_kwargs", f"{_OPENAI}, {_ANTHROPIC}", ProviderOption(None)),
    _row("additional_kwargs", _LLAMA, ProviderOption(None)),
    _row("extra_body", _OPENAI, ProviderOption(None)),
    _row(
        "default_headers extra_headers",
        f"{_OPENAI}, {_ANTHROPIC}, {_LLAMA}, {_LITELLM}",
        ProviderOption("extra_headers"),
    ),
    _row("default_query", _OPENAI, ProviderOption("extra_query")),
    _row(
        "organization openai_organization",
        f"{_OPENAI}, {_LITELLM}",
        ProviderOption("extra_headers", header="OpenAI-Organization"),
    ),
    _row("betas", _ANTHROPIC, ProviderOption("extra_headers", header="anthropic-beta", provider="anthropic")),
    _row("presence_penalty", f"{_OPENAI}, {_LITELLM}", ProviderOption("presence_penalty")),
    _row("frequency_penalty", f"{_OPENAI}, {_LITELLM}", ProviderOption("frequency_penalty")),
    _row("logit_bias", f"{_OPENAI}, {_LITELLM}", ProviderOption("logit_bias")),
    _row("service_tier", f"{_OPENAI}, {_LITELLM}", ProviderOption("service_tier")),
    _row("store", f"{_OPENAI}, {_LITELLM}", ProviderOption("store")),
    _row("truncation", _OPENAI, ProviderOption("truncation")),
    _row("user", f"{_OPENAI}, {_LITELLM}", ProviderOption("user")),
    _row("safety_identifier", _LITELLM, ProviderOption("safety_identifier")),
    _row("prompt_cache_key", _LITELLM, ProviderOption("prompt_cache_key")),
    _row("prompt_cache_retention", _LITELLM, ProviderOption("prompt_cache_retention")),
    _row("prediction", _LITELLM, ProviderOption("prediction")),
    _row("web_search_options", _LITELLM, ProviderOption("web_search_options")),
    _row("modalities", f"{_LLAMA}, {_LITELLM}", ProviderOption("modalities")),
    _row("audio audio_config", f"{_LLAMA}, {_LITELLM}", ProviderOption("audio")),
    _row("verbosity", f"{_OPENAI}, {_LITELLM}", ProviderOption("verbosity")),
    _row("include", _OPENAI, ProviderOption("include")),
    _row("prompt_cache_options", _OPENAI, ProviderOption("prompt_cache_options")),
    _row("user_profile_id", _ANTHROPIC, ProviderOption("user_profile_id", provider="anthropic")),
    _row("top_k", _ANTHROPIC, ProviderOption("top_k", provider="anthropic")),
    _row("mcp_servers", _ANTHROPIC, ProviderOption("mcp_servers", provider="anthropic")),
    _row("container", _ANTHROPIC, ProviderOption("container", provider="anthropic")),
    _row("context_management", f"{_OPENAI}, {_ANTHROPIC}", ProviderOption("context_management", provider="anthropic")),
    _row("inference_geo", _ANTHROPIC, ProviderOption("inference_geo", provider="anthropic")),
)
"""Options that one provider understands."""

_BREAKER = LeaveOut("each route has a circuit breaker, which opens and probes by itself")
_WAITS = LeaveOut("waits follow the provider's Retry-After, else a backoff with jitter")
_CLIENT_SIDE = LeaveOut("it has no effect on requests")
_HISTORY = LeaveOut("each request carries the whole history", (None, False))

NOTHING_TO_SET = (
    _row(
        "enable_health_check_routing health_check_staleness_threshold health_check_ignore_transient_errors "
        "background_health_check_model_groups",
        _LITELLM,
        _BREAKER,
    ),
    _row(
        "assistants_config search_tools guardrail_list plugins router_general_settings optional_pre_call_checks "
        "fallback_access_check fallback_budget_check auto_router_capability_limit default_priority shared_session "
        "include_server_side_tool_invocations enable_json_schema_validation tag_routing_prefix "
        "deployment_affinity_ttl_seconds model_group_affinity_config session_affinity_repin_on_failover "
        "enable_weighted_failover",
        _LITELLM,
        LeaveOut("it has no counterpart"),
    ),
    _row(
        "stream_usage stream_options",
        f"{_OPENAI}, {_ANTHROPIC}, {_LITELLM}",
        LeaveOut("the last chunk always carries usage", (True, None)),
    ),
    _row("n", f"{_OPENAI}, {_LITELLM}", LeaveOut("one response per call; call it n times", (1, None))),
    _row(
        "logprobs top_logprobs",
        f"{_OPENAI}, {_LLAMA}, {_LITELLM}",
        LeaveOut("responses carry no log probabilities", (None, False)),
    ),
    _row("allowed_fails allowed_fails_policy cooldown_time disable_cooldowns", _LITELLM, _BREAKER),
    _row("retry_after retry_policy model_group_retry_policy", _LITELLM, _WAITS),
    _row("max_fallbacks", _LITELLM, LeaveOut("every route is tried once; fallback=False uses only the first")),
    _row("context_window_fallbacks", _LITELLM, LeaveOut("routes whose context window is too small are passed over")),
    _row("enable_pre_call_checks", _LITELLM, LeaveOut("context windows are always checked", (True, False))),
    _row("enable_tag_filtering tag_filtering_match_any", _LITELLM, LeaveOut("calls choose tags with route_tags=")),
    _row("routing_strategy_args routing_groups", _LITELLM, LeaveOut("strategy= also takes a function")),
    _row(
        "client_ttl polling_interval reuse_client",
        f"{_LLAMA}, {_LITELLM}",
        LeaveOut("clients are shared by all calls", (True,)),
    ),
    _row("tiktoken_model_name disabled_params", _OPENAI, _CLIENT_SIDE),
    _row("include_response_headers", _OPENAI, LeaveOut("errors carry request_id and retry_after", (None, False))),
    _row("use_previous_response_id reuse_last_container", f"{_OPENAI}, {_ANTHROPIC}", _HISTORY),
    _row(
        "is_chat_model is_function_calling_model",
        "OpenAILike (LlamaIndex)",
        LeaveOut("the routes' models decide it", (True,)),
    ),
    _row("context_window", "OpenAILike (LlamaIndex)", LeaveOut("the context window of each model is known")),
    _row("disable_streaming", _OPENAI, LeaveOut("the method that you call decides it", (None, False))),
    _row("strict", _LLAMA, LeaveOut("it is an argument of a tool", (None, False))),
    _row(
        "configurable_fields config_prefix", _INIT, LeaveOut("each call takes model= and the other options", (None, ""))
    ),
)
"""Arguments for what needs no setting."""

LINES = (
    _row(
        "http_client",
        f"{_OPENAI}, {_LLAMA}",
        _on_the_model("ChatOpenAI(model={model}, {name}={value})", "OpenAI(model={model}, {name}={value})"),
    ),
    _row(
        "http_async_client",
        _OPENAI,
        _on_the_model("ChatOpenAI(model={model}, {name}={value})", "OpenAI(model={model}, async_http_client={value})"),
    ),
    _row(
        "async_http_client",
        _LLAMA,
        _on_the_model("ChatOpenAI(model={model}, http_async_client={value})", "OpenAI(model={model}, {name}={value})"),
    ),
    _row(
        "openai_client async_openai_client",
        _LLAMA,
        _on_the_model("OpenAI(model={model}, {name}={value})", "OpenAI(model={model}, {name}={value})"),
    ),
    _row(
        "openai_proxy http_socket_options client async_client root_client root_async_client",
        _OPENAI,
        _on_the_model("ChatOpenAI(model={model}, {name}={value})", ""),
    ),
    _row("anthropic_proxy", _ANTHROPIC, _on_the_model("ChatAnthropic(model={model}, {name}={value})", "")),
    _row(
        "api_version openai_api_version",
        f"{_LLAMA}, {_LITELLM}, AzureChatOpenAI",
        _on_the_model(
            "AzureChatOpenAI(azure_endpoint=azure_endpoint, azure_deployment={model}, api_version={value})", ""
        ),
    ),
    _row(
        "azure_endpoint",
        "AzureChatOpenAI",
        _on_the_model("AzureChatOpenAI(azure_endpoint={value}, azure_deployment={model}, api_version=api_version)", ""),
    ),
    _row(
        "azure_deployment deployment_id",
        f"{_LITELLM}, AzureChatOpenAI",
        _on_the_model(
            "AzureChatOpenAI(azure_endpoint=azure_endpoint, azure_deployment={value}, api_version=api_version)", ""
        ),
    ),
    _row(
        "stream",
        f"{_LITELLM}, OpenAI's SDK",
        WriteCall(
            {
                "Router": "{call}.stream('Hello')",
                "ChatMultiRoute": "{call}.stream('Hello')",
                "MultiRoute": "{call}.stream_complete('Hello')",
                "call": "router.stream('Hello')",
            },
            "streams have a method of their own",
        ),
    ),
    _row(
        "streaming",
        f"{_OPENAI}, {_ANTHROPIC}",
        WriteCall(
            {
                "Router": "{call}.stream('Hello')",
                "MultiRoute": "{call}.stream_complete('Hello')",
                "call": "router.stream('Hello')",
            },
            "streams have a method of their own",
        ),
    ),
    _row(
        "tools",
        _LITELLM,
        WriteCall(
            {
                "Router": "{call}.generate('Hello', tools={value})",
                "ChatMultiRoute": "{call}.bind_tools({value})",
                "MultiRoute": "{call}.chat([ChatMessage('Hello')], tools={value})",
            }
        ),
    ),
    _row(
        "tool_choice",
        _LITELLM,
        WriteCall(
            {
                "Router": "{call}.generate('Hello', tools=tools, tool_choice={value})",
                "ChatMultiRoute": "{call}.bind_tools(tools, tool_choice={value})",
                "MultiRoute": "{call}.chat([ChatMessage('Hello')], tools=tools, tool_choice={value})",
            }
        ),
    ),
    _row(
        "functions function_call",
        _LITELLM,
        WriteCall(
            {
                "Router": "{call}.generate('Hello', tools=functions)",
                "ChatMultiRoute": "{call}.bind_tools(functions)",
                "MultiRoute": "{call}.chat([ChatMessage('Hello')], tools=functions)",
                "call": "tools=functions",
            }
        ),
    ),
    _row("content_policy_fallbacks", _LITELLM, Write("fallback_on", "'content_filter'")),
    _row("stream_timeout", _LITELLM, Write("first_token_timeout", "{value}")),
    _row(
        "routing_strategy",
        _LITELLM,
        Write(
            "strategy",
            "'priority'",
            {
                "simple-shuffle": "'weighted'",
                "least-busy": "'least_busy'",
                "latency-based-routing": "'fastest'",
                "cost-based-routing": "'cheapest'",
                "usage-based-routing": "'least_busy'",
                "usage-based-routing-v2": "'least_busy'",
            },
        ),
    ),
    _row("redis_url", _LITELLM, Write("state", "{value}"), "One address for breakers, limits and budgets of a fleet."),
    _row("redis_host", _LITELLM, Write("state", "'redis://{text}:6379/0'")),
    _row(
        "redis_port redis_db redis_password",
        _LITELLM,
        LeaveOut("they are parts of the address: state='redis://:password@host:6379/0'"),
    ),
    _row("cache_responses caching cache_kwargs", _LITELLM, Write("cache", "'memory'")),
    _row("caching_groups", _LITELLM, Write("cache", "CacheConfig(namespace='group')")),
    _row("max_budget", _LITELLM, Write("budget", "Budget(usd={value}, hard=True)")),
    _row("budget_duration", _LITELLM, LeaveOut("it is a part of the budget: Budget(usd=20, per='day')")),
    _row("provider_budget_config", _LITELLM, Write("budget", "Budget(usd=20, per='day', scope='route', hard=True)")),
    _row("set_verbose debug_level verbose", _LITELLM, Write("on_event", "[LogEvents()]")),
    _row(
        "success_callback failure_callback callbacks callback_manager",
        f"{_LITELLM}, frameworks",
        Write("on_event", "[print]"),
    ),
    _row("alerting_config", _LITELLM, Write("budget", "Budget(usd=20, on_alert=print)")),
    _row("mock_response", _LITELLM, Write("routes", "Route('test:model', llm=ScriptedProvider(Answer({value})))")),
    _row("model_group_alias", _LITELLM, Write("routes", "Route({route}, name='alias')")),
    _row(
        "metadata",
        f"{_OPENAI}, {_LITELLM}",
        WriteCall(
            {
                "Router": "{call}.generate('Hello', labels={{'team-a'}})",
                "MultiRoute": "MultiRoute({arguments}, labels={{'team-a'}})",
                "call": "labels={{'team-a'}}",
            }
        ),
    ),
    _row("enable_mid_stream_fallback_continuation", _LITELLM, Write("on_stream_error", "'continue'")),
    _row("fallback_on_unsupported_params", _LITELLM, Write("strict_params", "True")),
    _row("ignore_invalid_deployments", _LITELLM, Write("skip_missing_keys", "True")),
    _row("output_config", _ANTHROPIC, Write("reasoning", "'high'"), "Its effort is `reasoning`."),
    _row(
        "default_litellm_params",
        _LITELLM,
        LeaveOut("ChatMultiRoute and MultiRoute take the options of every call"),
    ),
)
"""Arguments that are written differently."""

TABLE = (*ALIASES, *ROUTES, *PROVIDER_OPTIONS, *NOTHING_TO_SET, *LINES)

BY_NAME = {name: row for row in TABLE for name in row.names}
"""The row of each name."""
