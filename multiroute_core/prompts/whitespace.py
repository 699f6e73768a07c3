"""White space rule: one blank between words, none at the end of a line, one blank line between paragraphs. Pure."""

from __future__ import annotations

import re

from multiroute_core.prompts.blocks import find_blocks
from multiroute_core.prompts.edits import Edit
from multiroute_core.prompts.inline import find_spans

_MAY_APPLY = re.compile(r" {2}| \r?\n|\n[ \t\r]*\n[ \t\r]*\n")
_GAP = re.compile(r" +(?=\r?\n)| +(?=\r?\Z)|(?<=\S) {2,}(?=[^\s])")


def find_white_space(text: str) -> list[Edit]:
    """Return the edits that remove superfluous white space from the prose of a text.

    Example:
        >>> find_white_space("A gap  between two words.")
        [Edit(start=5, end=7, text=' ')]
    """
    if not _MAY_APPLY.search(text):
        return []
    edits: list[Edit] = []
    blocks = find_blocks(text)
    is_prose = True
    end = 0
    for block in blocks:
        if is_prose and block.is_prose:
            edits += _shorten_gap(text, end, block.start)
        if block.is_prose:
            edits += _shorten_block(text, block.start, block.end)
        is_prose = block.is_prose
        end = block.end
    if is_prose and blocks:
        edits += _shorten_gap(text, end, len(text))
    return edits


def _shorten_gap(text: str, start: int, end: int) -> list[Edit]:
    """Shorten the white space between two blocks to one blank line."""
    gap = text[start:end]
    line_break = "\r\n" if "\r\n" in gap else "\n"
    shortest = line_break * min(2, gap.count("\n"))
    return [Edit(start, end, shortest)] if gap.count("\n") and len(shortest) < len(gap) else []


def _shorten_block(text: str, start: int, end: int) -> list[Edit]:
    block = text[start:end]
    edits: list[Edit] = []
    spans: list[tuple[int, int]] | None = None
    for match in _GAP.finditer(block):
        if spans is None:
            spans = find_spans(block)
        if any(first < match.end() and match.start() < last for first, last in spans):
            continue
        is_at_end = match.end() == len(block) or block[match.end()] in "\r\n"
        if is_at_end and start + match.end() == len(text):
            continue  # another part may follow, and then this blank separates two words
        edits.append(Edit(start + match.start(), start + match.end(), "" if is_at_end else " "))
    return edits
