"""Internal: parsing of framework and provider formats into the neutral data model.

Each parser is imported on first use: most programs need only a few, and importing all of them takes time.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

_PARSERS = ("blocks", "conversation", "schemas", "tools")

if TYPE_CHECKING:
    from multiroute_core.parsing import blocks, conversation, schemas, tools

    __all__ = ["blocks", "conversation", "schemas", "tools"]
else:
    __getattr__, __dir__ = attach(__name__, {}, modules=_PARSERS)
