"""The seam of the cache: bytes under keys, kept for a while. What they mean is `entry`'s."""

from __future__ import annotations

from typing import Protocol

from multiroute_core.runtime.io import IO


class Cache(Protocol):
    """Keeps bytes under keys.

    The methods are async in form. `io.native` says whether an event loop runs: only then may they suspend; in a sync
    call they block. They keep their own short time limits. What they raise is logged and counts as a miss: a cache that
    fails is no reason for a request to fail.
    """

    shared: bool
    """Whether other processes see the same entries. Only then are `claim` and `release` called."""

    async def get(self, io: IO, key: str) -> bytes | None:
        """What is kept under `key`; None where nothing is, or no longer."""
        ...

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        """Keep `value` for so many seconds; what was there before is replaced."""
        ...

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        """Leave to work out what belongs under `key`: a token. None where another process has it.

        A claim that is not released lapses after `seconds`.
        """
        ...

    async def release(self, io: IO, key: str, token: str) -> None:
        """Give a claim back, if it is still the one with this token. Must be safe inside a finalizer."""
        ...

    def close(self) -> None:
        """Close what belongs to sync code."""
        ...

    async def aclose(self) -> None:
        """Close what belongs to the running event loop."""
        ...
