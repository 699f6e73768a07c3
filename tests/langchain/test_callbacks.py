"""What chains spend, by our callbacks, by LangChain's own, and as LangSmith hears it."""

import asyncio
import collections
import contextvars
import copy
import gzip
import json
import threading
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_openai import ChatOpenAI
from langsmith import Client, tracing_context
from pydantic import SecretStr

from langchain_multiroute import ChatMultiRoute
from langchain_multiroute import callbacks as our_callbacks
from langchain_multiroute.callbacks import MultiRouteCallbackHandler, get_multiroute_callback
from multiroute_core import AllRoutesFailedError, ConfigurationError, Router, ServerError, StreamInterruptedError, Usage
from multiroute_core.events import AttemptEnded
from multiroute_core.ledger.totals import Figures, Totals
from multiroute_core.testing import Answer, DropConnection, Fail, scripted_route
from multiroute_core.testing.server import ReplayServer, Reply
from tests.langchain.conftest import Weather, get_weather
from tests.vendors.server import ROUTES, WIRES

PRICES = {"input": 10.0, "output": 100.0, "cache_read": 1.0}
TOLD = Usage(1000, 100, cache_read_tokens=400, reasoning_tokens=30)
COST = (600 * 10 + 400 * 1 + 100 * 100) / 1e6
FACES = ("invoke", "ainvoke", "stream", "astream")


def route(name, *script, prices=PRICES, **options):
    return scripted_route(name, script or [Answer(("one ", "two"), usage=TOLD)], prices=prices, **options)


def chat(*routes, **options):
    return ChatMultiRoute(router=Router(routes, **options))


async def ask(llm, face, messages: Any = "Hi", **kwargs: Any) -> Any:
    if face == "invoke":
        return llm.invoke(messages, **kwargs)
    if face == "ainvoke":
        return await llm.ainvoke(messages, **kwargs)
    if face == "stream":
        return list(llm.stream(messages, **kwargs))
    return [chunk async for chunk in llm.astream(messages, **kwargs)]


def tokens(figures):
    return figures.input_tokens, figures.output_tokens


def together(spent):
    """The models' figures are those of all, but for calls that reached no model."""
    return sum(spent.models.values(), Figures())


