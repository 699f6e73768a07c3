"""Parsing of framework and provider formats into the neutral data model.

Each parser is imported on first use: most programs need only a few, and importing all of them takes time.
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
    """Import all parsers, so that no fork happens during an import: the child would wait forever for its lock."""
    for name in __all__:
        importlib.import_module(f"{__name__}.{name}")
