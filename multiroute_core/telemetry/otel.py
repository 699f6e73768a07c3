"""OpenTelemetry exporter: spans and metrics by the semantic conventions for generative AI, version 1.41.

That is the latest released version; the conventions are still in development. Attributes without a standard name are
called `multiroute.…`. `docs/telemetry.md` lists all of them.
"""

from __future__ import annotations

import atexit
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.events import (
    AttemptEnded,
    AttemptStarted,
    BudgetAlert,
    Event,
    FirstToken,
    RequestEnded,
    RequestStarted,
    RouteSkipped,
)
from multiroute_core.telemetry import content, spans
from multiroute_core.telemetry.gauges import GAUGES, Gauge, GaugeKind, MeteredRouter, read_gauges
from multiroute_core.telemetry.spans import TracedAttempt, TracedRequest
from multiroute_core.types import Usage

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
    from opentelemetry.trace import TracerProvider

SCHEMA = "https://opentelemetry.io/schemas/1.41.1"
SCOPE = "multiroute"

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))

MAX_OPEN = 10_000
"""Maximum number of open requests; beyond it, the oldest counts as abandoned."""

IDLE_SECONDS = 3600.0
"""A request without events for this many seconds counts as abandoned."""

SWEEP_SECONDS = 60.0

GAUGE_SECONDS = 0.1
"""How long gauges that were read count as those of the same export, in seconds."""