@pytest.mark.parametrize("face", FACES)
class TestFigures:
    async def test_an_answer(self, face):
        with get_multiroute_callback() as spent:
            await ask(chat(route("a")), face)
        total = spent.total
        assert (
            total
            == spent.models["a"]
            == Figures(
                calls=1,
                answers=1,
                input_tokens=1000,
                output_tokens=100,
                cache_read_tokens=400,
                reasoning_tokens=30,
                known_cost=pytest.approx(COST),  # pyright: ignore[reportArgumentType]  # compared with ==
                prompt_cache_saving=pytest.approx(0.0036),  # pyright: ignore[reportArgumentType]
                attempts=1,
            )
        )
        assert (total.cost, total.total_tokens) == (total.known_cost, 1100)

    async def test_a_fallback(self, face):
        llm = chat(route("a", Fail(ServerError)), route("b"))
        with get_multiroute_callback() as spent:
            await ask(llm, face)
            await ask(llm, face)
        total = spent.total
        assert (total.calls, total.answers, total.attempts, total.failed_attempts) == (2, 2, 4, 2)
        assert (total.fallbacks, total.retries, total.hedges) == (2, 0, 0)
        assert (spent.models["a"].failed_attempts, spent.models["a"].answers) == (2, 0)
        assert (spent.models["b"].fallbacks, spent.models["b"].answers) == (2, 2)
        assert total.cost == pytest.approx(2 * COST)
        assert tokens(total) == (2000, 200)
        assert together(spent) == total

    async def test_the_same_route_again(self, face):
        llm = chat(route("a", Fail(ServerError), Answer(usage=TOLD)), max_retries=2)
        with get_multiroute_callback() as spent:
            await ask(llm, face)
        assert (spent.total.attempts, spent.total.retries, spent.total.fallbacks) == (2, 1, 0)

    async def test_an_unknown_price_is_no_guess(self, face):
        free, known, unknown = route("free", prices={"input": 0, "output": 0}), route("a"), route("b", prices=None)
        with get_multiroute_callback() as spent:
            await ask(chat(unknown), face)
            assert (spent.total.cost, spent.total.unpriced) == (None, 1)
            assert "unknown" in str(spent)
            await ask(chat(free), face)
            assert (spent.total.cost, spent.total.unpriced) == (0.0, 1)
            await ask(chat(known), face)
        assert (spent.total.cost, spent.total.unpriced) == (pytest.approx(COST), 1)
        assert (spent.models["b"].cost, spent.models["a"].unpriced) == (None, 0)
        assert spent.total.uncounted == 0

    async def test_what_the_cache_spares(self, face):
        llm = ChatMultiRoute(routes=[route("a")], cache="memory")
        with get_multiroute_callback() as spent:
            for _ in range(3):
                await ask(llm, face)
        total = spent.total
        assert (total.calls, total.answers, total.attempts, total.cache_hits) == (3, 3, 1, 2)
        assert (total.cost, total.saved_cost) == (pytest.approx(COST), pytest.approx(2 * COST))
        assert (tokens(total), total.unpriced) == ((1000, 100), 0)

    async def test_a_call_that_no_route_answers(self, face):
        llm = chat(route("a", Fail(ServerError)), route("b", Fail(ServerError)), max_retries=0)
        with get_multiroute_callback() as spent:
            with pytest.raises(AllRoutesFailedError):
                await ask(llm, face)
        total = spent.total
        assert (total.calls, total.answers, total.failures) == (1, 0, 1)
        assert (total.attempts, total.failed_attempts, total.fallbacks, total.cost) == (2, 2, 1, 0.0)
        assert {name: row.failures for name, row in spent.models.items()} == {"a": 0, "b": 1}

    async def test_a_call_that_is_refused_before_it_is_sent(self, face):
        with get_multiroute_callback() as spent:
            with pytest.raises(ConfigurationError):
                await ask(chat(route("a")), face, temperature=99)
        assert spent.total == Figures(calls=1, failures=1)
        assert spent.models == {}


@pytest.mark.parametrize("face", ["stream", "astream"])
class TestStreams:
    async def test_one_that_breaks_is_paid_for(self, face):
        with get_multiroute_callback() as spent:
            with pytest.raises(StreamInterruptedError):
                await ask(chat(route("a", DropConnection(usage=TOLD))), face)
        total = spent.total
        assert (total.failures, total.failed_attempts, total.attempts) == (1, 1, 1)
        assert total.cost == total.failed_cost == pytest.approx(COST)
        assert tokens(total) == (0, 0)

    async def test_one_that_another_goes_on_with_is_paid_for_once(self, face):
        llm = chat(route("a", DropConnection(usage=TOLD)), route("b"), on_stream_error="continue")
        with get_multiroute_callback() as spent, get_usage_metadata_callback() as theirs:
            await ask(llm, face)
        total = spent.total
        assert (total.cost, total.failed_cost) == (pytest.approx(2 * COST), pytest.approx(COST))
        assert (total.answers, total.failures, total.fallbacks, total.unpriced) == (1, 0, 1, 0)
        assert tokens(total) == (2000, 200) == (theirs.usage_metadata["b"]["input_tokens"], 200)

    async def test_one_that_broke_with_nothing_told_is_estimated_apart(self, face):
        with get_multiroute_callback() as spent:
            with pytest.raises(StreamInterruptedError):
                await ask(chat(route("a", DropConnection())), face)
        assert spent.total.cost == 0.0
        assert spent.total.estimated_cost > 0

    async def test_a_reader_who_stops(self, face):
        llm = chat(route("a"))

        async def read(until):
            stream: Any = llm.stream("Hi") if face == "stream" else llm.astream("Hi")
            if face == "stream":
                for chunk in stream:
                    if until(chunk):
                        break
                stream.close()
            else:
                async for chunk in stream:
                    if until(chunk):
                        break
                await stream.aclose()

        with get_multiroute_callback() as spent:
            await read(lambda chunk: True)
            assert spent.total == Figures(calls=1, unfinished=1)
            await read(lambda chunk: chunk.usage_metadata is not None)  # all was said: it is an answer
        assert (spent.total.answers, spent.total.unfinished, spent.total.failures) == (1, 1, 0)
        assert (tokens(spent.total), spent.total.cost) == ((1000, 100), pytest.approx(COST))


