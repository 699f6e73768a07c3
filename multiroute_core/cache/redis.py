"""A cache on Redis, for all processes that share it."""

from __future__ import annotations

import math
import secrets
from functools import partial
from typing import Any

from multiroute_core.runtime.io import IO
from multiroute_core.state.link import Link
from multiroute_core.state.scripts import script


class RedisCache:
    """Keeps answers on Redis: each operation is one round trip.

    While Redis is away every call raises `Down` at once, which counts as a miss. It is shared by `copy`, and pickles as
    its URL, where that holds no credentials.

    Args:
        url: Where Redis is; see `Link`. Or a link, to share its connection.
        prefix: What the names of all keys begin with. A link has its own.
        timeout: Seconds for which Redis may be silent before it counts as away; see `Link`. A link has its own.

    Raises:
        ConfigurationError: the URL is wrong, or Redis refuses the password; see `Link`.

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
        except BaseException:  # it may have been given all the same
            self._give_back(name, token)
            raise
        return None if reply is None else token

    async def release(self, io: IO, key: str, token: str) -> None:
        self._give_back(self._name("claim", key), token)

    def close(self) -> None:
        """Close the connection to Redis; a link that was given stays open."""
        if self._own:
            self.link.close()

    async def aclose(self) -> None:
        """Close the connection to Redis: it is the same for all loops."""
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
