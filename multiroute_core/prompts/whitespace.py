"""White space rule: one blank between words, none at the end of a line, one blank line between paragraphs. Pure."""

from __future__ import annotations

import re

from multiroute_core.prompts.blocks import Block, FindBlocks, find_blocks
from multiroute_core.prompts.edits import Edit

_MAY_APPLY = re.compile(r" {2}| \r?\n|\n[ \t\r]*\n[ \t\r]*\n")
_GAP = re.compile(r" {2,}| (?=\r?\n)| (?=\r?\Z)")


def find_white_space(text: str, find: FindBlocks = find_blocks) -> list[Edit]:
    """Return the edits that remove superfluous white space from the prose of a text.

    Args:
        text: The text.
        find: Splits it into blocks.

    Example:
        >>> find_white_space("A gap  between two words.")
        [Edit(start=5, end=7, text=' ')]
    """
    if not _MAY_APPLY.search(text):
        return []
    edits: list[Edit] = []
    blocks = find(text)
    is_prose = True
    end = 0
    for block in blocks:
        if is_prose and block.is_prose:
            edits += _shorten_gap(text, end, block.start)
        if block.is_prose:
            edits += _shorten_block(text, block)
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


def _shorten_block(text: str, block: Block) -> list[Edit]:
    edits: list[Edit] = []
    for match in _GAP.finditer(text[block.start : block.end]):
        start = block.start + match.start()
        end = block.start + match.end()
        if block.has_span(start, end):
            continue
        if end == len(text):
            continue  # another part may follow, and then this blank separates two words
        is_at_end = end == block.end or text[end] in "\r\n"
        edits.append(Edit(start, end, "" if is_at_end else " "))
    return edits