def test_a_hedge_is_no_fallback():
    totals = Totals()
    lost = {"route": "a", "model": "m", "outcome": "cancelled", "seconds": 1.0, "cost": 0.5}
    won = {"route": "b", "model": "n", "outcome": "success", "seconds": 0.1, "cost": 0.25}
    totals.record_answer("n", TOLD, {"route": "b", "cost": 0.25, "attempts": [lost, won]})
    total = totals.total
    assert (total.hedges, total.fallbacks, total.retries) == (1, 0, 0)
    assert (total.cancelled_attempts, total.failed_attempts) == (1, 0)
    assert (total.cost, total.failed_cost) == (0.75, 0.5)


def test_events_of_the_v3_protocol_count_once():
    with get_multiroute_callback() as spent:
        for _ in chat(route("a")).stream_events("Hi", version="v3"):
            pass
    assert (spent.total.answers, tokens(spent.total), spent.total.attempts) == (1, (1000, 100), 1)


class Witness:
    """What a router's own events tell, to compare with."""

    def __init__(self):
        self.lock, self.attempts, self.cost = threading.Lock(), collections.Counter(), 0.0

    def __call__(self, event):
        if isinstance(event, AttemptEnded):
            with self.lock:
                self.attempts[event.attempt.model, event.attempt.outcome] += 1
                self.cost += event.attempt.cost or 0.0

    def agrees(self, spent):
        rows = spent.models
        assert rows
        for name, row in rows.items():
            tried = {outcome: count for (model, outcome), count in self.attempts.items() if model == name}
            assert row.attempts == sum(tried.values())
            assert row.failed_attempts == row.attempts - tried.get("success", 0)
        assert spent.total.attempts == self.attempts.total()
        assert spent.total.cost == pytest.approx(self.cost)
        assert together(spent) == spent.total


class TestManyAtOnce:
    def fleet(self):
        """The first route fails with every third call."""
        witness = Witness()
        flaky = scripted_route(
            "a", lambda asked: Fail(ServerError) if asked.number % 3 == 0 else Answer(usage=TOLD), prices=PRICES
        )
        return chat(flaky, route("b"), on_event=[witness]), witness

    @pytest.mark.slow
    def test_threads(self):
        llm, witness = self.fleet()
        spent = MultiRouteCallbackHandler()

        def work():
            for _ in range(25):
                llm.invoke("Hi", config={"callbacks": [spent]})
                for _ in llm.stream("Hi", config={"callbacks": [spent]}):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (spent.total.calls, spent.total.answers) == (400, 400)
        assert tokens(spent.total) == (400_000, 40_000)
        assert spent.total.fallbacks > 0
        witness.agrees(spent)

    async def test_tasks(self):
        llm, witness = self.fleet()
        with get_multiroute_callback() as spent:
            await asyncio.gather(*(ask(llm, ("ainvoke", "astream")[n % 2]) for n in range(60)))
        assert (spent.total.answers, tokens(spent.total)) == (60, (60_000, 6_000))
        witness.agrees(spent)

    async def test_batches(self):
        llm, witness = self.fleet()
        chain = ChatPromptTemplate.from_template("{x}") | llm | StrOutputParser()
        asked = [{"x": str(n)} for n in range(20)]
        with get_multiroute_callback() as spent:
            chain.batch(asked)
            await chain.abatch(asked)
            list(chain.batch_as_completed(asked))
            llm.generate([[HumanMessage("Hi")], [HumanMessage("Hello")]])
        assert spent.total.answers == 62
        witness.agrees(spent)

    async def test_tasks_that_count_apart(self):
        llm = chat(route("a"))

        async def work(calls):
            with get_multiroute_callback() as spent:
                for _ in range(calls):
                    await llm.ainvoke("Hi")
            return spent.total.calls

        assert await asyncio.gather(*map(work, range(1, 9))) == list(range(1, 9))

    def test_a_thread_of_ones_own_with_a_copy_of_the_context(self):
        llm = chat(route("a"))
        with get_multiroute_callback() as spent:
            thread = threading.Thread(target=contextvars.copy_context().run, args=(llm.invoke, "Hi"))
            thread.start()
            thread.join()
        assert spent.total.calls == 1


