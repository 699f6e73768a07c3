"""Mistakes of newcomers: each gets one line that says what to type."""

import re

import pytest

from tests.mistakes import MISTAKES, Mistake, make


@pytest.mark.filterwarnings("ignore:coroutine 'Router.agenerate' was never awaited:RuntimeWarning")
@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.title for mistake in MISTAKES])
def test_the_sentence(mistake: Mistake):
    text = make(mistake)
    assert text.startswith(mistake.sentence), text
    assert "\n" not in text
    assert len(text) < 330


def test_there_are_more_than_twenty_and_almost_all_say_what_to_type():
    own = [mistake for mistake in MISTAKES if not mistake.by_python]
    assert len(own) >= 30
    hint = re.compile(
        r"write |did you mean|expected |set [A-Z_]+|set one of|set these|pip install|give |build |map\(|max_tokens="
        r"|Start it"
    )
    assert [mistake.title for mistake in own if not hint.search(mistake.sentence)] == []
