"""Spans and metrics, as the real SDK hands them to an exporter, and as a collector gets them over HTTP."""

import asyncio
import contextlib
import gc
import http.server
import json
import pickle
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from multiroute_core import (
    AllRoutesFailedError,
    CacheConfig,
    Message,
    RateLimitError,
    Response,
    Route,
    Router,
    ServerError,
    StreamInterruptedError,
    Text,
    ToolCall,
    Uri,
    Usage,
)
from multiroute_core.events import AttemptEnded, RequestEnded, RequestStarted
from multiroute_core.messages import Blob
from multiroute_core.telemetry import OpenTelemetry, otel
from multiroute_core.testing import Answer, DropConnection, Fail, Hang, ScriptedProvider, provider_of
from multiroute_core.tools import ServerTool, Tool
from multiroute_core.types import Attempt, Request
from tests import chat_server
from tests.chat_server import FACES, Fleet, ask

PRICES = {"input": 1.0, "output": 2.0}
USAGE = Usage(100, 20, cache_read_tokens=60, cache_write_tokens=10, reasoning_tokens=5)
COST = (100 + 2 * 20) / 1e6
TOKENS, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"


def attribute(span: ReadableSpan, name: str) -> Any:
    assert span.attributes is not None
    return span.attributes.get(name)


class Collected:
    """A hook over the real SDK, and what came out of it."""

    def __init__(self, **options):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.spans_to = TracerProvider()
        self.spans_to.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.metrics_to = MeterProvider([self.reader])
        self.hook = OpenTelemetry(self.spans_to, self.metrics_to, **options)
        self.tracer = self.spans_to.get_tracer("test")
        self.events = []

    def router(self, *scripts, **settings):
        """A router over scripted routes that have their usual names: `scripted:m0`, `scripted:m1`, …"""
        routes = [
            Route(f"scripted:m{number}", llm=ScriptedProvider(script), prices=PRICES)
            for number, script in enumerate(scripts)
        ]
        settings.setdefault("max_retries", 0)
        return Router(routes, on_event=[self.hook, self.events.append], **settings)

    def spans(self) -> list[tuple[Any, ...]]:
        """Every request's span with those of its tries, in the order of their beginnings."""
        found: tuple[Any, ...] = self.exporter.get_finished_spans()
        roots = [span for span in found if span.name.startswith("chat")]
        tries = {
            root.context.span_id: sorted(
                (s for s in found if s.parent and s.parent.span_id == root.context.span_id),
                key=lambda s: attribute(s, "multiroute.attempt.number"),
            )
            for root in roots
        }
        ours = len(roots) + sum(map(len, tries.values()))
        assert ours == len([s for s in found if s.instrumentation_scope.name == "multiroute"])
        for root in roots:
            for span in tries[root.context.span_id]:
                assert root.start_time <= span.start_time <= span.end_time <= root.end_time
                assert span.context.trace_id == root.context.trace_id
                assert span.kind == root.kind == SpanKind.CLIENT
        return [(root, *tries[root.context.span_id]) for root in roots]

    def one(self):
        [(root, *tries)] = self.spans()
        return root, tries

    def points(self, name) -> list[Any]:
        data = self.reader.get_metrics_data()
        scopes = [] if data is None else [scope for part in data.resource_metrics for scope in part.scope_metrics]
        found = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [point for metric in found for point in metric.data.data_points]

    def counted(self):
        """Input and output tokens, by the spans and by the metric."""
        points = self.points(TOKENS)
        spans = self.exporter.get_finished_spans()
        return [
            (
                sum(attribute(span, f"gen_ai.usage.{kind}_tokens") or 0 for span in spans),
                sum(point.sum for point in points if point.attributes["gen_ai.token.type"] == kind),
            )
            for kind in ("input", "output")
        ]


@pytest.fixture
def collected():
    made = Collected()
    yield made
    made.hook.close()
    made.spans_to.shutdown()
    made.metrics_to.shutdown()


