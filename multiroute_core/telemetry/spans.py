"""OpenTelemetry spans: one per request, with a child span per attempt.

They are created when the request ends, with the times of its events. Until then only a small record exists, so that a
request that never ends leaves no span open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multiroute_core.errors import MultiRouteError, RouteError, StreamInterruptedError
from multiroute_core.events import AttemptEnded, AttemptStarted, RequestEnded, RequestStarted, RouteSkipped
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.telemetry import content
from multiroute_core.types import Attempt, Request, Response, Usage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

OPERATION = "chat"


@dataclass(slots=True)
class TracedAttempt:
    """One attempt.

    Attributes:
        route: The route's name.
        kind: `"first"`, `"retry"` (the same route again), `"fallback"` (another route after a failure), or `"hedge"`
            (another attempt is still running).
        start_time: In nanoseconds since 1970.
        provider: The route's provider; empty if unknown.
        model: The requested model; None if unknown.
        region: The route's region.
        ended: The event of its end; None before.
    """

    route: str
    kind: str
    start_time: int
    provider: str
    model: str | None
    region: str | None
    ended: AttemptEnded | None = None

    def end(self, ended: AttemptEnded) -> None:
        """Records the end of the attempt."""
        self.ended = ended
        if not self.provider:
            self.provider = ended.attempt.provider
            self.model = of_name(self.route, ended.attempt.provider)[1]


@dataclass(slots=True)
class TracedRequest:
    """One open request.

    Attributes:
        request_id: The request's id.
        context: The caller's context, whose current span is the parent.
        start_time: In nanoseconds since 1970.
        last_activity: The time of its latest event, on the monotonic clock.
        stream: Whether the response is streamed.
        first: The name of the first candidate.
        attributes: The span attributes that describe the request.
        attempts: All attempts, in the order of their start.
        skipped: The skipped routes, each with its time.
        first_token: The time of the first chunk, in nanoseconds since 1970.
    """

    request_id: str
    context: Context
    start_time: int
    last_activity: float
    stream: bool
    first: str
    attributes: dict[str, Any]
    attempts: list[TracedAttempt] = field(default_factory=list[TracedAttempt])
    skipped: list[tuple[int, RouteSkipped]] = field(default_factory=list[tuple[int, RouteSkipped]])
    first_token: int | None = None

    def start(self, event: AttemptStarted, now: int) -> None:
        """Records the start of an attempt."""
        if any(attempt_state.ended is None for attempt_state in self.attempts):
            kind = "hedge"
        elif any(traced.route == event.route for traced in self.attempts):
            kind = "retry"
        else:
            kind = "fallback" if self.attempts else "first"
        self.attempts.append(TracedAttempt(event.route, kind, now, event.provider, event.model or None, event.region))

    def end(self, event: AttemptEnded) -> TracedAttempt | None:
        """Records the end of the latest open attempt on the route."""
        for attempt_state in reversed(self.attempts):
            if attempt_state.route == event.attempt.route and attempt_state.ended is None:
                attempt_state.end(event)
                return attempt_state
        return None

    @property
    def target(self) -> tuple[str, str | None]:
        """The provider and model of the first attempt."""
        if self.attempts and self.attempts[0].provider:
            return self.attempts[0].provider, self.attempts[0].model
        return of_name(self.first)

    def before(self, ended: RequestEnded, now: int) -> int:
        """Returns the actual start time: the cache lookup precedes the first event."""
        return min(self.start_time, now - round(ended.seconds * 1e9))


def describe_request(event: RequestStarted) -> dict[str, Any]:
    """Returns span attributes that describe the request without its content."""
    request: Request = event.request
    return drop_none(
        {
            "gen_ai.request.stream": True if event.stream else None,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.top_p": request.top_p,
            "gen_ai.request.max_tokens": request.max_tokens,
            "gen_ai.request.seed": request.seed,
            "gen_ai.request.stop_sequences": request.stop or None,
            "gen_ai.output.type": None if request.output_schema is None else "json",
            "multiroute.request.id": event.request_id,
            "multiroute.request.candidates": event.candidates,
            "multiroute.tenant": event.tenant,
        }
    )


def drop_none(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `attributes` without None values."""
    return {name: value for name, value in attributes.items() if value is not None}


