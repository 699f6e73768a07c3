"""What tracers see of a call: who answered, its tokens once, and every try, by the tracers that people really use."""

import asyncio
import email
import gzip
import json
import threading
from email import policy
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langsmith import Client, tracing_context
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from langchain_multiroute import ChatMultiRoute, get_multiroute_callback
from multiroute_core import AllRoutesFailedError, RateLimitError, Router, ServerError, StreamInterruptedError, Usage
from multiroute_core.events import AttemptEnded
from multiroute_core.pricing.prices import Prices
from multiroute_core.testing import Answer, DropConnection, Fail, scripted_route
from multiroute_core.testing.server import ReplayServer, Reply
from tests.langchain.conftest import get_weather

PRICES = {"input": 10.0, "output": 100.0}
TOLD = Usage(1000, 100)
PLAIN = ("invoke", "ainvoke")
STREAMED = ("stream", "astream")
EVENTS = ("stream_events", "astream_events")
"""LangChain's newest protocol: the only streams whose model is handed its run."""

SEEN = (*PLAIN, *EVENTS)

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.LangChainBetaWarning")


def route(name, *script, **options):
    return scripted_route(name, script or [Answer(("one ", "two"), usage=TOLD)], prices=PRICES, **options)


def chat(*routes, **options):
    return ChatMultiRoute(router=Router(routes, **options))


async def ask(llm, face, messages: Any = "Hi", **kwargs: Any) -> Any:
    match face:
        case "invoke":
            llm.invoke(messages, **kwargs)
        case "ainvoke":
            await llm.ainvoke(messages, **kwargs)
        case "stream":
            list(llm.stream(messages, **kwargs))
        case "astream":
            _ = [chunk async for chunk in llm.astream(messages, **kwargs)]
        case "stream_events":
            list(llm.stream_events(messages, version="v3", **kwargs))
        case "astream_events":
            before = asyncio.all_tasks()
            stream = await llm.astream_events(messages, version="v3", **kwargs)
            try:
                async for _ in stream:
                    pass
            finally:  # the run ends in a task of its own, after the stream has
                await asyncio.gather(*asyncio.all_tasks() - before)


class Listener(BaseCallbackHandler):
    """A handler of somebody's own: it keeps no tree of runs."""

    def __init__(self):
        self.heard = []

    def on_retry(self, retry_state, *, run_id, **kwargs):
        self.heard.append(retry_state)

    def on_chain_start(self, *args, **kwargs):
        raise AssertionError("no chain was built")

    raise_error = True


def moves(listener):
    return [(state.attempt_number, state.kwargs["kind"], state.kwargs["route"]) for state in listener.heard]


def failures(listener):
    return [None if state.outcome is None else type(state.outcome.exception()) for state in listener.heard]


