"""MultiRoute for LlamaIndex: `MultiRoute`, a fallback router for LLMs exposed as a LlamaIndex LLM."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

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
    from llamaindex_multiroute.llm import MultiRoute
    from llamaindex_multiroute.progress import ProgressBar
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "callbacks": (
                "AttemptEvent CacheHitEvent CostEvent CostHandler FallbackEvent MultiRouteEventHandler "
                "MultiRouteSpanHandler"
            ),
            "llm": "MultiRoute",
            "progress": "ProgressBar",
        },
        requires={"llama_index": "llamaindex"},
    )

__all__ = [
    "AttemptEvent",
    "CacheHitEvent",
    "CostEvent",
    "CostHandler",
    "FallbackEvent",
    "MultiRoute",
    "MultiRouteEventHandler",
    "MultiRouteSpanHandler",
    "ProgressBar",
]