@pytest.mark.parametrize("face", FACES)
class TestFaces:
    def test_an_answer(self, collected, face):
        router = collected.router(Answer(("Hel", "lo."), first_token=0.02, usage=USAGE))
        with collected.tracer.start_as_current_span("caller") as caller:
            ask(router, face, temperature=0.5, max_tokens=50, seed=7, stop=["END"], tenant="acme")
        root, [attempt] = collected.one()
        stream = face.endswith("stream")
        assert root.name == "chat m0"
        assert root.parent.span_id == caller.get_span_context().span_id
        assert root.status.status_code == StatusCode.UNSET
        told = dict(root.attributes)
        first = told.pop("gen_ai.response.time_to_first_chunk", None)
        assert stream == (first is not None and 0.015 < first < 30)
        assert told.pop("multiroute.request.id")
        assert told.pop("multiroute.request.cost") == pytest.approx(COST)
        assert told == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "scripted",
            "gen_ai.request.model": "m0",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 50,
            "gen_ai.request.seed": 7,
            "gen_ai.request.stop_sequences": ("END",),
            **({"gen_ai.request.stream": True} if stream else {}),
            "gen_ai.response.model": "m0",
            "gen_ai.response.finish_reasons": ("stop",),
            "multiroute.request.candidates": ("scripted:m0",),
            "multiroute.request.attempts": 1,
            "multiroute.request.retries": 0,
            "multiroute.request.input_tokens": 100,
            "multiroute.request.output_tokens": 20,
            "multiroute.tenant": "acme",
            "multiroute.outcome": "success",
            "multiroute.route": "scripted:m0",
            "multiroute.fallback": False,
            "multiroute.cached": False,
        }
        assert attempt.name == "attempt scripted:m0"
        asserted = {
            "gen_ai.request.model": "m0",
            "gen_ai.response.model": "m0",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_creation.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "multiroute.attempt.number": 1,
            "multiroute.attempt.kind": "first",
            "multiroute.outcome": "success",
        }
        assert {name: attempt.attributes[name] for name in asserted} == asserted
        assert attempt.attributes["multiroute.attempt.cost"] == pytest.approx(COST)
        seconds = (attempt.end_time - attempt.start_time) / 1e9
        assert 0.015 < seconds < 30  # by another clock than the attempt's own
        assert collected.counted() == [(100, 100), (20, 20)]
        [duration] = collected.points(DURATION)
        assert (duration.count, len(collected.points(FIRST_CHUNK))) == (1, int(stream))
        assert duration.explicit_bounds == otel.SECONDS
        assert duration.sum >= 0.02
        [cost] = collected.points("multiroute.cost")
        assert cost.value == pytest.approx(COST)
        assert collected.hook.open_requests == 0

    def test_failover_retry_and_a_skipped_route(self, collected, face):
        flaky = [Fail(ServerError), Answer(usage=USAGE)]
        down = Fail(lambda: RateLimitError("sk-secret-key was told to wait", status=429, retry_after=60))
        router = collected.router(down, flaky, max_retries=1)
        assert ask(router, face).route == "scripted:m1"
        root, tries = collected.one()
        assert [span.attributes["multiroute.attempt.kind"] for span in tries] == ["first", "fallback", "retry"]
        assert [span.attributes.get("error.type") for span in tries] == ["rate_limit", "server_error", None]
        assert [span.attributes.get("http.response.status_code") for span in tries] == [429, None, None]
        assert tries[0].status.description == "rate_limit (HTTP 429)"
        assert [span.status.status_code for span in tries] == [StatusCode.ERROR] * 2 + [StatusCode.UNSET]
        assert "gen_ai.response.model" not in tries[0].attributes
        assert root.status.status_code == StatusCode.UNSET
        told = {name.removeprefix("multiroute."): value for name, value in root.attributes.items()}
        assert (told["request.attempts"], told["request.retries"], told["fallback"]) == (3, 1, True)
        assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("m0", "m1")
        assert collected.counted() == [(100, 100), (20, 20)]
        assert ask(router, face).route == "scripted:m1"
        [event] = collected.spans()[1][0].events
        assert event.name == "multiroute.route_skipped"
        assert (event.attributes["multiroute.route"], event.attributes["multiroute.skip_reason"]) == (
            "scripted:m0",
            "rate_limit",
        )
        assert "sk-secret" not in str([span.to_json() for span in collected.exporter.get_finished_spans()])

    def test_nobody_answers(self, collected, face):
        router = collected.router(Fail(), Fail())
        with pytest.raises(AllRoutesFailedError):
            ask(router, face)
        root, tries = collected.one()
        assert len(tries) == 2
        assert root.status.status_code == StatusCode.ERROR
        assert root.attributes["error.type"] == root.attributes["multiroute.outcome"] == "AllRoutesFailedError"
        [duration] = collected.points(DURATION)
        assert duration.attributes["error.type"] == "AllRoutesFailedError"
        assert collected.points(TOKENS) == []

    def test_a_hit_of_the_cache(self, collected, face):
        router = collected.router(Answer("Hello.", usage=USAGE), cache="memory")
        for _ in range(3):
            ask(router, face)
        asked, *hits = collected.spans()
        assert len(asked) == 2
        for [root] in hits:
            told = root.attributes
            assert (told["multiroute.outcome"], told["multiroute.cached"]) == ("cached", True)
            assert told["multiroute.saved_cost"] == pytest.approx(COST)
            assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (0, 0)
            assert told["gen_ai.response.model"] == "m0"
        assert collected.counted() == [(100, 100), (20, 20)]
        assert sum(point.count for point in collected.points(TOKENS)) == 6
        assert {p.attributes["multiroute.outcome"]: p.count for p in collected.points(DURATION)} == {
            "success": 1,
            "cached": 2,
        }

    def test_tool_calls(self, collected, face):
        router = collected.router(Answer("", tool_calls=[ToolCall("c1", "get_weather", {"city": "Oslo"})]))
        ask(router, face, tools=[Tool("get_weather")])
        root, [attempt] = collected.one()
        for span in (root, attempt):
            assert span.attributes["gen_ai.response.finish_reasons"] == ("tool_call",)
        assert "Oslo" not in root.to_json() + attempt.to_json()

    def test_a_hedge_that_is_quicker(self, collected, face):
        warm, slow = Answer("usual"), Answer("slow", first_token=20.0)
        router = collected.router(
            [*[warm] * 20, slow], Answer("quick", first_token=0.05, usage=USAGE), hedge_budget=0.05
        )
        for _ in range(20):
            ask(router, face, model="scripted:m0")
        collected.exporter.clear()
        assert ask(router, face).text == "quick"
        root, tries = collected.one()
        assert [span.attributes["multiroute.attempt.kind"] for span in tries] == ["first", "hedge"]
        assert [span.attributes["multiroute.outcome"] for span in tries] == ["cancelled", "success"]
        assert tries[0].start_time < tries[1].start_time < tries[0].end_time
        assert tries[0].status.status_code == StatusCode.UNSET
        assert "gen_ai.response.finish_reasons" not in tries[0].attributes
        assert (root.attributes["multiroute.route"], root.attributes["multiroute.fallback"]) == ("scripted:m1", True)
        takes = [take.usage for route in router.routes for take in provider_of(route).takes if take.usage]
        assert collected.counted()[0][1] == sum(usage.input_tokens or 0 for usage in takes)
        assert collected.counted()[1][1] == sum(usage.output_tokens or 0 for usage in takes)


