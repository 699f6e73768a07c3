"""Provider table: one row per provider, with all facts about it that its API does not determine.

How this works: a route's prefix selects a row. A provider that speaks OpenAI's Chat Completions API is one row and
nothing else; a provider with an API of its own is a row and the folder that its `provider_class` is in. Facts about an
API, such as the content that it can carry, are kept by API in `multiroute_core.providers`; facts about a family of
models are in `multiroute_core.providers.models`. See docs/adding-a-provider.md.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CHAT_COMPLETIONS = "multiroute_core.providers.openai.provider:CompatibleProvider"
"""The class for every other vendor that implements OpenAI's Chat Completions API."""

_OPENAI = "multiroute_core.providers.openai.provider:OpenAIProvider"

_GENAI = "multiroute_core.providers.google.genai:GenaiProvider"
_LEGACY = "multiroute_core.providers.google.legacy:LegacyProvider"


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider.

    Attributes:
        name: The prefix of its routes, in lowercase letters and underscores.
        aliases: Other prefixes for it.
        key_variables: Environment variables of its API key, in order of precedence; empty if it needs no key.
        default_model: Its model in a router without routes; empty if such a router does not use it.
        base_url: Its address; None for the default of its SDK.
        base_url_variable: The environment variable that overrides its address; empty for none.
        sdk_base_url: The default of an SDK that takes the variable for an address even where it is empty; empty
            for other SDKs.
        provider_class: `"module:Class"`, imported for the first route that needs it. The class is called with the API
            key and the base URL or None, that of a local provider with the model.
        extra: The package extra that installs its dependencies.
        apis: The values of `Route(api=)`; empty if it has one API.
        sdks: The values of `Route(sdk=)`, each with its `provider_class` and `extra`; empty if it has one SDK.
        model_patterns: Glob patterns of model names that imply this provider.
        closed_models: Pattern of the models that only the vendor and its partners serve; None if there are none. Models
            with open weights can be served by others.
        price_list: Its id in `genai-prices`; its name by default.
        telemetry_name: Its `gen_ai.provider.name` in OpenTelemetry; its name by default.
        langchain_name: Its `model_provider` in LangChain; its name by default.
        is_local: Whether its models run on this machine: they need neither a key nor an address and cost nothing.
    """

    name: str
    aliases: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    default_model: str = ""
    base_url: str | None = None
    base_url_variable: str = ""
    sdk_base_url: str = ""
    provider_class: str = CHAT_COMPLETIONS
    extra: str = "openai"
    apis: tuple[str, ...] = ()
    sdks: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    model_patterns: tuple[str, ...] = ()
    closed_models: re.Pattern[str] | None = None
    price_list: str = ""
    telemetry_name: str = ""
    langchain_name: str = ""
    is_local: bool = False

    def __post_init__(self) -> None:
        for attribute in ("price_list", "telemetry_name", "langchain_name"):
            object.__setattr__(self, attribute, getattr(self, attribute) or self.name)

    @property
    def speaks_chat_completions(self) -> bool:
        """Whether its API is OpenAI's Chat Completions."""
        return self.provider_class in (CHAT_COMPLETIONS, _OPENAI)


