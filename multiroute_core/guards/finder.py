"""Finder: what finds further kinds of personal data, such as names, beside those of `personal_data`."""

from __future__ import annotations

import re
from bisect import bisect_right
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
    if finder is None or not text.strip():
        return spans
    return tuple(sorted((*spans, *_find_further(text, finder, spans)), key=lambda span: span.start))


def _find_further(text: str, finder: Finder, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans of a finder that overlap neither the others nor each other, the longest first.

    Raises:
        ConfigurationError: A span is not of the finder's kinds, so that it could not be restored, or not in the text.
    """
    starts = [span.start for span in spans]
    ends = [span.end for span in spans]
    for span in sorted(finder(text), key=lambda span: (span.start - span.end, span.start)):
        if span.kind not in finder.kinds or span.start < 0 or span.end > len(text):
            raise ConfigurationError(
                f"The finder returned a span of kind {span.kind!r} from {span.start} to {span.end} in a text of "
                f"{len(text)} characters; expected one in the text, of a kind in its kinds."
            )
        if not text[span.start : span.end].strip():
            continue
        place = bisect_right(starts, span.start)
        is_free = place == 0 or ends[place - 1] <= span.start
        if is_free and (place == len(starts) or span.end <= starts[place]):
            starts.insert(place, span.start)
            ends.insert(place, span.end)
            yield span


FINDER_SECONDS = 30.0
"""How long a finder may take for one text, in seconds: models need time."""


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
