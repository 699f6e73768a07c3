"""Presidio as a finder of personal data: names, places and what else its recognizers know.

Presidio is not installed with this library: `pip install presidio-analyzer`, and the model of spaCy that it uses.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

from multiroute_core._util.surrogates import replace_surrogates
from multiroute_core.display.text import describe_value, shorten
from multiroute_core.errors import ConfigurationError, unknown
from multiroute_core.guards.identity import identify_function
from multiroute_core.guards.personal_data import Span
from multiroute_core.guards.suspicion import split_text

THRESHOLD = 0.5
"""The least score, 0 to 1, of what counts; below it Presidio's patterns mostly propose what needs a word of context."""

PIECE_CHARACTERS = 50_000
"""Longer texts are analyzed in pieces: spaCy needs about 1 GB for 100,000 characters, and refuses more than a million
(https://spacy.io/api/language, `max_length`, 2026-11-30)."""

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
        ConfigurationError: A value is invalid, or Presidio or its model is not installed.

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
        is_several = isinstance(entities, Collection) and not isinstance(entities, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        names = tuple(dict.fromkeys(entities)) if is_several else ()
        if not names or not all(isinstance(name, str) and _ENTITY.fullmatch(name) for name in names):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                "PresidioFinder needs entities: Presidio's names, such as entities=['PERSON', 'LOCATION']."
            )
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"threshold={describe_value(threshold)} is not valid; expected a score from 0 to 1."
            )
        if analyzer is not None and not callable(analyzer) and not hasattr(analyzer, "analyze"):
            raise ConfigurationError(
                f"analyzer={describe_value(analyzer)} is not valid; expected an AnalyzerEngine, or a function that "
                "returns one."
            )
        self.entities = names
        self.language = language
        self.threshold = threshold
        self._given_analyzer = analyzer
        if analyzer is None:
            analyzer = _build_engine(_load_engine())
        self._analyzer: Any = analyzer() if isinstance(analyzer, type) or not hasattr(analyzer, "analyze") else analyzer
        _check_support(self._analyzer, names, language)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.entities, self._given_analyzer, self.language, self.threshold)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of what it finds."""
        return tuple(name.lower() for name in self.entities)

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        analyzer = self._given_analyzer
        engine = "" if analyzer is None else f" {identify_function(analyzer)}"
        return f"presidio {self.entities} {self.language} {self.threshold}{engine}"

    def __call__(self, text: str) -> Iterator[Span]:
        """Yield what Presidio finds."""
        offset = 0
        for piece in split_text(replace_surrogates(text), PIECE_CHARACTERS):
            results = self._analyzer.analyze(
                text=piece, language=self.language, entities=[*self.entities], score_threshold=self.threshold
            )
            for result in results:
                yield Span(offset + result.start, offset + result.end, result.entity_type.lower())
            offset += len(piece)


def _rebuild(entities: Collection[str], analyzer: Any, language: str, threshold: float) -> PresidioFinder:
    return PresidioFinder(entities, analyzer=analyzer, language=language, threshold=threshold)


def _check_support(analyzer: Any, entities: Collection[str], language: str) -> None:
    """Check that an engine knows the entities: it would fail at every text."""
    list_entities = getattr(analyzer, "get_supported_entities", None)
    if list_entities is None:
        return
    try:
        supported = list_entities(language)
    except ValueError as error:
        raise ConfigurationError(
            f"language={describe_value(language)} is not valid; the analyzer has no recognizers for it."
        ) from error
    for entity in entities:
        if entity not in supported:
            raise unknown("entity", entity, sorted(supported))


def _build_engine(engine_class: Callable[[], Any]) -> Any:
    """Return Presidio's default engine, which downloads a model that is missing, and exits if it cannot."""
    try:
        return engine_class()
    except (Exception, SystemExit) as error:
        reason = shorten(f"{type(error).__name__}: {error}", 200)
        raise ConfigurationError(
            f"Presidio's engine cannot be built ({reason}); install its model with: python -m spacy download "
            "en_core_web_lg, or pass analyzer=."
        ) from error


def _load_engine() -> Callable[[], Any]:
    try:
        return cast("Callable[[], Any]", importlib.import_module("presidio_analyzer").AnalyzerEngine)
    except ImportError as error:
        raise ConfigurationError(
            "PresidioFinder needs the package presidio-analyzer; install it with: pip install presidio-analyzer."
        ) from error
