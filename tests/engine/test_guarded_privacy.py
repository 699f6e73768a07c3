"""Personal data through a router: masked for the model, restored for the caller, kept from routes without a tag."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import GuardBlockedError, Message, Router, ToolCall
from multiroute_core.guards import mask_personal_data, restrict_personal_data
from multiroute_core.testing.behaviours import Answer, Fail
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, ask

LETTER = "Write to ada@example.org and call +49 30 901820, then ada@example.org again."
MASKED = "Write to [EMAIL_1] and call [PHONE_1], then [EMAIL_1] again."


def router(answer, **settings):
    route = scripted_route("a", answer)
    return Router([route], guards=[mask_personal_data()], max_retries=0, **settings), provider_of(route)


@pytest.mark.parametrize("face", FACES)
def test_the_model_sees_placeholders_and_the_caller_the_values(face):
    masked, provider = router(Answer("{asked}"))
    outcome = ask(face, masked, LETTER)
    assert outcome.text == LETTER
    assert provider.takes[-1].asked.request.messages[-1].text == MASKED


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_a_stream_reads_right_however_it_is_cut(sizes):
    answer = "Dear [EMAIL_1], [PHONE_1] is **[EMAIL_1]**'s; [EMAIL_2] is nobody's, [1] a note."
    pieces, start = [], 0
    for size in sizes:
        pieces.append(answer[start : start + size])
        start += size
    pieces = [piece for piece in [*pieces, answer[start:]] if piece]
    masked, _ = router(Answer(pieces))
    chunks = [*masked.stream(LETTER)]
    expected = answer.replace("[EMAIL_1]", "ada@example.org").replace("[PHONE_1]", "+49 30 901820")
    assert "".join(chunk.text for chunk in chunks) == expected
    assert chunks[-1].response.text == expected


@pytest.mark.parametrize("face", FACES)
def test_the_arguments_of_a_tool_call_hold_the_values(face):
    call = ToolCall("1", "send", {"to": ["[EMAIL_1]"], "text": 'Call "[PHONE_1]"!'})
    masked, provider = router(Answer("", tool_calls=[call]))
    tools = [{"name": "send", "description": "Sends.", "input_schema": {"type": "object"}}]
    response = ask(face, masked, LETTER, tools=tools).response
    assert [one.arguments for one in response.tool_calls] == [
        {"to": ["ada@example.org"], "text": 'Call "+49 30 901820"!'}
    ]
    ask(face, masked, [Message("user", LETTER), Message("assistant", response.parts), Message("user", "Sent?")])
    history = provider.takes[-1].asked.request.messages
    assert "ada@" not in str(history)


@pytest.mark.parametrize("cache", ["memory"])
def test_requests_that_differ_in_values_alone_share_an_answer_and_never_the_values(cache):
    masked, provider = router(Answer("{asked}"), cache=cache)
    for name in ("ada", "bob", "ada", "eve"):
        assert masked.generate(f"Write to {name}@example.org.").text == f"Write to {name}@example.org."
    assert len(provider.takes) == 1


def test_a_placeholder_of_the_callers_is_left_alone():
    masked, provider = router(Answer("{asked}"))
    text = "What does [EMAIL_1] mean in my mail to ada@example.org?"
    assert masked.generate(text).text == text
    assert provider.takes[-1].asked.request.messages[-1].text == "What does [EMAIL_1] mean in my mail to [EMAIL_2]?"


def test_no_route_without_the_tag_sees_personal_data_whatever_fails():
    dice = random.Random(11)

    def unsteady(call):
        return Fail(503) if dice.random() < 0.4 else Answer("Done.")

    routes = [
        scripted_route("us", unsteady),
        scripted_route("eu", unsteady, tags=["eu"]),
        scripted_route("asia", unsteady),
        scripted_route("home", unsteady, tags=["local"]),
    ]
    guards = [restrict_personal_data(["eu", "local"], ["email"])]
    with Router(routes, guards=guards, strategy="weighted", max_retries=0, cache="memory") as guarded:
        for number in range(400):
            text = f"Hello {number}" + (f" from a{number}@example.org" if dice.random() < 0.5 else "")
            try:
                guarded.generate(text)
            except GuardBlockedError:
                raise
            except Exception:  # noqa: BLE001, S110  (all allowed routes failed)
                pass
        for route in routes:
            seen = [take.asked.request.messages[-1].text for take in provider_of(route).takes]
            assert seen
            assert route.tags or not any("@" in text for text in seen)
