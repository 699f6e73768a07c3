"""What LlamaIndex's LLM calls come to: `CostHandler` adds it up, and instrumentation hears of it as events.

Other LLMs that share the callback manager count too, by the usage in their raw answers; what they cost is unknown here,
and they stand in `unpriced`.
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
from llamaindex_multiroute.traces import put_right
from multiroute_core.errors import MultiRouteError
from multiroute_core.ledger.totals import Totals, moves
from multiroute_core.types import Usage

dispatcher = get_dispatcher(__name__)

ANSWERS = (LLMChatEndEvent, LLMChatInProgressEvent, LLMCompletionEndEvent, LLMCompletionInProgressEvent)
"""What an answer may stand in; a stream's last chunk has all of it before the stream is told to be over."""

PLAIN_FACES = ("chat", "achat", "complete", "acomplete")
"""Of these LlamaIndex tells an error by their span only; of a stream's it makes an event."""


class CostHandler(BaseCallbackHandler, Totals):
    """Adds up what calls come to: tokens, cost, attempts, fallbacks, what caches spared; in all and by model.

    It stands beside LlamaIndex's own `TokenCountingHandler`. For the figures see
    `multiroute_core.ledger.totals.Figures`; the tokens are those that vendors told, never an estimate.

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
        """Beginnings say nothing of what was spent."""
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """A call was answered, or failed."""
        if event_type is not CBEventType.LLM or payload is None:
            return
        if isinstance(error := payload.get(EventPayload.EXCEPTION), BaseException):
            self.failed(error)
        else:
            response = payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION)
            summary = _read_summary(response)
            model, usage = _others(response) if summary is None else (summary["model"], _usage(summary))
            self.record_answer(model, usage, summary)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Traces are nothing to it."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Traces are nothing to it."""


class AttemptEvent(BaseEvent):
    """A route was tried.

    Attributes:
        route: The route's name.
        model: The model that was asked, or that answered.
        outcome: `"success"`, `"cancelled"`, or the kind of the error.
        seconds: How long it took.
        cost: In USD; None for unknown.
        error: The error in one sentence; None for an answer.
    """

    route: str
    model: str
    outcome: str
    seconds: float
    cost: float | None = None
    error: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the event."""
        return "MultiRouteAttemptEvent"


class FallbackEvent(BaseEvent):
    """Another route was asked, since one had failed.

    Attributes:
        failed_route: The route that failed last.
        route: The route that was asked then.
        error: Why the first one failed: its error's kind.
    """

    failed_route: str
    route: str
    error: str

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the event."""
        return "MultiRouteFallbackEvent"


class CacheHitEvent(BaseEvent):
    """MultiRoute's cache answered.

    Attributes:
        route: The route that had answered the first time.
        model: Its model.
        stale: Whether the answer is older than cached ones should be.
        saved_cost: What that spared, in USD; None for unknown.
    """

    route: str
    model: str
    stale: bool
    saved_cost: float | None = None

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the event."""
        return "MultiRouteCacheHitEvent"


class CostEvent(BaseEvent):
    """A call was answered.

    Attributes:
        route: The route that answered.
        model: The model that answered.
        cost: Of the answer, in USD; None for unknown. What failed attempts cost stands in their own events.
    """

    route: str
    model: str
    cost: float | None = None

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the event."""
        return "MultiRouteCostEvent"


class MultiRouteEventHandler(BaseEventHandler):
    """Tells instrumentation what each answer of MultiRoute took: attempts, fallbacks, cache hits, cost.

    It hears LlamaIndex's own events, and dispatches `AttemptEvent`, `FallbackEvent`, `CacheHitEvent` and `CostEvent` in
    the same span, once the call has ended. Every handler at the root hears them. Add it once; what a call tried that
    failed altogether is told by `MultiRouteSpanHandler`. OpenInference's spans name the model that answered, where this
    stands beside them; without it they name the first route's.

    Example:
        >>> get_dispatcher().add_event_handler(MultiRouteEventHandler())  # doctest: +SKIP
        >>> get_dispatcher().add_span_handler(MultiRouteSpanHandler())  # doctest: +SKIP
    """

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the handler."""
        return "MultiRouteEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Tell what stands in an answer, or in the error of a stream."""
        if isinstance(event, ExceptionEvent):
            _tell_failure(event.exception, event.span_id)
        elif isinstance(event, ANSWERS) and (summary := _read_summary(event.response)) is not None:
            span = event.span_id
            who = {"route": summary["route"], "model": summary["model"]}
            put_right(span, summary, (AttemptEvent, FallbackEvent, CacheHitEvent, CostEvent))
            if isinstance(event, LLMChatInProgressEvent | LLMCompletionInProgressEvent):
                return
            _tell_attempts(summary["attempts"], span)
            if summary.get("cached"):
                saved = summary.get("saved_cost")
                dispatcher.event(CacheHitEvent(**who, stale=bool(summary.get("stale")), saved_cost=saved, span_id=span))
            dispatcher.event(CostEvent(**who, cost=summary["cost"], span_id=span))


class MultiRouteSpanHandler(BaseSpanHandler[BaseSpan]):
    """Tells instrumentation what a call had tried that failed: LlamaIndex keeps the error in its span only.

    It keeps no spans. To be added beside `MultiRouteEventHandler`.
    """

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the handler."""
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
        """Nothing is kept of a span."""

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        """Answers are told by their events."""

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell what a call that failed had tried; the spans around it drop with the same error."""
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
            dispatcher.event(FallbackEvent(failed_route=route, route=attempt["route"], error=why, span_id=span))
        fields = {name: attempt.get(name) for name in ("route", "model", "outcome", "seconds", "cost", "error")}
        dispatcher.event(AttemptEvent(**cast("Any", fields), span_id=span))
        if "error" in attempt:
            failed = attempt


def _read_summary(response: Any) -> dict[str, Any] | None:
    """What an answer of MultiRoute's took; None for another's."""
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
    """The model and the tokens of another's answer, read as LlamaIndex's own counter reads them."""
    try:
        raw = dict(response.raw or {})
        read, output_tokens = cast("tuple[int, int]", cast("Any", token_counting).get_tokens_from_response(response))
    except (TypeError, ValueError, AttributeError):
        return None, None
    return raw.get("model") or raw.get("model_version"), Usage(read, output_tokens) if read or output_tokens else None
