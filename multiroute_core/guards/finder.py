"""Finder: what finds further kinds of personal data, such as names, beside those of `personal_data`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.personal_data import ALL, Kind, Span, find_personal_data

_KIND = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


class Finder(Protocol):
    """Finds further kinds of personal data, such as names."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of what it finds: names in ASCII letters, digits and underscores, none of them in `ALL`."""
        ...

    def __call__(self, text: str) -> Iterable[Span]:
        """Return what it finds in a text; the spans may be in any order and overlap."""
        ...


def find_all(text: str, kinds: Collection[Kind], regions: Collection[str], finder: Finder | None) -> tuple[Span, ...]:
    """Find personal data, and what the finder finds in the rest of the text; as `find_personal_data`."""
    spans = find_personal_data(text, kinds, regions)
    if finder is None:
        return spans
    return tuple(sorted((*spans, *_find_further(text, finder, spans)), key=lambda span: span.start))


def _find_further(text: str, finder: Finder, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans of a finder that overlap neither the others nor each other, the longest first."""
    taken = [(span.start, span.end) for span in spans]
    for span in sorted(finder(text), key=lambda span: (span.start - span.end, span.start)):
        is_empty = not text[span.start : span.end].strip()
        if not is_empty and all(span.end <= start or end <= span.start for start, end in taken):
            taken.append((span.start, span.end))
            yield span


def check_finder(finder: Finder | None) -> tuple[str, ...]:
    """Return the kinds of a finder; none for None.

    Raises:
        ConfigurationError: It is not a finder, or one of its kinds is not a name, or one of `ALL`.
    """
    if finder is None:
        return ()
    kinds: Any = getattr(finder, "kinds", None)
    if not callable(finder) or isinstance(kinds, str) or not isinstance(kinds, Collection) or not kinds:
        raise ConfigurationError(
            "finder= is not valid; expected a callable that takes a text and returns Spans, with an attribute kinds."
        )
    names = tuple(cast("Collection[Any]", kinds))
    for name in names:
        if not isinstance(name, str) or not _KIND.fullmatch(name) or name in ALL:
            raise ConfigurationError(
                f"The finder has a kind {name!r}; expected a name in small letters, digits and underscores, none of "
                f"{', '.join(ALL)}."
            )
    return names
