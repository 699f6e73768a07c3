"""LangChain's own tests for ChatOpenAI and ChatAnthropic at a server with routes of another vendor than the client's.

The routes of the client's own vendor, and the vendor itself, are in `scripts/standard`.
"""

from __future__ import annotations

from typing import ClassVar

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from multiroute_core import Router
from multiroute_core.serving import build_app
from tests.langchain.standard import Features, fetched
from tests.serving.servers import running
from tests.vendors.server import ROUTES, VendorServer, Wire

pytestmark = [
    pytest.mark.standard,
    # The clients': models that retire, files without a name, structured output that they serialize.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


class Standard(Features, ChatModelIntegrationTests):
    """A client's standard tests, directly at a vendor of its API or, with `wire`, through a server.

    Attributes:
        api: The API that the client speaks.
        wire: The API of the server's routes; None: there is no server between.
        models: Two routes of each API.
    """

    api: ClassVar[Wire]
    wire: ClassVar[Wire | None] = None
    models: ClassVar[dict[Wire, tuple[str, str]]] = ROUTES
    url: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _download(self, monkeypatch):
        monkeypatch.setattr(httpx, "get", fetched)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "tests")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _serve(cls):
        with VendorServer() as vendors:
            if cls.wire is None:
                cls.url = vendors.url
                yield
                return
            routes = [vendors.route(cls.wire, model.partition(":")[2]) for model in cls.models[cls.wire]]
            with Router(routes) as router, running(build_app(router)) as server:
                cls.url = server.url
                yield

    @property
    def chat_model_class(self):
        return ChatAnthropic if self.api == "anthropic" else ChatOpenAI

    @property
    def chat_model_params(self):
        model = self.models[self.api][0].partition(":")[2] if self.wire is None else "auto"
        if self.api == "anthropic":
            return {"model": model, "base_url": self.url, "api_key": "k"}
        is_responses = self.api == "responses"
        url = f"{self.url}/v1"
        # ChatOpenAI requests the usage of a stream by itself only at OpenAI's own address.
        return {
            "model": model,
            "base_url": url,
            "api_key": "k",
            "use_responses_api": is_responses,
            "stream_usage": True,
        }

    @property
    def model_override_value(self):
        return self.models[self.wire or self.api][1].partition(":")[2]


class TestChatGoogle(Standard):
    api = "chat"
    wire = "google"


class TestResponsesAnthropic(Standard):
    api = "responses"
    wire = "anthropic"


class TestAnthropicResponses(Standard):
    api = "anthropic"
    wire = "responses"
