"""The sets that the prompt-injection classifier is measured on, and how they are split into folds.

`data/injection` of the shared folder holds `deepset_train.parquet` (deepset/prompt-injections: harmless prompts and
injections, English and German), `injecguard_NotInject_one.json` (harmless prompts with an injection's words) and
`bipia_text_attack_train.json` (instructions for planting into documents). Nothing of them is copied into this project.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import paraphrases
from benchmarks.injection_corpus.documents import DOCUMENTS, mix_document, plant
from benchmarks.injection_training import Example

FOLDS = 5
SHINGLE = 12
"""Letters of a shingle."""

SIMILAR = 0.6
"""Two texts resemble each other if so many of the shorter one's shingles are in the other."""

NEUTRAL_DOCUMENTS = 40
"""How many neutral documents each fold mixes from its own."""

QUESTIONS = 3000

PLAIN = "plain prompts"
TRIGGERED = "prompts with trigger words"
DOCUMENT = "documents"

_KEYWORDS = re.compile(
    r"ignore (?:all|any|the|your|previous|above)|disregard|forget (?:all|everything|your|the|previous)|"
    r"(?:previous|above|prior) (?:instructions|prompt)|system prompt|your (?:prompt|instructions)|jailbreak|"
    r"act as|pretend|you are now|developer mode|\bdan\b|roleplay|bypass|override|new (?:task|instructions)|"
    r"ignoriere|vergiss|du bist jetzt|anweisungen",
    re.IGNORECASE,
)

_ENGLISH_WORDS = (
    "the of and to in is are was what how who why when do does did you your i my me for on a an all it that this with "
    "can could would should please write be as at by from have has not or which where there about tell say"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_OTHER_WORDS = (
    "der die das und ist sind wie wer was warum wann ich du sie mein meine fur für auf ein eine einen nicht bitte mir "
    "mit von zu dem den des im um welche welcher gibt wird hat el la los las de que y en un una por le les et du des "
    "une il olvida dites bei sve deutschland europa"
)
_OTHER = frozenset(_OTHER_WORDS.split())


@dataclass(frozen=True, slots=True)
class Sample:
    """A text to be scored.

    Attributes:
        text: The text.
        label: 1 for an injection.
        group: The set that it belongs to.
        english: Whether it is English.
        fold: The fold.
        category: The kind of planted instruction.
    """

    text: str
    label: int
    group: str
    english: bool
    fold: int = 0
    category: str = ""


def shared() -> Path | None:
    """The folder with the data, if there is one."""
    root = os.environ.get("MULTIROUTE_SHARED")
    folder = Path(root or Path(__file__).resolve().parents[2] / "shared") / "data" / "injection"
    return folder if folder.is_dir() else None


def matches_keywords(text: str) -> bool:
    """A plain keyword filter: phrases that injections are known for, English and some German."""
    return _KEYWORDS.search(text) is not None


def is_english(text: str) -> bool:
    """Guess by common words; letters outside Latin decide."""
    if len(re.findall(r"[^\W\d_\u0000-\u024f]", text)) > len(text) / 10:
        return False
    words = re.findall(r"[^\W\d_]+", text.lower())
    return sum(word in _ENGLISH for word in words) >= sum(word in _OTHER for word in words)


def shingles(text: str) -> set[str]:
    """All runs of `SHINGLE` letters of a text without case and spacing."""
    text = " ".join(text.lower().split())
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def group_similar(texts: Sequence[str]) -> list[int]:
    """For each text, the number of the first one that it resembles, directly or through others."""
    runs = [shingles(text) for text in texts]
    places: dict[str, list[int]] = defaultdict(list)
    parents = list(range(len(texts)))

    def root(index: int) -> int:
        while parents[index] != index:
            index = parents[index]
        return index

    for index, run in enumerate(runs):
        common = Counter(other for shingle in run for other in places[shingle])
        for other, count in sorted(common.items()):
            if count >= SIMILAR * min(len(run), len(runs[other])):
                one, two = sorted((root(index), root(other)))
                parents[two] = one
        for shingle in run:
            places[shingle].append(index)
    return [root(index) for index in range(len(texts))]


def drop_similar(examples: Sequence[Example], texts: Sequence[str]) -> list[Example]:
    """The examples that resemble none of the texts."""
    runs = [shingles(text) for text in texts]
    places: dict[str, list[int]] = defaultdict(list)
    for index, run in enumerate(runs):
        for shingle in run:
            places[shingle].append(index)
    different = []
    for example in examples:
        run = shingles(example.text)
        common = Counter(index for shingle in run for index in places.get(shingle, ()))
        if all(count < SIMILAR * min(len(run), len(runs[index])) for index, count in common.items()):
            different.append(example)
    return different


def assign_folds(samples: Sequence[Sample]) -> list[Sample]:
    """Put texts that resemble each other into the same fold; folds are about equally large in each set."""
    groups = group_similar([sample.text for sample in samples])
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    order = sorted(members)
    random.Random(0).shuffle(order)
    sizes: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * FOLDS)
    folds = [0] * len(samples)
    for group in sorted(order, key=lambda group: -len(members[group])):
        kinds = Counter((samples[index].group, samples[index].label) for index in members[group])
        kind = kinds.most_common(1)[0][0]
        fold = min(range(FOLDS), key=lambda fold: sizes[kind][fold])
        for index in members[group]:
            folds[index] = fold
            sizes[samples[index].group, samples[index].label][fold] += 1
    return [replace(sample, fold=fold) for sample, fold in zip(samples, folds, strict=True)]


def read_prompts(folder: Path) -> list[Sample]:
    """Prompts of users: injections, plain harmless ones, and harmless ones with trigger words."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "deepset_train.parquet").to_pylist()
    samples = [Sample(row["text"], row["label"], PLAIN, is_english(row["text"])) for row in rows]
    entries = json.loads((folder / "injecguard_NotInject_one.json").read_text("utf-8"))
    samples += [Sample(entry["prompt"], 0, TRIGGERED, entry["category"] != "Multilingual") for entry in entries]
    return assign_folds(samples)


def read_planted(folder: Path) -> list[Sample]:
    """Instructions for planting into documents; a category lies in one fold."""
    categories = json.loads((folder / "bipia_text_attack_train.json").read_text("utf-8"))
    return [
        Sample(text, 1, DOCUMENT, True, number % FOLDS, category)
        for number, (category, texts) in enumerate(categories.items())
        for text in texts
    ]


def plant_attacks(attacks: Sequence[Sample]) -> list[Sample]:
    """Neutral documents, and the same ones with an instruction planted; no sentence lies in two folds."""
    samples: list[Sample] = []
    for fold in range(FOLDS):
        rng = random.Random(fold)
        own = [text for index, text in enumerate(DOCUMENTS) if index % FOLDS == fold]
        neutral = sorted({mix_document(own, rng) for _ in range(NEUTRAL_DOCUMENTS)})
        samples += [Sample(text, 0, DOCUMENT, is_english(text), fold) for text in neutral]
        for attack in attacks:
            if attack.fold == fold:
                for document in rng.sample(neutral, 4):
                    text = plant(document, attack.text, rng)
                    samples.append(replace(attack, text=text, english=is_english(document)))
    return samples


def read_questions(folder: Path) -> list[str]:
    """Questions from Quora, for which see `benchmarks.paraphrases`; none if they are not there."""
    if not folder.is_dir():
        return []
    questions = sorted({text for pair in paraphrases.pairs(folder) for text in pair})
    return random.Random(5).sample(questions, QUESTIONS)
