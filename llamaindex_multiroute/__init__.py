"""MultiRoute for LlamaIndex: `MultiRoute`, a fallback router for LLMs exposed as a LlamaIndex LLM."""

import importlib
from typing import TYPE_CHECKING, Any

from llamaindex_multiroute.llm import MultiRoute

if TYPE_CHECKING:
    from llamaindex_multiroute.callbacks import (
        AttemptEvent,
        CacheHitEvent,
        CostEvent,
        CostHandler,
        FallbackEvent,
        MultiRouteEventHandler,
        MultiRouteSpanHandler,
    )
    from llamaindex_multiroute.wrap import route_of

__all__ = [
    "AttemptEvent",
    "CacheHitEvent",
    "CostEvent",
    "CostHandler",
    "FallbackEvent",
    "MultiRoute",
    "MultiRouteEventHandler",
    "MultiRouteSpanHandler",
    "route_of",
]


def __getattr__(name: str) -> Any:
    """Import rarely used names lazily."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = "wrap" if name == "route_of" else "callbacks"
    return getattr(importlib.import_module(f"{__name__}.{room}"), name)