@pytest.mark.parametrize("face", ("stream", "astream"))
class TestStreams:
    def test_a_broken_one(self, collected, face):
        router = collected.router(DropConnection(2, usage=USAGE))
        with pytest.raises(StreamInterruptedError):
            ask(router, face)
        root, [attempt] = collected.one()
        for span in (root, attempt):
            assert span.attributes["error.type"] == "broken_stream"
            assert span.status.status_code == StatusCode.ERROR
        assert attempt.attributes["gen_ai.response.model"] == "m0"
        assert collected.counted() == [(100, 100), (20, 20)]

    def test_one_that_goes_on_elsewhere_counts_each_speaker_once(self, collected, face):
        router = collected.router(
            DropConnection(2, usage=USAGE), Answer("and more", usage=Usage(7, 3)), on_stream_error="continue"
        )
        assert ask(router, face).usage.input_tokens == 107
        root, tries = collected.one()
        assert [span.attributes["gen_ai.usage.input_tokens"] for span in tries] == [100, 7]
        assert root.attributes["multiroute.request.input_tokens"] == 107
        assert collected.counted() == [(107, 107), (23, 23)]

    def test_what_nobody_told_is_an_estimate_and_no_usage(self, collected, face):
        router = collected.router(DropConnection(2))
        with pytest.raises(StreamInterruptedError):
            ask(router, face)
        _, [attempt] = collected.one()
        assert attempt.attributes["multiroute.attempt.estimated_input_tokens"] > 0
        assert attempt.attributes["multiroute.attempt.estimated_output_tokens"] > 0
        assert collected.counted() == [(0, 0), (0, 0)]
        [cost] = collected.points("multiroute.cost")
        assert cost.attributes["multiroute.estimated"] is True
        assert cost.value == pytest.approx(attempt.attributes["multiroute.attempt.estimated_cost"])

    def test_one_that_is_left_alone(self, collected, face):
        router = collected.router(Answer(("one ", "two ", "three"), usage=USAGE))
        with collected.tracer.start_as_current_span("caller") as caller:
            if face == "stream":
                next(router.stream("Hi"))
            else:

                async def leave():
                    async for _ in router.astream("Hi"):
                        break

                asyncio.run(leave())
        gc.collect()
        root, [attempt] = collected.one()
        assert root.parent.span_id == caller.get_span_context().span_id
        assert root.attributes["multiroute.outcome"] == attempt.attributes["multiroute.outcome"] == "cancelled"
        assert collected.hook.open_requests == 0


