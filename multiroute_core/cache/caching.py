"""`CacheConfig`: the settings of a router's response cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, get_args

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.cache.store import Cache
from multiroute_core.errors import ConfigurationError, StreamInterruptedError
from multiroute_core.options import invalid, name_unknown_arguments, seconds, to_be_kept, unknown, word, words
from multiroute_core.route import Route
from multiroute_core.types import FinishReason, Response

if TYPE_CHECKING:
    from multiroute_core.cache.semantic.paraphrases import SemanticMatcher

DAY = 86_400.0

WHOLE: frozenset[FinishReason] = frozenset({"stop", "tool_call"})
"""The finish reasons of complete responses, which are always cacheable."""

_METHODS = ("get", "put", "claim", "release", "close", "aclose")


@dataclass(frozen=True, slots=True, init=False)
class CacheConfig:
    """How a router caches and reuses responses.

    Args:
        store: Where responses are kept: `"memory"` (this process), `"sqlite:///path"` (a file, for notebooks and
            several processes of one machine), `"redis://…"` (a fleet), or a `Cache` of your own.
        ttl: Seconds for which a response is reused. A day by default. Each entry's TTL varies by up to a tenth, so that
            entries created together do not expire together.
        stale_if_error: Additional seconds for which a response may be served when all routes fail; it is then marked as
            `stale`. 0 by default.
        cacheable_finish_reasons: Finish reasons to cache besides those of complete responses: `"length"`,
            `"content_filter"`, `"refusal"`, `"other"`.
        semantic: Settings of the semantic cache, which also finds paraphrases; None matches identical requests only.
        namespace: Replaces the routes' models in the cache key. By default, requests match only if the same models are
            candidates; routers with the same namespace share their responses, whatever models they have.

    Raises:
        ConfigurationError: A value is out of range, or the store is invalid.

    Example:
        >>> Router([...], cache=CacheConfig("sqlite:///llm.db", ttl=7 * 86_400))  # doctest: +SKIP
    """

    store: str | Cache = field(repr=False)
    ttl: float
    stale_if_error: float
    cacheable_finish_reasons: frozenset[FinishReason]
    semantic: SemanticCache | None
    namespace: str | None

    @name_unknown_arguments
    def __init__(
        self,
        store: str | Cache = "memory",
        *,
        ttl: float = DAY,
        stale_if_error: float = 0.0,
        cacheable_finish_reasons: Collection[FinishReason] = (),
        semantic: SemanticCache | None = None,
        namespace: str | None = None,
    ) -> None:
        if not isinstance(store, str) and not all(callable(getattr(store, name, None)) for name in _METHODS):
            raise invalid(
                "cache",
                store,
                "'memory', 'sqlite:///path', 'redis://…', a CacheConfig or a Cache: an object with "
                f"{', '.join(_METHODS)}",
            )
        more = cast(
            "frozenset[FinishReason]",
            words("cacheable_finish_reasons", cacheable_finish_reasons) if cacheable_finish_reasons else frozenset(),
        )
        for reason in sorted(more):
            if reason not in get_args(FinishReason):
                raise unknown("cacheable_finish_reasons", reason, get_args(FinishReason))
        if semantic is not None and not isinstance(semantic, SemanticCache):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("semantic", semantic, "a SemanticCache, such as SemanticCache()")
        values: dict[str, Any] = {
            "store": store,
            "ttl": seconds("ttl", ttl),
            "stale_if_error": 0.0 if stale_if_error == 0 else seconds("stale_if_error", stale_if_error),
            "cacheable_finish_reasons": WHOLE | more,
            "semantic": semantic,
            "namespace": None if namespace is None else word("namespace", namespace),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.store, str):
            to_be_kept("cache", self.store)
        return _rebuild, (
            self.store,
            self.ttl,
            self.stale_if_error,
            self.cacheable_finish_reasons - WHOLE,
            self.semantic,
            self.namespace,
        )

    @classmethod
    def of(cls, cache: Any) -> CacheConfig:
        """Return `cache` itself, or build the settings for a store."""
        return cache if isinstance(cache, CacheConfig) else cls(cache)

    def worth(self, response: Response, routes: Sequence[Route], *, continued: bool) -> bool:
        """Whether a response is cacheable: complete, and from a route that the caller would have chosen.

        Args:
            response: The response.
            routes: The candidates.
            continued: Whether another route continues an interrupted stream.
        """
        has_interruption = any(attempt.outcome == StreamInterruptedError.code for attempt in response.attempts)
        backups = {route.name for route in routes if route.backup}
        return (
            response.finish_reason in self.cacheable_finish_reasons
            and bool(response.parts)
            and not response.invalid_tool_calls
            and not (has_interruption and continued)
            and (response.route not in backups or len(backups) == len(routes))
        )

    def paraphrases(self, store: Cache) -> SemanticMatcher | None:
        """Return the semantic matcher for `store`; None if the semantic cache is disabled.

        Raises:
            ConfigurationError: A required package is missing.
        """
        if self.semantic is None:
            return None
        from multiroute_core.cache.semantic.paraphrases import SemanticMatcher

        index = None
        if (link := getattr(store, "link", None)) is not None:
            from multiroute_core.cache.semantic.redis import RedisIndex

            index = RedisIndex(link)
        return SemanticMatcher(self.semantic, index)

    def open_store(self) -> Cache:
        """Open the store.

        Raises:
            ConfigurationError: The store is unknown or unusable, or a required package is missing.
        """
        if not isinstance(self.store, str):
            return self.store
        if self.store == "memory":
            from multiroute_core.cache.memory import MemoryCache

            return MemoryCache()
        scheme, _, location = self.store.partition(":")
        if scheme == "sqlite" and location:
            from multiroute_core.cache.sqlite import SQLiteCache, path_of

            return SQLiteCache(path_of(self.store))
        if scheme in ("redis", "rediss", "unix") and location:
            from multiroute_core.cache.redis import RedisCache

            return RedisCache(self.store)
        raise ConfigurationError(
            f"cache={scheme!r} is not a valid cache; "
            "expected 'memory', 'sqlite:///path', 'redis://host:6379/0', or a Cache."
        )


def _rebuild(
    store: str | Cache,
    ttl: float,
    stale_if_error: float,
    more: frozenset[FinishReason],
    semantic: SemanticCache | None,
    namespace: str | None,
) -> CacheConfig:
    return CacheConfig(
        store,
        ttl=ttl,
        stale_if_error=stale_if_error,
        cacheable_finish_reasons=more,
        semantic=semantic,
        namespace=namespace,
    )
