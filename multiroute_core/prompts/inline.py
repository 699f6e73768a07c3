r"""Protected parts within prose: code, quotations, URLs, tags, mathematics, data, placeholders. Pure.

The patterns take linear time: no repetition is tried from every place of a long word.

A block that holds a sign of such a part outside of all parts (a single backtick, an unmatched quote) is unclear, and
`blocks` protects all of it.
"""

from __future__ import annotations

import re

_SPANS = re.compile(
    r"""
      (?<!`)(?P<ticks>`++)(?:[^`]++|(?!(?P=ticks)(?!`))`++)*+(?P=ticks)(?!`)   # inline code
    | [A-Za-z0-9+.-]{1,20}://[^\s<>"]+ | www\.[^\s<>"]+     # URLs
    | (?:mailto|tel|data):[^\s<>"]+
    | @[\w-]+\.[\w.-]+                                    # addresses; what stands before the sign has no blanks
    | <[A-Za-z/!?][^<>]*>                                  # tags
    | \$\$[^$]+\$\$ | \$(?![\s\d])[^$\n]+(?<!\s)\$(?!\d)      # mathematics
    | \$\d[^$\n\\^_=+*<>]*+[\\^_=+*<>][^$\n]*+(?<!\s)\$
    | !?\[[^\[\]]*\]\([^()\s]*(?:\s"[^"]*")?\)              # links
    | \[\s*\\?[A-Z]+\\?_\d+\s*\]                           # placeholders of masked data
    | "[^"]*" | “[^“”]*” | „[^„“”]*[“”] | «[^«»]*» | ‹[^‹›]*› | 「[^「」]*」 | 『[^『』]*』
    | (?<!\w)'[^'\n]*'(?!\w) | (?<!\w)‘[^‘’\n]*’(?!\w)
    | \{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}              # data, templates
    | \[(?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*\]
    """,
    re.VERBOSE,
)
_SIGNS = re.compile(r"""[`"“”„«»‹›「」『』{}\[\]]|<[A-Za-z/!?]|\$[^\s\d]|(?<!\w)'(?=\S)""")
_MAY_HOLD = re.compile(r"""[`"“„«‹「『{\[<$'‘@]|://|www\.|:[^\s]""")


def find_spans(text: str) -> list[tuple[int, int]]:
    """Return start and end of the protected parts of a prose block, in order.

    Example:
        >>> [("Run `a  b` in  [EMAIL_1]."[start:end]) for start, end in find_spans("Run `a  b` in  [EMAIL_1].")]
        ['`a  b`', '[EMAIL_1]']
    """
    if not _MAY_HOLD.search(text):
        return []
    return [match.span() for match in _SPANS.finditer(text)]


def is_balanced(text_without_spans: str) -> bool:
    """Whether nothing in a text, from which the protected parts were removed, may begin or end another one."""
    return not _SIGNS.search(text_without_spans)
