"""The progress bar of LangChain's `batch`: it counts inputs, and adds the cost of every model call in them."""

import asyncio

import pytest
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from langchain_multiroute import ChatMultiRoute, ProgressBar
from multiroute_core import BatchProgress, ConfigurationError, Router, options
from multiroute_core.testing import Answer, Fail, provider_of, scripted_route
from multiroute_core.types import Usage


def chat(**more):
    def behaviour(call):
        return Fail() if "bad" in call.text else Answer("{asked}!", usage=Usage(1_000_000, 1))

    route = scripted_route("a", behaviour, prices={"input": 1.0, "output": 0.0})
    return ChatMultiRoute(router=Router([route], max_retries=0, **more))


def run(chain, inputs, bar, face):
    config = {"callbacks": [bar], "max_concurrency": 3}
    if face == "abatch":
        return asyncio.run(chain.abatch(inputs, config=config, return_exceptions=True))
    return chain.batch(inputs, config=config, return_exceptions=True)


@pytest.mark.parametrize("face", ["batch", "abatch"])
@pytest.mark.parametrize("chained", [False, True])
def test_inputs_are_counted_and_their_cost_added(face, chained):
    heard: list[BatchProgress] = []
    chain, inputs = chat(), ["one", "two", "bad", "three"]
    if chained:
        chain = ChatPromptTemplate.from_messages([("user", "{text}")]) | chain | StrOutputParser()
        inputs = [{"text": text} for text in inputs]
    with ProgressBar(len(inputs), progress=heard.append) as bar:
        answers = run(chain, inputs, bar, face)
    assert sum(isinstance(answer, Exception) for answer in answers) == 1
    assert sorted({progress.done for progress in heard} - {0}) == [1, 2, 3, 4]
    last = bar.progress
    assert (last.done, last.total, last.failed, last.unknown_costs) == (4, 4, 1, 0)
    assert last.cost == pytest.approx(3.0)
    assert last.remaining_seconds == 0


def test_a_chain_of_several_calls_counts_once():
    llm = chat()

    def ask_twice(text: str) -> str:
        return llm.invoke(text).text + llm.invoke(text + "2").text

    chain = RunnableLambda(ask_twice)
    with ProgressBar(2, progress=lambda _: None) as bar:
        chain.batch(["one", "two"], config={"callbacks": [bar]})
    assert (bar.progress.done, bar.progress.failed) == (2, 0)
    assert bar.progress.cost == pytest.approx(4.0)


def test_a_batch_inside_a_run_counts_its_inputs():
    llm = chat()
    bar = ProgressBar(progress=lambda _: None)

    def ask_all(texts: list[str]) -> list[AIMessage]:
        return llm.batch([*texts], config={"callbacks": [bar]})

    outer = RunnableLambda(ask_all)
    with bar:
        outer.invoke(["one", "two", "three"])
    assert (bar.progress.done, bar.progress.total) == (3, None)


def test_hits_of_the_cache_cost_nothing():
    llm = chat(cache="memory")
    llm.invoke("one")
    with ProgressBar(2, progress=lambda _: None) as bar:
        llm.batch(["one", "two"], config={"callbacks": [bar]})
    assert (bar.progress.done, bar.progress.cached) == (2, 1)
    assert bar.progress.cost == pytest.approx(1.0)


def test_options_give_a_whole_batch_its_priority():
    """Of four places, a batch holds three at most, also on LangChain's threads."""
    route = scripted_route("a", Answer(headers=0.02), max_concurrency=4)
    llm = ChatMultiRoute(router=Router([route]))
    most = []
    route_provider = provider_of(route)
    route_provider.on_end = lambda _: most.append(route_provider.in_flight)
    with options(priority="batch"):
        llm.batch([str(n) for n in range(12)], config={"max_concurrency": 12})
    batch = max(most) + 1
    most.clear()
    llm.batch([str(n) for n in range(12)], config={"max_concurrency": 12})
    assert batch <= 3
    assert max(most) + 1 <= 4


def test_what_is_no_setting_is_refused():
    with pytest.raises(ConfigurationError, match="progress='tqdm' is not valid"):
        ProgressBar(3, progress="tqdm")  # pyright: ignore[reportArgumentType]
