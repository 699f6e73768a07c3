"""Hashed features for the prompt-injection classifier: word and character n-grams, and pairs of concepts. Pure.

How this works: a text is folded (`folding`) and cut into tokens, tokens into sentences, sentences into windows. A
window's features are buckets of three regions: word 1-3-grams, character 3-5-grams inside words, and concepts
(`lexicon`) alone and in ordered pairs ("override" before "instructions"), which are the same in every language. All
steps are linear in the length of the text: a token lies in at most `SPAN + 2` windows, and a pair joins concepts that
are near.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

from multiroute_core.guards.injection.folding import HIDDEN, FoldedText, fold_text, fold_word
from multiroute_core.guards.injection.lexicon import TERMS, find_concept

WORD_BUCKETS = 1 << 15
CHARACTER_BUCKETS = 1 << 15
CONCEPT_BUCKETS = 1 << 12
BUCKETS = WORD_BUCKETS + CHARACTER_BUCKETS + CONCEPT_BUCKETS

SENTENCE_TOKENS = 40
"""A sentence with more tokens is cut, so that text without punctuation has windows as well."""

SPAN = 3
"""How many adjacent sentences are read together."""

BLOCK_TOKENS = 160
"""How much is read as one block: most prompts as a whole."""

REACH = 6
"""With how many of the concepts that follow it a concept is paired."""

DISTANCE = 14
"""How many tokens apart the two may be."""

_WORD_LETTERS = 24
"""Only so much of a long word is read."""

_CJK = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0e00-\u0e7f\u1780-\u17ff"
_MARKUP = (
    r"<\|?/?(?:im_start|im_end|endoftext|start_of_turn|end_of_turn|eot_id|system|user|assistant|human|sys|prompt|"
    r"instructions?|context|documents?|query|input|output|admin|developer)\|?>|"
    r"\[/?(?:inst|system|sys|user|assistant|admin)\]|<</?sys>>"
)
"""Marks of a chat's turns; the tags of ordinary HTML are not among them."""