async def test_a_stream_that_ends_elsewhere_belongs_where_it_began(collected):
    chunks = collected.router(Answer(("one ", "two"))).astream("Hi")
    with collected.tracer.start_as_current_span("caller") as caller:
        await anext(chunks)
    with collected.tracer.start_as_current_span("another"):
        _ = [chunk async for chunk in chunks]
    root, _ = collected.one()
    assert root.parent.span_id == caller.get_span_context().span_id


def test_an_old_answer_where_no_route_has_a_new_one(collected):
    caching = CacheConfig("memory", ttl=0.01, stale_if_error=60)
    router = collected.router([Answer(usage=USAGE), Fail()], cache=caching)
    router.generate("Hi")
    time.sleep(0.05)
    assert router.generate("Hi").stale
    _, (root, attempt) = collected.spans()
    told = root.attributes
    assert (told["multiroute.outcome"], told["multiroute.stale"], told["multiroute.fallback"]) == (
        "cached",
        True,
        False,
    )
    assert attempt.attributes["multiroute.outcome"] == "server_error"
    assert "gen_ai.response.finish_reasons" not in attempt.attributes
    assert collected.counted() == [(100, 100), (20, 20)]


async def test_a_task_that_is_cancelled(collected):
    router = collected.router(Hang())
    task = asyncio.create_task(router.agenerate("Hi"))
    while collected.hook.open_requests == 0 or not provider_of(router.routes[0]).in_flight:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    root, [attempt] = collected.one()
    assert root.attributes["multiroute.outcome"] == attempt.attributes["multiroute.outcome"] == "cancelled"
    assert root.status.status_code == attempt.status.status_code == StatusCode.UNSET
    assert [point.attributes["multiroute.outcome"] for point in collected.points(DURATION)] == ["cancelled"]


def of_every_kind(asked):
    """A whole answer, a failure, or a broken stream, as the question says."""
    return (Answer(("a ", "b"), per_chunk=0.002, usage=USAGE), Fail(after=0.001), DropConnection(1, usage=USAGE))[
        int(asked.text) % 3
    ]


async def test_fifty_tasks_at_once_keep_their_parents_and_every_token(collected):
    router = collected.router(of_every_kind, Answer("backup", usage=Usage(7, 3)))
    parents = {}

    async def one(number):
        with collected.tracer.start_as_current_span(f"caller {number}") as caller:
            parents[caller.get_span_context().span_id] = number
            with contextlib.suppress(StreamInterruptedError):
                if number % 2:
                    await router.agenerate(str(number))
                else:
                    _ = [chunk async for chunk in router.astream(str(number))]

    await asyncio.gather(*(one(number) for number in range(50)))
    found = collected.spans()
    assert sorted(parents[root.parent.span_id] for root, *_ in found) == list(range(50))
    told = {event.request_id: event.attempts for event in collected.events if isinstance(event, RequestEnded)}
    for root, *tries in found:
        records = told[root.attributes["multiroute.request.id"]]
        assert [(span.attributes["multiroute.route"], span.attributes["multiroute.outcome"]) for span in tries] == [
            (record.route, record.outcome) for record in records
        ]
    assert {record.outcome for records in told.values() for record in records} >= {"success", "broken_stream"}
    usages = [record.usage for records in told.values() for record in records if record.usage is not None]
    tokens = [sum(usage.input_tokens or 0 for usage in usages), sum(usage.output_tokens or 0 for usage in usages)]
    assert collected.counted() == [(count, count) for count in tokens]
    assert sum(point.count for point in collected.points(DURATION)) == 50


