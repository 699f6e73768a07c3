"""What LlamaIndex's calls come to: the cost handler, the events, and LlamaIndex's own token counter beside them."""

import asyncio
import collections
import copy
import threading
from typing import Any

import pytest
from llama_index.core import Document, PromptTemplate, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index.core.llms import MockLLM

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.callbacks import (
    AttemptEvent,
    CacheHitEvent,
    CostEvent,
    CostHandler,
    FallbackEvent,
    MultiRouteEventHandler,
    MultiRouteSpanHandler,
)
from multiroute_core import AllRoutesFailedError, Router, ServerError, StreamInterruptedError
from multiroute_core.events import AttemptEnded
from multiroute_core.ledger.totals import Figures
from multiroute_core.testing import Answer, DropConnection, Fail, scripted_route
from tests.llamaindex.conftest import HELLO, PRICES, TOLD, Weather, ask, get_weather, import_openai, route
from tests.vendors.server import ROUTES, WIRES

COST = (1000 * 10 + 100 * 100) / 1e6
FACES = (
    "chat",
    "achat",
    "stream_chat",
    "astream_chat",
    "complete",
    "acomplete",
    "stream_complete",
    "astream_complete",
)
OURS = (AttemptEvent, FallbackEvent, CacheHitEvent, CostEvent)


@pytest.fixture
def spent():
    return CostHandler()


@pytest.fixture
def counter():
    return TokenCountingHandler(tokenizer=lambda text: [0] * 1_000_000)


@pytest.fixture
def manager(spent, counter):
    return CallbackManager([spent, counter])


def tokens(figures):
    return figures.input_tokens, figures.output_tokens


def counted(counter):
    return counter.prompt_llm_token_count, counter.completion_llm_token_count


@pytest.mark.parametrize("face", FACES)
class TestFigures:
    async def test_an_answer_after_a_fallback(self, spent, counter, manager, face):
        llm = MultiRoute(router=Router([route("a", Fail(ServerError)), route("b")]), callback_manager=manager)
        await ask(llm, face)
        assert spent.models == {
            "a": Figures(attempts=1, failed_attempts=1),
            "b": Figures(
                calls=1,
                answers=1,
                input_tokens=1000,
                output_tokens=100,
                known_cost=pytest.approx(COST),  # pyright: ignore[reportArgumentType]  # compared with ==
                attempts=1,
                fallbacks=1,
            ),
        }
        assert counted(counter) == tokens(spent.total) == (1000, 100)
        assert spent.total.cost == pytest.approx(COST)

    async def test_what_the_cache_spares(self, spent, counter, manager, face):
        llm = MultiRoute(routes=[route("a")], cache="memory", callback_manager=manager)
        for _ in range(3):
            await ask(llm, face)
        total = spent.total
        assert (total.calls, total.attempts, total.cache_hits) == (3, 1, 2)
        assert (total.cost, total.saved_cost) == (pytest.approx(COST), pytest.approx(2 * COST))
        assert counted(counter) == tokens(total) == (1000, 100)

    async def test_a_call_that_no_route_answers(self, spent, manager, face):
        routes = [route("a", Fail(ServerError)), route("b", Fail(ServerError))]
        llm = MultiRoute(router=Router(routes, max_retries=0), callback_manager=manager)
        with pytest.raises(AllRoutesFailedError):
            await ask(llm, face)
        total = spent.total
        assert (total.calls, total.failures, total.answers) == (1, 1, 0)
        assert (total.attempts, total.failed_attempts, total.fallbacks, total.cost) == (2, 2, 1, 0.0)

    async def test_an_unknown_price_is_no_guess(self, spent, manager, face):
        await ask(MultiRoute(routes=[route("a", prices=None)], callback_manager=manager), face)
        assert (spent.total.cost, spent.total.unpriced, spent.total.uncounted) == (None, 1, 0)


