"""Boilerplate rule: page numbers, headers and footers that come with each page, and long rules. Pure.

Only what repeats is removed, and its first occurrence stays.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from multiroute_core.prompts.blocks import FindBlocks, find_blocks
from multiroute_core.prompts.edits import Edit

LONGEST_HEADER = 120
"""Characters of the longest header or footer."""

NEARBY_LINES = 3
"""How many lines from a page number a header or footer may be."""

FEWEST_PAGES = 3
"""How often a header or footer must come with a page number."""

_NUMBER = r"(\d{1,4})"
_WORDS = r"(?:page|pages|seite|página|pagina|blatt|стр\.|第)"
_EDGE = r"[^\w\n]{0,9}"
_PAGE = re.compile(
    rf"{_EDGE}(?:{_WORDS} ?{_NUMBER}(?: ?(?:of|from|von|de|di|sur|/) ?\d{{1,4}})?|{_NUMBER} (?:of|von|sur) \d{{1,4}}"
    rf"|[-–—] ?{_NUMBER} ?[-–—]){_EDGE}",
    re.IGNORECASE,
)
_RULE = re.compile(r"([-=_*])\1{19,}[ \t\r]*")
_MAY_APPLY = re.compile(
    rf"^{_EDGE}(?:{_WORDS} ?\d|\d{{1,4}} (?:of|von|sur) |[-–—] ?\d)|([-=_*])\1{{19}}", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    page: int | None


def find_boilerplate(text: str, find: FindBlocks = find_blocks) -> list[Edit]:
    r"""Return the edits that remove boilerplate from a text.

    Args:
        text: The text.
        find: Splits it into blocks.

    Example:
        >>> find_boilerplate("One.\n\nPage 1 of 2\n\nTwo.\n\nPage 2 of 2")
        [Edit(start=25, end=36, text='')]
    """
    if not _MAY_APPLY.search(text):
        return []
    lines: list[_Line] = []
    edits: dict[int, Edit] = {}
    for block in find(text):
        content = text[block.start : block.end]
        if (match := _RULE.fullmatch(content)) and block.start:  # at the beginning, it would become front matter
            edits[block.start] = Edit(block.start, block.end, match[1] * 3)
        elif block.is_prose or ("\n" not in content and _PAGE.fullmatch(content)):
            lines += _read_lines(text, block.start, block.end)
    for line in _find_repeated(text, lines):
        is_last = line.end == len(text)
        edits[line.start] = Edit(line.start, line.end + (not is_last))
    return [edits[start] for start in sorted(edits)]


def _read_lines(text: str, start: int, end: int) -> list[_Line]:
    lines: list[_Line] = []
    for line in text[start:end].split("\n"):
        match = _PAGE.fullmatch(line.strip())
        page = None if match is None else int(next(number for number in match.groups() if number))
        lines.append(_Line(start, start + len(line), line.strip(), page))
        start += len(line) + 1
    return lines


def _find_repeated(text: str, lines: list[_Line]) -> list[_Line]:
    """Return the page numbers after the first, and the headers and footers after the first."""
    pages = [place for place, line in enumerate(lines) if line.page is not None]
    numbers = [lines[place].page or 0 for place in pages]
    if len(pages) < 2 or any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        return []
    steps = list(itertools.pairwise(pages))
    empty = sum(not text[lines[one].end : lines[other].start].strip() for one, other in steps)
    if 2 * empty > len(steps):  # a list of page numbers, and not pages, of which a few may be empty
        return []
    repeated = [lines[place] for place in pages[1:]]
    nearby: dict[str, dict[int, _Line]] = {}
    for page in pages:
        for place in range(max(0, page - NEARBY_LINES), min(len(lines), page + NEARBY_LINES + 1)):
            line = lines[place]
            if line.page is None and line.text and len(line.text) <= LONGEST_HEADER:
                nearby.setdefault(line.text, {})[line.start] = line
    for occurrences in nearby.values():
        if len(occurrences) >= FEWEST_PAGES:
            repeated += [occurrences[start] for start in sorted(occurrences)[1:]]
    return repeated