def test_threads_keep_their_parents_and_every_token(collected):
    router = collected.router(Answer(("a ", "b"), per_chunk=0.001, usage=USAGE))
    parents = []

    def one():
        for face in ("generate", "stream"):
            with collected.tracer.start_as_current_span("caller") as caller:
                parents.append(caller.get_span_context().span_id)
                ask(router, face)

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(root.parent.span_id for root, *_ in collected.spans()) == sorted(parents)
    assert collected.counted() == [(3200, 3200), (640, 640)]


class TestAbandoned:
    def started(self, number):
        return RequestStarted(f"r{number}", Request((Message("user", "Hi"),)), ("scripted:m0",), False)

    def test_the_bookkeeping_is_bounded(self, collected, monkeypatch):
        monkeypatch.setattr(otel, "MAX_OPEN", 10)
        for number in range(25):
            collected.hook(self.started(number))
        assert collected.hook.open_requests == 10
        assert [root.attributes["multiroute.outcome"] for root, *_ in collected.spans()] == ["abandoned"] * 15
        collected.hook.close()
        assert (len(collected.spans()), collected.hook.open_requests) == (25, 0)

    def test_what_is_silent_for_long_is_ended(self, collected, monkeypatch):
        collected.hook(self.started(1))
        real = time.monotonic
        monkeypatch.setattr(otel.time, "monotonic", lambda: real() + 2 * otel.IDLE_SECONDS)
        collected.hook(self.started(2))
        assert collected.hook.open_requests == 1
        root, _ = collected.one()
        assert root.attributes["multiroute.request.id"] == "r1"

    def test_one_that_comes_back_has_its_tokens_counted_and_no_second_span(self, collected):
        collected.hook(self.started(1))
        collected.hook.close()
        attempt = Attempt("scripted:m0", "scripted", "m0", "success", 1.0, usage=USAGE)
        collected.hook(AttemptEnded("r1", attempt))
        collected.hook(RequestEnded("r1", 1.0, (attempt,), Response((Text("x"),), "stop", USAGE, "m0", "s", "m0")))
        assert len(collected.spans()) == 1
        assert [metric for _, metric in collected.counted()] == [100, 20]

    def test_at_exit_they_are_ended_before_the_provider_shuts_down(self):
        code = (
            "from opentelemetry.sdk.trace import TracerProvider\n"
            "from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter\n"
            "from opentelemetry import trace\n"
            "from multiroute_core import Router\n"
            "from multiroute_core.telemetry import OpenTelemetry\n"
            "from multiroute_core.testing import Answer, scripted_route\n"
            "router = Router([scripted_route('a', Answer(('one ', 'two')))], on_event=[OpenTelemetry()])\n"
            "provider = TracerProvider(); trace.set_tracer_provider(provider)\n"
            "provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))\n"
            "stream = router.stream('Hi'); next(stream)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert '"multiroute.outcome": "abandoned"' in done.stdout
        assert done.stderr == ""


class TestContent:
    REQUEST = (
        Message("system", "Be brief."),
        Message("user", [Text("Look: "), Blob(b"\x89PNG", "image/png"), Uri("https://me:pass@host/p.png?sig=s3cret")]),
    )
    TOOLS = (Tool("get_weather"), ServerTool("openai.responses", {"type": "mcp", "authorization": "s3cret"}))

    def ask(self, **options):
        collected = Collected(**options)
        answer = Answer("It is \ud83d.", tool_calls=[ToolCall("c1", "get_weather", {"city": "Oslo"})])
        router = collected.router(answer)
        router.generate(self.REQUEST, extra={"openai": {"user": "s3cret"}})
        collected.hook(RequestStarted("r", Request(self.REQUEST, tools=self.TOOLS), (), False))
        collected.hook.close()
        return collected.spans()

    def test_none_by_default(self):
        told = "".join(span.to_json() for spans in self.ask() for span in spans)
        for word in ("Be brief", "Look", "It is", "Oslo", "s3cret", "pass@"):
            assert word not in told

    def test_what_was_asked_and_answered_on_demand_and_no_secret(self):
        (root, attempt), (tools,) = self.ask(capture_content=True)
        assert json.loads(attribute(root, "gen_ai.input.messages")) == [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {
                "role": "user",
                "parts": [
                    {"type": "text", "content": "Look: "},
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "", "size": 4},
                    {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://host/p.png"},
                ],
            },
        ]
        call = {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Oslo"}}
        assert json.loads(attribute(root, "gen_ai.output.messages")) == [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "It is ?."}, call],
                "finish_reason": "tool_call",
            }
        ]
        assert json.loads(attribute(tools, "gen_ai.tool.definitions")) == [
            {"type": "function", "name": "get_weather"},
            {"type": "mcp", "name": "mcp"},
        ]
        told = "".join(span.to_json() for span in (root, attempt, tools))
        assert "s3cret" not in told
        assert "Oslo" not in attempt.to_json()


