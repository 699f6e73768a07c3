"""SDK clients of one provider: one sync client per process, one async client per running event loop.

An async client that is reused on another loop fails or deadlocks with every SDK. So each loop has its own client, held
by a started async generator, its keeper. When the loop shuts down properly (as `asyncio.run` does), its
`shutdown_asyncgens` closes the client. Weak references alone leaked a client for every `asyncio.run`.

If the provider is collected first, the keeper is released, and its loop closes the client when it next runs. Until then
the keeper is referenced from outside the provider: if the garbage collector freed both in one cycle, the connections
would be gone before the client is closed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

from multiroute_core.runtime import forks
from multiroute_core.runtime.sockets import drop_connections

Close = Callable[[Any], Any]

_parents: list[Any] = []


class Clients:
    """Creates clients on first use, and closes them.

    Args:
        blocking: Creates a sync client.
        native: Creates an async client.
        close: Closes a sync client.
        aclose: Closes an async client; awaited.
    """

    def __init__(self, blocking: Callable[[], Any], native: Callable[[], Any], *, close: Close, aclose: Close) -> None:
        self._make_blocking = blocking
        self._make_native = native
        self._close = close
        self._aclose = aclose
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)
        self._blocking: dict[int, Any] = {}
        self._native: dict[asyncio.AbstractEventLoop, tuple[Any, weakref.finalize[..., Any]]] = {}

    def forked(self) -> None:
        """After a fork, keep the clients of the parent's loops open; closing them would affect the parent."""
        for client, holder in self._native.values():
            let_go = holder.detach()
            _parents.append((client, None if let_go is None else let_go[2]))
        self._native = {}

    def blocking(self) -> Any:
        """Returns this process's sync client; a forked worker gets its own."""
        pid = os.getpid()
        if (client := self._blocking.get(pid)) is None:
            with self._lock, forks.postponed:
                if (client := self._blocking.get(pid)) is None:
                    client = self._blocking[pid] = self._make_blocking()
                    weakref.finalize(self, _close_in, pid, self._close, client)
        return client

    async def native(self) -> Any:
        """Returns the running loop's async client."""
        loop = asyncio.get_running_loop()
        if (entry := self._native.get(loop)) is None:
            for other, (ended, _) in list(self._native.items()):
                if other.is_closed():
                    self.forget(other)
                    drop_connections(ended)
            with forks.postponed:
                client = self._make_native()
            keeper = _keep(client, self._aclose, weakref.ref(self), loop)
            holder = weakref.finalize(self, _let_go, keeper)
            holder.atexit = False
            entry = self._native[loop] = (client, holder)
            await anext(keeper)
        return entry[0]

    def close(self) -> None:
        """Close this process's sync client."""
        if (client := self._blocking.pop(os.getpid(), None)) is not None:
            self._close(client)

    async def aclose(self) -> None:
        """Close the running loop's async client; clients of other loops close when those loops end."""
        if (keeper := self.forget(asyncio.get_running_loop())) is not None:
            await keeper.aclose()

    def forget(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None] | None:
        """Stop tracking the client of `loop`.

        Returns its keeper, whose `aclose` closes the client, or None if the loop has no client.
        """
        if (entry := self._native.pop(loop, None)) is None or (let_go := entry[1].detach()) is None:
            return None
        return let_go[2][0]


async def _keep(
    client: Any, aclose: Close, owner: weakref.ref[Clients], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (clients := owner()) is not None:
            clients.forget(loop)
        if _runs(loop):
            await aclose(client)
        else:  # the loop ended without a shutdown, as under nest_asyncio: nothing can be awaited on it
            drop_connections(client)


def _runs(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _let_go(keeper: AsyncGenerator[None, None]) -> None:
    """Does nothing: when the last reference goes away, Python has the loop close an async generator."""


def _close_in(pid: int, close: Close, client: Any) -> None:
    if os.getpid() == pid:  # a forked child must not shut down its parent's connections
        close(client)
