"""Stage: one step on the path of a request, and the chain of all of them.

Every stage has the same signature: it receives the `CallContext` and the rest of the chain. It may change the context
and hand over, answer itself, or wrap the chunks on their way back. `stages` lists the stages in order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.budgets.reservation import BudgetReservation
from multiroute_core.cache.entry import Entry
from multiroute_core.events import Listeners
from multiroute_core.routing.call import Call
from multiroute_core.runtime.io import IO
from multiroute_core.types import Chunk


@dataclass(slots=True)
class CallContext:
    """One call on its way through the stages; a stage may replace any field before it hands over.

    Attributes:
        io: Sync or async I/O.
        call: The call.
        listeners: The hooks by event type.
        start_time: When the call started, on the clock of `io`.
        stale_entry: A stale cache entry, returned if all routes fail.
        reservation: The call's budget reservation; None without budgets.
        is_cacheable: False for a response that is only better than nothing, by `fallback_on`.
        waited: Seconds that the call waited for a limit, which do not count toward its deadline.
    """

    io: IO
    call: Call
    listeners: Listeners
    start_time: float
    stale_entry: Entry | None = None
    reservation: BudgetReservation | None = None
    is_cacheable: bool = True
    waited: float = 0.0


RunRest: TypeAlias = Callable[[CallContext], AsyncGenerator[Chunk, None]]
"""The rest of the chain: yields the chunks of the response. The last chunk carries the `Response`."""


class Stage(Protocol):
    """One step on the path of a request. Sync, async and streamed calls run through the same method.

    Example:
        A stage that counts answers. A stage that does nothing on the way back returns `run_rest(context)` instead of
        being a generator; so it costs nothing for each chunk.

        >>> class CountAnswers:
        ...     count = 0
        ...
        ...     async def run(self, context, run_rest):
        ...         chunks = run_rest(context)
        ...         try:
        ...             async for chunk in chunks:
        ...                 self.count += chunk.response is not None
        ...                 yield chunk
        ...         finally:
        ...             await chunks.aclose()
    """

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the response; a call without streaming has a single chunk."""
        ...


def chain(stages: Sequence[Stage], last: RunRest) -> RunRest:
    """Return the stages as one function, the first of `stages` outermost."""
    for stage in reversed(stages):
        last = partial(stage.run, run_rest=last)
    return last
