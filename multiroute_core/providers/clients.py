"""The clients of one provider: one sync client a process, one async client a running event loop.

An async client that is reused on another loop fails or deadlocks, whatever the vendor. So each loop has its own, which
hangs on a started async generator: when the loop ends properly (`asyncio.run` does), its `shutdown_asyncgens` closes
the client. Weak references alone leaked a client for every `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

Close = Callable[[Any], Any]


class Clients:
    """Makes clients when they are first needed, and closes them.

    Args:
        blocking: Makes a sync client.
        native: Makes an async client.
        close: Closes a sync client.
        aclose: Closes an async client; awaited.
    """

    def __init__(self, blocking: Callable[[], Any], native: Callable[[], Any], *, close: Close, aclose: Close) -> None:
        self._make_blocking, self._make_native = blocking, native
        self._close, self._aclose = close, aclose
        self._lock = threading.Lock()
        self._blocking: dict[int, Any] = {}
        self._native: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None, None]]] = {}

    def blocking(self) -> Any:
        """This process's sync client; a forked worker gets its own."""
        pid = os.getpid()
        if (client := self._blocking.get(pid)) is None:
            with self._lock:
                if (client := self._blocking.get(pid)) is None:
                    client = self._blocking[pid] = self._make_blocking()
                    weakref.finalize(self, _close_in, pid, self._close, client)
        return client

    async def native(self) -> Any:
        """The running loop's async client."""
        loop = asyncio.get_running_loop()
        if (held := self._native.get(loop)) is None:
            for other in [known for known in list(self._native) if known.is_closed()]:
                self._native.pop(other, None)
            client = self._make_native()
            keeper = _keep(client, self._aclose, weakref.ref(self), loop)
            held = self._native[loop] = (client, keeper)
            await anext(keeper)
        return held[0]

    def close(self) -> None:
        """Close this process's sync client."""
        if (client := self._blocking.pop(os.getpid(), None)) is not None:
            self._close(client)

    async def aclose(self) -> None:
        """Close the running loop's async client; the ones of other loops close when those end."""
        if (held := self._native.pop(asyncio.get_running_loop(), None)) is not None:
            await held[1].aclose()

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` has closed its client."""
        self._native.pop(loop, None)


async def _keep(
    client: Any, aclose: Close, owner: weakref.ref[Clients], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (clients := owner()) is not None:
            clients.forget(loop)
        await aclose(client)


def _close_in(pid: int, close: Close, client: Any) -> None:
    if os.getpid() == pid:  # a forked child must not say goodbye on its parent's connections
        close(client)