_TURN = (
    r"(?<!\w)(?:system|assistant|user|human|ai|instructions?|input|output|context|question|eingabe|ausgabe|kontext|"
    r"frage)\s?:"
)
_TOKEN = re.compile(
    "|".join(
        (
            f"(?P<hidden>{HIDDEN})",
            "(?P<term>" + "|".join(sorted(map(re.escape, TERMS), key=len, reverse=True)) + ")",
            f"(?P<cjk>[{_CJK}])",
            r"(?P<url>https?://[^\s<>\"']{1,300}|www\.[^\s<>\"']{1,300}|[\w.+-]{1,64}@[\w-]{1,64}\.\w{2,10})",
            f"(?P<markup>{_MARKUP})",
            r"(?P<tag></?[a-z][a-z0-9]{0,10}(?:\s[^<>]{0,200})?/?>)",
            f"(?P<turn>{_TURN})",
            r"(?P<escape>\\n|\\[rt]\b)",
            r"(?P<blob>(?:[a-z0-9+/]{40,400}={0,2})|(?:(?:0x|\\x|%)?[0-9a-f]{2}[ ,]?){16,200})",
            r"(?P<fence>#{2,}|`{3,}|-{4,}|={4,}|\*{4,}|\{\{|<!--)",
            r"(?P<quote>[\"“”„«»「」『』])",
            r"(?P<question>[?？؟])",
            r"(?P<stop>[.!。！;:|…]|\n)",
            f"(?P<word>(?:(?![{_CJK}])[^\\W_])(?:(?![{_CJK}])[^\\W_]|['_-](?=[^\\W_])){{0,200}})",
        )
    )
)
_UNMARKED = frozenset({"cjk", "tag"})
_ENDS = frozenset({"stop", "question"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a text.

    Attributes:
        text: As it is read.
        start: Index in the folded text.
        end: Index after it.
        concept: What it is about, if anything.
    """

    text: str
    start: int
    end: int
    concept: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text and its features.

    Attributes:
        start: Index in the original text.
        end: Index after it.
        words: Buckets of the word n-grams.
        characters: Buckets of the character n-grams.
        concepts: Buckets of the concepts and their pairs.
    """

    start: int
    end: int
    words: frozenset[int]
    characters: frozenset[int]
    concepts: frozenset[int]

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.words) + len(self.characters) + len(self.concepts)


@lru_cache(maxsize=16384)
def _word_buckets(word: str) -> tuple[int, ...]:
    """Return the buckets of a word's character 3-5-grams."""
    padded = f" {word[:_WORD_LETTERS]} ".encode()
    return tuple(
        WORD_BUCKETS + crc32(padded[start : start + size]) % CHARACTER_BUCKETS
        for size in (3, 4, 5)
        for start in range(len(padded) - size + 1)
    )


@lru_cache(maxsize=16384)
def _read_word(word: str) -> tuple[str, str | None]:
    word = fold_word(word)
    concept = find_concept(word)
    if concept is None and "-" in word:
        concept = next((known for part in word.split("-") if (known := find_concept(part))), None)
    return word, concept


@lru_cache(maxsize=16384)
def _bucket_word(ngram: str) -> int:
    return crc32(ngram.encode()) % WORD_BUCKETS


@lru_cache(maxsize=16384)
def _bucket_concept(ngram: str) -> int:
    return WORD_BUCKETS + CHARACTER_BUCKETS + crc32(ngram.encode()) % CONCEPT_BUCKETS


def split_sentences(folded: FoldedText) -> list[list[Token]]:
    """Cut a folded text into sentences of tokens.

    Args:
        folded: The text.

    Returns:
        Sentences with at least one token and at most `SENTENCE_TOKENS`, except that letters set apart become one word.
    """
    sentences: list[list[Token]] = []
    sentence: list[Token] = []
    letters: list[Token] = []

    def close() -> None:
        nonlocal sentence
        if sentence:
            sentences.append(sentence)
            sentence = []

    def join_letters() -> None:
        nonlocal letters
        if len(letters) > 3:
            word = fold_word("".join(letter.text for letter in letters))
            sentence.append(Token(word, letters[0].start, letters[-1].end, find_concept(word) or "spaced"))
        else:
            sentence.extend(letters)
        letters = []

    for match in _TOKEN.finditer(folded.text):
        kind = match.lastgroup or ""
        start, end = match.span()
        if kind == "word":
            text, concept = _read_word(match[0])
            token = Token(text, start, end, concept)
            if len(text) == 1:
                if letters and start - letters[-1].end > 1:
                    join_letters()
                letters.append(token)
                continue
            if letters:
                join_letters()
            sentence.append(token)
        else:
            if letters and not (kind == "stop" and match[0] != "\n"):
                join_letters()
            if kind == "stop":
                # A point between letters ("i.g.n.o.r.e") or inside a number ends nothing.
                following = folded.text[end : end + 1]
                if match[0] == "\n" or not following.isalnum() or not following.isascii():
                    if letters:
                        join_letters()
                    close()
                continue
            if kind == "escape":
                close()
                continue
            concept = TERMS[match[0]] if kind == "term" else None if kind in _UNMARKED else kind
            text = match[0] if kind in ("term", "cjk") else f"<{kind}>"
            sentence.append(Token(text, start, end, concept))
            if kind in _ENDS:
                close()
        if len(sentence) >= SENTENCE_TOKENS:
            close()
    if letters:
        join_letters()
    close()
    return sentences


def _extract_ngrams(sentence: Sequence[Token]) -> tuple[set[int], set[int]]:
    """Return the buckets of a sentence's word n-grams and of its character n-grams."""
    words: set[int] = set()
    characters: set[int] = set()
    before = "^"
    before_that = ""
    for token in sentence:
        text = token.text
        words.add(_bucket_word(text))
        pair = f"{before} {text}"
        words.add(_bucket_word(pair))
        if before_that:
            words.add(_bucket_word(f"{before_that} {pair}"))
        before_that = before
        before = text
        characters.update(_word_buckets(text))
    return words, characters


def _extract_concepts(sentences: Sequence[Sequence[Token]]) -> frozenset[int]:
    """Return the buckets of concepts, of those that begin a sentence, and of those that follow each other."""
    buckets: set[int] = set()
    recent: list[tuple[int, str]] = []
    place = 0
    for sentence in sentences:
        for index, token in enumerate(sentence):
            place += 1
            if not (concept := token.concept):
                continue
            buckets.add(_bucket_concept(concept))
            if index == 0:
                buckets.add(_bucket_concept(f"^ {concept}"))
            for where, other in recent:
                if place - where <= DISTANCE:
                    buckets.add(_bucket_concept(f"{other} {concept}"))
            if len(recent) > 1 and place - recent[-2][0] <= DISTANCE:
                buckets.add(_bucket_concept(f"{recent[-2][1]} {recent[-1][1]} {concept}"))
            recent.append((place, concept))
            if len(recent) > REACH:
                del recent[0]
    return frozenset(buckets)


def extract_windows(text: str) -> list[Window]:
    """Cut a text into overlapping windows and compute their features, in linear time.

    Windows are each sentence, each run of `SPAN` adjacent sentences, and blocks of whole sentences with up to
    `BLOCK_TOKENS` tokens. A text of one sentence is one window.

    Args:
        text: Any text.

    Returns:
        The windows in no particular order; none for a text without words.
    """
    folded = fold_text(text)
    sentences = split_sentences(folded)
    bounds = {(index, index + 1) for index in range(len(sentences))}
    bounds |= {(index, index + SPAN) for index in range(len(sentences) - SPAN + 1)}
    start = 0
    size = 0
    for index, sentence in enumerate(sentences):
        if size and size + len(sentence) > BLOCK_TOKENS:
            bounds.add((start, index))
            start = index
            size = 0
        size += len(sentence)
    if sentences:
        bounds.add((start, len(sentences)))
    ngrams = [_extract_ngrams(sentence) for sentence in sentences]
    return [
        Window(
            folded.offsets[sentences[first][0].start],
            folded.offsets[sentences[last - 1][-1].end - 1] + 1,
            frozenset[int]().union(*(words for words, _ in ngrams[first:last])),
            frozenset[int]().union(*(characters for _, characters in ngrams[first:last])),
            _extract_concepts(sentences[first:last]),
        )
        for first, last in sorted(bounds)
    ]
