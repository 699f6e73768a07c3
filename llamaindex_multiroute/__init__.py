"""MultiRoute for LlamaIndex: `MultiRoute`, an LLM that asks several routes until one answers."""

from typing import TYPE_CHECKING, Any

from llamaindex_multiroute.llm import MultiRoute

if TYPE_CHECKING:
    from llamaindex_multiroute.wrap import route_of

__all__ = ["MultiRoute", "route_of"]


def __getattr__(name: str) -> Any:
    """What few need is loaded when it is asked for."""
    if name == "route_of":
        from llamaindex_multiroute.wrap import route_of

        return route_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
