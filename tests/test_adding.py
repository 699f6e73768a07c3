"""Adding is local: a provider that speaks Chat Completions is one row, a strategy is one entry of a registry."""

import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from llama_index.core.llms import ChatMessage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import AuthenticationError, ConfigurationError, Options, Route, Router, Usage, options
from multiroute_core.pricing.prices import Prices
from multiroute_core.provider_table import OTHER_PRICE_LISTS, PROVIDERS, ProviderSpec, known_names
from multiroute_core.providers import models
from multiroute_core.routing import strategies
from multiroute_core.routing.affinity import SortCriterion
from multiroute_core.routing.strategies import STRATEGIES, Strategy
from multiroute_core.telemetry.spans import target
from multiroute_core.testing.server import ReplayServer
from tests.chat_server import answer, error

ROOT = Path(__file__).parent.parent
MODEL = "acme-large"


@pytest.fixture
def acme(monkeypatch):
    """A provider that exists in the table only: its server, and its key in the environment."""
    with ReplayServer(answer("Hello from Acme.", MODEL)) as server:
        row = ProviderSpec(
            "acme",
            aliases=("acme_ai",),
            key_variables=("ACME_API_KEY",),
            default_model=MODEL,
            base_url=f"{server.url}/v1",
            base_url_variable="ACME_BASE_URL",
            model_patterns=("acme-*",),
            telemetry_name="acme.inference",
            langchain_name="acmeai",
        )
        monkeypatch.setitem(PROVIDERS, row.name, row)
        monkeypatch.setenv("ACME_API_KEY", "a-key-of-acme")
        yield server


