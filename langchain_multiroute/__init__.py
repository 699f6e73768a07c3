"""MultiRoute for LangChain: `ChatMultiRoute`, a fallback router for LLMs exposed as a LangChain chat model."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from langchain_multiroute.callbacks import MultiRouteCallbackHandler, get_multiroute_callback
    from langchain_multiroute.chat_model import ChatMultiRoute
    from langchain_multiroute.guards import pii_guard
    from langchain_multiroute.progress import ProgressBar
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "callbacks": "MultiRouteCallbackHandler get_multiroute_callback",
            "chat_model": "ChatMultiRoute",
            "guards": "pii_guard",
            "progress": "ProgressBar",
        },
        requires={"langchain_core": "langchain", "langchain": "langchain"},
    )

__all__ = [
    "ChatMultiRoute",
    "MultiRouteCallbackHandler",
    "ProgressBar",
    "get_multiroute_callback",
    "pii_guard",
]
