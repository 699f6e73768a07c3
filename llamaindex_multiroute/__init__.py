"""MultiRoute for LlamaIndex: `MultiRoute`, an LLM that asks several routes until one answers."""

from llamaindex_multiroute.llm import MultiRoute

__all__ = ["MultiRoute"]