class TestARow:
    """What one row gives."""

    def test_plain(self, acme):
        with Router([f"acme:{MODEL}"]) as router:
            response = router.generate("Hello")
        assert (response.text, response.provider, response.model) == ("Hello from Acme.", "acme", MODEL)
        assert acme.requests[0].path == "/v1/chat/completions"
        assert acme.requests[0].headers["authorization"] == "Bearer a-key-of-acme"

    def test_streamed(self, acme):
        with Router([f"acme_ai:{MODEL}"]) as router:
            chunks = list(router.stream("Hello", max_tokens=9))
        assert "".join(chunk.text for chunk in chunks) == "Hello from Acme."
        # The name of the limit that every compatible server knows.
        assert json.loads(acme.requests[0].body)["max_tokens"] == 9

    @pytest.mark.parametrize("authorization", ["Authorization", "authorization"])
    def test_it_gets_nothing_of_an_account_of_openai(self, acme, monkeypatch, authorization):
        monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-openai")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Team: of-openai\n{authorization}: Bearer of-openai")
        with Router([f"acme:{MODEL}"]) as router:
            assert router.generate("Hello").text == "Hello from Acme."
        headers = acme.requests[0].headers
        assert headers["authorization"] == "Bearer a-key-of-acme"
        assert not [name for name, value in headers.items() if "of-openai" in value]

    @pytest.mark.parametrize("name", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
    def test_a_gateway_of_openai_gets_what_the_environment_sets(self, acme, monkeypatch, name):
        monkeypatch.setenv(name, "of-openai")
        route = Route("openai:gpt-4.1", base_url=f"{acme.url}/v1", api_key="k")
        with Router([route]) as router:
            router.generate("Hello")
        assert "of-openai" in acme.requests[0].headers.values()

    def test_from_the_environment(self, acme):
        with Router() as router:
            assert [route.name for route in router.routes] == [f"acme:{MODEL}"]
            assert router.generate("Hello").text == "Hello from Acme."

    @pytest.mark.parametrize("arguments", [{"routes": [f"acme:{MODEL}"]}, {"model": MODEL}])
    def test_langchain(self, acme, arguments):
        llm = ChatMultiRoute(**arguments)
        message = llm.invoke("Hello")
        assert message.text == "Hello from Acme."
        assert message.response_metadata["model_provider"] == "acmeai"
        assert "".join(chunk.text for chunk in llm.stream("Hello")) == "Hello from Acme."

    @pytest.mark.parametrize("arguments", [{"routes": [f"acme:{MODEL}"]}, {"model": MODEL}])
    def test_llamaindex(self, acme, arguments):
        llm = MultiRoute(**arguments)
        messages = [ChatMessage(role="user", content="Hello")]
        response = llm.chat(messages)
        assert response.message.content == "Hello from Acme."
        assert response.additional_kwargs["provider"] == "acme"
        assert [*llm.stream_chat(messages)][-1].message.content == "Hello from Acme."

    def test_without_a_key_nothing_is_sent(self, acme, monkeypatch):
        monkeypatch.delenv("ACME_API_KEY")
        with pytest.raises(
            ConfigurationError, match=r"Route 'acme:acme-large' has no API key: set ACME_API_KEY, or pass"
        ):
            Router([f"acme:{MODEL}"])
        assert acme.requests == []

    def test_another_address(self, acme, monkeypatch):
        with ReplayServer(answer("From elsewhere.", MODEL)) as other:
            monkeypatch.setenv("ACME_BASE_URL", other.url)
            with Router([f"acme:{MODEL}"]) as router:
                assert router.generate("Hello").text == "From elsewhere."
            with Router([Route(f"acme:{MODEL}", base_url=f"{acme.url}/v1")]) as router:
                assert router.generate("Hello").text == "Hello from Acme."

    def test_the_settings_of_openai_stay_with_openai(self, acme, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-openai")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        with Router([f"acme:{MODEL}"]) as router:
            router.generate("Hello")
        assert acme.requests[0].headers["authorization"] == "Bearer a-key-of-acme"

    def test_options_of_its_own(self, acme):
        with Router([f"acme:{MODEL}"]) as router:
            router.generate("Hello", extra={"acme_ai": {"depth": 3}, "openai": {"user": "u"}})
        body = json.loads(acme.requests[0].body)
        assert body["depth"] == 3
        assert "user" not in body

    def test_errors_name_its_variable(self, acme, caplog):
        acme.serve(error(401, "Wrong key.", "invalid_request_error"))
        with Router([f"acme:{MODEL}"], max_retries=0) as router, pytest.raises(AuthenticationError) as caught:
            router.generate("Hello")
        assert (caught.value.provider, caught.value.route) == ("acme", f"acme:{MODEL}")
        assert "Check ACME_API_KEY." in caplog.text

    def test_a_parameter_that_it_refuses_is_left_out(self, acme):
        acme.serve(
            lambda received: (
                error(
                    400,
                    "Unknown parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                    "invalid_request_error",
                )
                if "max_tokens" in json.loads(received.body)
                else answer("Hello from Acme.", MODEL)(received)
            )
        )
        with Router([f"acme:{MODEL}"]) as router:
            assert router.generate("Hello", max_tokens=9).text == "Hello from Acme."
        assert json.loads(acme.requests[-1].body)["max_completion_tokens"] == 9

    def test_telemetry(self, acme):
        assert target("acme", MODEL)["gen_ai.provider.name"] == "acme.inference"

    def test_prices(self, acme, monkeypatch):
        monkeypatch.setitem(PROVIDERS, "acme", ProviderSpec("acme", price_list="mistral"))
        usage = Usage(input_tokens=1_000, output_tokens=1_000)
        cost = Prices().cost_on(Route("acme:mistral-large-latest"), usage)
        assert cost is not None
        assert cost == Prices().cost("mistral", "mistral-large-latest", usage)

    def test_it_is_unknown_without_the_row(self):
        with pytest.raises(ConfigurationError, match="Unknown provider 'acme'"):
            Route(f"acme:{MODEL}")


class TestTheTable:
    """Every row holds together."""

    def test_names_are_unique(self):
        names = known_names()
        assert len(names) == len(set(names))
        assert all(name == spec.name for name, spec in PROVIDERS.items())
        assert all(re.fullmatch("[a-z_]+", name) for name in names)
        assert not OTHER_PRICE_LISTS.keys() & set(names)

    @pytest.mark.parametrize("spec", PROVIDERS.values(), ids=lambda spec: spec.name)
    def test_a_row(self, spec):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for path, extra in ((spec.provider_class, spec.extra), *spec.sdks.values()):
            module, _, name = path.partition(":")
            assert extra in extras
            if extra != "google-legacy":  # its package does not go together with the newer protobuf
                assert inspect.isclass(getattr(importlib.import_module(module), name))
        assert spec.base_url is None or spec.base_url.startswith("https://")
        assert spec.is_local or (spec.key_variables and spec.default_model)

    @pytest.mark.parametrize(
        "spec", [spec for spec in PROVIDERS.values() if spec.default_model], ids=lambda spec: spec.name
    )
    def test_the_default_model_has_a_price(self, spec):
        assert spec.price_list in {provider.id for provider in get_snapshot().providers}
        route = Route(f"{spec.name}:{spec.default_model}")
        assert Prices().cost_on(route, Usage(input_tokens=1_000, output_tokens=1_000))

    def test_docs_name_every_provider_and_variable(self):
        routing = (ROOT / "docs" / "routing.md").read_text()
        installation = (ROOT / "docs" / "installation.md").read_text()
        assert all(f"`{name}`" in routing and f"`{name}`" in (Route.__doc__ or "") for name in known_names())
        for spec in PROVIDERS.values():
            assert all(f"`{name}`" in installation for name in spec.key_variables)

    def test_a_model_has_the_facts_of_its_family_everywhere(self):
        model = models.lookup("groq", "openai/gpt-oss-120b")
        assert (model.provider, model.window, model.token_limit) == ("groq", 131_072, "max_tokens")
        assert models.lookup("deepseek", "deepseek-flash").json_schema is False


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mistrall", "did you mean 'mistral'?"),
        ("google_gemini", "did you mean 'google"),
        ("bedrock", "use Route(llm=...)"),
        ("together_ai", "use 'openai:…' with base_url"),
        ("vertexai", "use Route(llm=...)"),
    ],
)
def test_an_unknown_provider_is_refused_with_a_hint(name, hint):
    with pytest.raises(ConfigurationError, match=f"Unknown provider '{name}'") as caught:
        Route(f"{name}:m")
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("prices", "meant"),
    [("xai", "x-ai"), ("gemini", "google"), ("google-genai", "google"), ("mistralai", "mistral"), ("bedrock", "aws")],
)
def test_an_unknown_price_list_is_refused_with_a_hint(prices, meant):
    with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'"):
        Route("openai:m", prices=prices)