@pytest.mark.parametrize("face", SEEN)
class TestRetries:
    async def test_a_try_after_the_first_is_a_retry(self, face):
        flaky = [Fail(ServerError), Fail(ServerError), Answer(usage=TOLD)]
        llm = chat(route("a", Fail(lambda: RateLimitError("No.", retry_after=60))), route("b", *flaky))
        listener = Listener()
        await ask(llm, face, config={"callbacks": [listener]})
        assert moves(listener) == [(1, "fallback", "b"), (2, "retry", "b"), (3, "retry", "b")]
        assert failures(listener) == [RateLimitError, ServerError, ServerError]
        slept = [state.idle_for for state in listener.heard]
        assert slept == sorted(slept)
        assert slept[0] >= 0
        assert {state.kwargs["provider"] for state in listener.heard} == {"scripted"}

    async def test_it_is_heard_before_the_route_is_asked(self, face):
        listener, known = Listener(), []

        def asked(request):
            known.append(len(listener.heard))
            return Answer(usage=TOLD, first_token=0.01)

        # The async faces tell their handlers as soon as the call waits for anything.
        llm = chat(route("a", Fail(ServerError)), route("b", Fail(ServerError, after=0.01)), scripted_route("c", asked))
        await ask(llm, face, config={"callbacks": [listener]})
        assert known == [2] if face in ("invoke", "stream_events") else known[0] >= 1
        assert len(listener.heard) == 2

    async def test_what_goes_well_is_none(self, face):
        listener = Listener()
        llm = ChatMultiRoute(routes=[route("a")], cache="memory")
        for _ in range(2):
            await ask(llm, face, config={"callbacks": [listener]})
        assert listener.heard == []

    async def test_async_handlers_hear_all_of_it_and_in_order(self, face):
        class Slow(AsyncCallbackHandler):
            heard = []

            async def on_retry(self, retry_state, *, run_id, **kwargs):
                await asyncio.sleep(0.02 if retry_state.attempt_number == 1 else 0)
                self.heard.append(retry_state.attempt_number)

            async def on_llm_end(self, response, **kwargs):
                self.heard.append("end")

        handler = Slow()
        llm = chat(route("a", Fail(ServerError)), route("b", Fail(ServerError)), route("c"))
        await ask(llm, face, config={"callbacks": [handler]})
        assert handler.heard == [1, 2, "end"]
        handler.heard.clear()

    async def test_where_nobody_answers_the_tries_were_heard_as_well(self, face):
        listener = Listener()
        llm = chat(route("a", Fail(ServerError)), route("b", Fail(ServerError)), max_retries=0)
        with pytest.raises(AllRoutesFailedError):
            await ask(llm, face, config={"callbacks": [listener]})
        assert moves(listener) == [(1, "fallback", "b")]

    async def test_a_hedge_is_no_failure(self, face):
        listener = Listener()
        await ask(hedged(), face, config={"callbacks": [listener]})
        assert (moves(listener), failures(listener)) == ([(1, "hedge", "b")], [None])

    async def test_a_handler_that_fails_is_no_reason_to_fail(self, face, caplog):
        class Broken(BaseCallbackHandler):
            raise_error = True

            def on_retry(self, *args, **kwargs):
                raise ValueError("I am broken.")

        with get_multiroute_callback() as spent:
            await ask(chat(route("a", Fail(ServerError)), route("b")), face, config={"callbacks": [Broken()]})
        assert spent.total.answers == 1
        assert "I am broken." in caplog.text


def hedged():
    """A model whose first route has become slow, so that the second is asked as well."""
    warm, slow = Answer("usual", usage=TOLD), Answer("slow", first_token=20.0)
    llm = chat(
        route("a", *[warm] * 40, slow), route("b", Answer("quick", first_token=0.05, usage=TOLD)), hedge_budget=0.05
    )
    for _ in range(20):
        llm.router.generate("Hi", model="a")
        list(llm.router.stream("Hi", model="a"))
    return llm


def test_where_nobody_listens_the_router_is_asked_itself(monkeypatch):
    asked = []
    generate = Router.generate
    monkeypatch.setattr(
        Router, "generate", lambda self, *args, **kwargs: asked.append(self) or generate(self, *args, **kwargs)
    )
    llm = chat(route("a"), ledger="memory")
    llm.invoke("Hi")
    with get_usage_metadata_callback(), get_multiroute_callback():
        llm.invoke("Hi", config={"callbacks": [BaseCallbackHandler(), AsyncCallbackHandler()]})
    assert asked == [llm.router, llm.router]
    llm.invoke("Hi", config={"callbacks": [Listener()]})
    assert asked[2] is not llm.router
    assert asked[2].ledger is llm.router.ledger


@pytest.mark.parametrize("face", SEEN)
async def test_the_routers_own_hooks_hear_each_try_once(face):
    ended = []
    llm = chat(route("a", Fail(ServerError)), route("b"), on_event=[ended.append], ledger="memory")
    collector = RunCollectorCallbackHandler()
    await ask(llm, face, config={"callbacks": [collector, Listener()]})
    assert [e.attempt.route for e in ended if isinstance(e, AttemptEnded)] == ["a", "b"]
    assert len(llm.router.ledger.to_dicts()) == 2
    await ask(llm, face)
    assert len(collector.traced_runs) == 1