class OpenTelemetry:
    """A hook that exports every request to OpenTelemetry: `Router(on_event=[OpenTelemetry()])`.

    Each request becomes a span under the span that is current in the caller, with a child span per attempt; they are
    created when the request ends. A request without events for an hour, or one that is still open at exit or at
    `close`, gets its spans then. Metrics report durations, tokens and cost. Every token that a provider reports is
    counted once: on the span of its attempt, and in the metric.

    Args:
        tracer_provider: The provider for spans; None for the global provider.
        meter_provider: The provider for metrics; None for the global provider.
        capture_content: Whether the request's span contains the messages and the response. They are usually personal
            data.

    Raises:
        ConfigurationError: if the package `opentelemetry-api` is not installed.

    Example:
        >>> router = Router(routes, on_event=[OpenTelemetry()])  # doctest: +SKIP
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        capture_content: bool = False,
    ) -> None:
        try:
            from opentelemetry import context, metrics, trace
        except ImportError as error:
            raise ConfigurationError(
                f"OpenTelemetry needs a package that is not installed ({error}); "
                "run: pip install 'multiroute-llm[otel]'"
            ) from error
        self._constructor_arguments = (tracer_provider, meter_provider, capture_content)
        self._capture = capture_content
        self._current_context = context.get_current
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA)
        self._metrics = _Metrics(metrics.get_meter(SCOPE, meter_provider=meter_provider, schema_url=SCHEMA))
        # No lock: a garbage-collected stream may emit its end at any line here, on the thread that would hold the lock.
        # Every step is one dictionary operation, and the thread that pops a request creates its spans.
        self._routers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._open: dict[str, TracedRequest] = {}
        self._swept = time.monotonic()
        self._thread = threading.local()
        self._at_exit: Any = None

    def __call__(self, event: Event) -> None:
        """Handles an event."""
        late: deque[tuple[Event, int]] | None = getattr(self._thread, "late", None)
        if late is not None:  # a stream was collected while the SDK below holds a lock: handled later
            late.append((event, time.time_ns()))
            return
        self._thread.late = late = deque([(event, time.time_ns())])
        try:
            while late:
                self._handle(*late.popleft())
        finally:
            self._thread.late = None

    def attach_router(self, router: MeteredRouter, *, is_shared: bool = False) -> None:
        """Add a router whose gauges are exported; it is not kept alive. A router calls this for its own hooks.

        Args:
            router: The router.
            is_shared: Whether its state is on Redis; then every process exports the same values.
        """
        del is_shared  # each process exports as a resource of its own
        self._routers.add(router)
        self._metrics.watch(self._routers)

    @property
    def open_requests(self) -> int:
        """Number of open requests."""
        return len(self._open)

    def close(self) -> None:
        """Creates the spans of all open requests. Requests that end later only have their tokens counted."""
        at_exit = self._at_exit
        self._at_exit = None
        if at_exit is not None:
            atexit.unregister(at_exit)
        for request_id in list(self._open):
            self._abandon(request_id)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._constructor_arguments

    def __repr__(self) -> str:
        return f"OpenTelemetry(capture_content={self._capture})"

    def _handle(self, event: Event, now: int) -> None:
        if isinstance(event, RequestStarted):
            self._begin(event, now)
            return
        if isinstance(event, RequestEnded):
            if (request := self._open.pop(event.request_id, None)) is not None:
                self._metrics.request(request, event, now)
                spans.emit(self._tracer, request, event, now, capture=self._capture)
            return
        if isinstance(event, BudgetAlert):
            return
        request = self._open.get(event.request_id)
        if request is not None:
            request.last_activity = time.monotonic()
        match event:
            case AttemptEnded():
                self._metrics.attempt(event, None if request is None else request.end(event))
            case AttemptStarted() if request is not None:
                request.start(event, now)
            case FirstToken() if request is not None:
                request.first_token = request.first_token or now
            case RouteSkipped() if request is not None:
                request.skipped.append((now, event))
            case _:
                pass  # the request counts as abandoned

    def _begin(self, event: RequestStarted, now: int) -> None:
        if self._at_exit is None:
            self._at_exit = _closer(self)
        moment = time.monotonic()
        attributes = spans.describe_request(event)
        if self._capture:
            attributes |= content.of_request(event.request)
        first = event.candidates[0] if event.candidates else ""
        self._open[event.request_id] = TracedRequest(
            event.request_id, self._current_context(), now, moment, event.stream, first, attributes
        )
        if moment - self._swept > SWEEP_SECONDS:
            self._swept = moment
            for request in list(self._open.values()):
                if moment - request.last_activity > IDLE_SECONDS:
                    self._abandon(request.request_id)
        while len(self._open) > MAX_OPEN:
            try:
                self._abandon(next(iter(self._open)))
            except (RuntimeError, StopIteration):  # another thread was faster
                break

    def _abandon(self, request_id: str) -> None:
        if (request := self._open.pop(request_id, None)) is not None:
            spans.emit(self._tracer, request, None, time.time_ns(), capture=self._capture)


class _Metrics:
    """Metrics: durations of requests, and durations, tokens and cost of attempts."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._is_watching = False
        self._gauges: tuple[float, list[Gauge]] = (-math.inf, [])

        def seconds(name: str, what: str) -> Histogram:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=SECONDS)

        self._duration = seconds("gen_ai.client.operation.duration", "GenAI operation duration.")
        self._first_chunk = seconds(
            "gen_ai.client.operation.time_to_first_chunk", "Time from the request to the first chunk of a stream."
        )
        self._attempt_durations = seconds("multiroute.attempt.duration", "Duration of one attempt on one route.")
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._cost: Counter = meter.create_counter("multiroute.cost", "{USD}", "Cost charged by the providers, in USD.")

    def watch(self, routers: weakref.WeakSet[Any]) -> None:
        """Create the gauges of these routers, which are read at each export."""
        if self._is_watching:
            return
        self._is_watching = True
        from opentelemetry.metrics import CallbackOptions, Observation

        def observe(kind: GaugeKind) -> Callable[[CallbackOptions], Iterator[Observation]]:
            def read(_: CallbackOptions) -> Iterator[Observation]:
                for gauge in self._read_gauges(routers):
                    if gauge.kind is kind:
                        yield Observation(gauge.value, dict(gauge.labels))

            return read

        for kind in GAUGES:
            self._meter.create_observable_gauge(kind.name, [observe(kind)], kind.unit, kind.help)

    def _read_gauges(self, routers: weakref.WeakSet[Any]) -> list[Gauge]:
        """Return all gauges; an export asks for one kind after another, and they are read once."""
        now = time.monotonic()
        read_at, gauges = self._gauges
        if now - read_at > GAUGE_SECONDS:
            gauges = [gauge for router in list(routers) for gauge in read_gauges(router)]
            self._gauges = now, gauges
        return gauges

    def request(self, request: TracedRequest, ended: RequestEnded, now: int) -> None:
        """Records the end of a request."""
        response = ended.response
        error = ended.error
        labels = spans.target(*request.target) | spans.drop_none(
            {
                "gen_ai.response.model": None if response is None else response.model,
                "error.type": None if error is None else spans.error_type(error),
                "multiroute.outcome": spans.outcome(ended),
            }
        )
        self._duration.record(ended.seconds, labels, request.context)
        if request.first_token is not None:
            delay = max(0, request.first_token - request.before(ended, now)) / 1e9
            self._first_chunk.record(delay, labels, request.context)
        if response is not None and response.cached:
            provider = spans.target(response.provider, None)
            self._used(response.usage, labels | provider | {"multiroute.route": response.route})

    def attempt(self, ended: AttemptEnded, attempt_state: TracedAttempt | None) -> None:
        """Records the end of an attempt, even of an abandoned request, because its tokens were used."""
        attempt = ended.attempt
        error = ended.error
        if attempt_state is None:
            who = spans.target(*spans.of_name(attempt.route, attempt.provider))
        else:
            who = spans.target(attempt_state.provider, attempt_state.model)
        who |= {"multiroute.route": attempt.route, "multiroute.outcome": attempt.outcome}
        failed = {} if error is None else {"error.type": error.code}
        self._attempt_durations.record(attempt.seconds, who | failed)
        who["gen_ai.response.model"] = attempt.model
        self._used(attempt.usage, who)
        if attempt.cost is not None:
            self._cost.add(attempt.cost, who | {"multiroute.estimated": False})
        if attempt.estimated_cost is not None:
            self._cost.add(attempt.estimated_cost, who | {"multiroute.estimated": True})

    def _used(self, usage: Usage | None, labels: dict[str, str]) -> None:
        for kind, tokens in (
            ("input", None if usage is None else usage.input_tokens),
            ("output", None if usage is None else usage.output_tokens),
        ):
            if tokens is not None:
                self._tokens.record(tokens, labels | {"gen_ai.token.type": kind})


def _closer(hook: OpenTelemetry) -> Any:
    """Closes `hook` at exit if it is alive, before the shutdown of its provider, which registered itself earlier."""
    alive = weakref.ref(hook)

    def close() -> None:
        if (live_hook := alive()) is not None:
            live_hook.close()

    atexit.register(close)
    weakref.finalize(hook, atexit.unregister, close).atexit = False
    return close


def _rebuild(tracer_provider: Any, meter_provider: Any, capture: bool) -> OpenTelemetry:  # noqa: FBT001
    return OpenTelemetry(tracer_provider, meter_provider, capture_content=capture)
