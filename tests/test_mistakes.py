"""Mistakes of newcomers: each gets one line that says what to type."""

import re

import pytest

from tests.mistakes import MISTAKES, Mistake, make

REFUSED = "ConnectionError: Error 111 connecting to 127.0.0.1:1. Connection refused."


@pytest.mark.filterwarnings("ignore:coroutine 'Router.agenerate' was never awaited:RuntimeWarning")
@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.title for mistake in MISTAKES])
def test_the_sentence(mistake: Mistake):
    # On a busy machine the first call does not wait until the system has refused the connection.
    text = make(mistake).replace("TimeoutError: no connection yet", REFUSED)
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
