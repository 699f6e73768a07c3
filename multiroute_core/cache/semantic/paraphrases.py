"""Finds what was asked in other words: text → vector → those that are near → the first that nothing speaks against."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

from multiroute_core.cache.semantic.index import Near, SemanticIndex, Vector
from multiroute_core.cache.semantic.memory import MemoryIndex, numpy
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.cache.semantic.veto import difference, normalised
from multiroute_core.cache.trouble import FailureLogger
from multiroute_core.runtime import forks
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO

REMEMBERED = 256
"""How many texts' vectors are kept: what is looked up in vain is added a moment later."""


class SemanticMatcher:
    """The questions that were asked, by what they mean.

    It never fails a request: what goes wrong is logged, and nothing is found.

    Args:
        settings: How to compare.
        index: Where the vectors are. By default in this process.

    Raises:
        ConfigurationError: a package is missing.

    Example:
        >>> paraphrases = Paraphrases(Semantic())  # doctest: +SKIP
        >>> await paraphrases.add(io, scope, "How do I reset my password?", key, 86_400.0)  # doctest: +SKIP
        >>> (await paraphrases.find(io, scope, "how can I reset my password")).key == key  # doctest: +SKIP
        True
    """

    def __init__(self, settings: SemanticCache | None = None, index: SemanticIndex | None = None) -> None:
        self.settings = settings or SemanticCache()
        self.index: SemanticIndex = index if index is not None else MemoryIndex()
        self._numpy, self._embed = numpy(), self.settings.load_embedder()
        self._known: OrderedDict[str, Vector | None] = OrderedDict()
        self._lock = threading.Lock()
        self._trouble = FailureLogger()
        forks.renew(self, _lock=threading.Lock)

    async def find(self, io: IO, scope: str, text: str) -> Near | None:
        """The question that asks the same as `text`, if one was asked in this scope.

        Args:
            io: How to wait.
            scope: The key of everything else in the request. What differs in it has nothing in common.
            text: What the user said last.
        """
        text = normalised(text)
        try:
            if (vector := await self._vector(io, text)) is None:
                return None
            candidates = await self.index.near(io, self._scope(scope), vector, self.settings.threshold)
        except Exception as error:
            self._trouble.tell("A question could not be compared", error)
            return None
        return next((near for near in candidates if difference(text, near.text) is None), None)

    async def add(self, io: IO, scope: str, text: str, key: str, seconds: float) -> None:
        """Remember for so many seconds that the answer to `text` is under `key`."""
        text = normalised(text)
        try:
            if (vector := await self._vector(io, text)) is not None:
                await self.index.add(io, self._scope(scope), vector, text, key, seconds)
        except Exception as error:
            self._trouble.tell("A question was not remembered", error)

    def close(self) -> None:
        """Close what belongs to sync code."""
        self.index.close()

    async def aclose(self) -> None:
        """Close what belongs to the running event loop."""
        await self.index.aclose()

    async def _vector(self, io: IO, text: str) -> Vector | None:
        if not text or len(text) > self.settings.max_chars:
            return None
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        limit = Deadline(io.now)
        limit.set("an embedding", io.now() + self.settings.timeout, self.settings.timeout)
        vector = self._checked(await io.thread(limit, self._embed, [text]))
        with self._lock:
            self._known[text] = vector
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return vector

    def _checked(self, vectors: Any) -> Vector | None:
        """The one vector, with length 1."""
        np = self._numpy
        if len(vectors) != 1:
            raise ValueError(f"embed gave {len(vectors)} vectors for one text.")
        vector = np.asarray(vectors[0], np.float32)
        if vector.ndim != 1:
            raise ValueError(f"embed gave an array of shape {vector.shape} for a vector.")
        length = float(np.linalg.norm(vector.astype(np.float64))) if len(vector) else 0.0
        if not np.isfinite(length):
            raise ValueError("embed gave a vector that is not finite.")
        return vector / length if length else None

    def _scope(self, scope: str) -> str:
        return hashlib.sha256(f"{self.settings.model}\0{scope}".encode()).hexdigest()
