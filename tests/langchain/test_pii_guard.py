"""LangChain's PII rules as guards."""

import pytest
from langchain.agents.middleware import PIIMiddleware

from langchain_multiroute import ChatMultiRoute, pii_guard
from multiroute_core import ConfigurationError, GuardBlockedError, Router
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, ask

TEXT = "Mail ada@example.org, then bob@example.org"
REWRITTEN = {
    "redact": "Mail [REDACTED_EMAIL], then [REDACTED_EMAIL]",
    "mask": "Mail ada@****.org, then bob@****.org",
    "hash": "Mail <email_hash:",
}


def parrot(call):
    return Answer(f"You said: {call.request.messages[-1].text}")


@pytest.mark.parametrize("strategy", REWRITTEN)
@pytest.mark.parametrize("face", FACES)
def test_the_model_sees_what_the_strategy_leaves(face, strategy):
    guard = pii_guard(PIIMiddleware("email", strategy=strategy))
    with Router([scripted_route("a", parrot)], guards=[guard]) as router:
        assert ask(face, router, TEXT).text.startswith(f"You said: {REWRITTEN[strategy]}")
        (take,) = provider_of(router.routes[0]).takes
    assert "ada@example" not in take.asked.request.messages[-1].text


@pytest.mark.parametrize("size", [1, 3, 50, 500])
@pytest.mark.parametrize("face", FACES)
def test_an_answer_is_rewritten_however_it_is_cut(face, size):
    text = "word " * 40 + TEXT + " word" * 40
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    guard = pii_guard(PIIMiddleware("email", strategy="redact", apply_to_input=False, apply_to_output=True))
    with Router([scripted_route("a", Answer(pieces))], guards=[guard]) as router:
        assert ask(face, router).text == "word " * 40 + REWRITTEN["redact"] + " word" * 40


@pytest.mark.parametrize("strategy", REWRITTEN)
def test_no_end_of_a_match_is_given_out_wherever_a_stream_is_cut(strategy):
    """`ada@example.co` is an address as well, and the beginning of this one."""
    text = "word " * 30 + "ada@example.co.uk" + " word" * 30
    guard = pii_guard(PIIMiddleware("email", strategy=strategy, apply_to_input=False, apply_to_output=True))
    with Router([scripted_route("a", Answer(text))], guards=[guard]) as router:
        expected = router.generate("Hi").text
    for position in range(150, 170):
        with Router([scripted_route("a", Answer([text[:position], text[position:]]))], guards=[guard]) as router:
            assert ask("stream", router).text == expected


def test_a_rule_of_ones_own_blocks():
    rule = PIIMiddleware("badge", detector=r"badge \d{4}", strategy="block", apply_to_tool_results=True)
    chat = ChatMultiRoute([scripted_route("a", parrot)], guards=[pii_guard(rule)])
    assert chat.invoke("badge 12").content == "You said: badge 12"
    with pytest.raises(GuardBlockedError, match="The guard 'pii_badge' blocked a text of origin 'user': badge in the"):
        chat.invoke("badge 1234")


@pytest.mark.parametrize("value", ["email", None, PIIMiddleware("email", apply_to_input=False)])
def test_anything_else_is_refused(value):
    with pytest.raises(ConfigurationError, match="PIIMiddleware"):
        pii_guard(value)
