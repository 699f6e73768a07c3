"""Whose prices hold on a route: the provider's whose address is asked, whatever wire it speaks."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Route, Usage
from multiroute_core.pricing import sellers
from multiroute_core.pricing.prices import Prices

PRICES = Prices()
USAGE = Usage(1_000_000, 100_000)
PROVIDERS = get_snapshot().providers


def listed(provider: str, model: str) -> Any:
    """The list price of `USAGE` by the library itself."""
    counts = genai_prices.Usage(input_tokens=USAGE.input_tokens, output_tokens=USAGE.output_tokens)
    price = genai_prices.calc_price(counts, model, provider_id=provider)
    return pytest.approx(float(price.total_price), rel=1e-9)


def cost(route: str, address: str | None = None, model: str | None = None, **settings: Any) -> float | None:
    return PRICES.cost_on(Route(route, base_url=address, api_key="k", **settings), USAGE, model=model)


def estimate(route: str, address: str | None = None, model: str | None = None, **settings: Any) -> Any:
    return PRICES.estimate_on(Route(route, base_url=address, api_key="k", **settings), USAGE, model=model)


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com:443/v1/", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com/anthropic", "deepseek"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.x.ai/v1", "x-ai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.together.ai/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://team.openai.azure.com/openai/v1", "azure"),
        ("https://team.services.ai.azure.com/anthropic", "azure"),
        ("https://westeurope.api.cognitive.microsoft.com/", "azure"),
        ("https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1", "aws"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "aws"),
        ("https://vpce-0a1b-xyz.bedrock-runtime.us-east-1.vpce.amazonaws.com", "aws"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "google"),
        ("europe-west4-aiplatform.googleapis.com", "google"),
        ("https://api.moonshot.ai/v1", "moonshotai"),
        ("https://api.moonshot.cn/v1", "moonshotai"),
        ("https://router.huggingface.co/groq/openai/v1", "huggingface_groq"),
        ("https://api.cloudflare.com/client/v4/accounts/a/ai/v1", "cloudflare"),
    ],
)
def test_an_address_is_a_providers(address: str, provider: str) -> None:
    assert sellers.provider_at(address, PROVIDERS) == provider


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost/v1",
        "http://[::1]:11434/v1",
        "http://10.0.0.7/openai",
        "https://llm.example.org/v1",
        "https://api.groq.com.example.org/openai/v1",  # only begins as Groq's does
        "https://api.openai.com@example.org/v1",
        "https://example.org/api.openai.com/v1",
        "https://example.org/.googleapis.com/v1",
        "https://example.org/x.openai.azure.com/v1",
        "https://api.moonshot.example.org/v1",
        "https://api.openai.com:8443/v1",
        "https://eu.api.openai.com/v1",  # regional processing has a surcharge, which the list does not know
        "https://gateway.ai.cloudflare.com/v1/account/gateway/openai",
        "https://",
        "https://[",
        "https://h:port/",
        "",
    ],
)
def test_any_other_address_is_nobodys(address: str) -> None:
    assert sellers.provider_at(address, PROVIDERS) is None


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "https://api.openai.com", "//"]))
def test_no_address_breaks_it(text: str, start: str) -> None:
    provider = sellers.provider_at(start + text, PROVIDERS)
    assert provider is None or any(one.id == provider for one in PROVIDERS)


@pytest.mark.parametrize(
    ("route", "address", "provider", "model"),
    [
        ("openai:openai/gpt-oss-120b", "https://api.groq.com/openai/v1", "groq", "openai/gpt-oss-120b"),
        ("openai:gpt-oss-120b", "https://api.groq.com/openai/v1", "groq", "openai/gpt-oss-120b"),
        ("openai:groq/openai/gpt-oss-120b", "https://api.groq.com/openai/v1", "groq", "openai/gpt-oss-120b"),
        ("openai:llama-3.3-70b-versatile", "https://api.groq.com/openai/v1", "groq", "llama-3.3-70b-versatile"),
        ("anthropic:deepseek-chat", "https://api.deepseek.com/anthropic", "deepseek", "deepseek-chat"),
        ("openai:deepseek-v4-pro", "https://api.deepseek.com", "deepseek", "deepseek-v4-pro"),
        ("openai:mistral-large-latest", "https://api.mistral.ai/v1", "mistral", "mistral-large-latest"),
        ("openai:grok-4.5", "https://api.x.ai/v1", "x-ai", "grok-4.5"),
        ("openai:anthropic/claude-opus-5", "https://openrouter.ai/api/v1", "openrouter", "anthropic/claude-opus-5"),
        ("openai:claude-opus-5", "https://openrouter.ai/api/v1", "openrouter", "anthropic/claude-opus-5"),
        ("openai:openai/gpt-5:nitro", "https://openrouter.ai/api/v1", "openrouter", "openai/gpt-5"),
        ("openai:openai/gpt-5:floor", "https://openrouter.ai/api/v1", "openrouter", "openai/gpt-5"),
        ("openai:gpt-oss-120b", "https://api.together.ai/v1", "together", "openai/gpt-oss-120b"),
        ("openai:deepseek-v4-pro", "https://api.fireworks.ai/inference/v1", "fireworks", "accounts/fireworks/models/deepseek-v4-pro"),
        ("openai:gpt-4o", "https://team.openai.azure.com/openai/v1", "azure", "gpt-4o"),
        ("anthropic:claude-opus-5", "https://team.services.ai.azure.com/anthropic", "azure", "claude-opus-5"),
        ("openai:openai.gpt-oss-120b", "https://bedrock-mantle.us-east-1.api.aws/v1", "aws", "openai.gpt-oss-120b-1:0"),
        ("anthropic:us.anthropic.claude-opus-5", "https://bedrock-runtime.us-east-1.amazonaws.com", "aws", "us.anthropic.claude-opus-5"),
        ("anthropic:global.anthropic.claude-opus-5", "https://bedrock-runtime.us-east-1.amazonaws.com", "aws", "global.anthropic.claude-opus-5"),
        (
            "anthropic:arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-opus-5",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "aws",
            "global.anthropic.claude-opus-5",
        ),
        ("openai:gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta/openai", "google", "gemini-2.5-pro"),
        ("google:publishers/anthropic/models/claude-opus-4-5@20251101", "https://us-east5-aiplatform.googleapis.com", "google", "claude-opus-4-5"),
    ],
)  # fmt: skip
def test_a_route_costs_what_the_provider_at_its_address_asks(
    route: str, address: str, provider: str, model: str
) -> None:
    assert cost(route, address) == listed(provider, model) == cost(route, address, route.partition(":")[2])
    assert estimate(route, address) == cost(route, address)


def test_prices_differ_between_providers_of_one_model() -> None:
    addresses = ("https://api.groq.com/openai/v1", "https://openrouter.ai/api/v1", "https://api.cerebras.ai/v1")
    assert len({cost("openai:gpt-oss-120b", address) for address in addresses}) == 3


@pytest.mark.parametrize(
    ("route", "address"),
    [
        ("openai:accounts/me/deployedModels/gpt-oss-120b-1", "https://api.fireworks.ai/inference/v1"),
        ("openai:prod-gpt5", "https://team.openai.azure.com/openai/v1"),
        ("openai:openai/gpt-4o:online", "https://openrouter.ai/api/v1"),  # searches are charged besides
        ("openai:claude-opus-5", "https://api.deepseek.com"),
        ("openai:gpt-4o", "https://api.groq.com/openai/v1"),
        ("anthropic:claude-of-my-own", None),
    ],
)
def test_a_name_that_a_provider_does_not_list_is_unknown(route: str, address: str | None) -> None:
    assert cost(route, address) is None is estimate(route, address)


class TestOpenRoutersFreeModels:
    ADDRESS = "https://openrouter.ai/api/v1"

    @pytest.mark.parametrize("name", ["openai/gpt-oss-120b:free", "deepseek/deepseek-chat-v3.1:free", "no/body:free"])
    def test_they_are_free(self, name: str) -> None:
        assert cost(f"openai:{name}", self.ADDRESS) == 0.0
        assert cost(f"openai:{name}", self.ADDRESS, model=name.removesuffix(":free")) == 0.0
        assert cost(f"openai:{name}", self.ADDRESS, model=name) == 0.0

    def test_another_model_that_answers_in_its_place_is_not(self) -> None:
        answered = cost("openai:openai/gpt-oss-120b:free", self.ADDRESS, model="moonshotai/kimi-k2")
        assert answered == listed("openrouter", "moonshotai/kimi-k2")

    def test_the_free_one_that_answers_is(self) -> None:
        assert cost("openai:openai/gpt-oss-120b", self.ADDRESS, model="openai/gpt-oss-120b:free") == 0.0

    def test_nowhere_else(self) -> None:
        assert cost("openai:openai/gpt-oss-120b:free", "http://127.0.0.1:9/v1") is None


UNKNOWN_ADDRESSES = ("http://127.0.0.1:8000/v1", "http://localhost:11434/v1", "https://litellm.corp.example/v1")


@pytest.mark.parametrize("address", UNKNOWN_ADDRESSES)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-6-sol", "gpt-oss-20b", "llama3", "prod-chat-east", "claude-opus-5"])
def test_openais_wire_at_an_unknown_address_has_no_known_price(address: str, model: str) -> None:
    assert cost(f"openai:{model}", address) is None
    assert cost(f"openai:{model}", address, model="gpt-4o") is None


@pytest.mark.parametrize("address", UNKNOWN_ADDRESSES)
@pytest.mark.parametrize(
    ("route", "vendor"),
    [
        ("anthropic:claude-opus-5", "anthropic"),
        ("anthropic:anthropic/claude-opus-5", "anthropic"),
        ("google:gemini-2.5-pro", "google"),
        ("google:models/gemini-2.5-pro", "google"),
    ],
)
def test_closed_models_on_their_own_wire_keep_their_vendors_price(route: str, vendor: str, address: str) -> None:
    model = route.rpartition("/")[2].rpartition(":")[2]
    assert cost(route, address) == listed(vendor, model)
    assert cost(route, address, model="prod-alias") == listed(vendor, model)


@pytest.mark.parametrize("address", UNKNOWN_ADDRESSES)
@pytest.mark.parametrize(
    "route",
    ["google:gemma-3-27b-it", "google:claude-opus-5", "anthropic:gpt-4o", "anthropic:deepseek-chat", "anthropic:gemini-2.5-pro"],
)  # fmt: skip
def test_other_models_behind_these_wires_have_none(route: str, address: str) -> None:
    assert cost(route, address) is None


@pytest.mark.parametrize(
    ("variable", "route", "model"),
    [
        ("OPENAI_BASE_URL", "openai:gpt-4o", "openai/gpt-4o"),
        ("OPENAI_BASE_URL", "openai:gpt-oss-120b", "openai/gpt-oss-120b"),
        ("ANTHROPIC_BASE_URL", "anthropic:deepseek-v3.2", "deepseek/deepseek-v3.2"),
        ("GOOGLE_GEMINI_BASE_URL", "google:gemma-3-27b-it", "google/gemma-3-27b-it"),
    ],
)
def test_the_sdks_own_variables_are_addresses_too(
    variable: str, route: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Route(route, api_key="k")
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")
    assert Prices().cost_on(asked, USAGE) is None
    assert Prices().cost_on(Route(route, base_url="https://api.openai.com/v1"), USAGE) == PRICES.cost(
        "openai", asked.model, USAGE
    )
    monkeypatch.setenv(variable, "https://openrouter.ai/api/v1")
    assert Prices().cost_on(asked, USAGE) == listed("openrouter", model)
    monkeypatch.setenv(variable, "")
    assert Prices().cost_on(asked, USAGE) == PRICES.cost(asked.provider, asked.model, USAGE)


class TestEstimates:
    @pytest.mark.parametrize("address", UNKNOWN_ADDRESSES)
    @pytest.mark.parametrize(
        ("name", "vendor", "model"),
        [
            ("gpt-4o", "openai", "gpt-4o"),
            ("gpt-4o-2024-08-06", "openai", "gpt-4o"),
            ("gpt-5", "openai", "gpt-5"),
            ("gpt-6-sol", "openai", "gpt-6-sol"),
            ("o3", "openai", "o3"),
            ("openai/gpt-4o", "openai", "gpt-4o"),
            ("azure/gpt-4o", "openai", "gpt-4o"),
            ("claude-opus-5", "anthropic", "claude-opus-5"),
            ("gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ],
    )
    def test_a_closed_model_behind_a_gateway_has_its_vendors_list_price(
        self, name: str, vendor: str, model: str, address: str
    ) -> None:
        assert cost(f"openai:{name}", address) is None
        amount = estimate(f"openai:{name}", address)
        assert amount == listed(vendor, model)
        assert "estimate" in amount.source and "genai-prices" in amount.source
        assert estimate("openai:prod-chat-east", address, model=name) == listed(vendor, model)
        assert estimate(f"openai:{name}", address, model="prod-chat-east") == listed(vendor, model)

    @pytest.mark.parametrize("address", UNKNOWN_ADDRESSES)
    @pytest.mark.parametrize(
        "name",
        ["gpt-oss-120b", "openai/gpt-oss-20b", "qwen3", "llama3", "prod", "gpt-of-my-own", "me/gpt-4o", "gemma-3"],
    )
    def test_open_and_unknown_models_have_none(self, name: str, address: str) -> None:
        assert estimate(f"openai:{name}", address) is None

    def test_what_is_known_is_no_estimate(self) -> None:
        for route in (Route("openai:gpt-4o", api_key="k"), Route("local:smollm2")):
            known, guess = PRICES.cost_on(route, USAGE), PRICES.estimate_on(route, USAGE)
            assert known is not None and guess is not None
            assert (guess, guess.source) == (known, known.source)

    def test_a_usage_without_a_half_has_none(self) -> None:
        route = Route("openai:gpt-4o", base_url=UNKNOWN_ADDRESSES[0])
        for usage in (None, Usage(), Usage(5), Usage(None, 5)):
            assert PRICES.estimate_on(route, usage) is None

    def test_a_routes_own_prices_are_no_reason_to_guess(self) -> None:
        route = Route("openai:gpt-4o", base_url=UNKNOWN_ADDRESSES[0], prices={"input": 1, "output": 1})
        assert PRICES.estimate_on(route, Usage(10, 10, cache_read_tokens=11)) is None


class TestAnsweredModel:
    AZURE = "https://team.openai.azure.com/openai/v1"

    def test_a_known_one_wins(self) -> None:
        assert cost("openai:prod", self.AZURE, model="gpt-5-2025-08-07") == listed("azure", "gpt-5")
        assert cost("openai:gpt-4o", model="gpt-4.1") == listed("openai", "gpt-4.1")

    @pytest.mark.parametrize("alias", ["prod-chat-east", "m", "gpt-4o-prod", "", "ünknown/model:x"])
    def test_an_unknown_one_is_priced_as_the_routes(self, alias: str) -> None:
        assert cost("openai:gpt-4o", model=alias) == listed("openai", "gpt-4o")
        assert cost("openai:gpt-4o", self.AZURE, model=alias) == listed("azure", "gpt-4o")

    def test_neither(self) -> None:
        assert cost("openai:prod", self.AZURE, model="prod-2") is None


class TestPricesByName:
    @pytest.mark.parametrize("name", ["openai", "azure", "openrouter", "x-ai", " OpenAI "])
    def test_a_providers_list_prices(self, name: str) -> None:
        provider = name.strip().lower()
        model = {"openrouter": "openai/gpt-4o", "x-ai": "grok-4.5"}.get(provider, "gpt-4o")
        for address in (None, "http://127.0.0.1:9/v1", "https://api.groq.com/openai/v1"):
            assert cost(f"openai:{model}", address, prices=name) == listed(provider, model)
        assert cost("openai:prod", "http://127.0.0.1:9/v1", prices=name, model=model) == listed(provider, model)
        assert cost("openai:prod", "http://127.0.0.1:9/v1", prices=name) is None

    def test_every_provider_of_the_library(self) -> None:
        for provider in PROVIDERS:
            assert Route("openai:m", prices=provider.id).prices == provider.id

    @pytest.mark.parametrize(
        ("name", "nearest"),
        [("openay", "openai"), ("xai", "x-ai"), ("bedrock", "aws"), ("gemini", "google"), ("azure_openai", "azure"),
         ("mistralai", "mistral"), ("together-ai", "together"), ("opnrouter", "openrouter")],
    )  # fmt: skip
    def test_an_unknown_one_is_refused_with_the_nearest(self, name: str, nearest: str) -> None:
        with pytest.raises(ConfigurationError, match=f"{name!r}: did you mean '{nearest}'"):
            Route("openai:gpt-4o", prices=name)

    @pytest.mark.parametrize("name", ["", "?", "q" * 50])
    def test_one_that_is_near_none_is_refused_with_all(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="expected one of anthropic, "):
            Route("openai:gpt-4o", prices=name)

    def test_it_is_copied_pickled_and_printed(self) -> None:
        route = Route("openai:gpt-4o", prices="azure", api_key="secret")
        for twin in (copy.deepcopy(route), pickle.loads(pickle.dumps(route)), route.with_key("other")):
            assert twin.prices == "azure"
        assert "prices='azure'" in repr(route) and "secret" not in repr(route)

    def test_the_local_model_stays_free(self) -> None:
        assert cost("local:smollm2") == 0.0


def via(provider: str, model: str, address: Any = None, **more: Any) -> Route:
    return Route(f"{provider}:{model}", llm=SimpleNamespace(address=address, **more))


class TestModelsOfFrameworks:
    @pytest.mark.parametrize(
        ("words", "provider", "model"),
        [
            (("openai", "openai_like", "openai_responses"), "openai", "gpt-4o"),
            (("azure", "azure_openai", "azure_ai", "azure_inference"), "azure", "gpt-4o"),
            (("anthropic",), "anthropic", "claude-opus-5"),
            (("google", "google_genai", "google_vertexai", "vertex"), "google", "gemini-2.5-pro"),
            (("amazon_bedrock", "bedrock", "bedrock_converse"), "aws", "us.anthropic.claude-opus-5"),
            (("mistral", "mistralai"), "mistral", "mistral-large-latest"),
            (("groq",), "groq", "openai/gpt-oss-120b"),
            (("xai",), "x-ai", "grok-4.5"),
            (("deepseek",), "deepseek", "deepseek-chat"),
            (("together", "together_ai"), "together", "openai/gpt-oss-120b"),
            (("fireworks",), "fireworks", "accounts/fireworks/models/gpt-oss-120b"),
            (("cohere",), "cohere", "command-a"),
            (("openrouter",), "openrouter", "openai/gpt-4o"),
            (("perplexity",), "perplexity", "sonar"),
            (("moonshot",), "moonshotai", "kimi-k2"),
        ],
    )
    def test_their_words_for_providers(self, words: tuple[str, ...], provider: str, model: str) -> None:
        for word in words:
            assert PRICES.cost_on(via(word, model), USAGE) == listed(provider, model), word

    @pytest.mark.parametrize("word", ["ollama", "llama_cpp", "llamacpp", "langchain", "huggingface", "nvidia"])
    def test_others_have_no_prices(self, word: str) -> None:
        assert PRICES.cost_on(via(word, "gpt-4o"), USAGE) is None
        assert PRICES.cost_on(via(word, "llama3", "http://localhost:11434"), USAGE) is None

    def test_an_address_wins(self) -> None:
        groq = "https://api.groq.com/openai/v1/"
        assert PRICES.cost_on(via("openai", "openai/gpt-oss-120b", groq), USAGE) == listed(
            "groq", "openai/gpt-oss-120b"
        )
        here = via("openai", "gpt-4o", "http://localhost:1/v1")
        assert PRICES.cost_on(here, USAGE) is None
        assert PRICES.estimate_on(here, USAGE) == listed("openai", "gpt-4o")
        gateway = via("anthropic", "claude-opus-5", "https://gateway.corp.example")
        assert PRICES.cost_on(gateway, USAGE) == listed("anthropic", "claude-opus-5")

    def test_the_environment_is_not_theirs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        assert Prices().cost_on(via("openai", "gpt-4o"), USAGE) == listed("openai", "gpt-4o")

    @pytest.mark.parametrize("address", [7, b"x", "", [], {}, object()])
    def test_an_attribute_of_that_name_may_be_anything(self, address: Any) -> None:
        assert PRICES.cost_on(via("openai", "gpt-4o", address), USAGE) == listed("openai", "gpt-4o")

    def test_a_provider_of_ones_own_without_one(self) -> None:
        assert PRICES.cost_on(Route("openai:gpt-4o", llm=object()), USAGE) == listed("openai", "gpt-4o")
