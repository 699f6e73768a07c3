"""What OpenInference's instrumentor sees of LlamaIndex calls, over OTLP: who answered, and each token once."""

import asyncio
import gzip
import logging
import threading
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from openinference.instrumentation.llama_index._handler import _ExportQueue
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.callbacks import AttemptEvent, CostEvent, CostHandler, FallbackEvent, MultiRouteEventHandler
from multiroute_core import Router, ServerError, StreamInterruptedError, Usage
from multiroute_core.telemetry import OpenTelemetry
from multiroute_core.testing import Answer, DropConnection, Fail, scripted_route
from multiroute_core.testing.server import ReplayServer, Reply
from tests.llamaindex.conftest import HELLO, TOLD, ask, route

COST = (1000 * 10 + 100 * 100) / 1e6
OUTCOMES = ["server_error", "success"]
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

# OpenInference asks the metadata for `json()`, and what that raises is lost with the span.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


def hedged(manager: Any = None):
    """An LLM whose first route has become slow, so that the second is asked as well."""
    warm, slow = Answer("usual", usage=TOLD), Answer("slow", first_token=20.0)
    routes = [route("a", *[warm] * 40, slow), route("b", Answer("quick", first_token=0.05, usage=TOLD))]
    llm = MultiRoute(router=Router(routes, hedge_budget=0.05), callback_manager=manager)
    for _ in range(20):
        llm.router.generate("Hi", model="a")
        list(llm.router.stream("Hi", model="a"))
    return llm


class Listener(BaseEventHandler):
    """Keeps what it hears of a call, as a tracer at the root does."""

    heard: list = []

    @classmethod
    def class_name(cls):
        return "Listener"

    def handle(self, event, **kwargs):
        self.heard.append(event)

    def told(self, kind):
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
def root():
    root = get_dispatcher()
    events, spans = list(root.event_handlers), list(root.span_handlers)
    yield root
    root.event_handlers, root.span_handlers = events, spans


@pytest.fixture
def listener(root):
    listener = Listener(heard=[])
    root.add_event_handler(listener)
    root.add_event_handler(MultiRouteEventHandler())
    return listener


@pytest.fixture
def collector():
    with ReplayServer(Reply(200, {"content-type": "application/x-protobuf"})) as collector:
        yield collector


@pytest.fixture
def provider(collector):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    yield provider
    provider.shutdown()


def uninstrument(instrumentor):
    """End the thread of its queue as well: findings/openinference_llama_index_leaves_a_thread.sh."""
    queue = instrumentor._span_handler._export_queue.queue
    instrumentor.uninstrument()
    queue.put(None)


@pytest.fixture
def instrumented(root, provider, request):
    """The instrumentor, and our handler of events: after its own, or before where a test says so."""
    instrumentor = LlamaIndexInstrumentor()
    ours_first = getattr(request, "param", False)
    if ours_first:
        root.add_event_handler(MultiRouteEventHandler())
    instrumentor.instrument(tracer_provider=provider)
    if not ours_first:
        root.add_event_handler(MultiRouteEventHandler())
    yield
    uninstrument(instrumentor)


def plain(attributes):
    return {item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in attributes}


def spans(collector):
    def unpacked(request):
        return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body

    posts = [ExportTraceServiceRequest.FromString(unpacked(request)) for request in collector.requests]
    found = [s for post in posts for part in post.resource_spans for scope in part.scope_spans for s in scope.spans]
    return [(span, plain(span.attributes)) for span in found]


def counted(collector):
    """The tokens of all spans together."""
    found = [told for _, told in spans(collector)]
    return tuple(sum(told.get(f"llm.token_count.{kind}", 0) for told in found) for kind in ("prompt", "completion"))


