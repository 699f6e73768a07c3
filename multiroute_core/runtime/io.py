"""All that a flow may await.

The flow is written once, as `async def`. On an event loop it awaits `NativeIO`; in sync code it awaits `BlockingIO`,
whose methods block the thread and never suspend, so that `coro.send(None)` runs it to its end without any loop.
(The Gel client and the Vercel SDK do the same.)
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
    """A generator that runs in a task or thread of its own, so that several can be waited for at once.

    It is run there from its first step to its last: scopes and context variables that it opens do not survive a change
    of task. It goes one item ahead of its reader and no more.
    """

    async def next(self) -> Any:
        """The next item, or `END`; raises what the generator raised."""
        ...

    async def close(self) -> None:
        """Call the generator off, and wait for its end: not for long where its thread cannot be woken."""
        ...


class IO(Protocol):
    """What a flow may await."""

    native: bool
    """True on an event loop: the async clients of the SDKs are used."""

    def now(self) -> float:
        """The clock of every limit and rule, in seconds; it never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def wait(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call, and await where it is async; raises `Expired` when the limit passes first."""
        ...

    async def next(self, limit: Deadline, source: Any, /) -> Any:
        """The next item of an (async) iterator, or `END`; raises `Expired` when the limit passes first."""
        ...

    async def thread(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call in a thread of its own, for code that obeys no limit and knows no event loop."""
        ...

    async def await_callback(
        self, limit: Deadline, begin: Callable[[Callable[[Any, BaseException | None], None]], None]
    ) -> Any:
        """Wait to be told something from anywhere: another thread, another event loop.

        Args:
            limit: How long to wait.
            begin: Called at once, with what is to be called then: with a value, or with an error that is raised here.
        """
        ...

    async def close(self, source: Any, /) -> None:
        """Close a stream; its connection is given back or dropped."""
        ...

    def start(self, generator: AsyncGenerator[Any, None], limit: Deadline) -> Runner:
        """Run a generator apart; `limit` is the one that it waits under."""
        ...

    async def first(self, runners: Sequence[Any], seconds: float | None) -> Any:
        """The runner that has something: an item, its end or its error. The earlier one where several have.

        None where none has within `seconds`; None is without limit.
        """
        ...
