"""All that a flow may await.

The flow is written once, as `async def`. On an event loop it awaits `NativeIO`; in sync code it awaits `BlockingIO`,
whose methods block the thread and never suspend, so that `coro.send(None)` runs it to its end without any loop.
(The Gel client and the Vercel SDK do the same.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from multiroute_core.drive.limit import Limit


class End:
    """The type of `END`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "END"


END = End()
"""What `IO.next` returns after the last item."""


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

    async def wait(self, limit: Limit, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call, and await where it is async; raises `Expired` when the limit passes first."""
        ...

    async def next(self, limit: Limit, source: Any, /) -> Any:
        """The next item of an (async) iterator, or `END`; raises `Expired` when the limit passes first."""
        ...

    async def thread(self, limit: Limit, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call in a thread of its own, for code that obeys no limit and knows no event loop."""
        ...

    async def close(self, source: Any, /) -> None:
        """Close a stream; its connection is given back or dropped."""
        ...