def llms(collector):
    return [told for _, told in spans(collector) if "llm.token_count.prompt" in told]


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("face", FACES)
class TestOpenInference:
    @pytest.mark.parametrize("instrumented", [True, False], indirect=True, ids=["ours first", "its own first"])
    async def test_the_one_that_answered_after_a_failover(self, server, collector, caplog, face):
        spent = CostHandler()
        llm = MultiRoute(routes=server.routes("chat", "google"), callback_manager=CallbackManager([spent]))
        server.dead.add("chat")
        with caplog.at_level(logging.WARNING, "openinference"):
            await ask(llm, face)
        await llm.router.aclose()
        (told,) = llms(collector)
        assert (told["llm.model_name"], told["llm.provider"]) == ("gemini-3.8-flash", "google")
        assert told["openinference.span.kind"] == "LLM"
        assert counted(collector) == (spent.total.input_tokens, spent.total.output_tokens) > (0, 0)
        assert (told["multiroute.route"], told["multiroute.request.attempts"]) == ("google:gemini-3.8-flash", 2)
        assert [value.string_value for value in told["multiroute.request.outcomes"].values] == OUTCOMES
        assert told["multiroute.request.cost"] == pytest.approx(spent.total.cost)
        assert [record.message for record in caplog.records if record.name.startswith("openinference")] == []

    async def test_it_is_sent_no_event_of_ours_after_the_end_of_its_span(self, caplog, monkeypatch, face):
        """Its queue forgets an ended span within a tenth of a second; here at once."""

        def find_active(queue, id_):
            span = queue.spans.get(id_)
            return span if span is not None and span.active else None

        monkeypatch.setattr(_ExportQueue, "find", find_active)
        with caplog.at_level(logging.WARNING, "openinference"):
            await ask(MultiRoute(routes=[route("a", Fail(ServerError)), route("b")]), face)
        assert [record.message for record in caplog.records if record.name.startswith("openinference")] == []

    async def test_a_hit_of_the_cache(self, collector, face):
        llm = MultiRoute(routes=[route("a")], cache="memory")
        for _ in range(3):
            await ask(llm, face)
        assert [told["llm.token_count.total"] for told in llms(collector)] == [1100, 0, 0]
        assert {told["llm.model_name"] for told in llms(collector)} == {"a"}
        assert [told["multiroute.cached"] for told in llms(collector)] == [False, True, True]
        assert counted(collector) == (1000, 100)

    async def test_a_hedge(self, collector, face):
        llm = hedged()
        response = await ask(llm, face)
        assert response.additional_kwargs["route"] == "b"
        (told,) = llms(collector)
        assert told["llm.model_name"] == "b"
        assert counted(collector) == (1000, 100)

    async def test_a_call_that_fails(self, collector, face):
        llm = MultiRoute(router=Router([route("a", Fail(ServerError))], max_retries=0))
        with pytest.raises(ServerError):
            await ask(llm, face)
        assert counted(collector) == (0, 0)
        assert {span.status.code for span, told in spans(collector) if "llm.model_name" in told} == {2}