class Collector:
    """An OTLP collector: it takes what exporters post."""

    def __init__(self):
        self.traces, self.metrics = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                kind, into = {
                    "/v1/traces": (ExportTraceServiceRequest, outer.traces),
                    "/v1/metrics": (ExportMetricsServiceRequest, outer.metrics),
                }[self.path]
                into.append(kind.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def plain(attributes):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def test_a_collector_gets_it_over_http_from_routes_over_http():
    """A chat server that fails, one that answers, the real SDK of OpenAI, and OTLP."""
    with Collector() as collector, Fleet(chat_server.error(500), chat_server.answer(), max_retries=0) as fleet:
        spans_to = TracerProvider()
        spans_to.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
        exporter = OTLPMetricExporter(f"{collector.url}/v1/metrics")
        metrics_to = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
        hook = OpenTelemetry(spans_to, metrics_to)
        routes = [
            Route("openai:gpt-4.1", api_key="sk-key", base_url=f"{server.url}/v1", name=name)
            for server, name in zip(fleet.servers, "ab", strict=True)
        ]
        with Router(routes, on_event=[hook], max_retries=0) as router:
            for face in FACES:
                ask(router, face)
        spans_to.shutdown()
        metrics_to.force_flush()
        metrics_to.shutdown()
    scopes = [scope for post in collector.traces for part in post.resource_spans for scope in part.scope_spans]
    assert {scope.scope.name for scope in scopes} == {"multiroute"}
    assert {scope.schema_url for scope in scopes} == {otel.SCHEMA}
    spans = [span for scope in scopes for span in scope.spans]
    roots = [span for span in spans if span.name.startswith("chat")]
    assert len(roots) == 4
    tries = [plain(span.attributes) for span in spans if span.name.startswith("attempt")]
    assert len(tries) + sum(len(root.events) for root in roots) == 8
    assert {t.get("http.response.status_code") for t in tries if t["multiroute.route"] == "a"} == {500}
    answered = [t for t in tries if t["multiroute.route"] == "b"]
    assert [(t["gen_ai.usage.input_tokens"], t["gen_ai.usage.output_tokens"]) for t in answered] == [(5, 2)] * 4
    assert {(t["gen_ai.provider.name"], t["gen_ai.response.model"]) for t in answered} == {("openai", "gpt-4.1")}
    metrics = [
        metric
        for post in collector.metrics
        for part in post.resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
    ]
    tokens = [point for m in metrics if m.name == TOKENS for point in m.histogram.data_points]
    assert {plain(p.attributes)["gen_ai.token.type"]: p.sum for p in tokens} == {"input": 20, "output": 8}
    assert b"sk-key" not in b"".join(post.SerializeToString() for post in [*collector.traces, *collector.metrics])


class TestFrameworks:
    @pytest.mark.parametrize("face", ("invoke", "ainvoke", "stream", "astream"))
    async def test_langchain(self, collected, face):
        from langchain_core.output_parsers import StrOutputParser
        from langchain_core.prompts import ChatPromptTemplate

        from langchain_multiroute import ChatMultiRoute

        llm = ChatMultiRoute(router=collected.router(Fail(), Answer(("He", "llo"), usage=USAGE)))
        chain = ChatPromptTemplate.from_template("{x}") | llm | StrOutputParser()
        with collected.tracer.start_as_current_span("chain") as caller:
            if face == "invoke":
                text = chain.invoke({"x": "Hi"})
            elif face == "ainvoke":
                text = await chain.ainvoke({"x": "Hi"})
            elif face == "stream":
                text = "".join(chain.stream({"x": "Hi"}))
            else:
                text = "".join([chunk async for chunk in chain.astream({"x": "Hi"})])
        self.check(collected, caller, text)

    @pytest.mark.parametrize("face", ("chat", "achat", "stream_chat", "astream_chat"))
    async def test_llamaindex(self, collected, face):
        from llama_index.core.llms import ChatMessage

        from llamaindex_multiroute import MultiRoute

        llm = MultiRoute(router=collected.router(Fail(), Answer(("He", "llo"), usage=USAGE)))
        messages = [ChatMessage("Hi")]
        with collected.tracer.start_as_current_span("chain") as caller:
            if face == "chat":
                text = llm.chat(messages).message.content
            elif face == "achat":
                text = (await llm.achat(messages)).message.content
            elif face == "stream_chat":
                text = list(llm.stream_chat(messages))[-1].message.content
            else:
                text = [chunk async for chunk in await llm.astream_chat(messages)][-1].message.content
        self.check(collected, caller, text)

    def check(self, collected, caller, text):
        assert text == "Hello"
        root, tries = collected.one()
        assert root.parent.span_id == caller.get_span_context().span_id
        assert [span.attributes["multiroute.outcome"] for span in tries] == ["server_error", "success"]
        assert collected.counted() == [(100, 100), (20, 20)]


class TestTheHook:
    def test_a_route_of_another_name_tells_its_provider_when_the_try_is_over(self, collected):
        route = Route("scripted:m0", name="team:blue", llm=ScriptedProvider(Answer()))
        Router([route], on_event=[collected.hook]).generate("Hi")
        root, [attempt] = collected.one()
        for span in (root, attempt):
            assert span.attributes["gen_ai.provider.name"] == "scripted"
            assert span.attributes.get("gen_ai.request.model") in (None, "m0")  # never "blue"
            assert span.attributes["gen_ai.response.model"] == "m0"

    def test_it_uses_the_process_wide_providers_and_does_nothing_without(self):
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        hook = OpenTelemetry()
        assert Router([Route("scripted:m0", llm=ScriptedProvider(Answer()))], on_event=[hook]).generate("Hi").text
        assert hook.open_requests == 0

    def test_a_stream_that_is_collected_inside_of_the_sdk_does_not_meet_its_lock(self, collected):
        """The collector of garbage runs anywhere, also where an exporter holds a lock on the same thread."""
        router = collected.router(Answer(("one ", "two"), usage=USAGE))
        left, missed = [], []

        class Locked(SpanProcessor):
            lock = threading.Lock()

            def on_end(self, span):
                if not self.lock.acquire(timeout=2):
                    missed.append(span.name)
                    return
                while left:
                    left.pop().close()
                self.lock.release()

        collected.spans_to.add_span_processor(Locked())
        left.append(router.stream("Hi"))
        next(left[0])
        router.generate("Hi")
        assert missed == []
        assert [root.attributes["multiroute.outcome"] for root, _ in collected.spans()] == ["success", "cancelled"]
        assert collected.hook.open_requests == 0

    def test_it_pickles_as_its_settings(self):
        assert repr(pickle.loads(pickle.dumps(OpenTelemetry(capture_content=True)))) == (
            "OpenTelemetry(capture_content=True)"
        )

    def test_google_by_its_name_in_the_conventions(self, collected):
        attempt = Attempt("google:gemini-x", "google", "gemini-x", "success", 1.0, usage=USAGE)
        collected.hook(AttemptEnded("r", attempt))
        assert {p.attributes["gen_ai.provider.name"] for p in collected.points(TOKENS)} == {"gcp.gemini"}

    def test_it_is_imported_when_it_is_needed_and_names_the_extra(self):
        code = (
            "import sys, multiroute_core, multiroute_core.telemetry as t\n"
            "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
            "sys.modules['opentelemetry'] = None\n"
            "try: t.OpenTelemetry()\n"
            "except multiroute_core.ConfigurationError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert "pip install 'multiroute-llm[otel]'" in done.stdout
