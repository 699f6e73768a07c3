"""`Route(llm=…)`: a model of LangChain or LlamaIndex as a route, which names itself."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.embeddings import FakeEmbeddings
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from pydantic import SecretStr

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Route, Router
from multiroute_core.testing import Answer, ScriptedProvider
from tests.chat_server import ask

MODELS = {
    "LangChain": (lambda: FakeListChatModel(responses=["Hi."]), "langchain", "FakeListChatModel"),
    "LlamaIndex": (lambda: MockLLM(max_tokens=1), "llamaindex", "MockLLM"),
}
each = pytest.mark.parametrize("framework", MODELS)


@each
@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream"])
def test_a_router_calls_it(framework, face):
    model = MODELS[framework][0]()
    with Router([Route(llm=model)]) as router:
        assert ask(router, face, "Hello").text


@each
def test_it_names_itself_and_a_route_string_names_it_otherwise(framework):
    build, package, name = MODELS[framework]
    route = Route(llm=build(), tasks={"a"}, timeout=3, weight=2)
    assert (route.model, route.name, route.rate_limit_group) == (name, f"{package}:{name}", f"{package}:{name}")
    assert (route.tasks, route.timeout, route.weight) == (frozenset({"a"}), 3, 2)
    named = Route("openai:gpt-4.1", llm=build())
    assert (named.provider, named.model, named.name) == ("openai", "gpt-4.1", "openai:gpt-4.1")
    assert (named.llm.model.provider, named.llm.model.pattern) == ("openai", "gpt-4.1")
    assert Route(llm=build(), name="mine").name == "mine"


def test_the_names_are_those_that_the_integration_reports():
    route = Route(llm=ChatOpenAI(model="gpt-5", api_key=SecretStr("sk-secret")), prices="openai")
    assert (route.provider, route.model, route.name) == ("openai", "gpt-5", "langchain:gpt-5")
    assert "secret" not in repr(route)
    bound = Route(llm=ChatOpenAI(model="gpt-5", api_key=SecretStr("k")).bind(stop=["x"]))
    assert (bound.model, bound.llm.bound) == ("gpt-5", {"stop": ["x"]})


@each
def test_it_compares_copies_pickles_and_is_not_changed(framework):
    model = MODELS[framework][0]()
    before = model.model_dump()
    route = Route(llm=model, weight=2)
    assert route == Route(llm=model, weight=2)
    assert hash(route) == hash(Route(llm=model, weight=2))
    assert route != Route(llm=model) != Route("openai:gpt-4.1")
    assert copy.copy(route) == route.with_key(None) == route
    for twin in (copy.deepcopy(route), pickle.loads(pickle.dumps(route))):
        assert twin == route or framework == "LlamaIndex", "an LLM of LlamaIndex equals none of its copies"
        assert (repr(twin), hash(twin), type(twin.llm)) == (repr(route), hash(route), type(route.llm))
    assert repr(route).startswith(f"Route(provider={route.provider!r}, model={route.model!r}")
    assert model.model_dump() == before


@each
def test_what_belongs_to_the_model_is_refused(framework):
    model = MODELS[framework][0]()
    settings: tuple[dict[str, Any], ...] = (
        {"api_key": "k"},
        {"base_url": "http://127.0.0.1:9/v1"},
        {"api": "chat"},
        {"sdk": "google-genai"},
    )
    for setting in settings:
        with pytest.raises(ConfigurationError, match=f"set {next(iter(setting))} on {type(model).__name__} itself"):
            Route(llm=model, **setting)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Route(llm=ChatOpenAI), "this is a class; give an instance"),
        (lambda: Route(llm=FakeEmbeddings(size=3)), "a LangChain FakeEmbeddings is not a chat model"),
        (lambda: Route(llm=RunnableLambda(str)), "a LangChain RunnableLambda is not a chat model"),
        (lambda: Route(llm=MockEmbedding(3)), "a LlamaIndex MockEmbedding is not an LLM"),
        (lambda: Route(llm=ScriptedProvider(Answer("x"))), r"needs names: Route\('provider:model', llm=\.\.\.\)"),
        (lambda: Route(llm=object()), "object is neither a LangChain chat model nor a LlamaIndex LLM"),
        (lambda: Route(MockLLM()), r"MockLLM is a framework's model; write Route\(llm=\.\.\.\)"),  # pyright: ignore[reportArgumentType]
        (lambda: Router([MockLLM()]), r"write Route\(llm=\.\.\.\)"),  # pyright: ignore[reportArgumentType]
        (lambda: Route(), "is not a valid route; expected 'provider:model'"),
    ],
)
def test_what_is_no_model_is_refused_with_a_sentence(build, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        build()


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_a_missing_adapter_names_the_extra(framework, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{framework}_multiroute.wrap", None)
    model = FakeListChatModel(responses=["x"]) if framework == "langchain" else MockLLM()
    with pytest.raises(ConfigurationError, match=rf"pip install 'multiroute-llm\[{framework}\]'"):
        Route(llm=model)


def test_both_frameworks_share_a_router():
    with Router([Route(llm=FakeListChatModel(responses=["Hi."])), Route(llm=MockLLM())]) as router:
        assert [route.name for route in router.routes] == ["langchain:FakeListChatModel", "llamaindex:MockLLM"]
        assert ChatMultiRoute(router=router).invoke("Hello").text == "Hi."
        assert MultiRoute(router=router).complete("Hello").text == "Hi."
        assert MultiRoute(router=router, model="MockLLM").complete("Hello").text.startswith("user: Hello")


def test_a_route_without_a_framework_imports_none():
    code = "import sys\nfrom multiroute_core import Route\nfrom multiroute_core.testing import *\n"
    code += "Route('openai:x', llm=ScriptedProvider(Answer('x')))\nprint(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"langchain_core", "llama_index", "langchain_multiroute", "llamaindex_multiroute"} & set(modules)