PROVIDERS: dict[str, ProviderSpec] = {
    spec.name: spec
    for spec in (
        # Telemetry names: `GenAiProviderNameValues` of opentelemetry-semantic-conventions 0.66b2. LangChain's names and
        # the model patterns: `init_chat_model` of langchain 1.5.2.
        ProviderSpec(
            "anthropic",
            key_variables=("ANTHROPIC_API_KEY",),
            default_model="claude-sonnet-5-5",
            base_url_variable="ANTHROPIC_BASE_URL",
            sdk_base_url="https://api.anthropic.com",
            provider_class="multiroute_core.providers.anthropic.provider:AnthropicProvider",
            extra="anthropic",
            model_patterns=("claude*",),
            closed_models=re.compile(r"claude-", re.IGNORECASE),
        ),
        ProviderSpec(
            "google",
            aliases=("gemini", "google_genai"),
            key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
            default_model="gemini-3.8-flash",
            base_url_variable="GOOGLE_GEMINI_BASE_URL",
            provider_class=_GENAI,
            extra="google",
            sdks={"google-genai": (_GENAI, "google"), "google-generativeai": (_LEGACY, "google-legacy")},
            model_patterns=("gemini*", "gemma*"),
            closed_models=re.compile(r"gemini-", re.IGNORECASE),
            telemetry_name="gcp.gemini",
            langchain_name="google_genai",
        ),
        ProviderSpec(
            "openai",
            key_variables=("OPENAI_API_KEY",),
            default_model="gpt-6.1-sol",
            base_url_variable="OPENAI_BASE_URL",
            sdk_base_url="https://api.openai.com/v1",
            provider_class=_OPENAI,
            apis=("chat", "responses"),
            model_patterns=("gpt-*", "o[134]*", "chatgpt*"),
            closed_models=re.compile(r"(?:ft:)?(?:gpt-(?!oss)|chatgpt-|codex-|computer-use|o\d)", re.IGNORECASE),
        ),
        ProviderSpec(  # https://docs.mistral.ai/api (2026-11-29)
            "mistral",
            aliases=("mistralai",),
            key_variables=("MISTRAL_API_KEY",),
            default_model="mistral-large-latest",
            base_url="https://api.mistral.ai/v1",
            model_patterns=("mistral*", "mixtral*"),
            telemetry_name="mistral_ai",
            langchain_name="mistralai",
        ),
        ProviderSpec(  # https://api-docs.deepseek.com/quick_start/your_first_api_call (2026-11-29)
            "deepseek",
            key_variables=("DEEPSEEK_API_KEY",),
            default_model="deepseek-flash",
            base_url="https://api.deepseek.com",
            model_patterns=("deepseek*",),
        ),
        ProviderSpec(  # https://docs.x.ai/api and https://docs.x.ai/developers/grok-4-5 (2026-11-29)
            "xai",
            key_variables=("XAI_API_KEY",),
            default_model="grok-4.5",
            base_url="https://api.x.ai/v1",
            model_patterns=("grok*",),
            price_list="x-ai",
            telemetry_name="x_ai",
        ),
        ProviderSpec(  # https://console.groq.com/docs/openai and https://console.groq.com/docs/models (2026-11-29)
            "groq",
            key_variables=("GROQ_API_KEY",),
            default_model="openai/gpt-oss-120b",
            base_url="https://api.groq.com/openai/v1",
        ),
        ProviderSpec(  # https://openrouter.ai/docs/quickstart (2026-11-29)
            "openrouter",
            key_variables=("OPENROUTER_API_KEY",),
            default_model="openai/gpt-5.2",
            base_url="https://openrouter.ai/api/v1",
        ),
        ProviderSpec(
            "local",
            provider_class="multiroute_core.providers.local:LocalProvider",
            extra="local",
            is_local=True,
        ),
    )
}
"""The providers by name, in the order in which a router without routes tries them."""

OTHER_PRICE_LISTS = {
    "amazon_bedrock": "aws",
    "amazon_bedrock_converse": "aws",
    "anthropic_bedrock": "aws",
    "anthropic_vertex": "google",
    "azure_ai": "azure",
    "azure_inference": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "google_anthropic_vertex": "google",
    "google_vertexai": "google",
    "moonshot": "moonshotai",
    "openai_like": "openai",
    "openai_responses": "openai",
    "together_ai": "together",
    "togetherai": "together",
    "vertex": "google",
    "vertexai": "google",
}
"""Names of framework integrations that are no providers here, mapped to the ids that `genai-prices` uses."""


def find_provider(name: str) -> ProviderSpec | None:
    """Return the row of a provider by its name or an alias; None if there is none."""
    if (spec := PROVIDERS.get(name)) is not None:
        return spec
    return next((spec for spec in PROVIDERS.values() if name in spec.aliases), None)


def implied_provider(model: str) -> str | None:
    """Return the provider that a model's name implies, as in LangChain's `init_chat_model`; None if it implies none."""
    for spec in PROVIDERS.values():
        if any(fnmatch.fnmatchcase(model, pattern) for pattern in spec.model_patterns):
            return spec.name
    return None


def canonical_name(name: str) -> str:
    """Return the name of the provider that `name` is an alias of; any other name is returned as it is."""
    spec = find_provider(name)
    return name if spec is None else spec.name


def known_names() -> tuple[str, ...]:
    """Return the names and aliases of all providers, for error messages."""
    aliases = (alias for spec in PROVIDERS.values() for alias in spec.aliases)
    return (*PROVIDERS, *aliases)


def price_list_of(name: str) -> str:
    """Return the `genai-prices` id of a provider or framework integration; the name itself if it has no other."""
    spec = find_provider(name)
    return OTHER_PRICE_LISTS.get(name, name) if spec is None else spec.price_list
