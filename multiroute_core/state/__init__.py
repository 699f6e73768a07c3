"""Shared routing state: health and limits of the routes, in this process (`memory`) or for all (`redis`)."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.state.link import Link
    from multiroute_core.state.redis import RedisState
    from multiroute_core.state.state import State
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "link": "Link",
            "redis": "RedisState",
            "state": "State",
        },
    )

__all__ = [
    "Link",
    "RedisState",
    "State",
]
