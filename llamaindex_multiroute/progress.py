"""Progress bar for LlamaIndex's `run_jobs`, by its instrumentation: `ProgressBar`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sized
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler

from llamaindex_multiroute.callbacks import read_summary
from multiroute_core.batch.progress import BatchProgress
from multiroute_core.batch.reporter import Reporter

_RUN_JOBS = "run_jobs"
"""The name of the span of a whole batch; the spans of its jobs are below it."""


class ProgressBar:
    """Show the progress of `run_jobs` inside a `with` block: rate, failures, cache hits, cost and time left.

    It also covers what calls `run_jobs` itself, such as extractors and evaluators with `num_workers`. The number of
    jobs is read from the call. A job counts once, however many LLM calls it makes, with the cost of all of them; the
    cost of other LLMs than `MultiRoute` is unknown.

    Args:
        progress: True shows a bar in terminals and notebooks, and log lines elsewhere; a function receives a
            `multiroute_core.BatchProgress` each time.

    Attributes:
        progress: The latest `BatchProgress`.

    Raises:
        ConfigurationError: `progress` is neither.

    Example:
        >>> with ProgressBar():  # doctest: +SKIP
        ...     answers = await run_jobs([engine.aquery(question) for question in questions], workers=16)
    """

    def __init__(self, *, progress: bool | Callable[[BatchProgress], object] = True) -> None:
        self._reporter = Reporter(progress, None)
        self._lock = threading.Lock()
        self._batches: set[str] = set()
        self._inside: dict[str, bool] = {}
        self._spans = _SpanHandler()
        self._events = _EventHandler()
        self._token: Token[ProgressBar | None] | None = None

    @property
    def progress(self) -> BatchProgress:
        """The latest progress."""
        return self._reporter.progress

    def __enter__(self) -> Self:
        self._token = _active.set(self)
        dispatcher: Any = get_dispatcher()
        dispatcher.add_span_handler(self._spans)
        dispatcher.add_event_handler(self._events)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        dispatcher: Any = get_dispatcher()
        dispatcher.span_handlers.remove(self._spans)
        dispatcher.event_handlers.remove(self._events)
        if self._token is not None:
            _active.reset(self._token)
        with self._lock:
            self._reporter.close()

    def begin_span(self, span: str, parent: str | None, arguments: inspect.BoundArguments) -> None:
        """Note a span, if it is a batch or inside one."""
        with self._lock:
            if parent in self._batches:
                self._inside[span] = True
            elif parent in self._inside:
                self._inside[span] = False
            elif span.startswith(f"{_RUN_JOBS}-"):
                self._batches.add(span)
                jobs = arguments.arguments.get("jobs")
                if isinstance(jobs, Sized):
                    self._reporter.expect(len(jobs))

    def end_span(self, span: str, *, failed: bool) -> None:
        """Count a span that is a job of a batch."""
        with self._lock:
            self._batches.discard(span)
            if self._inside.pop(span, False):
                self._reporter.add(done=1, failed=int(failed))

    def add_call(self, response: Any) -> None:
        """Add the cost of an LLM call."""
        summary = read_summary(response)
        cost = None if summary is None else summary["cost"]
        cached = summary is not None and bool(summary.get("cached"))
        with self._lock:
            self._reporter.add(cost=cost or 0.0, cached=int(cached), unknown_costs=int(cost is None and not cached))


_active: ContextVar[ProgressBar | None] = ContextVar("multiroute_progress_bar", default=None)
"""The bar of the surrounding `with` block: handlers of the root dispatcher receive the spans of the whole process."""


class _EventHandler(BaseEventHandler):
    """Passes LLM calls on to the bar of their context."""

    @classmethod
    def class_name(cls) -> str:
        return "MultiRouteProgressEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        bar = _active.get()
        if bar is not None and bar._events is self and isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            bar.add_call(event.response)


class _SpanHandler(BaseSpanHandler[BaseSpan]):
    """Passes spans on to the bar of their context. It stores none."""

    @classmethod
    def class_name(cls) -> str:
        return "MultiRouteProgressSpanHandler"

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if (bar := self._bar()) is not None:
            bar.begin_span(id_, parent_span_id, bound_args)

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        if (bar := self._bar()) is not None:
            bar.end_span(id_, failed=False)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        if (bar := self._bar()) is not None:
            bar.end_span(id_, failed=True)

    def _bar(self) -> ProgressBar | None:
        bar = _active.get()
        return bar if bar is not None and bar._spans is self else None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
