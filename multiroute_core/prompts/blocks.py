r"""Segmentation of a text into prose and protected blocks. Pure.

How this works: a block is a run of lines without a blank one. It is prose only if nothing in it may depend on white
space: no indentation, no columns, no code, data, quotation or markup that a line begins with. Whatever is unclear is
protected. Some blocks open something (a fence, a bracket, a quotation, a `<pre>`), and then everything up to its end is
protected as well, and everything to the end of the text if it has none.

A prose block never opens anything. So it may be changed or left out without changing how the others are seen, which
makes the optimization idempotent.

Fences are those of CommonMark: https://spec.commonmark.org/0.31.2/#fenced-code-blocks (2026-11-30).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from multiroute_core.prompts.inline import find_spans, is_balanced

CHARACTERS_OF_A_QUOTATION = 2_000
"""How far the end of a quotation is looked for, in characters: a stray inch mark must not protect a whole document."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines of a text.

    Attributes:
        start: Where it begins.
        end: Where it ends, without the line break.
        is_prose: Whether its white space may change.
        spans: Start and end of the protected parts of prose.
    """

    start: int
    end: int
    is_prose: bool
    spans: tuple[tuple[int, int], ...] = ()

    def has_span(self, start: int, end: int) -> bool:
        """Whether a protected part overlaps with what is between two places."""
        place = bisect.bisect_left(self.spans, (end,))
        return place > 0 and self.spans[place - 1][1] > start


FindBlocks: TypeAlias = Callable[[str], Sequence[Block]]
"""Splits a text into blocks: `find_blocks`, or what remembers its results."""


_FENCE = re.compile(r" {0,3}(?:[-*+] |\d{1,9}[.)] |> ?)*(`{3,}|~{3,}|\${2}|:{3,}|-{3}$|\+{3}$)")
"""A line that opens a block with a named end: fenced code, display mathematics, containers, front matter."""

_PARAGRAPH_TAGS = re.compile(
    r"<(pre|code|script|style|textarea|table|svg|math|samp|kbd|xmp|blockquote|quote|verse|poem|"
    r"[\w.:-]*(?:code|snippet|json|yaml|yml|xml|csv|toml|html|log|logs|diff|patch|trace|output|shell|terminal))"
    r"(?=[\s>])[^<>]*(?<!/)>",
    re.IGNORECASE,
)
"""Tags whose content keeps its white space, or is named as something that is not prose."""

_CLOSING_TAG = re.compile(r"</([\w.:-]++)\s*+>")

_LINE = re.compile(
    r"""
      [ \t]                                                # indentation: code, lists, YAML
    | [>|+$%@&~;,:=/\\{}\])?]                              # quotations, tables, diffs, prompts, brackets
    | \#(?!\#{0,5}[ ])                                     # a directive, a comment without a blank
    | \*(?![ *\w])                                         # neither a list nor emphasis
    | \[(?!\^?\d{1,4}\]|\s*\\?[A-Z]+\\?_\d|Repeated[ ]from[ ]above:|[^\[\]]+\]\()   # data, or a log line
    | -(?![ -])                                            # an option, a diff
    | \d{1,4}[-/.:]\d{1,2}(?:[-/.:T]\d)?                   # a date or a time: a log line
    | ["'][^"']*["']\s*[:,]                                # a member of JSON
    | <[!?%]                                               # a declaration
    | [\w.$-]*[\w\])]\s*[-+*/|:]?=                         # an assignment
    | [a-z_$][\w.$-]*\s*:(?:\s|$)                          # a key of YAML
    | [A-Z0-9_]{2,}[ ]*[:=]                                # a key or a level in capitals
    | (?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\b
    | [EWIF]\d{4}[ ]                                       # a line of glog
    | (?:Traceback|Caused[ ]by|Exception)\b | File[ ]" | at[ ][\w.$]+\(
    | [\w.-]+@[\w.-]+[:~\#$ ]                              # the prompt of a shell
    | (?:def|class|import|func|fn|let|const|var|public|private|static|package|using|namespace|struct|enum|interface|
        type|async|await|return|elif|else|try|except|finally|switch|case|SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|
        FROM|WHERE|JOIN|GROUP|ORDER|VALUES|SET)\b
    | (?:sudo|git|pip|npm|cd|ls|curl|docker|ssh|mkdir|python3?|node)[ ]
    """,
    re.VERBOSE,
)
"""The beginning of a line that is not prose."""

_ANYWHERE = re.compile(
    r"""
      [\t\v\f\x1c-\x1f\u2500-\u259f]                       # columns, pages, boxes
    | [;{}(\\][ ]*\r?$                                       # a line of code
    | \\[a-zA-Z]+ | \\[()\[\]]                             # LaTeX
    | => | -> | == | != | := | <= | >= | && | \|\| | ::    # operators
    | \w\( | \)\s*[;{] | [ ]{2}(?:\#|//)                   # calls, comments
    | \s=\s | \S=["'\d]
    | \s\|\s | \s\|[ ]*\r?$                                      # a table
    | ^[-=~_*+.^\#:]{3,}[ ]*\r?$                                    # an underline, which makes a heading
    | ^(?:[^\s,;]+[,;])+[^\s,;]+[ ]*\r?$                          # a line of CSV without blanks
    """,
    re.VERBOSE | re.MULTILINE,
)
"""What prose has nowhere in a line."""

_TITLED = re.compile(r"[A-Z][\w -]{0,30}:(?:\s|$)")
"""The title of a field, as in a header of a mail. One line of prose may have one too."""

_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_SENTENCE_GAP = re.compile(r"[.!?:…]['\")\]]? {2}\Z")
_LETTERS = re.compile(r"[^\W\d_]")


def find_blocks(text: str) -> list[Block]:
    r"""Split a text into its blocks, in order.

    Args:
        text: The text.

    Returns:
        The blocks; only blank lines are between them.

    Example:
        >>> [block.is_prose for block in find_blocks("Look  at that line:\n\n    x = 1\n\nThat is all.")]
        [True, False, True]
    """
    paragraphs = _find_paragraphs(text)
    blocks: list[Block] = []
    place = 0
    while place < len(paragraphs):
        start, end, is_fenced = paragraphs[place]
        if is_fenced:
            blocks.append(Block(start, end, is_prose=False))
            place += 1
            continue
        last = _find_last(text, paragraphs, place)
        spans = None if last > place else _find_prose(text[start:end])
        if spans is None:
            blocks.append(Block(start, paragraphs[last][1], is_prose=False))
        else:
            absolute = tuple([(start + first, start + after) for first, after in spans])
            blocks.append(Block(start, end, is_prose=True, spans=absolute))
        place = last + 1
    return blocks


def _find_paragraphs(text: str) -> list[tuple[int, int, bool]]:
    """Return start and end of each run of lines, and whether it is fenced, from the fence to its end."""
    paragraphs: list[tuple[int, int, bool]] = []
    fence = ""
    start = -1
    end = offset = 0
    for line in text.split("\n"):
        line_end = offset + len(line) - line.endswith("\r")
        bare = line.rstrip(" \t\r")
        if fence:
            end = line_end
            if _closes(bare, fence):
                paragraphs.append((start, end, True))
                fence = ""
                start = -1
        elif bare and (match := _FENCE.match(bare)) and _opens(match[1], bare, offset):
            if start >= 0:
                paragraphs.append((start, end, False))
            start = offset
            end = line_end
            fence = match[1]
        elif bare:
            start = offset if start < 0 else start
            end = line_end
        elif start >= 0:
            paragraphs.append((start, end, False))
            start = -1
        offset += len(line) + 1
    if start >= 0:
        paragraphs.append((start, end, bool(fence)))
    return paragraphs


def _opens(fence: str, line: str, offset: int) -> bool:
    if fence in ("---", "+++"):  # front matter stands at the beginning of a text
        return offset == 0
    if fence == "$$":
        return line.count("$$") % 2 == 1
    # An info string of a fence of backticks holds none; such a line is inline code.
    return fence[0] != "`" or "`" not in line.split(fence, 1)[1]


def _closes(line: str, fence: str) -> bool:
    if fence == "$$":
        return line.count("$$") % 2 == 1
    return line.lstrip(" \t>").startswith(fence) and not line.strip(" \t>" + fence[0])


def _find_last(text: str, paragraphs: Sequence[tuple[int, int, bool]], place: int) -> int:
    """Return the place of the paragraph at which ends what this one opens; its own place if it opens nothing."""
    start, end, _ = paragraphs[place]
    paragraph = text[start:end]
    if opening := _find_open_tag(paragraph):
        for later in range(place + 1, len(paragraphs)):
            if opening in _find_closing_tags(text[paragraphs[later][0] : paragraphs[later][1]]):
                return later
        return len(paragraphs) - 1
    if "<!--" in paragraph and paragraph.rfind("<!--") > paragraph.rfind("-->"):
        return _find_containing(text, paragraphs, place, "-->")
    if depth := _find_depth(paragraph):
        for later in range(place + 1, len(paragraphs)):
            depth += _count_open(text[paragraphs[later][0] : paragraphs[later][1]])
            if depth <= 0:
                return later
        return len(paragraphs) - 1
    if quote := _find_open_quote(paragraph):
        for later in range(place + 1, len(paragraphs)):
            if paragraphs[later][0] - end > CHARACTERS_OF_A_QUOTATION:
                break
            if _ends_quote(text[paragraphs[later][0] : paragraphs[later][1]], quote):
                return later
    return place


def _find_containing(text: str, paragraphs: Sequence[tuple[int, int, bool]], place: int, ending: str) -> int:
    for later in range(place + 1, len(paragraphs)):
        if ending in text[paragraphs[later][0] : paragraphs[later][1]]:
            return later
    return len(paragraphs) - 1


def _find_open_tag(paragraph: str) -> str:
    """Return the name of a tag of a paragraph that is not closed in it, of those that keep white space."""
    if "<" not in paragraph:
        return ""
    ends = {match[1].lower(): match.end() for match in _PARAGRAPH_TAGS.finditer(paragraph)}
    closing_tags = _find_closing_tags(paragraph) if ends else {}
    return next((name for name, end in ends.items() if closing_tags.get(name, -1) < end), "")


def _find_closing_tags(paragraph: str) -> dict[str, int]:
    """Return where the last closing tag of each name begins."""
    return {match[1].lower(): match.start() for match in _CLOSING_TAG.finditer(paragraph)}


def _find_depth(paragraph: str) -> int:
    """Return how many brackets of data or code a paragraph leaves open; 0 where a bracket is only a part of prose."""
    depth = _count_open(paragraph)
    if depth <= 0:
        return 0
    lines = [line.strip(" \t\r") for line in paragraph.split("\n")]
    return depth if any(line.startswith(("{", "[")) or line.endswith(("{", "[", "(")) for line in lines) else 0


def _count_open(paragraph: str) -> int:
    return paragraph.count("{") + paragraph.count("[") - paragraph.count("}") - paragraph.count("]")


_QUOTES = (("“", "”"), ("«", "»"), ("「", "」"), ("『", "』"))


def _find_open_quote(paragraph: str) -> str:
    """Return the quotation mark that ends what a paragraph leaves open; empty if all of its quotations end in it."""
    if paragraph.count('"') % 2:
        return '"'
    for opening, closing in _QUOTES:
        if paragraph.count(opening) > paragraph.count(closing):
            return closing
    return ""


def _ends_quote(paragraph: str, quote: str) -> bool:
    return paragraph.count(quote) % 2 == 1 if quote == '"' else quote in paragraph


def _find_prose(block: str) -> list[tuple[int, int]] | None:
    """Return the protected parts of a block whose other white space may change; None if all of it is protected."""
    if not block.isascii() and ("\u2028" in block or "\u2029" in block or "\x85" in block):
        return None
    lines = [line.rstrip(" \r") for line in block.split("\n")]
    for line in lines:
        if _LINE.match(line):
            return None
    if "<" in block and _PARAGRAPH_TAGS.search(block):
        return None
    titled = sum(_TITLED.match(line) is not None for line in lines)
    if titled > 1 and 2 * titled >= len(lines):
        return None
    spans = find_spans(block)
    without_spans = _remove_spans(block, spans)
    if not is_balanced(without_spans) or _ANYWHERE.search(without_spans):
        return None
    letters = len(_LETTERS.findall(without_spans))
    if not letters or 2 * letters < len(without_spans) - without_spans.count(" ") - without_spans.count("\n"):
        return None
    if _is_csv(lines) or ("  " in block and _has_columns(_mask_spans(block, spans).split("\n"))):
        return None
    return spans


def _mask_spans(block: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a block whose protected parts have no blanks, so that these do not count as gaps."""
    pieces: list[str] = []
    place = 0
    for start, end in spans:
        pieces += [block[place:start], block[start:end].replace(" ", "x")]
        place = end
    return "".join([*pieces, block[place:]])


def _is_csv(lines: Sequence[str]) -> bool:
    """Whether all lines have the same number of separators, at least two, and are no sentences."""
    if len(lines) < 2 or lines[0][-1:] in ".!?":
        return False
    return any(
        (count := lines[0].count(mark)) >= 2 and {line.count(mark) for line in lines} == {count} for mark in ",;"
    )


def _remove_spans(block: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a block without its protected parts."""
    if not spans:
        return block
    pieces: list[str] = []
    place = 0
    for start, end in spans:
        pieces.append(block[place:start])
        place = end
    return "".join([*pieces, block[place:]])


def _has_columns(lines: Sequence[str]) -> bool:
    """Whether gaps of several blanks may separate columns.

    Justified text has gaps too, in other places of each line and not more of them than single blanks.
    """
    starts: list[set[int]] = []
    ends: list[set[int]] = []
    counts: list[int] = []
    for line in (one.rstrip(" \r") for one in lines):
        gaps = [
            gap for gap in _GAP.finditer(line) if not _SENTENCE_GAP.search(line, max(0, gap.start() - 3), gap.end())
        ]
        if not gaps:
            counts.append(0)
            continue
        singles = line.count(" ") - sum(gap.end() - gap.start() for gap in gaps)
        if singles < len(gaps) or (len(lines) == 1 and any(gap.end() - gap.start() > 3 for gap in gaps)):
            return True
        starts.append({gap.end() for gap in gaps})
        ends.append({line.find(" ", gap.end()) % (len(line) + 1) for gap in gaps})
        counts.append(len(gaps))
    if len(starts) < 2:
        return False
    if len(set(counts)) == 1:
        return True
    needed = max(2, len(starts) * 4 // 5)
    return any(
        sum(column in columns for columns in places) >= needed
        for places in (starts, ends)
        for column in set[int]().union(*places)
    )