@pytest.mark.parametrize("face", ["stream_chat", "astream_chat", "stream_complete"])
class TestStreams:
    async def test_one_that_breaks_is_paid_for(self, spent, manager, face):
        llm = MultiRoute(router=Router([route("a", DropConnection(usage=TOLD))]), callback_manager=manager)
        with pytest.raises(StreamInterruptedError):
            await ask(llm, face)
        assert (spent.total.failures, spent.total.failed_attempts) == (1, 1)
        assert spent.total.cost == spent.total.failed_cost == pytest.approx(COST)

    async def test_a_reader_who_stops(self, spent, manager, face):
        llm = MultiRoute(routes=[route("a")], callback_manager=manager)
        if face == "astream_chat":
            stream = await llm.astream_chat(HELLO)
            await anext(stream)
            await stream.aclose()
        else:
            stream = getattr(llm, face)(HELLO if "chat" in face else "Hi")
            next(stream)
            stream.close()
        assert spent.total == Figures(calls=1, unfinished=1)

    @pytest.mark.parametrize("how", ["restart", "continue"])
    async def test_one_that_another_takes_over(self, spent, counter, manager, face, how):
        llm = MultiRoute(
            router=Router([route("a", DropConnection(usage=TOLD)), route("b")], on_stream_error=how),
            callback_manager=manager,
        )
        await ask(llm, face)
        total = spent.total
        assert (total.answers, total.failures, total.fallbacks) == (1, 0, 1)
        assert (total.cost, total.failed_cost) == (pytest.approx(2 * COST), pytest.approx(COST))
        assert counted(counter) == tokens(total)


class TestVendors:
    @pytest.mark.parametrize("wire", WIRES)
    async def test_every_face_counts_as_the_token_counter_does(self, server, spent, counter, manager, wire):
        llm = MultiRoute(routes=server.routes(wire, dead_first=True), callback_manager=manager)
        for face in FACES:
            await ask(llm, face)
        llm.structured_predict(Weather, PromptTemplate("The weather in Paris."))
        llm.predict(PromptTemplate("Hi"))
        list(llm.stream(PromptTemplate("Hi")))
        await llm.router.aclose()
        model = ROUTES[wire][0].partition(":")[2]
        assert counted(counter) == tokens(spent.total) == tokens(spent.models[model]) > (0, 0)
        assert len(counter.llm_token_counts) == spent.total.calls == spent.models[model].answers == 11
        failed = sum(seen.status >= 500 for seen in server.seen)
        assert spent.total.failed_attempts == failed > 0
        assert spent.total.attempts == len(server.seen)
        assert spent.total.cost > 0

    @pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # in LlamaIndex's own code
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_a_function_agent(self, server, spent, counter, manager, streaming):
        llm = MultiRoute(routes=server.routes("chat", dead_first=True), callback_manager=manager)
        agent = FunctionAgent(tools=[get_weather], llm=llm, streaming=streaming)
        await agent.run("Get the weather in Paris.")
        await llm.router.aclose()
        assert spent.total.answers == 2
        assert counted(counter) == tokens(spent.total) > (0, 0)
        assert spent.total.attempts == len(server.seen)

    async def test_a_query_engine(self, server, spent, counter, manager, monkeypatch):
        # An engine gives its LLM the manager of the settings, whatever manager that had.
        monkeypatch.setattr(Settings, "_callback_manager", manager)
        llm = MultiRoute(routes=server.routes("anthropic", dead_first=True))
        index = SummaryIndex.from_documents([Document(text="Routers route.")])
        index.as_query_engine(llm=llm).query("What?")
        await index.as_query_engine(llm=llm).aquery("What?")
        response: Any = index.as_query_engine(llm=llm, streaming=True).query("What?")
        "".join(response.response_gen)
        await llm.router.aclose()
        assert spent.total.answers == 3
        assert counted(counter) == tokens(spent.total) > (0, 0)
        assert spent.total.attempts == len(server.seen)

    async def test_an_llm_of_llamaindexs_as_a_route_counts_once(self, server, spent, counter, manager):
        inner = import_openai()(
            model="gpt-4o",
            api_base=f"{server.url}/v1",
            api_key="k",
            max_retries=0,
            callback_manager=manager,
            additional_kwargs={"stream_options": {"include_usage": True}},
        )
        llm = MultiRoute(routes=[inner], callback_manager=manager)
        llm.chat(HELLO)
        assert (len(server.seen), spent.total.calls, spent.total.attempts) == (1, 1, 1)
        assert counted(counter) == tokens(spent.total) > (0, 0)

    def test_others_count_by_their_usage_with_no_price(self, server, spent, counter, manager):
        theirs = import_openai()(
            model="gpt-4o-mini", api_base=f"{server.url}/v1", api_key="k", max_retries=0, callback_manager=manager
        )
        theirs.chat(HELLO)
        MultiRoute(routes=[server.route("chat")], callback_manager=manager).chat(HELLO)
        assert counted(counter) == tokens(spent.total)
        row = spent.models["gpt-4o-mini"]
        assert (row.calls, row.cost, row.unpriced, row.attempts) == (1, None, 1, 0)
        assert spent.total.cost == spent.models["gpt-4o"].cost > 0

    def test_an_llm_that_tells_nothing(self, spent, manager):
        MockLLM(callback_manager=manager).complete("Hi")
        assert spent.models == {"unknown": Figures(calls=1, answers=1, uncounted=1, unpriced=1)}