@pytest.mark.usefixtures("instrumented")
class TestMore:
    async def test_a_query_engine(self, server, collector, monkeypatch):
        spent = CostHandler()
        llm = MultiRoute(routes=server.routes("anthropic", dead_first=True))
        index = SummaryIndex.from_documents([Document(text="Routers route.")])
        engine = index.as_query_engine(llm=llm)
        llm.callback_manager = CallbackManager([spent])
        engine.query("What?")
        await engine.aquery("What?")
        await llm.router.aclose()
        assert {told["llm.model_name"] for told in llms(collector)} == {"claude-sonnet-4-5"}
        assert counted(collector) == (spent.total.input_tokens, spent.total.output_tokens) > (0, 0)

    async def test_parts_of_the_tokens_that_have_prices_of_their_own(self, collector):
        told = Usage(1000, 100, cache_read_tokens=400, reasoning_tokens=30)
        llm = MultiRoute(routes=[route("a", Answer(("one ", "two"), usage=told))])
        for face in ("chat", "astream_chat"):
            await ask(llm, face)
        for found in llms(collector):
            assert found["llm.token_count.prompt_details.cache_read"] == 400
            assert found["llm.token_count.completion_details.reasoning"] == 30
        assert counted(collector) == (2000, 200)

    def test_threads(self, collector):
        llm = MultiRoute(router=Router([route("a", Fail(ServerError)), route("b")]))
        threads = [threading.Thread(target=llm.chat, args=(HELLO,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [told["llm.model_name"] for told in llms(collector)] == ["b"] * 16
        assert counted(collector) == (16_000, 1_600)

    async def test_a_stream_that_another_goes_on_with(self, collector):
        llm = MultiRoute(
            router=Router([route("a", DropConnection(usage=TOLD)), route("b")], on_stream_error="continue")
        )
        await ask(llm, "astream_chat")
        (told,) = llms(collector)
        assert told["llm.model_name"] == "b"
        assert counted(collector) == (2000, 200)

    async def test_our_own_spans_of_tries_belong_below_the_llms(self, collector, provider):
        """`OpenTelemetry()` beside the instrumentor: its tokens have other names, so neither counts the other's."""
        hook = OpenTelemetry(provider)
        llm = MultiRoute(router=Router([route("a", Fail(ServerError)), route("b")], on_event=[hook]))
        for face in ("chat", "achat"):
            await ask(llm, face)
        found = spans(collector)
        outer = {span.span_id: span for span, told in found if "llm.token_count.prompt" in told}
        requests = {span.span_id: span for span, _ in found if span.name.startswith("chat")}
        tries = [(span, told) for span, told in found if span.name.startswith("attempt")]
        assert len(outer) == len(requests) == 2
        assert {span.parent_span_id for span in requests.values()} == set(outer)
        assert [told["multiroute.outcome"] for _, told in tries] == OUTCOMES * 2
        assert counted(collector) == (2000, 200)
        assert sum(told.get("gen_ai.usage.input_tokens", 0) for _, told in found) == 2000


def test_without_our_handler_the_first_routes_model_is_named(root, provider, collector):
    """So that this is known: OpenInference reads the name before the call, and nothing of LlamaIndex's corrects it."""
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        MultiRoute(router=Router([route("a", Fail(ServerError)), route("b")])).chat(HELLO)
    finally:
        uninstrument(instrumentor)
    (told,) = llms(collector)
    assert told["llm.model_name"] == "a"


@pytest.mark.parametrize("face", FACES)
class TestDispatcher:
    """Attempts and cost in LlamaIndex's own instrumentation."""

    async def test_a_hedge(self, listener, face):
        counter = TokenCountingHandler(tokenizer=lambda text: [0] * 1_000_000)
        await ask(hedged(CallbackManager([counter])), face)
        tried = listener.told(AttemptEvent)
        assert sorted((event.route, event.outcome) for event in tried) == [("a", "cancelled"), ("b", "success")]
        assert listener.told(FallbackEvent) == []
        (cost,) = listener.told(CostEvent)
        assert (cost.route, cost.cost) == ("b", pytest.approx(COST))
        assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (1000, 100)

    async def test_many_at_once_are_not_mixed_up(self, listener, face):
        flaky = scripted_route("a", lambda asked: Fail(ServerError) if asked.number % 3 == 0 else Answer(usage=TOLD))
        llm = MultiRoute(router=Router([flaky, route("b")]))
        if face.startswith("a"):
            await asyncio.gather(*(ask(llm, face) for _ in range(12)))
        else:
            for _ in range(12):
                await ask(llm, face)
        by_span = {}
        for event in listener.told((AttemptEvent, CostEvent)):
            by_span.setdefault(event.span_id, []).append(event)
        assert len(by_span) == 12
        for *tried, cost in by_span.values():
            assert [event.outcome for event in tried] in (["success"], ["server_error", "success"])
            assert tried[-1].route == cost.route


@pytest.mark.parametrize("face", ["stream_chat", "astream_chat", "stream_complete", "astream_complete"])
async def test_a_stream_that_breaks_tells_its_tries_once(listener, face):
    llm = MultiRoute(router=Router([route("a", Fail(ServerError)), route("b", DropConnection(usage=TOLD))]))
    with pytest.raises(StreamInterruptedError):
        await ask(llm, face)
    assert [event.outcome for event in listener.told(AttemptEvent)] == ["server_error", "broken_stream"]
    assert [event.cost for event in listener.told(AttemptEvent)] == [None, pytest.approx(COST)]
    assert listener.told(CostEvent) == []
