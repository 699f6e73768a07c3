"""Redis cache, for all processes that share the server."""

from __future__ import annotations

import math
import secrets
from functools import partial
from typing import Any

from multiroute_core.runtime.io import IO
from multiroute_core.state.link import Link
from multiroute_core.state.scripts import script


class RedisCache:
    """Caches responses on Redis; each operation is one round trip.

    While Redis is unavailable, every call raises `Down` immediately, which counts as a cache miss. It is shared by
    `copy`, and pickles as its URL if that contains no credentials.

    Args:
        url: The Redis URL; see `Link`. Or a `Link`, to share its connection.
        prefix: Prefix of all key names. A link has its own.
        timeout: Seconds without a reply after which Redis counts as unavailable; see `Link`. A link has its own.

    Raises:
        ConfigurationError: The URL is wrong, or Redis rejects the password; see `Link`.

    Example:
        >>> cache = RedisCache("redis://127.0.0.1:6379/0", prefix="shop")  # doctest: +SKIP
    """

    shared = True

    def __init__(self, url: str | Link, *, prefix: str = "multiroute", timeout: float = 0.02) -> None:
        self.link = url if isinstance(url, Link) else Link(url, prefix=prefix, timeout=timeout)
        self._own = self.link is not url

    async def get(self, io: IO, key: str) -> bytes | None:
        return await self.link.call(io, "GET", self._name("entry", key))

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        await self.link.call(io, "SET", self._name("entry", key), value, "PX", _milliseconds(seconds))

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        name = self._name("claim", key)
        token = secrets.token_hex(16)
        try:
            reply = await self.link.call(io, "SET", name, token, "NX", "PX", _milliseconds(seconds))
        except BaseException:  # Redis may have set the claim all the same
            self._give_back(name, token)
            raise
        return None if reply is None else token

    async def release(self, io: IO, key: str, token: str) -> None:
        self._give_back(self._name("claim", key), token)

    def close(self) -> None:
        """Close the connection to Redis; a link passed as `url` stays open."""
        if self._own:
            self.link.close()

    async def aclose(self) -> None:
        """Close the connection to Redis, which all event loops share."""
        self.close()

    def __copy__(self) -> RedisCache:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RedisCache:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(RedisCache, prefix=self.link.prefix, timeout=self.link.timeout), (self.link.url,)

    def __repr__(self) -> str:
        return f"RedisCache({self.link!r})"

    def _give_back(self, name: str, token: str) -> None:
        self.link.send((script("release"), (name,), token), keep=True, lazy=False)

    def _name(self, kind: str, key: str) -> str:
        return f"{self.link.prefix}:{kind}:{key}"


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
