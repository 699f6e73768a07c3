"""Functions of the user within a call: sync or async, with a time limit.

`with options(...)` is about the call. Of the calls that these functions make, it says only who makes them and where the
data may go: a judge under its own `accept=` would ask itself for ever, and its router has other models.
"""

from __future__ import annotations

import functools
from typing import Any

from multiroute_core.options import call_outside_options
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.runtime.user_code import call_in_thread


async def call_function(io: IO, function: Any, argument: Any, what: str, until: float, *, is_async: bool) -> Any:
    """Call a function, in a thread of its own unless it is async and there is an event loop.

    Args:
        io: Sync or async I/O.
        function: Takes `argument`.
        argument: Its argument.
        what: What is awaited, for the error.
        until: The moment, on the clock of `io`, by which it must be done.
        is_async: Whether it is an async function.

    Raises:
        Expired: It takes too long. The thread of a sync function goes on.
    """
    limit = Deadline(io.now)
    limit.set(what, until, until - io.now())
    function = functools.partial(call_outside_options, function)
    if is_async and io.native:
        return await io.wait(limit, function, argument)
    return await call_in_thread(io, limit, function, argument)
