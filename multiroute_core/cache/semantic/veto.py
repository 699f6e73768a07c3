"""Lexical guards: reject texts with similar vectors but different meaning. Pure.

Small embedding models hardly notice a number, a "not", or who does what to whom: "Can I take 200 mg?" and "Can I take
2000 mg?" are as close as two spellings of one question. A comparison of the words detects such differences.
`benchmarks/semantic.py` measures what each guard costs and what it prevents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from multiroute_core.cache.semantic.lexicon import AMOUNTS, ASKS, EMPTY, NEGATIONS, NUMERALS, OPPOSITES

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*(?:k\b)?")
_PLACEHOLDER = re.compile(r"\[(SECRET|EMAIL|IBAN|CARD|IP|PHONE)_([1-9][0-9]*)\]")
"""What `guards.masking` puts in place of personal data."""

_SYMBOL = re.compile(r"[^\w\s.,?!'\"():;/-]")

_ENDS = ".?!"
"""After these, a word is capitalized because it begins a sentence."""

_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "…": "."})


def normalised(text: str) -> str:
    """Normalize a text for comparison: Unicode NFKC, uniform punctuation, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_PLAIN).split())


def difference(one: str, other: str) -> str | None:
    """Return why two similar texts do not have the same meaning.

    Returns:
        The name of the first of `VETOES` that differs; None if all agree.

    Example:
        >>> difference("Is it safe to fly to Rome?", "Is it not safe to fly to Rome?")
        'negation'
    """
    if one == other:
        return None
    a = Words(one)
    b = Words(other)
    return next((name for name, differ in VETOES.items() if differ(a, b)), None)


class Words:
    """Lexical features of a text.

    Args:
        text: A normalized text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._found = list(_WORD.finditer(text))
        self.spelt = [match[0] for match in self._found]

    @cached_property
    def lower(self) -> list[str]:
        """The words in lower case."""
        return [word.lower() for word in self.spelt]

    @cached_property
    def stems(self) -> list[str]:
        """The words without their endings."""
        return [_stem(word) for word in self.lower]

    @cached_property
    def small(self) -> bool:
        """Whether the text has no capitals, so that names cannot be recognized."""
        return self.text == self.text.lower()

    @cached_property
    def names(self) -> frozenset[str]:
        """Stems of words capitalized inside a sentence, or with several capitals."""
        name_stems: set[str] = set()
        for match, stem in zip(self._found, self.stems, strict=True):
            word = match[0]
            before = self.text[: match.start()].rstrip()
            begins = not before or before[-1] in _ENDS
            is_name = word[0].isupper() and not begins and word.partition("'")[0].lower() not in EMPTY
            if is_name or sum(map(str.isupper, word)) > 1:
                name_stems.add(stem)
        return frozenset(name_stems)

    @cached_property
    def content(self) -> frozenset[str]:
        """Stems of words that are not stop words."""
        return frozenset(stem for word, stem in zip(self.lower, self.stems, strict=True) if word not in EMPTY)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The numbers, in digits or words."""
        digits = {_value(number) for number in _NUMBER.findall(self.text.lower())}
        return frozenset(digits | {NUMERALS[word] for word in self.lower if word in NUMERALS})

    @cached_property
    def asks(self) -> str:
        """What it asks for: who, when, where, why, how, how many; empty for "what", or without a question word."""
        for place, word in enumerate(self.lower):
            if (question := ASKS.get(word.partition("'")[0])) is not None:
                more = self.lower[place + 1 : place + 2]
                return f"how {more[0]}" if question == "how" and more and more[0] in AMOUNTS else question
            if word in ("what", "which", "what's"):
                return ""
        return ""


def _numbers(a: Words, b: Words) -> bool:
    return a.numbers != b.numbers


def _negation(a: Words, b: Words) -> bool:
    return _negated(a.lower) != _negated(b.lower)


def _names(a: Words, b: Words) -> bool:
    """Whether each text has a name that the other lacks: they have different subjects."""
    if a.small and b.small:
        return False
    mine = (a.content if a.small else a.names).difference(b.stems)
    return bool(mine and (b.content if b.small else b.names).difference(a.stems))


def _order(a: Words, b: Words) -> bool:
    """Whether the same names and numbers occur in another order: who does it to whom, from where to where."""
    marks = a.content | b.content if a.small and b.small else a.names | b.names | a.numbers | b.numbers
    mine = [stem for stem in a.stems if stem in marks]
    theirs = [stem for stem in b.stems if stem in marks]
    return mine != theirs and sorted(mine) == sorted(theirs)


def _opposites(a: Words, b: Words) -> bool:
    mine = set(a.lower).difference(b.lower)
    theirs = set(b.lower).difference(a.lower)
    return any(not theirs.isdisjoint(OPPOSITES.get(word, ())) for word in mine)


def _question(a: Words, b: Words) -> bool:
    return a.asks != b.asks and bool(a.asks and b.asks)


def _symbols(a: Words, b: Words) -> bool:
    """C is not C++, and a == b is not a != b."""
    return _SYMBOL.findall(a.text) != _SYMBOL.findall(b.text)


def _placeholders(a: Words, b: Words) -> bool:
    """Whether a text has two placeholders of a kind: in a paraphrase they may stand for each other's values."""
    for text in (a.text, b.text):
        masked = set(_PLACEHOLDER.findall(text))
        if len({kind for kind, _ in masked}) < len(masked):
            return True
    return False


VETOES: Mapping[str, Callable[[Words, Words], bool]] = {
    "numbers": _numbers,
    "negation": _negation,
    "names": _names,
    "order": _order,
    "opposites": _opposites,
    "question": _question,
    "symbols": _symbols,
    "placeholders": _placeholders,
}
"""The guards by name; each returns whether two texts differ in its feature."""


def _negated(words: Iterable[str]) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in words)


def _value(number: str) -> str:
    plain = number.replace(",", "")
    return (
        f"{float(plain[:-1]) * 1000:g}" if plain.endswith("k") and plain.count(".") < 2 and ":" not in plain else plain
    )


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "ly", "er", "e"):
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            return word.removesuffix(ending)
    return word
