"""Tracing: correct the model in OpenInference's spans of LlamaIndex calls, and keep our events from it.

OpenInference's instrumentor records the model before a response arrives, and no later LlamaIndex event corrects it:
after a fallback, tokens and cost would be attributed to the wrong model. The correction uses OpenInference's private
attributes, so it does nothing if they differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.dispatcher import (
    Dispatcher,  # pyright: ignore[reportPrivateImportUsage]
    active_instrument_tags,  # pyright: ignore[reportPrivateImportUsage]
)
from llama_index.core.instrumentation.events import BaseEvent

PARTS = {
    "llm.token_count.prompt_details.cache_read": "cache_read_tokens",
    "llm.token_count.completion_details.reasoning": "reasoning_tokens",
}
"""Token counts with a price of their own; OpenInference reads only the totals."""


def dispatch(dispatcher: Dispatcher, event: BaseEvent) -> None:
    """Dispatch an event as `Dispatcher.event` does, but not to OpenInference's handlers.

    OpenInference has the same data in the attributes of its span (see `put_right`). It ends the span of a stream with
    the stream's last event and forgets it within a tenth of a second; for each event after that it logs a warning.
    """
    event.tags.update(active_instrument_tags.get())
    source: Dispatcher | None = dispatcher
    while source is not None:
        for handler in source.event_handlers:
            if not _is_openinference(handler):
                with contextlib.suppress(Exception):  # as LlamaIndex does
                    handler.handle(event)
        source = source.parent if source.propagate else None


def put_right(span_id: str | None, summary: Mapping[str, Any]) -> None:
    """Set the actual model and the routing data on OpenInference's span of a call. Safe to call twice.

    Args:
        span_id: LlamaIndex's span of the call.
        summary: The `additional_kwargs` of the response.
    """
    root: Any = get_dispatcher()
    for handler in root.span_handlers:
        if _is_openinference(handler):
            with contextlib.suppress(AttributeError, LookupError, TypeError):
                span = _span(handler, span_id)
                for name, value in _attributes(summary).items():
                    span[name] = value


def _span(handler: Any, span_id: str | None) -> Any:
    """The span, including that of a call whose stream is still being read."""
    return handler.open_spans.get(span_id) or handler._export_queue.find(span_id)  # noqa: SLF001


def _is_openinference(handler: object) -> bool:
    return type(handler).__module__.startswith("openinference.")


def _attributes(summary: Mapping[str, Any]) -> dict[str, Any]:
    attempts = summary["attempts"]
    costs = [attempt["cost"] for attempt in attempts if "cost" in attempt]
    attributes = {
        "llm.model_name": summary["model"],
        "llm.provider": summary["provider"],
        "multiroute.route": summary["route"],
        "multiroute.cached": bool(summary.get("cached")),
        "multiroute.request.attempts": len(attempts),
        "multiroute.request.outcomes": [attempt["outcome"] for attempt in attempts],
    }
    if costs:
        attributes["multiroute.request.cost"] = sum(costs)
    return attributes | {name: summary[ours] for name, ours in PARTS.items() if ours in summary}