def target(provider: str, model: str | None) -> dict[str, str]:
    """Returns provider and model as attributes of the conventions."""
    spec = PROVIDERS.get(provider)
    return drop_none(
        {
            "gen_ai.operation.name": OPERATION,
            "gen_ai.provider.name": (provider if spec is None else spec.telemetry_name) or None,
            "gen_ai.request.model": model,
        }
    )


def of_name(route: str, provider: str | None = None) -> tuple[str, str | None]:
    """Returns the provider and model in a route's name, if it has the default form."""
    first, _, model = route.partition(":")
    if model and provider in (None, first):
        return first, model
    return provider or "", None


def outcome(ended: RequestEnded | None) -> str:
    """Returns a request's outcome: as for an attempt, or `"cached"`, or `"abandoned"`."""
    if ended is None:
        return "abandoned"
    if ended.error is not None:
        return error_type(ended.error)
    if ended.response is None:
        return "cancelled"
    return "cached" if ended.response.cached else "success"


def error_type(error: MultiRouteError) -> str:
    """Returns the `code` of a route error, or the name of the error's class."""
    return error.code if isinstance(error, RouteError) else type(error).__name__


def used(usage: Usage | None) -> dict[str, int]:
    """Returns the token counts as attributes of the conventions."""
    if usage is None:
        return {}
    return drop_none(
        {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    )


def emit(tracer: Tracer, request: TracedRequest, ended: RequestEnded | None, now: int, *, capture: bool) -> None:
    """Creates the spans of a finished request; `ended` is None for an abandoned one."""
    from opentelemetry import trace

    start_time = request.start_time if ended is None else request.before(ended, now)
    attributes = target(*request.target) | request.attributes | _result(request, ended, start_time)
    name = f"{OPERATION} {model}" if (model := request.target[1]) else OPERATION
    client = trace.SpanKind.CLIENT
    span = tracer.start_span(name, request.context, client, attributes, start_time=start_time)
    for at, skipped in request.skipped:
        details = {
            "multiroute.route": skipped.route,
            "multiroute.skip_reason": skipped.reason,
            "multiroute.retry_after": skipped.seconds,
        }
        span.add_event("multiroute.route_skipped", details, at)
    inside = trace.set_span_in_context(span, request.context)
    response = None if ended is None else ended.response
    last = next(
        (attempt_state for attempt_state in reversed(request.attempts) if attempt_state.ended is not None), None
    )
    for number, traced in enumerate(request.attempts, 1):
        name = f"attempt {traced.route}"
        span_attributes = _attempt(traced, number, stream=request.stream)
        is_answer = traced is last and response is not None and response.route == traced.route and not response.cached
        if is_answer and response is not None and response.finish_reason:
            span_attributes["gen_ai.response.finish_reasons"] = (response.finish_reason,)
        child = tracer.start_span(name, inside, client, span_attributes, start_time=traced.start_time)
        until = now
        if traced.ended is not None:
            until = min(now, traced.start_time + round(traced.ended.attempt.seconds * 1e9))
            _status(child, traced.ended.error)
        child.end(max(until, traced.start_time))
    if ended is not None:
        _status(span, ended.error)
        if capture and (answer := _find_response(ended)) is not None and span.is_recording():
            span.set_attributes(content.of_response(answer))
    span.end(now)


def _result(request: TracedRequest, ended: RequestEnded | None, start_time: int) -> dict[str, Any]:
    """Describes the result. Tokens are on the attempts, so that a sum over all spans counts each token once."""
    attempts = request.attempts
    first_chunk = None if request.first_token is None else max(0, request.first_token - start_time) / 1e9
    attributes: dict[str, Any] = {
        "multiroute.outcome": outcome(ended),
        "multiroute.request.attempts": len(attempts),
        "multiroute.request.retries": sum(attempt_state.kind == "retry" for attempt_state in attempts),
        "gen_ai.response.time_to_first_chunk": first_chunk,
    }
    if ended is None:
        return drop_none(attributes)
    done = ended.attempts
    costs = [attempt.cost for attempt in done if attempt.cost is not None]
    usages = [attempt.usage for attempt in done if attempt.usage is not None]
    attributes["multiroute.request.cost"] = sum(costs) if costs else None
    attributes["multiroute.request.input_tokens"] = sum(u.input_tokens or 0 for u in usages) if usages else None
    attributes["multiroute.request.output_tokens"] = sum(u.output_tokens or 0 for u in usages) if usages else None
    if ended.error is not None:
        attributes["error.type"] = error_type(ended.error)
    if (response := ended.response) is not None:
        attributes["multiroute.route"] = response.route
        attributes["multiroute.fallback"] = (
            bool(attempts) and attempts[0].route != response.route and not response.cached
        )
        attributes["gen_ai.response.model"] = response.model
        attributes["gen_ai.response.finish_reasons"] = (response.finish_reason,) if response.finish_reason else None
        attributes["multiroute.cached"] = response.cached
        if response.cached:
            attributes |= used(response.usage)
            attributes["multiroute.stale"] = response.stale
            attributes["multiroute.saved_cost"] = response.saved_cost
            attributes["multiroute.similarity"] = response.similarity
    return drop_none(attributes)


def _attempt(attempt_state: TracedAttempt, number: int, *, stream: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.request.stream": True if stream else None,
        "multiroute.route": attempt_state.route,
        "multiroute.region": attempt_state.region,
        "multiroute.attempt.number": number,
        "multiroute.attempt.kind": attempt_state.kind,
    }
    attributes |= target(attempt_state.provider, attempt_state.model)
    if attempt_state.ended is None:
        return drop_none(attributes | {"multiroute.outcome": "abandoned"})
    attempt = attempt_state.ended.attempt
    error = attempt_state.ended.error
    attributes |= {
        "multiroute.outcome": attempt.outcome,
        "gen_ai.response.model": _answered_by(attempt),
        "gen_ai.response.time_to_first_chunk": attempt.first_token_seconds if stream else None,
        "multiroute.attempt.cost": attempt.cost,
        "multiroute.attempt.estimated_cost": attempt.estimated_cost,
        "multiroute.attempt.dropped": attempt.dropped or None,
    }
    if attempt.estimated_usage is not None:
        attributes["multiroute.attempt.estimated_input_tokens"] = attempt.estimated_usage.input_tokens
        attributes["multiroute.attempt.estimated_output_tokens"] = attempt.estimated_usage.output_tokens
    if error is not None:
        attributes |= {"error.type": error.code, "http.response.status_code": error.status}
    return drop_none(attributes | used(attempt.usage))


def _answered_by(attempt: Attempt) -> str | None:
    """Returns the model that responded, if any; the record of an attempt that failed at once has the requested one."""
    has_responded = attempt.outcome == "success" or attempt.first_token_seconds is not None
    return attempt.model if has_responded else None


def _status(span: Span, error: MultiRouteError | None) -> None:
    """Marks a failure. The provider's error text is omitted: it may quote the prompt or a key."""
    from opentelemetry.trace import Status, StatusCode

    if error is not None:
        status = getattr(error, "status", None)
        span.set_status(Status(StatusCode.ERROR, error_type(error) + (f" (HTTP {status})" if status else "")))


def _find_response(ended: RequestEnded) -> Response | None:
    """Returns the response, or the partial response of an interrupted stream."""
    error = ended.error
    return error.partial if isinstance(error, StreamInterruptedError) else ended.response
