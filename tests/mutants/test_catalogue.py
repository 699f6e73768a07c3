"""The catalogue of mutants fits the code: what a mutant replaces occurs once."""

import collections

import pytest

from tests.documents import ROOT
from tests.mutants.catalogue import MUTANTS


def test_names_are_unique():
    counts = collections.Counter(mutant.name for mutant in MUTANTS)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_replaces_occurs_once(mutant):
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file}: {mutant.old!r}"
    assert mutant.new != mutant.old
