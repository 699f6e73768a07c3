"""Functions of the user in a thread of their own, so that a time limit holds."""

from __future__ import annotations

import asyncio
from typing import Any

from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO


async def call_in_thread(io: IO, limit: Deadline, function: Any, argument: Any) -> Any:
    """Call a function in a thread; what it returns is awaited there, on an event loop of its own.

    Args:
        io: Sync or async I/O.
        limit: Until when it must be done.
        function: Takes `argument`; sync or async.
        argument: Its argument.

    Raises:
        Expired: It takes too long. The thread goes on.
    """
    return await io.thread(limit, _run, function, argument)


def _run(function: Any, argument: Any) -> Any:
    result = function(argument)
    if hasattr(result, "__await__"):

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result
