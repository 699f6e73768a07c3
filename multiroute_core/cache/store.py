"""The cache store interface: bytes by key, with a TTL. `entry` defines the format of the bytes."""

from __future__ import annotations

from typing import Protocol

from multiroute_core.runtime.io import IO


class Cache(Protocol):
    """A store for bytes by key.

    The methods are async in form. `io.native` tells whether an event loop runs: only then may they suspend; in a sync
    call they block. They enforce their own short timeouts. Exceptions are logged and count as a miss: a failing cache
    never fails a request.
    """

    shared: bool
    """Whether other processes see the same entries. Only then are `claim` and `release` called."""

    async def get(self, io: IO, key: str) -> bytes | None:
        """Return the value under `key`; None if it is missing or expired."""
        ...

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        """Store `value` for `seconds`, replacing any earlier value."""
        ...

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        """Claim the right to compute the value of `key`: returns a token, or None if another process has it.

        A claim that is not released expires after `seconds`.
        """
        ...

    async def release(self, io: IO, key: str, token: str) -> None:
        """Release a claim if it still has this token. Must be safe inside a finalizer."""
        ...

    def close(self) -> None:
        """Close the resources of sync code."""
        ...

    async def aclose(self) -> None:
        """Close the resources of the running event loop."""
        ...
