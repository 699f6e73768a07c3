"""Cost and token tracking of LlamaIndex's LLM calls: `CostHandler`, and instrumentation events.

Other LLMs that share the callback manager are counted too, by the usage in their raw responses; their cost is unknown,
and they are counted in `unpriced`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, cast

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.callbacks import CBEventType, EventPayload, token_counting
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
)
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler

from llamaindex_multiroute.llm import MultiRoute
from llamaindex_multiroute.traces import dispatch, put_right
from multiroute_core.errors import MultiRouteError
from multiroute_core.ledger.totals import Totals, moves
from multiroute_core.types import Usage

dispatcher = get_dispatcher(__name__)

ANSWERS = (LLMChatEndEvent, LLMChatInProgressEvent, LLMCompletionEndEvent, LLMCompletionInProgressEvent)
"""Events that may carry a response; a stream's last chunk has the complete response before the stream's end event."""

PLAIN_FACES = ("chat", "achat", "complete", "acomplete")
"""For these methods LlamaIndex reports an error only by their span; for streams it emits an event."""


class CostHandler(BaseCallbackHandler, Totals):
    """Add up tokens, cost, attempts, fallbacks and cache savings of calls, in total and by model.

    It can be used together with LlamaIndex's own `TokenCountingHandler`. See `multiroute_core.ledger.totals.Figures`
    for the figures; token counts are those that providers reported, never estimates.

    Example:
        >>> spent = CostHandler()
        >>> Settings.callback_manager = CallbackManager([spent])  # doctest: +SKIP
        >>> index.as_query_engine(llm=llm).query("Why?")  # doctest: +SKIP
        >>> print(spent.total.cost, spent.models["gpt-6-luna"].total_tokens)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        others = [kind for kind in CBEventType if kind is not CBEventType.LLM]
        BaseCallbackHandler.__init__(self, event_starts_to_ignore=list(CBEventType), event_ends_to_ignore=others)
        Totals.__init__(self)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Do nothing: start events carry no usage."""
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Record a successful or failed call."""
        if event_type is not CBEventType.LLM or payload is None:
            return
        if isinstance(error := payload.get(EventPayload.EXCEPTION), BaseException):
            self.failed(error)
        else:
            response = payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION)
            summary = read_summary(response)
            model, usage = _others(response) if summary is None else (summary["model"], _usage(summary))
            self.record_answer(model, usage, summary)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: traces are not used."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Do nothing: traces are not used."""


class AttemptEvent(BaseEvent):
    """An attempt on a route.

    Attributes:
        route: The route's name.
        model: The requested model, or the one that responded.
        outcome: `"success"`, `"cancelled"`, or the error's `code`.
        seconds: Duration of the attempt.
        cost: In USD; None if unknown.
        error: The error in one sentence; None if the attempt succeeded.
    """

    route: str
    model: str
    outcome: str
    seconds: float
    cost: float | None = None
    error: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """The event name for LlamaIndex."""
        return "MultiRouteAttemptEvent"


class FallbackEvent(BaseEvent):
    """A fallback to another route after a failure.

    Attributes:
        failed_route: The route that failed last.
        route: The route that was tried next.
        error: The `code` of the error on the failed route.
    """

    failed_route: str
    route: str
    error: str

    @classmethod
    def class_name(cls) -> str:
        """The event name for LlamaIndex."""
        return "MultiRouteFallbackEvent"


class CacheHitEvent(BaseEvent):
    """A hit in MultiRoute's cache.

    Attributes:
        route: The route of the original response.
        model: Its model.
        stale: Whether the cached response has expired.
        saved_cost: Cost saved by the hit, in USD; None if unknown.
    """

    route: str
    model: str
    stale: bool
    saved_cost: float | None = None

    @classmethod
    def class_name(cls) -> str:
        """The event name for LlamaIndex."""
        return "MultiRouteCacheHitEvent"


class CostEvent(BaseEvent):
    """A successful call.

    Attributes:
        route: The route of the response.
        model: The model of the response.
        cost: Cost of the response, in USD; None if unknown. The cost of failed attempts is in their own events.
    """

    route: str
    model: str
    cost: float | None = None

    @classmethod
    def class_name(cls) -> str:
        """The event name for LlamaIndex."""
        return "MultiRouteCostEvent"


