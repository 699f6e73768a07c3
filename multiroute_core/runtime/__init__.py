"""Runtime: one async implementation, run with or without an event loop.

`io` defines what it may await; `async_io` awaits on a running event loop; `sync_io` runs in plain sync code and never
suspends; `deadline` is the timeout that both obey, and `sockets` applies it to a socket.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.runtime.deadline import Deadline
    from multiroute_core.runtime.io import IO, Runner
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "deadline": "Deadline",
            "io": "IO Runner",
        },
    )

__all__ = [
    "IO",
    "Deadline",
    "Runner",
]
