"""OpenInference's spans of LlamaIndex calls, put right.

Its instrumentor writes down the model before anyone has answered, and nothing that LlamaIndex tells later corrects it:
after a failover the tokens would be another model's, and so would their price. What is done about it here touches its
inner affairs, so it does nothing where they look otherwise.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.instrumentation import get_dispatcher  # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.events import BaseEvent

PARTS = {
    "llm.token_count.prompt_details.cache_read": "cache_read_tokens",
    "llm.token_count.completion_details.reasoning": "reasoning_tokens",
}
"""Tokens that have a price of their own; of these it reads the whole only."""


def put_right(span_id: str | None, summary: Mapping[str, Any], ours: Iterable[type[BaseEvent]]) -> None:
    """Tell OpenInference's span of a call who answered, and what that took. It may be told twice.

    Args:
        span_id: LlamaIndex's span of the call.
        told: What the answer's `additional_kwargs` tell.
        ours: Kinds of events that are no news to it: it would warn of each.
    """
    root: Any = get_dispatcher()
    for handler in root.span_handlers:
        if type(handler).__module__.startswith("openinference."):
            with contextlib.suppress(AttributeError, LookupError, TypeError):
                span = _span(handler, span_id)
                for name, value in _attributes(summary).items():
                    span[name] = value
                _introduce(span.__class__, ours)


def _span(handler: Any, span_id: str | None) -> Any:
    """The span, also of a call whose stream is still being read."""
    return handler.open_spans.get(span_id) or handler._export_queue.find(span_id)  # noqa: SLF001


def _introduce(spans: Any, ours: Iterable[type[BaseEvent]]) -> None:
    """Have the class of its spans know our events."""
    hearing = inspect.getattr_static(spans, "_process_event")
    for kind in ours:
        if kind not in hearing.dispatcher.registry:
            hearing.register(kind, _hear)


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


def _hear(span: Any, event: BaseEvent) -> None:
    """The span knows all of it."""
