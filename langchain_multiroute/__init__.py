"""MultiRoute for LangChain: `ChatMultiRoute`, a fallback router for LLMs exposed as a LangChain chat model."""

from langchain_multiroute.callbacks import MultiRouteCallbackHandler, get_multiroute_callback
from langchain_multiroute.chat_model import ChatMultiRoute
from langchain_multiroute.wrap import route_of

__all__ = ["ChatMultiRoute", "MultiRouteCallbackHandler", "get_multiroute_callback", "route_of"]