class TestChains:
    async def test_nested_and_parallel_ones(self):
        llm = chat(route("a"))
        inner = ChatPromptTemplate.from_template("{x}") | llm | StrOutputParser()
        outer = RunnableParallel(one=inner, two=RunnableLambda(lambda x: inner.invoke(x))) | (lambda both: both["one"])
        with get_multiroute_callback() as spent:
            outer.invoke({"x": "Hi"})
            await outer.ainvoke({"x": "Hi"})
            list(outer.stream({"x": "Hi"}))
        assert (spent.total.calls, tokens(spent.total)) == (6, (6000, 600))

    def test_several_handlers_and_one_in_several_places(self):
        mine, yours = MultiRouteCallbackHandler(), MultiRouteCallbackHandler()
        llm = ChatMultiRoute(router=Router([route("a")]), callbacks=[mine, yours])
        chain = RunnableLambda(lambda x: llm.invoke(str(x), config={"callbacks": [mine]}))
        with get_multiroute_callback() as outer:
            with get_multiroute_callback() as inner:
                chain.invoke("Hi", config={"callbacks": [mine, inner, outer]})
            llm.invoke("Hi")
        llm.invoke("Hi")
        assert [spent.total.calls for spent in (mine, yours, outer, inner)] == [3, 3, 2, 1]

    def test_blocks_leave_nothing_behind(self):
        llm = chat(route("a"))
        for _ in range(5):
            with get_multiroute_callback() as outer, get_multiroute_callback() as inner:
                llm.invoke("Hi")
            assert (outer.total.calls, inner.total.calls) == (1, 1)
        depths = len(our_callbacks._SCOPES)
        with pytest.raises(KeyError), get_multiroute_callback() as spent:
            raise KeyError
        llm.invoke("Hi")
        assert spent.total.calls == 0
        assert len(our_callbacks._SCOPES) == depths

    def test_a_copied_model_counts_in_the_same_place(self):
        spent = MultiRouteCallbackHandler()
        llm = ChatMultiRoute(router=Router([route("a")]), callbacks=[spent])
        for one in (llm, copy.deepcopy(llm), llm.model_copy(deep=True)):
            one.invoke("Hi")
        assert spent.total.calls == 3

    def test_fallbacks_of_langchains(self):
        llm = chat(route("a", Fail(ServerError)), max_retries=0).with_fallbacks([chat(route("b"))])
        with get_multiroute_callback() as spent:
            llm.invoke("Hi")
        assert (spent.total.calls, spent.total.failures, spent.total.answers) == (2, 1, 1)
        assert (spent.total.attempts, spent.total.cost) == (2, pytest.approx(COST))

    def test_langchains_own_cache_spares_too(self):
        llm = ChatMultiRoute(router=Router([route("a")]), cache=InMemoryCache())
        with get_multiroute_callback() as spent:
            for _ in range(3):
                llm.invoke("Hi")
        total = spent.total
        assert (total.answers, total.cache_hits, total.attempts) == (3, 2, 1)
        assert (total.cost, total.saved_cost) == (pytest.approx(COST), pytest.approx(2 * COST))
        assert tokens(total) == (1000, 100)