class TestManyAtOnce:
    def fleet(self, manager):
        """The first route fails with every third call."""
        tried, lock = collections.Counter(), threading.Lock()

        def hear(event):
            if isinstance(event, AttemptEnded):
                with lock:
                    tried[event.attempt.outcome] += 1

        flaky = scripted_route(
            "a", lambda asked: Fail(ServerError) if asked.number % 3 == 0 else Answer(usage=TOLD), prices=PRICES
        )
        return MultiRoute(router=Router([flaky, route("b")], on_event=[hear]), callback_manager=manager), tried

    def test_threads(self, spent, counter, manager):
        llm, tried = self.fleet(manager)

        def work():
            for _ in range(10):
                llm.chat(HELLO)
                list(llm.stream_chat(HELLO))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (spent.total.answers, tokens(spent.total)) == (160, (160_000, 16_000))
        assert (spent.total.attempts, spent.total.failed_attempts) == (tried.total(), tried["server_error"])
        assert spent.total.cost == pytest.approx(160 * COST)

    async def test_tasks(self, spent, counter, manager):
        llm, tried = self.fleet(manager)
        await asyncio.gather(*(ask(llm, ("achat", "astream_chat", "acomplete")[n % 3]) for n in range(60)))
        assert spent.total.answers == 60
        assert counted(counter) == tokens(spent.total) == (60_000, 6_000)
        assert (spent.total.attempts, spent.total.failed_attempts) == (tried.total(), tried["server_error"])


def test_several_handlers_and_a_new_beginning(spent):
    other = CostHandler()
    llm = MultiRoute(routes=[route("a")], callback_manager=CallbackManager([spent, other]))
    llm.chat(HELLO)
    assert copy.deepcopy(spent) is spent
    assert spent.to_dict() == other.to_dict()
    assert "1 call: 1 answer" in str(spent)
    spent.reset()
    assert (spent.total.calls, other.total.calls) == (0, 1)


def test_the_parts_of_the_tokens_count_where_an_answer_tells_them(spent, manager):
    own = {"model": "m", "route": "r", "cost": 0.5, "attempts": [], "prompt_tokens": 9, "completion_tokens": 5}
    response = CompletionResponse(text="Hi", additional_kwargs={**own, "cache_read_tokens": 4, "reasoning_tokens": 3})
    manager.on_event_end(CBEventType.LLM, {EventPayload.PROMPT: "Hi", EventPayload.COMPLETION: response})
    assert (spent.total.cache_read_tokens, spent.total.reasoning_tokens) == (4, 3)


