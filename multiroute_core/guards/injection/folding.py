"""Text normalization for the prompt-injection classifier: one spelling for what looks or sounds the same. Pure.

Folding goes character by character, so that each folded character knows its place in the original text, and so that
characters in between that show nothing change nothing.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_TAGS = range(0xE0020, 0xE007F)
"""Invisible twins of ASCII, with which hidden instructions are written (Unicode 15.0, "Tags" block)."""

HIDDEN = "\x02"
"""What folding puts before a run of such characters: the text says something that its reader cannot see."""

_UNDECOMPOSED = range(0xAC00, 0xD7A4)
"""Hangul syllables; their parts would be three letters each."""

_ASCII = {chr(code): chr(code).lower() for code in range(128)} | {"\x02": " "}

_LATIN_TWINS = str.maketrans("авсԁеһіјкӏмонпрԛѕтиѵԝхуαβγειικνορτυχω", "abcdehijklmohnpqstuvwxyabyeiiknoptuxw")
"""Cyrillic and Greek letters, and the Latin ones that they are mistaken for (Unicode TR 39, confusables)."""

_DIGIT_TWINS = str.maketrans("013457", "oieast")
_LATIN = re.compile("[a-z]")
_MIXED = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_DIGIT = re.compile("[0-9]")


@dataclass(frozen=True, slots=True)
class FoldedText:
    """A normalized text.

    Attributes:
        text: Lower case, without accents and invisible characters, in compatibility form (NFKD).
        offsets: For each character of `text`, the index of the original character that it stands for.
    """

    text: str
    offsets: Sequence[int]


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    if ord(character) in _UNDECOMPOSED:
        return character
    folded = "".join(
        part
        for part in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
        if unicodedata.category(part) not in ("Mn", "Me", "Cf", "Co", "Cn")
    )
    return {"ı": "i", "ſ": "s", "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}.get(
        folded, folded
    )


def fold_text(text: str) -> FoldedText:
    """Normalize a text for comparison, in linear time.

    Unicode NFKD and case folding (https://www.unicode.org/reports/tr15/, 2025-09); accents and invisible characters go,
    the invisible tag characters become the letters that they hide.

    Args:
        text: Any text.

    Returns:
        The normalized text with the original index of each of its characters.

    Example:
        >>> fold_text("I\u200bGNOR\u00c9 all").text
        'ignore all'
    """
    if text.isascii():
        return FoldedText(text.lower().replace("\x02", " "), range(len(text)))
    pieces: list[str] = []
    offsets = array("L")
    hidden = False
    for index, character in enumerate(text):
        folded = _ASCII.get(character)
        if folded is None:
            code = ord(character)
            if code in _TAGS:
                folded = chr(code - 0xE0000).lower()
                if not hidden:
                    folded = HIDDEN + folded
                hidden = True
            else:
                folded = _fold_character(character)
        elif hidden:
            hidden = False
        pieces.append(folded)
        if len(folded) == 1:
            offsets.append(index)
        else:
            offsets.extend([index] * len(folded))
    return FoldedText("".join(pieces), offsets)


def fold_word(word: str) -> str:
    """Replace the letters and digits of a folded word that stand in for Latin letters.

    A word that mixes Latin with Cyrillic or Greek letters becomes Latin; one with three letters or more and digits
    among them has its digits read as letters.

    Args:
        word: A word of a `FoldedText`.

    Returns:
        The word as it is read.

    Example:
        >>> fold_word("1gn0re")
        'ignore'
    """
    if word.isascii():
        if word.isalpha() or word.isdigit():
            return word
    elif _LATIN.search(word) and _MIXED.search(word):
        word = word.translate(_LATIN_TWINS)
    if len(_LATIN.findall(word)) > 2 and _DIGIT.search(word):
        word = word.translate(_DIGIT_TWINS)
    return word
