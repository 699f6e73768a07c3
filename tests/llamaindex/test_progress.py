"""The progress bar of LlamaIndex's `run_jobs`: it counts jobs, and adds the cost of every LLM call in them."""

import asyncio

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.async_utils import run_jobs
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]

from llamaindex_multiroute import MultiRoute, ProgressBar
from multiroute_core import BatchProgress, ConfigurationError, Router
from multiroute_core.testing import Answer, Fail, scripted_route
from multiroute_core.types import Usage


def llm(**more):
    def behaviour(call):
        return Fail() if "bad" in call.text else Answer("ok", usage=Usage(1_000_000, 1))

    route = scripted_route("a", behaviour, prices={"input": 1.0, "output": 0.0})
    return MultiRoute(router=Router([route], max_retries=0, **more))


def ask(model, text):
    return model.achat([ChatMessage(role="user", content=text)])


async def test_jobs_are_counted_and_their_cost_added():
    model, heard = llm(cache="memory"), list[BatchProgress]()
    await ask(model, "one")
    with ProgressBar(progress=heard.append) as bar:
        answers = await run_jobs([ask(model, text) for text in ("one", "two", "three")], workers=2)
    assert [answer.message.content for answer in answers] == ["ok"] * 3
    last = bar.progress
    assert (last.done, last.total, last.failed, last.cached, last.unknown_costs) == (3, 3, 0, 1, 0)
    assert last.cost == pytest.approx(2.0)
    assert sorted({progress.done for progress in heard} - {0}) == [1, 2, 3]
    assert {progress.total for progress in heard} == {3}


async def test_a_job_that_fails_is_counted():
    model = llm()
    with ProgressBar(progress=lambda _: None) as bar:
        with pytest.raises(Exception, match="script"):
            await run_jobs([ask(model, "bad")])
    assert (bar.progress.done, bar.progress.failed) == (1, 1)


async def test_a_query_counts_once_and_batches_inside_jobs_do_not_count():
    model = llm()
    index = SummaryIndex.from_documents([Document(text="A fact."), Document(text="Another one.")])
    engine = index.as_query_engine(llm=model, response_mode="accumulate", use_async=False)

    async def nested():
        return await run_jobs([ask(model, "x"), ask(model, "y")])

    with ProgressBar(progress=lambda _: None) as bar:
        await run_jobs([engine.aquery("What?"), nested()])
    assert (bar.progress.done, bar.progress.total) == (2, 2)
    assert bar.progress.cost == pytest.approx(4.0)


async def test_jobs_of_others_are_not_counted_and_handlers_are_removed():
    model, dispatcher = llm(), get_dispatcher()
    before = [*dispatcher.span_handlers], [*dispatcher.event_handlers]
    begin = asyncio.Event()

    async def others():
        await begin.wait()
        await run_jobs([ask(model, "x"), ask(model, "y")])

    task = asyncio.create_task(others())
    with ProgressBar(progress=lambda _: None) as bar:
        begin.set()
        await run_jobs([ask(model, "one")])
        await task
    assert (bar.progress.done, bar.progress.total) == (1, 1)
    assert bar.progress.cost == pytest.approx(1.0)
    assert ([*dispatcher.span_handlers], [*dispatcher.event_handlers]) == before


def test_what_is_no_setting_is_refused():
    with pytest.raises(ConfigurationError, match="progress='tqdm' is not valid"):
        ProgressBar(progress="tqdm")  # pyright: ignore[reportArgumentType]
