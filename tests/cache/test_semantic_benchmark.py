"""The benchmark of the semantic cache counts right. What it finds on the real data is not tested."""

import gzip
import io
import json
import re
import tarfile
import zlib
from typing import Any

import numpy as np
import pytest

from benchmarks import paraphrases, semantic
from benchmarks.paraphrases import Half
from benchmarks.semantic import BANDS, READ, Hit, Vectors
from multiroute_core.cache.semantic.settings import THRESHOLD
from multiroute_core.cache.semantic.veto import VETOES, Words

PAIRS = [
    {"origin": f"How do I make {what}?", "similar": f"how can I make {what}"} for what in ("tea", "soap", "a kite")
]
PAIRS += [{"origin": "How do I make tea?", "similar": "What is the way to make tea?"}]


def bag(texts) -> Any:
    vectors = np.zeros((len(texts), 64))
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            vectors[row, zlib.crc32(word.encode()) % 64] += 1
    return vectors


@pytest.mark.parametrize("tarred", [True, False])
def test_pairs_are_read_from_both_forms(tmp_path, monkeypatch, tarred):
    content = json.dumps(PAIRS).encode()
    folder = tmp_path / "data" / "paraphrases"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MULTIROUTE_SHARED", str(tmp_path))
    assert paraphrases.shared() is None
    if tarred:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("pairs.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        (folder / "pairs.json.gz").write_bytes(packed.getvalue())
    else:
        (folder / "pairs.json.gz").write_bytes(gzip.compress(content))
    assert paraphrases.shared() == folder
    assert paraphrases.pairs(folder) == [(pair["origin"], pair["similar"]) for pair in PAIRS]


def test_halves_have_no_question_in_common_and_groups_stay_together():
    pairs = [(f"question {n}", f"question {n} again") for n in range(400)]
    pairs += [(f"question {n} again", f"question {n} once more") for n in range(100)]
    one, other = paraphrases.halves(pairs)
    assert not {*one.groups} & {*other.groups}
    assert {*one.groups} | {*other.groups} == {text for pair in pairs for text in pair}
    for half in (one, other):
        assert 120 < len({*half.groups.values()}) < 280
        assert sorted(half.cached + half.asked) == sorted(half.groups)
        assert len({half.groups[text] for text in half.cached}) == len(half.cached), "one of a group was answered"
        for text in half.groups:
            number = text.split()[1]
            assert half.groups[text].split()[1] == number
        assert half.known == sum(half.groups[text] in {half.groups[t] for t in half.cached} for text in half.asked)
        assert 0.3 < len(half.cached) / len({*half.groups.values()}) < 0.7
    assert paraphrases.halves(pairs) == (one, other)
    few, _ = paraphrases.halves(pairs, 0.2)
    assert 0 < len(few.groups) < len(one.groups) / 2


TEXTS = [
    "Should I buy 3 shares of Apple or Tesla before Christmas?",
    "How can I not lose weight in 2 weeks in London and Paris?",
    "When was Albert Einstein born in Germany?",
    "How do I learn C++ as fast as John Smith?",
    "Why should we love Rome more than Milan?",
]


def test_near_misses_differ_in_what_they_are_made_for():
    made = paraphrases.altered(TEXTS)
    assert made.keys() == VETOES.keys()
    for name, pairs in made.items():
        assert pairs, name
        for one, other in pairs:
            assert one in TEXTS
            assert one != other
            assert VETOES[name](Words(one), Words(other)), (name, one, other)


def test_a_hit_is_the_nearest_that_nothing_speaks_against():
    cached = ["How do I make tea?", "How do I make 2 kites?", "Is it far?", "Who is it?", "no", "yes", "why", "what"]
    asked = ["how do I make tea now", "How do I make 3 kites?", "unheard of"]
    groups = dict(zip([*cached, *asked], [*"abcdefgh", *"abx"], strict=True))
    outcome = semantic.measure(Half(cached, asked, groups), Vectors(bag), "test")
    assert [(hit.asked, hit.found, hit.right) for hit in outcome.hits] == [(asked[0], cached[0], True)]
    assert [(hit.asked, hit.found) for hit in outcome.nearest] == [(asked[0], cached[0]), (asked[1], cached[1])]
    assert outcome.nearest[1].vetoes == {"numbers"}
    assert outcome.half.known == 2


def test_the_read_share_is_laid_over_the_rest():
    def hits(similarity, right, count):
        return [Hit("a", "b", similarity, right)] * count

    for name, bands in READ.items():
        assert len(bands) == len(BANDS)
        for low, counts in zip(BANDS, bands, strict=True):
            for right, (read, wrong) in counts.items():
                assert 0 <= wrong <= read
                assert semantic.wrong_as_read(hits(low, right, read), name) == pytest.approx(wrong)
    assert semantic.wrong_as_read(hits(BANDS[0] - 0.01, True, 1), "reported") is None
    assert semantic.wrong_as_read(hits(0.99, True, 1), "another") is None
    assert THRESHOLD in BANDS


def test_a_text_that_cannot_be_compared_is_near_to_none():
    vectors = Vectors(lambda texts: [()] if texts == ["?"] else bag(texts))
    table = vectors(["a b", "?", "a b"], "test")
    assert np.array_equal(table[0], table[2])
    assert not table[1].any()
    assert np.linalg.norm(table[0]) == pytest.approx(1.0)
