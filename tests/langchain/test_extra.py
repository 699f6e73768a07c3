"""`extra` reaches wrapped models by the names of their integrations: their provider's, and their package's."""

import sys
import types

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_multiroute import ChatMultiRoute
from multiroute_core import ConfigurationError
from tests.langchain.faces import FACES, ask, own_timeout
from tests.newer import needed
from tests.wire_replies import chat_pair, route, served

ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")
AzureChatOpenAI = needed("langchain_openai", "AzureChatOpenAI", "langchain-openai is not installed")


class Told(BaseChatModel):
    """A model that says what it is given."""

    seen: list = []

    @property
    def _llm_type(self):
        return "told"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "mistral", "ls_model_name": "m"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("ok"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(kwargs)
        yield ChatGenerationChunk(message=AIMessageChunk(content="ok"))


Told.__module__ = "langchain_mistralai.chat_models"  # as if it were that package's
sys.modules.setdefault("langchain_mistralai", types.ModuleType("langchain_mistralai"))


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", ["mistral", "mistralai"])
async def test_by_its_provider_and_by_its_package(name, face):
    model = Told()
    await ask(ChatMultiRoute(routes=[model], extra={name: {"safe_prompt": True}}), face)
    assert model.seen == [{"safe_prompt": True}]


def test_what_is_another_ones_does_not_reach_it():
    model = Told()
    ChatMultiRoute(routes=[model]).bind(extra={"anthropic": {"service_tier": "x"}}).invoke("Hi")
    assert model.seen == [{}]


@pytest.mark.parametrize("name", ["mistrall", "langchain_mistralai", "cohere"])
def test_a_name_that_nobody_goes_by_is_told(name):
    with pytest.raises(ConfigurationError, match=name):
        ChatMultiRoute(routes=[Told()], extra={name: {"a": 1}}).invoke("Hi")


@pytest.mark.parametrize("face", FACES)
async def test_a_vendors_class_and_a_route_of_the_same_vendor(face):
    with served(chat_pair({"content": "ok"})) as server:
        theirs = ChatOpenAI(
            model="gpt-4.1", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), max_retries=0
        )
        for routes in ([theirs], [route(server, "openai.chat")]):
            await ask(ChatMultiRoute(routes=routes, extra={"openai": {"service_tier": "flex"}}), face)
        assert [body["service_tier"] for body in server.bodies] == ["flex", "flex"]


@pytest.mark.parametrize("name", ["azure", "openai"])
def test_a_class_of_a_package_for_several_providers(name):
    with served(chat_pair({"content": "ok"})) as server:
        theirs = AzureChatOpenAI(
            azure_deployment="gpt-4.1", azure_endpoint=server.url, api_key="k", api_version="2026-01-01", max_retries=0
        )
        ChatMultiRoute(routes=[theirs], extra={name: {"user": "anna"}}).invoke("Hi")
        assert server.bodies[0]["user"] == "anna"
        theirs.root_client.close()  # nothing else closes it
