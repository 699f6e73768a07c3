"""Shared routing state: health and limits of the routes, in this process (`memory`) or for all (`redis`)."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.state.state import State
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "state": "State",
        },
    )

__all__ = [
    "State",
]
