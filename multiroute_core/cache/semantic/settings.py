"""What a semantic cache shall do: the one thing that a user sets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import seconds

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Turns texts into vectors, one each; an empty one where a text cannot be compared."""

THRESHOLD = 0.95
"""For the bundled model; see `docs/semantic.md`."""

MAX_CHARS = 300
"""The longest texts that the threshold was calibrated on. In longer ones a word that changes all moves little."""

EMBED_SECONDS = 2.0


@dataclass(frozen=True, slots=True, init=False)
class SemanticCache:
    """How to find the answer to what was asked in other words. It is wrong now and then; see `docs/semantic.md`.

    Only requests are compared that are the same but for what the user said last, and that is plain text.

    Args:
        embed: A function that turns texts into vectors, one each; called in a thread of its own. By default the model
            that comes with `multiroute-llm[semantic]`, which reads English.
        threshold: From which similarity on, 0 to 1, two texts may ask the same: the cosine of the angle between their
            vectors. 0.95 by default. For a function of your own it must be given: `python -m benchmarks.semantic
            --embed module:function` shows what each costs.
        model: What the vectors' space is called: vectors of one are never compared with those of another. By default
            the function's name; give one that changes when the model does.
        max_chars: The longest text that is compared, in characters. 300 by default, the longest that the threshold was
            calibrated on.
        timeout: Seconds that `embed` may take; after that, the request goes on without.

    Raises:
        ConfigurationError: a value is out of range, or `embed` is no plain function.

    Example:
        >>> Semantic(threshold=0.96)
        Semantic(model='all-MiniLM-L6-v2-int8', threshold=0.96, max_chars=300, timeout=2.0)
    """

    embed: Embed | None = field(repr=False)
    model: str
    threshold: float
    max_chars: int
    timeout: float

    def __init__(
        self,
        embed: Embed | None = None,
        *,
        threshold: float | None = None,
        model: str | None = None,
        max_chars: int = MAX_CHARS,
        timeout: float = EMBED_SECONDS,
    ) -> None:
        if embed is not None:
            if not callable(embed) or inspect.iscoroutinefunction(embed):
                raise ConfigurationError(
                    f"embed={embed!r:.100} must be a plain function that takes a list of texts and gives their vectors."
                )
            if threshold is None:
                raise ConfigurationError(
                    "Semantic(embed=...) needs a threshold: each model has its own scale. "
                    "`python -m benchmarks.semantic --embed module:function` shows what each costs."
                )
        number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if threshold is not None and not (number and 0.0 < threshold <= 1.0):
            raise ConfigurationError(f"threshold={threshold!r} must be above 0 and not above 1.")
        if isinstance(max_chars, bool) or not isinstance(max_chars, int) or max_chars < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"max_chars={max_chars!r} must be a whole number, 1 or more.")
        from multiroute_core.cache.semantic.minilm import NAME

        values: dict[str, Any] = {
            "embed": embed,
            "model": model or (NAME if embed is None else _name(embed)),
            "threshold": THRESHOLD if threshold is None else float(threshold),
            "max_chars": max_chars,
            "timeout": seconds("timeout", timeout),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def load_embedder(self) -> Embed:
        """What turns texts into vectors.

        Raises:
            ConfigurationError: a package is missing.
        """
        if self.embed is not None:
            return self.embed
        from multiroute_core.cache.semantic.minilm import MiniLM

        return MiniLM()


def _name(embed: Embed) -> str:
    function: Any = getattr(embed, "func", embed)  # of a partial
    if not hasattr(function, "__qualname__"):
        function = cast("type[Any]", type(function))
    return f"{function.__module__}.{function.__qualname__}"
