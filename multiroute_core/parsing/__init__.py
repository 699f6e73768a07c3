"""The many ways in which frameworks and vendors write the same thing, read into the one neutral form.

A spelling is loaded when it is first read: most programs know a few, and to import all of them takes its time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiroute_core.parsing import blocks, conversation, schemas, tools

__all__ = ["blocks", "conversation", "schemas", "tools"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def preload() -> None:
    """Load all spellings, so that no fork comes while a thread loads one: its child would wait for that for ever."""
    for name in __all__:
        importlib.import_module(f"{__name__}.{name}")
