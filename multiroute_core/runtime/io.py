"""The I/O interface: everything the async implementation may await.

The code is written once, as `async def`. On an event loop it awaits `AsyncIO`; in sync code it awaits `SyncIO`, whose
methods block the thread and never suspend, so that `coro.send(None)` runs it to its end without a loop. (The Gel client
and the Vercel SDK do the same.)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

from multiroute_core.runtime.deadline import Deadline


class End:
    """The type of `END`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "END"


END = End()
"""What `IO.next` returns after the last item."""


class Runner(Protocol):
    """A generator in a task or thread of its own, so that several can be awaited at once.

    It runs there from its first step to its last: scopes and context variables that it opens do not survive a change of
    task. It runs at most one item ahead of its reader.
    """

    async def next(self) -> Any:
        """Return the next item, or `END`; raises what the generator raised."""
        ...

    async def close(self) -> None:
        """Cancel the generator, and wait for its end: only briefly if its thread cannot be woken."""
        ...


class IO(Protocol):
    """What the async implementation may await."""

    native: bool
    """True on an event loop: the async clients of the SDKs are used."""

    def now(self) -> float:
        """The clock of all timeouts and rules, in seconds; it never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        ...

    async def wait(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call, and await an async call; raises `Expired` if the deadline passes first."""
        ...

    async def next(self, limit: Deadline, source: Any, /) -> Any:
        """Return the next item of an (async) iterator, or `END`; raises `Expired` if the deadline passes first."""
        ...

    async def thread(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call in a thread of its own, for code that supports neither timeouts nor event loops."""
        ...

    async def await_callback(
        self, limit: Deadline, begin: Callable[[Callable[[Any, BaseException | None], None]], None]
    ) -> Any:
        """Wait for a callback from anywhere: another thread, another event loop.

        Args:
            limit: The deadline.
            begin: Called at once with the callback, which takes a value, or an error that is raised here.
        """
        ...

    async def close(self, source: Any, /) -> None:
        """Close a stream; its connection is returned to the pool or dropped."""
        ...

    def start(self, generator: AsyncGenerator[Any, None], limit: Deadline) -> Runner:
        """Run a generator in a task or thread of its own; `limit` is its deadline."""
        ...

    async def first(self, runners: Sequence[Any], seconds: float | None) -> Any:
        """Return the first runner with a result: an item, its end or its error. The earlier one if several have one.

        None if none has one within `seconds`; None waits without a timeout.
        """
        ...
