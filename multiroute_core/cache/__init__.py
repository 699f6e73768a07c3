"""Response cache: reuses responses to identical requests.

`key` computes the cache key of a request, `entry` serializes a response, `single_flight` coalesces identical concurrent
requests. The stores are `memory`, `sqlite` and `redis`, behind the interface in `store`. `semantic` finds responses to
paraphrases.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.cache.caching import CacheConfig
    from multiroute_core.cache.memory import MemoryCache
    from multiroute_core.cache.semantic.settings import Embed, SemanticCache
    from multiroute_core.cache.store import Cache
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "caching": "CacheConfig",
            "memory": "MemoryCache",
            "semantic.settings": "Embed SemanticCache",
            "store": "Cache",
        },
    )

__all__ = [
    "Cache",
    "CacheConfig",
    "Embed",
    "MemoryCache",
    "SemanticCache",
]
