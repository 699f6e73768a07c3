"""In-memory cache: an LRU cache in this process with a size limit in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from multiroute_core.options import invalid
from multiroute_core.runtime import forks
from multiroute_core.runtime.io import IO

OVERHEAD = 200
"""Approximate size of an entry in bytes besides its key and value."""


class MemoryCache:
    """An in-memory LRU cache.

    It is shared by `copy`, and pickles empty. All routers and frameworks in the process may use the same one.

    Args:
        max_bytes: Maximum size, including keys and overhead. 64 MiB by default: about 30,000 typical responses.

    Raises:
        ConfigurationError: `max_bytes` is not a whole number above 0.

    Example:
        >>> router = Router([...], cache=MemoryCache(max_bytes=256 * 2**20))  # doctest: +SKIP
    """

    shared = False

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("max_bytes", max_bytes, "a number of bytes of at least 1")
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """The current size in bytes."""
        return self._bytes

    async def get(self, io: IO, key: str) -> bytes | None:
        with self._lock:
            if (entry := self._entries.get(key)) is None:
                return None
            value, until = entry
            if io.now() >= until:
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return value

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        size = _size(key, value)
        with self._lock:
            self._drop(key)
            if size > self.max_bytes:
                return
            self._entries[key] = value, io.now() + seconds
            self._bytes += size
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._entries)))

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        return ""  # not shared between processes; within one, `single_flight` coalesces requests

    async def release(self, io: IO, key: str, token: str) -> None:
        pass

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    def _drop(self, key: str) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= _size(key, entry[0])

    def __copy__(self) -> MemoryCache:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryCache:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryCache, (self.max_bytes,)

    def __repr__(self) -> str:
        return f"MemoryCache({len(self)} entries, {self._bytes:,} of {self.max_bytes:,} bytes)"


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD
