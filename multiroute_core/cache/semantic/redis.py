"""Redis vector index, for all processes that share the server: Redis 8 vector sets, one per scope."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence

from multiroute_core.cache.semantic.index import COUNT, Near, Vector
from multiroute_core.cache.semantic.memory import ROUNDING, MemoryIndex, numpy
from multiroute_core.options import invalid
from multiroute_core.runtime.io import IO
from multiroute_core.state.link import Link, Refused
from multiroute_core.state.scripts import Script

logger = logging.getLogger("multiroute_core")

_UNKNOWN = re.compile(r"unknown .*command", re.IGNORECASE)

# An element is the cache key of a response; its attributes are the question and the expiry. The set itself expires
# with its last element. A full set evicts, of a few random elements, the one that expires first.
_ADD = """
local set, vector, key, text, ms, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local attributes = cjson.encode({untilms = now + ms, text = text})
redis.call('VADD', set, 'FP32', vector, key, 'NOQUANT', 'SETATTR', attributes)
if redis.call('PTTL', set) < ms then
  redis.call('PEXPIRE', set, ms)
end
while redis.call('VCARD', set) > most do
  local first, its_end
  for _, other in ipairs(redis.call('VRANDMEMBER', set, 5)) do
    local ends = cjson.decode(redis.call('VGETATTR', set, other)).untilms
    if other ~= key and (its_end == nil or ends < its_end) then
      first, its_end = other, ends
    end
  end
  if first then
    redis.call('VREM', set, first)
  end
end
return 1
"""

_NEAR = """
local set, vector, count = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local filter = string.format('.untilms > %.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local found = redis.call('VSIM', set, 'FP32', vector, 'WITHSCORES', 'COUNT', count, 'FILTER', filter)
local told = {}
for place = 1, #found, 2 do
  local attributes = cjson.decode(redis.call('VGETATTR', set, found[place]))
  told[#told + 1] = {found[place], tostring(found[place + 1]), attributes.text}
end
return told
"""


class RedisIndex:
    """A vector index on Redis 8.

    Its vector sets use approximate graph search: the nearest vectors are almost always found.

    On a server without vector sets, such as Valkey or Redis 7, the vectors are kept in this process, and a warning is
    logged once. Other processes still share the responses, but each finds only paraphrases of its own questions.

    Args:
        url: The Redis URL; see `Link`. Or a `Link`, to share its connection.
        prefix: Prefix of all key names. A link has its own.
        max_entries: Maximum number of vectors per scope. 10,000 by default: about 23 MB of Redis's memory.

    Raises:
        ConfigurationError: The URL is wrong, Redis rejects the password, or a package is missing.
    """

    def __init__(self, url: str | Link, *, prefix: str = "multiroute", max_entries: int = 10_000) -> None:
        self._numpy = numpy()
        if isinstance(max_entries, bool) or not isinstance(max_entries, int) or max_entries < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("max_entries", max_entries, "an integer of at least 1")
        self.max_entries = max_entries
        self.link = url if isinstance(url, Link) else Link(url, prefix=prefix)
        self._own = self.link is not url
        self._add = Script.of(_ADD)
        self._near = Script.of(_NEAR)
        self._instead: MemoryIndex | None = None

    async def near(self, io: IO, scope: str, vector: Vector, threshold: float) -> Sequence[Near]:
        if self._instead is None:
            try:
                rows = await self.link.call(io, self._near, (self._name(scope),), self._bytes(vector), COUNT)
            except Refused as error:
                self._instead = self._without(error)
            else:
                matches = [Near(key.decode(), text.decode(), 2 * float(score) - 1) for key, score, text in rows]
                return [near for near in matches if near.similarity >= threshold - ROUNDING]
        return await self._instead.near(io, scope, vector, threshold)

    async def add(self, io: IO, scope: str, vector: Vector, text: str, key: str, seconds: float) -> None:
        if self._instead is None:
            values = (self._bytes(vector), key, text, max(1, math.ceil(seconds * 1000)), self.max_entries)
            try:
                await self.link.call(io, self._add, (self._name(scope),), *values)
            except Refused as error:
                self._instead = self._without(error)
            else:
                return
        await self._instead.add(io, scope, vector, text, key, seconds)

    def close(self) -> None:
        """Close the connection to Redis; a link passed as `url` stays open."""
        if self._own:
            self.link.close()

    async def aclose(self) -> None:
        """Close the connection to Redis, which all event loops share."""
        self.close()

    def _without(self, error: Refused) -> MemoryIndex:
        """Return the replacement index if the server has no vector sets; re-raise any other error."""
        if not _UNKNOWN.search(str(error)):
            raise error
        logger.warning(
            "%r does not support vector sets (Redis 8 does): each process finds only its own questions.",
            self.link,
        )
        return MemoryIndex(self.max_entries)

    def _bytes(self, vector: Vector) -> bytes:
        return self._numpy.asarray(vector, "<f4").tobytes()

    def _name(self, scope: str) -> str:
        return f"{self.link.prefix}:semantic:{scope}"