class TestVendors:
    """On every wire the figures are those of the answers, and LangChain's own counter says the same."""

    @pytest.mark.parametrize("wire", WIRES)
    async def test_tokens_and_models(self, server, wire):
        llm = ChatMultiRoute(routes=server.routes(wire, dead_first=True))
        with get_multiroute_callback() as spent, get_usage_metadata_callback() as theirs:
            for face in FACES:
                await ask(llm, face, "Add 3 and 4.")
            llm.with_structured_output(Weather).invoke("The weather in Paris.")
            list(llm.with_structured_output(Weather, method="function_calling").stream("The weather in Paris."))
        dead, model = (named.partition(":")[2] for named in reversed(ROUTES[wire]))
        assert set(theirs.usage_metadata) == {model}
        told, row = theirs.usage_metadata[model], spent.models[model]
        assert (row.input_tokens, row.output_tokens) == (told["input_tokens"], told["output_tokens"])
        assert row.cache_read_tokens == told.get("input_token_details", {}).get("cache_read", 0)
        assert row.reasoning_tokens == told.get("output_token_details", {}).get("reasoning", 0)
        assert (row.answers, row.cost > 0, spent.total.unpriced) == (6, True, 0)
        assert spent.models[dead].failed_attempts == sum(seen.status >= 500 for seen in server.seen) > 0

    @pytest.mark.parametrize("streaming", [False, True])
    async def test_an_agent(self, server, streaming):
        witness = Witness()
        llm = ChatMultiRoute(router=Router(server.routes("chat", "anthropic", dead_first=True), on_event=[witness]))
        agent = create_agent(llm, [get_weather])
        asked: Any = {"messages": [HumanMessage("Get the weather in Paris.")]}
        with get_multiroute_callback() as spent, get_usage_metadata_callback() as theirs:
            if streaming:
                async for _ in agent.astream(asked, stream_mode=["messages", "updates"]):
                    pass
            else:
                agent.invoke(asked)
        told = theirs.usage_metadata["gpt-4o"]
        assert spent.total.answers == 2
        assert tokens(spent.total) == (told["input_tokens"], told["output_tokens"])
        witness.agrees(spent)

    @pytest.mark.slow
    def test_others_in_the_same_chain_count_by_their_usage_with_no_price(self, server):
        with httpx.Client() as client:
            theirs = ChatOpenAI(
                model="gpt-4o-mini",
                base_url=f"{server.url}/v1",
                api_key=SecretStr("k"),
                max_retries=0,
                http_client=client,
            )
            chain = theirs | StrOutputParser() | ChatMultiRoute(routes=[server.route("chat")])
            with get_multiroute_callback() as spent, get_usage_metadata_callback() as counter:
                chain.invoke("Hi")
                server.dead.add("chat")
                with pytest.raises(Exception, match="server had an error"):
                    theirs.invoke("Hi")
        assert set(spent.models) == {"gpt-4o-mini", "gpt-4o"} == set(counter.usage_metadata)
        row = spent.models["gpt-4o-mini"]
        assert tokens(row) == tuple(counter.usage_metadata["gpt-4o-mini"][k] for k in ("input_tokens", "output_tokens"))
        assert (row.cost, row.unpriced, row.attempts) == (None, 1, 0)
        assert (spent.total.failures, spent.total.unpriced) == (1, 1)
        assert spent.total.cost == spent.models["gpt-4o"].cost > 0

    def test_a_model_that_tells_nothing(self):
        with get_multiroute_callback() as spent:
            GenericFakeChatModel(messages=iter([AIMessage("Hi")])).invoke("Hi")
        assert spent.models == {"unknown": Figures(calls=1, answers=1, uncounted=1, unpriced=1)}

    @pytest.mark.parametrize("face", ["invoke", "stream"])
    async def test_a_model_of_langchains_as_a_route_counts_once(self, server, face):
        with httpx.Client() as client:
            inner = ChatOpenAI(
                model="gpt-4o",
                base_url=f"{server.url}/v1",
                api_key=SecretStr("k"),
                max_retries=0,
                http_client=client,
                stream_usage=True,
            )
            with get_multiroute_callback() as spent:
                await ask(ChatMultiRoute(routes=[inner]), face)
        assert (len(server.seen), spent.total.calls, spent.total.attempts) == (1, 1, 1)
        assert tokens(spent.total) > (0, 0)


