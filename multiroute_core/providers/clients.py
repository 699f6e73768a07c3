"""The clients of one provider: one sync client a process, one async client a running event loop.

An async client that is reused on another loop fails or deadlocks, whatever the vendor. So each loop has its own, which
hangs on a started async generator, its keeper: when the loop ends properly (`asyncio.run` does), its
`shutdown_asyncgens` closes the client. Weak references alone leaked a client for every `asyncio.run`.

Where the provider is dropped first, the keeper is let go, and its loop closes the client when it runs next. Until then
the keeper is held from outside the provider: if the collector took both in one circle, the connections would be gone
before the client is closed.
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
    """Makes clients when they are first needed, and closes them.

    Args:
        blocking: Makes a sync client.
        native: Makes an async client.
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
        """The clients of the parent's loops are kept, and never closed: that would be felt there."""
        for client, holder in self._native.values():
            let_go = holder.detach()
            _parents.append((client, None if let_go is None else let_go[2]))
        self._native = {}

    def blocking(self) -> Any:
        """This process's sync client; a forked worker gets its own."""
        pid = os.getpid()
        if (client := self._blocking.get(pid)) is None:
            with self._lock, forks.postponed:
                if (client := self._blocking.get(pid)) is None:
                    client = self._blocking[pid] = self._make_blocking()
                    weakref.finalize(self, _close_in, pid, self._close, client)
        return client

    async def native(self) -> Any:
        """The running loop's async client."""
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
        """Close the running loop's async client; the ones of other loops close when those end."""
        if (keeper := self.forget(asyncio.get_running_loop())) is not None:
            await keeper.aclose()

    def forget(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None] | None:
        """Hold the client of `loop` no longer; its keeper, whose close closes it, or None where there is none."""
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
        else:  # it ended without a word, as under nest_asyncio: nothing can be awaited on it any more
            drop_connections(client)


def _runs(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _let_go(keeper: AsyncGenerator[None, None]) -> None:
    """Nothing is left to do: with its last reference, Python has the loop close an async generator."""


def _close_in(pid: int, close: Close, client: Any) -> None:
    if os.getpid() == pid:  # a forked child must not say goodbye on its parent's connections
        close(client)
