"""MultiRoute for LlamaIndex: `MultiRoute`, an LLM that asks several routes until one answers."""

from llamaindex_multiroute.llm import MultiRoute
from llamaindex_multiroute.wrap import route_of

__all__ = ["MultiRoute", "route_of"]