class TestAStrategy:
    """What one entry of the registry gives."""

    @pytest.fixture
    def shortest_name(self, monkeypatch):
        def criteria(ranking):
            return (SortCriterion(lambda route: len(route.name), lambda route: f"{len(route.name)} letters"),)

        monkeypatch.setitem(STRATEGIES, "shortest_name", Strategy(criteria, needs_live_stats=False))

    def test_it_ranks(self, shortest_name):
        with ReplayServer(answer()) as server:
            at: dict[str, Any] = {"base_url": f"{server.url}/v1", "api_key": "k"}
            routes = [Route("openai:a", name="long-name", **at), Route("openai:b", name="short", **at)]
            with Router(routes, strategy="shortest_name") as router:
                assert router.generate("Hello").route == "short"
                assert router.generate("Hello", strategy="priority").route == "long-name"
                assert "5 letters" in str(router.explain("Hello"))
            with Router(routes) as router, options(strategy="shortest_name"):
                assert router.generate("Hello").route == "short"

    def test_names_are_known_before_a_router_is_imported(self):
        code = "from multiroute_core.options import options\nwith options(strategy='fastest'): pass"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_its_name_is_suggested(self, shortest_name):
        with pytest.raises(ConfigurationError, match="did you mean 'shortest_name'"), options(strategy="shortest_nam"):
            pass

    def test_it_is_unknown_without_the_entry(self):
        with (
            pytest.raises(ConfigurationError, match="Unknown strategy 'shortest_name'"),
            options(strategy="shortest_name"),
        ):
            pass

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_docs_name_every_strategy(self, name):
        package = importlib.import_module("multiroute_core.routing")
        routing = (ROOT / "docs" / "routing.md").read_text()
        assert all(f'"{name}"' in str(text) for text in (Options.__doc__, Router.__doc__, package.__doc__))
        assert f'"{name}"' in routing or f"`{name}`" in routing

    @pytest.mark.parametrize(
        ("strategy", "needed"),
        [(None, False), ("priority", False), ("cheapest", False), ("fastest", True), (lambda *_: [], True)],
    )
    def test_health_is_read_only_if_needed(self, strategy, needed):
        assert strategies.needs_live_stats(Options(strategy=strategy)) is needed


def test_the_default_timeouts_stand_once():
    defaults = {name: each.default for name, each in inspect.signature(Router).parameters.items()}
    page = (ROOT / "docs" / "settings.md").read_text()
    for name in ("attempt_timeout", "first_token_timeout", "stall_timeout"):
        assert f"| `{name}` | {defaults[name]:g} |" in page
    assert defaults["total_timeout"] is None
