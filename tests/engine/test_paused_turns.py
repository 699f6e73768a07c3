"""Turns that a vendor pauses go on by themselves, on the same route; empty answers may fall back."""

import pytest

from multiroute_core import Budget, Message, RefusalError, Router, ServerError, Text, ToolCall, ToolCallResponse, Usage
from multiroute_core.engine.execution import MOST_PAUSES
from multiroute_core.errors import StreamInterruptedError
from multiroute_core.testing import Answer, DropConnection, Fail, provider_of, scripted_route
from tests.chat_server import FACES, ask

EVERY = pytest.mark.parametrize("face", FACES)
PAUSE = Answer("Let me search. ", usage=Usage(10, 5), finish_reason="pause")
END = Answer("It is 42.", usage=Usage(20, 7))
PRICES = {"input": 1, "output": 2}


@EVERY
def test_a_paused_turn_goes_on(face):
    route = scripted_route("a", [PAUSE, END], prices=PRICES)
    response = ask(Router([route, scripted_route("b", Answer("b"))], ledger="memory"), face, "Why?")
    assert (response.text, response.finish_reason, response.route) == ("Let me search. It is 42.", "stop", "a")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (30, 12)
    assert response.cost == pytest.approx((30 * 1 + 12 * 2) / 1e6)
    assert [attempt.outcome for attempt in response.attempts] == ["success"] * 2
    second = provider_of(route).takes[1].asked.request.messages
    assert [message.role for message in second] == ["user", "assistant"]
    assert second[-1].text == "Let me search. "


@EVERY
def test_pauses_are_bounded_and_told(face):
    route = scripted_route("a", PAUSE)
    response = ask(Router([route]), face, "Why?")
    assert response.finish_reason == "pause"
    assert len(provider_of(route).takes) == MOST_PAUSES + 1
    assert response.text == "Let me search. " * (MOST_PAUSES + 1)


@EVERY
def test_what_cannot_go_on_is_given_as_it_is(face):
    """No other route could go on with what this vendor's tools have done so far."""
    route, other = scripted_route("a", [PAUSE, Fail(ServerError)]), scripted_route("b", END)
    response = ask(Router([route, other], max_retries=0), face, "Why?")
    assert (response.text, response.finish_reason) == ("Let me search. ", "pause")
    assert [attempt.outcome for attempt in response.attempts] == ["success", "server_error"]
    assert provider_of(other).takes == []


@EVERY
def test_a_failure_on_the_way_is_tried_again(face):
    route = scripted_route("a", [PAUSE, Fail(ServerError), END])
    assert ask(Router([route], max_retries=1), face, "Why?").text == "Let me search. It is 42."


@EVERY
def test_each_part_of_it_is_paid_for(face):
    """0.0001 USD each, and a budget for two of them."""
    paused = Answer("x", usage=Usage(0, 1), finish_reason="pause")
    route = scripted_route("a", paused, prices={"input": 0, "output": 100})
    response = ask(Router([route], budget=Budget(usd=0.0002, hard=True)), face, "Why?", max_tokens=1)
    assert response.finish_reason == "pause" and len(provider_of(route).takes) == 2


@pytest.mark.parametrize("how", ["raise", "restart", "continue"])
def test_a_stream_that_breaks_after_a_pause(how):
    broken = DropConnection(1, Answer(("It is", " 42.")))
    route, other = scripted_route("a", [PAUSE, broken]), scripted_route("b", Answer("Here."))
    stream = Router([route, other], on_stream_error=how, max_retries=0).stream("Why?")
    texts, error, response = [], None, None
    try:
        for chunk in stream:
            texts = [] if chunk.restarted else [*texts, chunk.text]
            response = chunk.response
    except Exception as caught:
        error = caught
    if how == "raise":
        assert isinstance(error, StreamInterruptedError)
        assert error.partial.text == "Let me search. It is"
    else:
        assert error is None and response.route == "b"
        assert "".join(texts) == response.text == ("Here." if how == "restart" else "Let me search. It isHere.")


class TestEmpty:
    EMPTY = Answer("", usage=Usage(3, 0))
    AFTER_TOOLS = [
        Message("user", "Book it."),
        Message("assistant", [ToolCall("c", "book", {})]),
        Message("tool", [ToolCallResponse("c", [Text("booked")])]),
    ]

    @EVERY
    def test_it_is_an_answer_unless_the_caller_says_otherwise(self, face):
        first, second = scripted_route("a", self.EMPTY), scripted_route("b", Answer("b"))
        assert ask(Router([first, second]), face, "Hi").route == "a"
        response = ask(Router([first, second], fallback_on=["empty"]), face, "Hi")
        assert (response.route, response.text) == ("b", "b")
        assert [attempt.route for attempt in response.attempts] == ["a", "b"]

    @EVERY
    def test_after_tools_it_may_be_right(self, face):
        first, second = scripted_route("a", self.EMPTY), scripted_route("b", Answer("b"))
        assert ask(Router([first, second], fallback_on=["empty"]), face, self.AFTER_TOOLS).route == "a"

    @EVERY
    def test_what_is_cut_by_its_length_is_not_empty_by_choice(self, face):
        short = Answer("", usage=Usage(3, 9), finish_reason="length")
        first, second = scripted_route("a", short), scripted_route("b", Answer("b"))
        assert ask(Router([first, second], fallback_on=["empty"]), face, "Hi").finish_reason == "length"

    @EVERY
    def test_calls_of_tools_are_not_empty(self, face):
        first = scripted_route("a", Answer("", tool_calls=[ToolCall("c", "f", {})]))
        response = ask(Router([first, scripted_route("b", Answer("b"))], fallback_on=["empty"]), face, "Hi")
        assert response.route == "a" and response.tool_calls

    @EVERY
    def test_where_nobody_says_more_the_first_is_given(self, face):
        routes = [scripted_route("a", self.EMPTY), scripted_route("b", Fail(ServerError))]
        response = ask(Router(routes, fallback_on=["empty"], max_retries=0), face, "Hi")
        assert (response.route, response.text) == ("a", "")
        assert not isinstance(response, RefusalError)
