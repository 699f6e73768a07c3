"""Presidio as a finder of personal data: names, places and what else its recognizers know.

Presidio is not installed with this library: `pip install presidio-analyzer`, and the model of spaCy that it uses.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.personal_data import Span

THRESHOLD = 0.5
"""The least score, 0 to 1, of what counts; below it Presidio's patterns mostly propose what needs a word of context."""

_ENTITY = re.compile(r"[A-Z][A-Z0-9_]*")


class PresidioFinder:
    """Finds personal data by an `AnalyzerEngine` of Presidio, for `mask_personal_data` and `restrict_personal_data`.

    Args:
        entities: Presidio's names of what to look for, such as `["PERSON", "LOCATION"]`.
        analyzer: An `AnalyzerEngine`, or a function that returns one, which a process calls once; by default
            `presidio_analyzer.AnalyzerEngine`.
        language: The language of the texts.
        threshold: The least score that counts, 0 to 1; 0.5 by default.

    Raises:
        ConfigurationError: A value is invalid, or Presidio is not installed.

    Example:
        >>> from multiroute_core.guards import mask_personal_data
        >>> mask_personal_data(finder=PresidioFinder(["PERSON"]))  # doctest: +SKIP
    """

    def __init__(
        self,
        entities: Collection[str],
        *,
        analyzer: Any = None,
        language: str = "en",
        threshold: float = THRESHOLD,
    ) -> None:
        names = () if isinstance(entities, str) else tuple(dict.fromkeys(entities))
        if not names or not all(_ENTITY.fullmatch(name) for name in names):
            raise ConfigurationError(
                "PresidioFinder needs entities: Presidio's names, such as entities=['PERSON', 'LOCATION']."
            )
        if isinstance(threshold, bool) or not 0 <= threshold <= 1:
            raise ConfigurationError(f"threshold={threshold!r} is not valid; expected a score from 0 to 1.")
        self.entities = names
        self.language = language
        self.threshold = threshold
        self._given_analyzer = analyzer
        if analyzer is None:
            analyzer = _load_engine()
        self._analyzer: Any = analyzer() if isinstance(analyzer, type) or not hasattr(analyzer, "analyze") else analyzer

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.entities, self._given_analyzer, self.language, self.threshold)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of what it finds."""
        return tuple(name.lower() for name in self.entities)

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        return f"presidio {self.entities} {self.language} {self.threshold}"

    def __call__(self, text: str) -> Iterator[Span]:
        """Yield what Presidio finds."""
        results = self._analyzer.analyze(
            text=text, language=self.language, entities=[*self.entities], score_threshold=self.threshold
        )
        for result in results:
            yield Span(result.start, result.end, result.entity_type.lower())


def _rebuild(entities: Collection[str], analyzer: Any, language: str, threshold: float) -> PresidioFinder:
    return PresidioFinder(entities, analyzer=analyzer, language=language, threshold=threshold)


def _load_engine() -> Callable[[], Any]:
    try:
        return importlib.import_module("presidio_analyzer").AnalyzerEngine
    except ImportError as error:
        raise ConfigurationError(
            "PresidioFinder needs the package presidio-analyzer; install it with: pip install presidio-analyzer."
        ) from error
