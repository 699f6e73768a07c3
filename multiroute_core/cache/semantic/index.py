"""The seam of the semantic cache: vectors in a scope, and which of them are near to another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from multiroute_core.runtime.io import IO

Vector: TypeAlias = Any
"""A numpy array of floats in one dimension, of length 1: the product of two is the cosine of their angle."""

COUNT = 8
"""How many of those that are near are looked at: the nearest may ask for something else."""


@dataclass(frozen=True, slots=True)
class Near:
    """A question that was asked before.

    Attributes:
        key: The key of its answer in the cache.
        text: What was asked, normalised.
        similarity: The cosine of the angle between the vectors, -1 to 1.
    """

    key: str
    text: str
    similarity: float


class SemanticIndex(Protocol):
    """Keeps vectors by scope: nothing is ever found from another scope.

    The methods are async in form, as those of `Cache` are. What they raise is logged and counts as nothing found.
    """

    async def near(self, io: IO, scope: str, vector: Vector, threshold: float) -> Sequence[Near]:
        """The nearest in the scope, at most `COUNT`, whose similarity is `threshold` or more; the nearest first."""
        ...

    async def add(self, io: IO, scope: str, vector: Vector, text: str, key: str, seconds: float) -> None:
        """Keep a vector for so many seconds; what was there for the same scope and key is replaced."""
        ...

    def close(self) -> None:
        """Close what belongs to sync code."""
        ...

    async def aclose(self) -> None:
        """Close what belongs to the running event loop."""
        ...
