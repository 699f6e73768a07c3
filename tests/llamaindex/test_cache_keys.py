"""What LlamaIndex caches by: the ingestion cache's key names the routes and the model, and holds no secret."""

import asyncio
import copy
import json
import pickle

import pytest
from llama_index.core.extractors import SummaryExtractor, TitleExtractor
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.llms.mock import MockLLM
from llama_index.core.schema import Document, TextNode

from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Route, Router
from tests.wire_replies import chat_pair, route, served

SECRET = "sk-very-secret"


def one(**details):
    return Route("openai:gpt-4.1", api_key=SECRET, **details)


LLMS = {
    "a model": lambda: MultiRoute(routes=[one()]),
    "another model": lambda: MultiRoute(routes=[Route("openai:gpt-6-luna", api_key=SECRET)]),
    "another address": lambda: MultiRoute(routes=[one(base_url="https://u:pass@gateway.test:8/v1?key=pass")]),
    "another name": lambda: MultiRoute(routes=[one(name="first")]),
    "two models": lambda: MultiRoute(routes=[one(), Route("anthropic:claude-haiku-5-5", api_key=SECRET)]),
    "the other way round": lambda: MultiRoute(routes=[Route("anthropic:claude-haiku-5-5", api_key=SECRET), one()]),
    "one of two": lambda: MultiRoute(
        routes=[one(), Route("anthropic:claude-haiku-5-5", api_key=SECRET)], model="claude-haiku-5-5"
    ),
    "a temperature": lambda: MultiRoute(routes=[one()], temperature=0.5),
    "a wrapped model": lambda: MultiRoute(routes=[MockLLM()]),
    "a router": lambda: MultiRoute(router=Router([Route("google:gemini-3.8-flash", api_key=SECRET)])),
}
NODES = [TextNode(text="x", id_="1")]


@pytest.mark.parametrize("extractor", [TitleExtractor, SummaryExtractor])
def test_no_two_share_a_key(extractor):
    keys = {name: get_transformation_hash(NODES, extractor(llm=make())) for name, make in LLMS.items()}
    assert len(set(keys.values())) == len(LLMS)


@pytest.mark.parametrize("name", LLMS)
def test_the_same_has_the_same_key_and_no_secret_stands_in_it(name):
    llm, again = LLMS[name](), LLMS[name]()
    assert get_transformation_hash(NODES, TitleExtractor(llm=llm)) == get_transformation_hash(
        NODES, TitleExtractor(llm=again)
    )
    for dump in (llm.to_dict(), llm.model_dump(), TitleExtractor(llm=llm).to_dict()):
        text = json.dumps(dump, default=str)
        assert SECRET not in text
        assert "pass" not in text
        assert all(route.model in text for route in llm.router.routes)


def test_the_key_of_another_api_key_is_the_same():
    other = MultiRoute(routes=[Route("openai:gpt-4.1", api_key="sk-other")])
    assert other.to_dict() == LLMS["a model"]().to_dict()


def test_a_copy_has_the_same(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")  # a pickle holds no keys
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    llm = LLMS["two models"]()
    for made in (copy.copy(llm), llm.model_copy(), pickle.loads(pickle.dumps(llm))):
        assert made.to_dict() == llm.to_dict()


def test_what_a_dump_says_can_be_given_again(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    rebuilt = MultiRoute.from_dict(MultiRoute(routes=["openai:gpt-4.1"], temperature=0.5).to_dict())
    assert rebuilt.temperature == 0.5


@pytest.fixture
def current_loop():
    """The loop that LlamaIndex's sync methods run on: one that they create for want of it is never closed."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.mark.usefixtures("current_loop")
def test_a_pipeline_asks_the_other_model():
    """With one cache for both, the second model's answer is its own."""
    with served(chat_pair({"content": "First."})) as first, served(chat_pair({"content": "Second."})) as second:
        cache = IngestionCache()
        titles = []
        for server, model in ((first, "gpt-4.1"), (second, "gpt-4.1-mini"), (first, "gpt-4.1")):
            own = Route(f"openai:{model}", api_key="k", base_url=f"{server.url}/v1")
            pipeline = IngestionPipeline(transformations=[TitleExtractor(llm=MultiRoute(routes=[own]))], cache=cache)
            (node,) = pipeline.run(documents=[Document(text="x", id_="1")])
            titles.append(node.metadata["document_title"])
        assert titles == ["First.", "Second.", "First."]
        asked = len(first.bodies)
        assert asked == len(second.bodies)


@pytest.mark.parametrize("name", ["openai", "mock"])
def test_extra_of_an_unknown_integration_is_still_told(name):
    with served(chat_pair({"content": "ok"})) as server:
        llm = MultiRoute(routes=[route(server, "openai.chat")])
        if name == "openai":
            llm.complete("Hi", extra={"openai": {"service_tier": "flex"}})
            assert server.bodies[0]["service_tier"] == "flex"
        else:
            with pytest.raises(Exception, match="mock"):
                llm.complete("Hi", extra={"mock": {}})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("router", {"guards": [lambda text: None]}),
        ("router", {"on_event": [lambda event: None]}),
        ("accept", {"accept": lambda response: True}),
        ("fallback_on", {"fallback_on": lambda response: False}),
    ],
)
def test_a_pickle_never_goes_without_guards_and_checks(name, options, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    llm = MultiRoute(["openai:gpt-4.1"], **options)
    attribute = getattr(llm, name)
    with pytest.raises(ConfigurationError, match=f"cannot be pickled, because its {name} holds"):
        pickle.dumps(llm)
    assert getattr(llm, name) is attribute, "the original is as it was"