def tries(run):
    assert {child.run_type for child in run.child_runs} <= {"chain"}
    return [(child.name, child.inputs["kind"]) for child in run.child_runs]


class TestRuns:
    """LangChain's own tracers: a run for each try, below the model's."""

    async def runs(self, llm, face, **kwargs):
        collector = RunCollectorCallbackHandler()
        with get_usage_metadata_callback() as usage:
            try:
                await ask(llm, face, config={"callbacks": [collector]}, **kwargs)
            finally:
                self.usage = usage.usage_metadata
        (run,) = collector.traced_runs
        for child in run.child_runs:
            assert child.end_time is not None
            assert run.end_time is not None
            assert run.start_time <= child.start_time <= child.end_time <= run.end_time
            assert "usage" not in json.dumps([child.inputs, child.outputs, child.extra], default=str)
        return run

    @pytest.mark.parametrize("face", SEEN)
    async def test_a_fallback(self, face):
        llm = chat(route("a", Fail(ServerError)), route("b"))
        run = await self.runs(llm, face)
        assert tries(run) == [("attempt a", "first"), ("attempt b", "fallback")]
        failed, answered = run.child_runs
        assert "ServerError" in str(failed.error)
        assert answered.error is None
        assert (answered.outputs["outcome"], answered.outputs["cost"]) == ("success", pytest.approx(0.02))
        assert [event["name"] for event in run.events if event["name"] == "retry"] == ["retry"]
        (retry,) = (event["kwargs"] for event in run.events if event["name"] == "retry")
        assert (retry["attempt"], retry["outcome"], retry["exception_type"]) == (1, "failed", "ServerError")
        assert {name: told["total_tokens"] for name, told in self.usage.items()} == {"b": 1100}
        assert run.extra["metadata"]["ls_model_name"] == "b"

    @pytest.mark.parametrize("face", SEEN)
    async def test_a_hedge(self, face):
        run = await self.runs(hedged(), face)
        assert tries(run) == [("attempt a", "first"), ("attempt b", "hedge")]
        lost, won = run.child_runs
        assert (lost.outputs["outcome"], won.outputs["outcome"]) == ("cancelled", "success")
        assert lost.end_time is not None
        assert lost.start_time < won.start_time < lost.end_time
        assert {name: told["total_tokens"] for name, told in self.usage.items()} == {"b": 1100}

    @pytest.mark.parametrize("face", SEEN)
    async def test_a_hit_of_the_cache_tries_nothing(self, face):
        llm = ChatMultiRoute(routes=[route("a")], cache="memory")
        assert tries(await self.runs(llm, face)) == [("attempt a", "first")]
        assert tries(await self.runs(llm, face)) == []
        assert {name: told["total_tokens"] for name, told in self.usage.items()} == {"a": 0}

    @pytest.mark.parametrize("face", STREAMED)
    async def test_a_stream_tells_its_tries_at_its_end(self, face):
        run = await self.runs(chat(route("a", Fail(ServerError)), route("b")), face)
        assert run.child_runs == []
        message = run.outputs["generations"][0][0]["message"]["kwargs"]
        told = message["response_metadata"]["multiroute"]["attempts"]
        assert [attempt["outcome"] for attempt in told] == ["server_error", "success"]
        assert run.extra["metadata"]["ls_model_name"] == "b"
        assert {name: told["total_tokens"] for name, told in self.usage.items()} == {"b": 1100}

    @pytest.mark.parametrize("face", EVENTS)
    async def test_a_stream_that_another_goes_on_with(self, face):
        llm = chat(route("a", DropConnection(usage=TOLD)), route("b"), on_stream_error="continue")
        run = await self.runs(llm, face)
        assert tries(run) == [("attempt a", "first"), ("attempt b", "fallback")]
        assert StreamInterruptedError.__name__ in str(run.child_runs[0].error)
        assert {name: told["total_tokens"] for name, told in self.usage.items()} == {"b": 2200}

    async def test_batches_keep_their_tries_apart(self):
        def third(asked):
            return Fail(ServerError) if asked.text.endswith(("0", "3", "6", "9")) else Answer(usage=TOLD)

        chain = ChatPromptTemplate.from_template("{x}") | chat(scripted_route("a", third), route("b"))
        for face in ("batch", "abatch"):
            collector = RunCollectorCallbackHandler()
            given = [{"x": str(number)} for number in range(20)]
            config: RunnableConfig = {"callbacks": [collector]}
            answers = chain.batch(given, config) if face == "batch" else await chain.abatch(given, config)
            assert len(answers) == len(collector.traced_runs) == 20
            for run in collector.traced_runs:
                (model,) = (child for child in run.child_runs if child.run_type != "prompt")
                message = model.outputs["generations"][0][0]["message"]["kwargs"]
                told = message["response_metadata"]["multiroute"]["attempts"]
                assert [child.name for child in model.child_runs] == [f"attempt {tried['route']}" for tried in told]
                for child in model.child_runs:  # the breaker of `a` may open on the way
                    assert (child.error is not None) == (child.name == "attempt a" and run.inputs["x"][-1] in "0369")

    def test_threads_keep_their_tries_apart(self):
        llm = chat(route("a", Fail(ServerError)), route("b", Answer(per_chunk=0.001, usage=TOLD)))
        collectors = [RunCollectorCallbackHandler() for _ in range(16)]
        threads = [
            threading.Thread(target=llm.invoke, args=("Hi",), kwargs={"config": {"callbacks": [collector]}})
            for collector in collectors
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for (run,) in (collector.traced_runs for collector in collectors):
            names = [name for name, _ in tries(run)]
            assert names in (["attempt a", "attempt b"], ["attempt b"])  # the breaker opens on the way

    async def test_a_task_that_is_cancelled_ends_its_runs(self):
        llm = chat(route("a", Fail(ServerError)), route("b", Answer(first_token=60.0)))
        collector, listener = RunCollectorCallbackHandler(), Listener()
        task = asyncio.create_task(llm.ainvoke("Hi", config={"callbacks": [collector, listener]}))
        while not listener.heard:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (run,) = collector.run_map.values()  # LangChain leaves the model's own run open
        assert [child.end_time is not None for child in run.child_runs] == [True, True]
        assert run.child_runs[1].outputs["outcome"] == "cancelled"

    async def test_events_tell_of_no_chain_that_was_not_built(self):
        llm = chat(route("a", Fail(ServerError)), route("b"))
        chain = RunnableLambda(lambda x: x) | llm | StrOutputParser()
        events = [event async for event in chain.astream_events("Hi", version="v2")]
        assert not [event["name"] for event in events if "attempt" in event["name"]]
        (ended,) = (event for event in events if event["event"] == "on_chat_model_end")
        output: Any = ended["data"].get("output")
        assert output.usage_metadata["total_tokens"] == 1100


def plain(attributes):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


class TestOpenInference:
    """Its instrumentor, over OTLP to a collector in this process."""

    @pytest.fixture
    def collector(self):
        with ReplayServer(Reply(200, {"content-type": "application/x-protobuf"})) as collector:
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
            instrumentor = LangChainInstrumentor()
            instrumentor.instrument(tracer_provider=provider)
            yield collector
            instrumentor.uninstrument()
            provider.shutdown()

    @staticmethod
    def spans(collector):
        posts = [ExportTraceServiceRequest.FromString(unpacked(request)) for request in collector.requests]
        found = [s for post in posts for part in post.resource_spans for scope in part.scope_spans for s in scope.spans]
        return [(span, plain(span.attributes)) for span in found]

    def llms(self, collector, spent):
        """The spans of models; all spans together tell each token once."""
        spans = self.spans(collector)
        for kind, count in (("prompt", spent.total.input_tokens), ("completion", spent.total.output_tokens)):
            assert sum(told.get(f"llm.token_count.{kind}", 0) for _, told in spans) == count
        return [(s, told) for s, told in spans if told["openinference.span.kind"] == "LLM"]

    @staticmethod
    def below(collector, parent):
        found = [(s, told) for s, told in TestOpenInference.spans(collector) if s.parent_span_id == parent.span_id]
        return sorted(found, key=lambda each: each[0].start_time_unix_nano)

    @pytest.mark.parametrize("face", (*PLAIN, *STREAMED, *EVENTS))
    async def test_the_one_that_answered_after_a_failover(self, server, collector, face):
        llm = ChatMultiRoute(routes=server.routes("chat", "google"))
        server.dead.add("chat")
        with get_multiroute_callback() as spent:
            await ask(llm, face)
        ((span, told),) = self.llms(collector, spent)
        assert (told["llm.model_name"], told["llm.provider"]) == ("gemini-3.8-flash", "google")
        assert spent.total.input_tokens == told["llm.token_count.prompt"] > 0
        below = self.below(collector, span)
        if face in STREAMED:
            assert below == []
            return
        assert [s.name for s, _ in below] == ["attempt chat:gpt-4o", "attempt google:gemini-3.8-flash"]
        assert [s.status.code for s, _ in below] == [2, 1]
        assert {about["openinference.span.kind"] for _, about in below} == {"CHAIN"}
        assert not any("llm." in key for _, about in below for key in about)

    @pytest.mark.parametrize("face", SEEN)
    async def test_a_hedge_and_a_hit_of_the_cache(self, collector, face):
        llm = hedged()
        with get_multiroute_callback() as spent:
            await ask(llm, face)
        ((span, told),) = self.llms(collector, spent)
        assert (told["llm.model_name"], told["llm.token_count.total"]) == ("b", 1100)
        assert [s.name for s, _ in self.below(collector, span)] == ["attempt a", "attempt b"]
        collector.requests.clear()
        llm = ChatMultiRoute(routes=[route("a")], cache="memory")
        with get_multiroute_callback() as spent:
            for _ in range(3):
                await ask(llm, face)
        spans = self.llms(collector, spent)
        assert [told["llm.token_count.total"] for _, told in spans] == [1100, 0, 0]
        assert [len(self.below(collector, span)) for span, _ in spans] == [1, 0, 0]

    async def test_batches(self, collector):
        llm = chat(route("a", Fail(ServerError)), route("b"))
        with get_multiroute_callback() as spent:
            llm.batch(["Hi"] * 8)
            await llm.abatch(["Hi"] * 8)
        found = self.llms(collector, spent)
        assert [told["llm.model_name"] for _, told in found] == ["b"] * 16
        tried = [s.name for span, _ in found for s, _ in self.below(collector, span)]
        assert (tried.count("attempt b"), tried.count("attempt a")) == (16, spent.models["a"].failed_attempts)

    @pytest.mark.parametrize("wire", ["anthropic", "chat", "responses", "google"])
    async def test_an_agent(self, server, collector, wire):
        agent = create_agent(ChatMultiRoute(routes=server.routes(wire, dead_first=True)), [get_weather])
        with get_multiroute_callback() as spent:
            await agent.ainvoke({"messages": [HumanMessage("Get the weather in Paris.")]})
        found = self.llms(collector, spent)
        assert {told["llm.model_name"] for _, told in found} == {server.seen[-1].model}
        assert len(found) == 2
        tried = [s for span, _ in found for s, _ in self.below(collector, span)]
        assert len(tried) == len(server.seen)


def unpacked(request):
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


class TestLangSmith:
    """Its client as it is usually set up, sending to a server in this process.

    LangSmith prices a model's run on its server: by `ls_provider` and `ls_model_name` in the run's metadata, and the
    `usage_metadata` beside them; and a parent by what its children cost. A run's name, its invocation parameters and
    what it answered are no part of that.
    """

    @pytest.fixture
    def smith(self):
        with ReplayServer(Reply(202, {"content-type": "application/json"}, b"{}")) as server:
            yield server

    @pytest.fixture
    def traced(self, smith):
        sending = {"use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20_000_000}
        threads = {"scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 1, "scale_down_nempty_trigger": 4}
        client = Client(api_url=smith.url, api_key="k", info={"batch_ingest_config": {**sending, **threads}})
        with tracing_context(enabled=True, client=client, project_name="p"):
            yield client
        client.close()
        client.session.close()  # which `close` leaves to the collector

    @staticmethod
    def runs(smith, client):
        """The runs as LangSmith would know them: the parts of all that was posted and patched."""
        client.flush(timeout=30)
        found = {}
        for received in smith.requests:
            assert received.path == "/runs/multipart"
            head = f"content-type: {received.headers['content-type']}\r\n\r\n".encode()
            for part in email.message_from_bytes(head + received.body, policy=policy.HTTP).iter_parts():
                name = part.get_param("name", header="content-disposition")
                _, run_id, *field = str(name).split(".")
                payload: Any = part.get_payload(decode=True)
                value = json.loads(payload)
                run = found.setdefault(run_id, {})
                run.update({field[0]: value} if field else {k: v for k, v in value.items() if v is not None})
        return sorted(found.values(), key=lambda run: run["dotted_order"])

    @pytest.mark.parametrize("face", (*PLAIN, *STREAMED, *EVENTS))
    async def test_the_one_that_answered_is_priced_and_nothing_else(self, server, smith, traced, face):
        llm = ChatMultiRoute(routes=server.routes("chat", "google"))
        server.dead.add("chat")
        chain = ChatPromptTemplate.from_template("{x}") | llm if face not in EVENTS else llm
        with get_multiroute_callback() as spent:
            await ask(chain, face, {"x": "Hi"} if face not in EVENTS else "Hi")
        runs = self.runs(smith, traced)
        (model,) = (run for run in runs if run["run_type"] == "llm")
        about = model["extra"]["metadata"]
        assert (about["ls_provider"], about["ls_model_name"]) == ("google_genai", "gemini-3.8-flash")
        usage = about["usage_metadata"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (spent.total.input_tokens, spent.total.output_tokens)
        read = usage.get("input_token_details", {}).get("cache_read")
        told = Usage(usage["input_tokens"], usage["output_tokens"], read)
        assert Prices().cost("google", about["ls_model_name"], told) == pytest.approx(spent.total.cost)
        assert spent.total.cost > 0
        others = [run for run in runs if run is not model]
        assert not any("usage_metadata" in (run.get("extra") or {}).get("metadata", {}) for run in others)
        below = [run for run in others if run.get("parent_run_id") == model["id"]]
        retries = [event for event in model["events"] if event["name"] == "retry"]
        if face in STREAMED:
            assert (below, retries) == ([], [])
            return
        assert [run["name"] for run in below] == ["attempt chat:gpt-4o", "attempt google:gemini-3.8-flash"]
        assert {run["run_type"] for run in below} == {"chain"}
        assert [bool(run.get("error")) for run in below] == [True, False]
        assert not any("ls_model_name" in run["extra"]["metadata"] for run in below)
        assert [event["kwargs"]["exception_type"] for event in retries] == ["ServerError"]

    async def test_a_hit_costs_nothing(self, smith, traced):
        llm = ChatMultiRoute(routes=[route("a")], cache="memory")
        for face in ("invoke", "ainvoke", "stream"):
            await ask(llm, face)
        models = [run for run in self.runs(smith, traced) if run["run_type"] == "llm"]
        assert [run["extra"]["metadata"]["usage_metadata"]["total_tokens"] for run in models] == [1100, 0, 0]

    async def test_no_key_is_sent(self, server, smith, traced):
        llm = ChatMultiRoute(routes=[server.route("chat", name="dead"), server.route("google")])
        server.dead.add("chat")
        await ask(llm, "ainvoke")
        assert self.runs(smith, traced)
        assert {seen.headers.get("authorization") for seen in server.seen if seen.wire == "chat"} == {"Bearer test"}
        assert b"Bearer" not in b"".join(received.body for received in smith.requests)