class TestTelling:
    def spent(self):
        spent = MultiRouteCallbackHandler()
        llm = ChatMultiRoute(routes=[route("<a>", Fail(ServerError)), route("b")], cache="memory", callbacks=[spent])
        llm.invoke("Hi")
        llm.invoke("Hi")
        return spent

    def test_text(self):
        text = str(self.spent())
        for part in (
            "2 calls: 2 answers, 0 failures",
            "1,000 in (400 from provider caches), 100 out (30 reasoning)",
            "Cost: $0.0164",
            "2 attempts, 1 failed, 1 fallback, 0 retries",
            "1 hit, $0.0164 saved",
        ):
            assert part in text
        assert repr(self.spent()) == "<MultiRouteCallbackHandler: 2 calls: 2 answers, 0 failures, $0.0164>"

    def test_a_table(self):
        html = self.spent()._repr_html_()
        assert "&lt;a&gt;" in html
        assert "<a>" not in html
        assert html.count("<tr>") == 4

    def test_json(self):
        spent = self.spent()
        told = json.loads(json.dumps(spent.to_dict()))
        assert told["total"]["cost"] == pytest.approx(COST)
        assert told["models"]["b"]["total_tokens"] == 1100
        assert told["models"]["<a>"]["failed_attempts"] == 1
        spent.reset()
        assert spent.to_dict() == {"total": Figures().to_dict(), "models": {}}


def test_get_openai_callback(server):
    community = pytest.importorskip("langchain_community.callbacks", reason="langchain-community is not installed")
    llm = ChatMultiRoute(routes=[server.route("chat")])
    with community.get_openai_callback() as theirs, get_multiroute_callback() as spent:
        llm.invoke("Hi")
        list(llm.stream("Hi"))
    assert (theirs.prompt_tokens, theirs.completion_tokens) == tokens(spent.total)
    assert theirs.successful_requests == 2


class TestLangSmith:
    """Its client, with tracing really on, sends to a server in this process."""

    @pytest.fixture
    def smith(self):
        with ReplayServer(Reply(202, {"content-type": "application/json"}, b"{}")) as server:
            yield server

    @staticmethod
    def runs(smith):
        """The runs as the server would know them: what was posted, and then changed."""
        found = {}
        for received in smith.requests:
            if received.path != "/runs/batch":
                continue
            body = gzip.decompress(received.body) if received.body[:2] == b"\x1f\x8b" else received.body
            sent = json.loads(body)
            for run in [*sent.get("post", ()), *sent.get("patch", ())]:
                found.setdefault(run["id"], {}).update({k: v for k, v in run.items() if v is not None})
        return found.values()

    @pytest.mark.parametrize("face", FACES)
    async def test_it_hears_the_model_that_answered_and_its_tokens_once(self, server, smith, face):
        llm = ChatMultiRoute(routes=server.routes("chat", "google"))
        server.dead.add("chat")
        chain = ChatPromptTemplate.from_template("{x}") | llm
        sending = {"use_multipart_endpoint": False, "size_limit": 100, "size_limit_bytes": None}
        threads = {"scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 1, "scale_down_nempty_trigger": 4}
        client = Client(api_url=smith.url, api_key="k", info={"batch_ingest_config": {**sending, **threads}})
        try:
            with tracing_context(enabled=True, client=client, project_name="p"), get_multiroute_callback() as spent:
                await ask(chain, face, {"x": "Hi"})
            client.flush(timeout=30)
        finally:
            client.close()
            client.session.close()  # which `close` leaves to the collector
        (run,) = [run for run in self.runs(smith) if run["run_type"] == "llm"]
        about = run["extra"]["metadata"]
        assert (about["ls_provider"], about["ls_model_name"]) == ("google_genai", "gemini-3.8-flash")
        told = about["usage_metadata"]
        assert (told["input_tokens"], told["output_tokens"]) == tokens(spent.total) > (0, 0)
        assert run.get("error") is None
        outputs = json.dumps(run["outputs"])
        assert outputs.count('"attempts"') == 1
