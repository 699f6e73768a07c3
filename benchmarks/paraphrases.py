"""Questions that were asked twice, in other words; and questions that only look as if they were.

The pairs are Quora's, as zilliztech/GPTCache ships them; `shared()` is the folder that holds `data/paraphrases`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiroute_core.cache.semantic.lexicon import NEGATIONS, OPPOSITES
from multiroute_core.cache.semantic.veto import Words, normalised

ALTERED = 400
"""How many near misses of each kind are made."""

_ASKED = {"why": "how", "how": "why", "when": "where", "where": "when", "who": "when"}
_MODAL = re.compile(
    r"\b(?:should|can|could|would|will|do|does|did) (?:i|we|you|they|he|she|it|people|one)\b", re.IGNORECASE
)
_SIGNS = {
    "C++": "C#",
    "C#": "C++",
    "+": "-",
    "=": "<",
    "&": "|",
    "<": ">",
    ">": "<",
    "*": "+",
    "^": "*",
    "%": "$",
    "$": "€",
}


@dataclass(frozen=True, slots=True)
class Half:
    """Some of the questions: those that were answered before, and those that are asked now.

    Attributes:
        cached: One question of each group that is known.
        asked: All others.
        groups: For each text, the group of those that ask the same.
    """

    cached: list[str]
    asked: list[str]
    groups: dict[str, str]

    @property
    def known(self) -> int:
        """How many are asked that were answered before, in other words."""
        there = {self.groups[text] for text in self.cached}
        return sum(self.groups[text] in there for text in self.asked)


def shared() -> Path | None:
    """The folder with the data; None where it is not there."""
    folder = Path(os.environ.get("MULTIROUTE_SHARED", "../shared")) / "data" / "paraphrases"
    return folder if any(folder.glob("*.json.gz")) else None


def pairs(folder: Path) -> list[tuple[str, str]]:
    """Pairs of questions that ask the same."""
    found: list[tuple[str, str]] = []
    for path in sorted(folder.glob("*.json.gz")):
        content = gzip.decompress(path.read_bytes())
        if not content.lstrip().startswith(b"["):  # a tar file in spite of its name
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                files = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
                content = b"".join(file.read() for file in files if file is not None)
        found += [(normalised(pair["origin"]), normalised(pair["similar"])) for pair in json.loads(content)]
    return found


def halves(found: Sequence[tuple[str, str]], share: float = 1.0) -> tuple[Half, Half]:
    """Two halves without a question in common: one to calibrate on, one to report.

    Whoever asks the same as somebody who asks the same is of one group. Half of the groups are known: one question of
    each was answered before.

    Args:
        share: Which part of the groups is taken.
    """
    leader: dict[str, str] = {}

    def group(text: str) -> str:
        while (up := leader.setdefault(text, text)) != text:
            leader[text] = leader[up]
            text = leader[text]
        return text

    for one, other in found:
        leader[group(one)] = group(other)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for text in list(leader):
        members[group(text)].append(text)
    made = Half([], [], {}), Half([], [], {})
    for texts in members.values():
        texts.sort(key=lot)
        number = lot(texts[0])
        if number % 1000 >= 1000 * share:
            continue
        half = made[number // 1000 % 2]
        half.groups.update(dict.fromkeys(texts, texts[0]))
        known = number // 2000 % 2
        half.cached.extend(texts[:known])
        half.asked.extend(texts[known:])
    return made


def altered(texts: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Questions, each beside one that differs in one thing and asks something else; by the veto that is to see it."""
    chance = random.Random(5)
    texts = sorted(texts, key=lot)
    names = sorted({word for text in texts for word in _names(text)})
    made: dict[str, list[tuple[str, str]]] = {}

    def make(kind: str, change: Callable[[str], str | None]) -> None:
        found = ((text, change(text)) for text in texts)
        made[kind] = [(text, other) for text, other in found if other is not None and other != text][:ALTERED]

    def number(text: str) -> str:
        more = chance.choice((1, 2, 5, 10, 100))
        return re.sub(r"\d+", lambda match: str(int(match[0]) + more), text, count=1)

    def negation(text: str) -> str | None:
        if not NEGATIONS.isdisjoint(Words(text).lower) or "n't" in text:
            return None
        return _MODAL.sub(lambda match: f"{match[0]} not", text, count=1)

    def name(text: str) -> str | None:
        there = _names(text)
        return text.replace(chance.choice(there), chance.choice(names)) if there else None

    def order(text: str) -> str | None:
        there = list(dict.fromkeys(_names(text)))
        if len(there) < 2:
            return None
        one, other = there[:2]
        return re.sub(rf"\b(?:{one}|{other})\b", lambda match: other if match[0] == one else one, text)

    def opposite(text: str) -> str | None:
        word = next((word for word in Words(text).lower if word in OPPOSITES), None)
        return re.sub(rf"\b{word}\b", min(OPPOSITES[word]), text, count=1, flags=re.IGNORECASE) if word else None

    def question(text: str) -> str | None:
        first, _, rest = text.partition(" ")
        return f"{_ASKED[first.lower()].capitalize()} {rest}" if first.lower() in _ASKED else None

    def symbol(text: str) -> str | None:
        sign = next((sign for sign in _SIGNS if sign in text), None)
        return text.replace(sign, _SIGNS[sign], 1) if sign else None

    def masked(text: str) -> str | None:
        there = list(dict.fromkeys(_names(text)))
        if len(there) < 2:
            return None
        placeholders = {there[0]: "[EMAIL_1]", there[1]: "[EMAIL_2]"}
        return re.sub(rf"\b(?:{'|'.join(placeholders)})\b", lambda match: placeholders[match[0]], text)

    make("placeholders", masked)
    make("numbers", number)
    make("negation", negation)
    make("names", name)
    make("order", order)
    make("opposites", opposite)
    make("question", question)
    make("symbols", symbol)
    return made


def _names(text: str) -> list[str]:
    words = Words(text)
    spelt = zip(words.spelt, words.stems, strict=True)
    return [word for word, stem in spelt if stem in words.names and word.isalpha() and len(word) > 2]


def lot(text: str) -> int:
    """A number that is always the same for a text, and as good as drawn by chance."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