class MultiRouteEventHandler(BaseEventHandler):
    """Report attempts, fallbacks, cache hits and cost of each MultiRoute response to LlamaIndex's instrumentation.

    It handles LlamaIndex's own events, and dispatches `AttemptEvent`, `FallbackEvent`, `CacheHitEvent` and `CostEvent`
    in the same span after the call has ended. Every handler of the root dispatcher receives them, except
    OpenInference's. Add it once; `MultiRouteSpanHandler` reports the attempts of calls that failed. With this handler,
    OpenInference's spans name the model that responded; without it they name the first route's model.

    Example:
        >>> get_dispatcher().add_event_handler(MultiRouteEventHandler())  # doctest: +SKIP
        >>> get_dispatcher().add_span_handler(MultiRouteSpanHandler())  # doctest: +SKIP
    """

    @classmethod
    def class_name(cls) -> str:
        """The handler name for LlamaIndex."""
        return "MultiRouteEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Report the routing data of a response, or of a stream's error."""
        if isinstance(event, ExceptionEvent):
            _tell_failure(event.exception, event.span_id)
        elif isinstance(event, ANSWERS) and (summary := read_summary(event.response)) is not None:
            span = event.span_id
            who = {"route": summary["route"], "model": summary["model"]}
            put_right(span, summary)
            if isinstance(event, LLMChatInProgressEvent | LLMCompletionInProgressEvent):
                return
            _tell_attempts(summary["attempts"], span)
            if summary.get("cached"):
                saved = summary.get("saved_cost")
                stale = bool(summary.get("stale"))
                dispatch(dispatcher, CacheHitEvent(**who, stale=stale, saved_cost=saved, span_id=span))
            dispatch(dispatcher, CostEvent(**who, cost=summary["cost"], span_id=span))


class MultiRouteSpanHandler(BaseSpanHandler[BaseSpan]):
    """Report the attempts of failed calls to LlamaIndex's instrumentation; LlamaIndex keeps the error only in its span.

    It stores no spans. Add it together with `MultiRouteEventHandler`.
    """

    @classmethod
    def class_name(cls) -> str:
        """The handler name for LlamaIndex."""
        return "MultiRouteSpanHandler"

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Do nothing: spans are not stored."""

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        """Do nothing: events report successful calls."""

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the attempts of a failed call, once; the spans around it drop with the same error."""
        face = id_.partition("-")[0].rpartition(".")[2]
        if isinstance(instance, MultiRoute) and face in PLAIN_FACES:
            _tell_failure(err, id_)


def _tell_failure(error: BaseException | None, span: str | None) -> None:
    if isinstance(error, MultiRouteError):
        _tell_attempts([attempt.summary() for attempt in error.attempts], span)


def _tell_attempts(attempts: Iterable[Mapping[str, Any]], span: str | None) -> None:
    failed: Mapping[str, Any] | None = None
    for attempt, move in moves(attempts):
        if move == "fallback" and failed is not None:
            route = failed["route"]
            why = failed["outcome"]
            dispatch(dispatcher, FallbackEvent(failed_route=route, route=attempt["route"], error=why, span_id=span))
        fields = {name: attempt.get(name) for name in ("route", "model", "outcome", "seconds", "cost", "error")}
        dispatch(dispatcher, AttemptEvent(**cast("Any", fields), span_id=span))
        if "error" in attempt:
            failed = attempt


def read_summary(response: Any) -> dict[str, Any] | None:
    """The routing data of a MultiRoute response; None for another LLM's response."""
    if not isinstance(response, ChatResponse | CompletionResponse):
        return None
    own = cast("dict[str, Any]", cast("Any", response).additional_kwargs)
    return own if {"route", "model", "cost", "attempts"} <= own.keys() else None


def _usage(summary: Mapping[str, Any]) -> Usage | None:
    if "prompt_tokens" not in summary:
        return None
    return Usage(
        summary["prompt_tokens"],
        summary["completion_tokens"],
        cache_read_tokens=summary.get("cache_read_tokens"),
        reasoning_tokens=summary.get("reasoning_tokens"),
    )


def _others(response: Any) -> tuple[str | None, Usage | None]:
    """The model and usage of another LLM's response, parsed as by LlamaIndex's own counter."""
    try:
        raw = dict(response.raw or {})
        read, output_tokens = cast("tuple[int, int]", cast("Any", token_counting).get_tokens_from_response(response))
    except (TypeError, ValueError, AttributeError):
        return None, None
    return raw.get("model") or raw.get("model_version"), Usage(read, output_tokens) if read or output_tokens else None