class Listener(BaseEventHandler):
    """Keeps what it hears of a call, as a tracer at the root does."""

    heard: list = []

    @classmethod
    def class_name(cls):
        return "Listener"

    def handle(self, event, **kwargs):
        self.heard.append(event)

    def ours(self):
        return [event for event in self.heard if isinstance(event, OURS)]

    def told(self, kind):
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
def listener():
    root = get_dispatcher()
    events, spans = list(root.event_handlers), list(root.span_handlers)
    listener = Listener(heard=[])
    root.add_event_handler(listener)
    root.add_event_handler(MultiRouteEventHandler())
    root.add_span_handler(MultiRouteSpanHandler())
    yield listener
    root.event_handlers, root.span_handlers = events, spans


@pytest.mark.parametrize("face", FACES)
class TestEvents:
    async def test_an_answer_after_a_fallback(self, listener, face):
        llm = MultiRoute(router=Router([route("a", Fail(ServerError)), route("b")]))
        response = await ask(llm, face)
        assert [type(event) for event in listener.ours()] == [AttemptEvent, FallbackEvent, AttemptEvent, CostEvent]
        first, second = listener.told(AttemptEvent)
        assert (first.route, first.outcome, first.cost) == ("a", "server_error", None)
        assert first.error
        assert (second.route, second.model, second.outcome, second.error) == ("b", "b", "success", None)
        (fallback,) = listener.told(FallbackEvent)
        assert (fallback.failed_route, fallback.route, fallback.error) == ("a", "b", "server_error")
        (cost,) = listener.told(CostEvent)
        assert cost.cost == response.additional_kwargs["cost"] == pytest.approx(COST)
        (end,) = listener.told((LLMChatEndEvent, LLMCompletionEndEvent))
        assert {event.span_id for event in listener.ours()} == {end.span_id}

    async def test_a_hit_in_the_cache(self, listener, face):
        llm = MultiRoute(routes=[route("a")], cache="memory")
        await ask(llm, face)
        listener.heard.clear()
        await ask(llm, face)
        hit, cost = listener.ours()
        assert (hit.route, hit.model, hit.stale, hit.saved_cost) == ("a", "a", False, pytest.approx(COST))
        assert (type(cost), cost.cost) == (CostEvent, 0.0)

    async def test_a_call_that_no_route_answers(self, listener, face):
        routes = [route("a", Fail(ServerError)), route("b", Fail(ServerError))]
        with pytest.raises(AllRoutesFailedError):
            await ask(MultiRoute(router=Router(routes, max_retries=0)), face)
        assert [type(event) for event in listener.ours()] == [AttemptEvent, FallbackEvent, AttemptEvent]
        assert [event.outcome for event in listener.told(AttemptEvent)] == ["server_error", "server_error"]
        (span,) = {event.span_id for event in listener.ours()}
        assert span.startswith(f"MultiRoute.{face}-")


async def test_calls_inside_calls_are_told_once(listener):
    llm = MultiRoute(router=Router([route("a")]))
    llm.predict(PromptTemplate("Hi"))
    await llm.apredict(PromptTemplate("Hi"))
    assert [type(event) for event in listener.ours()] == [AttemptEvent, CostEvent] * 2
    listener.heard.clear()
    failing = MultiRoute(router=Router([route("a", Fail(ServerError))], max_retries=0))
    with pytest.raises(ServerError):
        failing.predict(PromptTemplate("Hi"))
    with pytest.raises(ServerError):
        await failing.apredict(PromptTemplate("Hi"))
    assert [type(event) for event in listener.ours()] == [AttemptEvent] * 2


def test_other_llms_are_passed_over(listener):
    MockLLM().complete("Hi")
    assert listener.told(LLMCompletionEndEvent)
    assert listener.ours() == []
