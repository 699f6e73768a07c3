"""Repetition rule: replaces passages that the model has seen before by a reference to them. Pure.

How this works: prose is read as a sequence of sentences (or lines). A passage is a run of sentences that stands in the
same order further up; if it is long enough, a reference with its first and last words takes its place. A sentence that
holds something protected is never part of a passage. The result for a message depends only on the messages before it,
so a conversation that grows keeps its prefix, which prompt caches need.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from multiroute_core.prompts.blocks import Block, FindBlocks, find_blocks
from multiroute_core.prompts.edits import CountText, Edit, Piece, apply, join

SHORTEST_PASSAGE = 240
"""Characters of the shortest passage that is replaced; a reference has about a hundred."""

LONGEST_NOTICE = 600
"""Characters of the longest notice about cookies that is left out without a reference."""

SHORTEST_EXCERPT = 12
"""Characters that the first and the last words in a reference must have at least."""

MOST_UNCLEAR_ENDS = 64
"""Sentences in a row at which no passage may end; after so many, its end is not looked for any further. Without a
bound, the time would be quadratic in a text of few sentences that come again and again."""

_EXCERPT_WORDS = 5
_EXCERPT_CHARACTERS = 40
_EXCERPT_WITHOUT_BLANKS = 16
_LONGEST_EXCERPT = 64
"""Characters of a sentence that are looked at for an excerpt; more than one has."""
_UNIT = re.compile(
    r"""
      \[Repeated\ from\ above:\ [^\[\]]*\]
    | [.!?…]{2,}+['’)]*+(?=\s)
    | \S[^\n]*?(?:(?<![.!?…])[.!?…]++['’)]*+(?=\s)|[。！？]+|(?=[ \t\r]{0,64}(?:\n|\Z)))
    """,
    re.VERBOSE,
)
_NOTICE = re.compile(r"\bcookies?\b", re.IGNORECASE)
_CONSENT = re.compile(
    r"\b(?:accept|agree|consent|preferences|use cookies|uses cookies|privacy policy)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence or a line; its key is empty if it may not be part of a passage."""

    start: int
    end: int
    key: str


class RepeatRemover:
    """Replaces the repeated passages of one conversation, message by message.

    Args:
        count: Counts tokens.
        find: Splits a text into blocks.
    """

    __slots__ = ("_count", "_find", "_heads", "_keys", "_notices", "_places", "_tails")

    def __init__(self, count: CountText, find: FindBlocks = find_blocks) -> None:
        self._count = count
        self._find = find
        self._keys: list[str] = []
        self._places: dict[str, int] = {}
        self._heads: Counter[str] = Counter()
        self._tails: Counter[str] = Counter()
        self._notices: set[str] = set()

    def add(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return the texts of the next message without what was there before.

        Args:
            pieces: Its texts.
        """
        text = join(pieces)
        blocks = self._find(text)
        notices = self._find_notices(text, blocks) if _NOTICE.search(text) else {}
        edits = {start: Edit(start, end) for start, end in notices.items()}
        units = [unit for block in blocks if block.start not in notices for unit in _read_units(text, block)]
        ends = _find_piece_ends(pieces)
        place = 0
        while place < len(units):
            length = self._measure_passage(units, place, ends)
            start = units[place].start
            end = units[place + max(length, 1) - 1].end
            reference = _refer(units[place].key, units[place + length - 1].key) if length else ""
            if reference and self._count(reference) < self._count(text[start:end]):
                edits[start] = Edit(start, end, reference)
                self._keys.append("")
                place += length
                continue
            self._register(units[place].key)
            place += 1
        self._keys.append("")  # a passage ends with its message
        return apply(pieces, [edits[start] for start in sorted(edits)], self._count)

    def _register(self, key: str) -> None:
        if key and key not in self._places:
            self._places[key] = len(self._keys)
            self._heads[_excerpt(key)] += 1
            self._tails[_excerpt_end(key)] += 1
        self._keys.append(key)

    def _measure_passage(self, units: Sequence[_Unit], place: int, ends: Sequence[tuple[int, bool]]) -> int:
        """Return how many units from `place` on stand in the same order further up; 0 for too few, or if unclear."""
        first = units[place]
        source = self._places.get(first.key, -1) if first.key else -1
        if source < 0:
            return 0
        if not self._is_clear(self._heads, _excerpt(first.key)):
            return 0
        end, is_editable = ends[bisect.bisect_right(ends, first.start, key=_get_end)]
        if not is_editable:
            return 0
        length = 0
        clear_length = 0
        while (
            place + length < len(units)
            and length - clear_length < MOST_UNCLEAR_ENDS
            and source + length < len(self._keys)
            and units[place + length].key
            and units[place + length].key == self._keys[source + length]
            and units[place + length].end <= end
        ):
            length += 1
            if self._is_clear(self._tails, _excerpt_end(units[place + length - 1].key)):
                clear_length = length
        if not clear_length or units[place + clear_length - 1].end - first.start < SHORTEST_PASSAGE:
            return 0
        return clear_length

    @staticmethod
    def _is_clear(excerpts: Counter[str], excerpt: str) -> bool:
        """Whether a reference with this excerpt means one passage: it is long enough, and of one sentence only."""
        return len(excerpt) >= SHORTEST_EXCERPT and excerpts[excerpt] == 1

    def _find_notices(self, text: str, blocks: Sequence[Block]) -> dict[int, int]:
        """Return start and end of each notice about cookies that was there before."""
        notices: dict[int, int] = {}
        for number, block in enumerate(blocks):
            content = text[block.start : block.end]
            if not block.is_prose or len(content) > LONGEST_NOTICE:
                continue
            if not _NOTICE.search(content) or not _CONSENT.search(content):
                continue
            if content in self._notices:
                notices[block.start] = blocks[number + 1].start if number + 1 < len(blocks) else block.end
            self._notices.add(content)
        return notices


def _get_end(piece_end: tuple[int, bool]) -> int:
    return piece_end[0]


def _find_piece_ends(pieces: Sequence[Piece]) -> list[tuple[int, bool]]:
    ends: list[tuple[int, bool]] = []
    offset = 0
    for piece in pieces:
        offset += len(piece.text)
        ends.append((offset, piece.is_editable))
    return ends


def _read_units(text: str, block: Block) -> list[_Unit]:
    """Return the sentences and lines of a block; one without a key for a protected block."""
    if not block.is_prose:
        return [_Unit(block.start, block.end, "")]
    units: list[_Unit] = []
    for match in _UNIT.finditer(text[block.start : block.end]):
        sentence = match[0].rstrip()
        start = block.start + match.start()
        end = start + len(sentence)
        units.append(_Unit(start, end, "" if block.has_span(start, end) else sentence))
    return units


def _excerpt(text: str) -> str:
    """Return the first words of a text."""
    end = 0
    text = text[:_LONGEST_EXCERPT]
    for _ in range(_EXCERPT_WORDS):
        blank = text.find(" ", end + 1)
        if blank < 0 or blank > _EXCERPT_CHARACTERS:
            break
        end = blank
    return text[: end or _EXCERPT_WITHOUT_BLANKS]


def _excerpt_end(text: str) -> str:
    """Return the last words of a text."""
    return _excerpt(text[: -_LONGEST_EXCERPT - 1 : -1])[::-1]


def _refer(first: str, last: str) -> str:
    """Return the reference to the passage from one sentence to another."""
    return f"[Repeated from above: {_excerpt(first)} … {_excerpt_end(last)}]"
