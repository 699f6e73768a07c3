"""The address that a framework's chat model asks, which says what its answers cost."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, HttpUrl, PrivateAttr

from multiroute_core import Route, Usage
from multiroute_core.pricing.prices import Prices
from multiroute_core.providers.addresses import model_address
from tests.llamaindex.conftest import import_openai

HERE = "http://127.0.0.1:9/v1"
GROQ = "https://api.groq.com/openai/v1"
AZURE: dict[str, Any] = {"azure_endpoint": "https://team.openai.azure.com/", "api_version": "2024-10-21"}
USAGE = Usage(1_000_000, 0)
PRICES = Prices()


def chat_openai(**given: Any) -> Any:
    module = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    return module.AzureChatOpenAI(**given) if "azure_endpoint" in given else module.ChatOpenAI(**given)


def openai(**given: Any) -> Any:
    return import_openai()(**given)


MODELS: dict[str, tuple[Any, str, float | None, float | None]] = {
    # model, address, price of a million tokens read, estimate
    "LangChain OpenAI": (lambda: chat_openai(model="gpt-4o", api_key="k"), "https://api.openai.com/v1", 2.5, 2.5),
    "LangChain elsewhere": (lambda: chat_openai(model="gpt-4o", api_key="k", base_url=HERE), HERE, None, 2.5),
    "LangChain open": (lambda: chat_openai(model="gpt-oss-120b", api_key="k", base_url=HERE), HERE, None, None),
    "LangChain Groq": (lambda: chat_openai(model="gpt-oss-120b", api_key="k", base_url=GROQ), GROQ, 0.15, 0.15),
    "LangChain Azure": (
        lambda: chat_openai(azure_deployment="prod", model="gpt-4o", api_key="k", **AZURE),
        "https://team.openai.azure.com/openai/deployments/prod",
        2.5,
        2.5,
    ),
    "LlamaIndex OpenAI": (lambda: openai(model="gpt-4o", api_key="k"), "https://api.openai.com/v1", 2.5, 2.5),
    "LlamaIndex elsewhere": (lambda: openai(model="gpt-4o", api_key="k", api_base=HERE), HERE, None, 2.5),
}


@pytest.mark.parametrize("case", MODELS)
def test_real_models(case: str) -> None:
    build, address, price, estimate = MODELS[case]
    model = build()
    route = Route(llm=model)
    assert route.llm.address.rstrip("/") == address
    assert PRICES.cost_on(route, USAGE) == price
    assert PRICES.estimate_on(route, USAGE) == estimate


@pytest.mark.parametrize("variable", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_what_langchain_reads_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, HERE)
    route = Route(llm=chat_openai(model="gpt-4o", api_key="k"))
    assert route.llm.address.rstrip("/") == HERE
    assert PRICES.cost_on(route, USAGE) is None


def test_what_llamaindex_reads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", HERE)
    assert PRICES.cost_on(Route(llm=openai(model="gpt-4o", api_key="k")), USAGE) is None


def test_a_routes_own_words_win() -> None:
    llm = openai(model="gpt-4o", api_key="k", api_base=HERE)
    assert PRICES.cost_on(Route(llm=llm, prices="openai"), USAGE) == 2.5
    assert PRICES.cost_on(Route(llm=llm, prices={"input": 7, "output": 7}), USAGE) == 7


def test_a_pickled_one_still_knows() -> None:
    twin = pickle.loads(pickle.dumps(Route(llm=openai(model="gpt-4o", api_key="k", api_base=HERE))))
    assert twin.llm.address == HERE


class Model(BaseModel):
    """What the classes of integrations look like that are not installed."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)
    _client: Any = PrivateAttr(default=None)

    @property
    def client_that_would_be_built(self) -> Any:
        raise AssertionError("a client was built")


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"anthropic_api_url": "https://api.anthropic.com"}, "https://api.anthropic.com"),
        ({"groq_api_base": GROQ}, GROQ),
        ({"endpoint": "https://api.mistral.ai/v1"}, "https://api.mistral.ai/v1"),
        ({"xai_api_base": "https://api.x.ai/v1/"}, "https://api.x.ai/v1/"),
        ({"api_base": "https://api.deepseek.com/v1", "openai_api_base": None}, "https://api.deepseek.com/v1"),
        ({"together_api_base": "https://api.together.xyz/v1/"}, "https://api.together.xyz/v1/"),
        ({"openrouter_api_base": "https://openrouter.ai/api/v1"}, "https://openrouter.ai/api/v1"),
        ({"endpoint_url": "https://bedrock-runtime.us-east-1.amazonaws.com"}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ({"base_url": HttpUrl("http://localhost:11434")}, "http://localhost:11434/"),
        ({"api_endpoint": "europe-west4-aiplatform.googleapis.com"}, "europe-west4-aiplatform.googleapis.com"),
        ({"api_base": "https://api.openai.com/v1", "azure_endpoint": "https://t.openai.azure.com"}, "https://t.openai.azure.com"),
        ({"client": SimpleNamespace(base_url=HERE), "base_url": GROQ}, HERE),
        ({"client": SimpleNamespace(_client=SimpleNamespace(base_url=HERE))}, HERE),
        ({"endpoint": "databricks-claude-opus"}, None),  # a name
        ({"endpoint": 7, "base_url": None, "api_base": "", "host": ["http://x"]}, None),
        ({"proxy_url": HERE, "token_url": HERE, "based_url": HERE}, None),
        ({"client": SimpleNamespace(base_url=None)}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_fields_of_other_integrations(fields: dict[str, Any], address: str | None) -> None:
    assert model_address(Model(**fields)) == address
    assert model_address(SimpleNamespace(**fields)) == address


def test_a_client_that_a_model_keeps_to_itself() -> None:
    model = Model.model_validate({"base_url": GROQ})
    model._client = SimpleNamespace(base_url=HERE)  # pyright: ignore[reportPrivateUsage]
    assert model_address(model) == HERE


class Hostile:
    """An object that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@given(st.dictionaries(st.sampled_from(["client", "_client", "base_url", "api_base", "endpoint"]), st.none() | st.text() | st.integers() | st.builds(Hostile) | st.builds(object)))  # fmt: skip
def test_nothing_that_a_model_holds_breaks_it(fields: dict[str, Any]) -> None:
    address = model_address(SimpleNamespace(**fields))
    assert address is None or address.startswith("http")
    assert model_address(object()) is None
    assert model_address(Hostile()) is None
