"""Answers that are checked before they are believed: `accept`, `repairs`, and what `fallback_on` knows."""

import asyncio
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import (
    AllRoutesFailedError,
    AttemptEnded,
    ConfigurationError,
    RejectedAnswerError,
    Router,
    options,
)
from multiroute_core.guards import judge
from multiroute_core.guards.acceptance import to_checks
from multiroute_core.options import current
from multiroute_core.testing import DropConnection
from multiroute_core.testing.behaviours import Answer, Fail
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, PLAIN, STREAMED, ask

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOD = '{"city": "Paris"}'


class City(BaseModel):
    city: str


def says_paris(response):
    return True if "Paris" in response.text else "it names no city"


async def asays_paris(response):
    await asyncio.sleep(0)
    return says_paris(response)


def fits_question(response, request):
    return request.messages[-1].text == "Where?" and says_paris(response)


async def afits_question(response, request):
    return fits_question(response, request)


CHECKS = {
    "function": says_paris,
    "async": asays_paris,
    "with the request": fits_question,
    "async, with the request": afits_question,
    "schema": CITY,
    "model": City,
    "several": [City, says_paris],
}


def routes(*answers):
    return [scripted_route("abc"[number], answer) for number, answer in enumerate(answers)]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("face", FACES)
def test_the_next_route_is_asked_if_an_answer_is_rejected(face, check):
    events = []
    with Router(routes(Answer("Bad."), Answer(GOOD)), accept=CHECKS[check], on_event=[events.append]) as router:
        outcome = ask(face, router, "Where?")
        assert (outcome.text, outcome.finish_reason) == (GOOD, "stop")
        assert outcome.response is not None
        assert [(a.route, a.outcome) for a in outcome.response.attempts] == [("a", "rejected"), ("b", "success")]
        assert outcome.response.attempts[0].error.startswith("The answer was rejected: ")
        assert {health.breaker for health in router.health().routes.values()} == {"closed"}
        ended = [event for event in events if isinstance(event, AttemptEnded)]
        assert [type(event.error) for event in ended] == [RejectedAnswerError, type(None)]


@pytest.mark.parametrize("face", FACES)
def test_a_single_route_raises_the_rejection_with_its_answer(face):
    with Router(routes(Answer("Bad.")), accept=says_paris, max_retries=0) as router:
        error = ask(face, router).error
    assert type(error) is RejectedAnswerError
    assert str(error) == "Route 'a': The answer was rejected: it names no city."
    assert error.answer is not None
    assert (error.answer.text, error.reason) == ("Bad.", "it names no city")
    assert [attempt.outcome for attempt in error.attempts] == ["rejected"]


def test_several_routes_raise_an_error_that_lists_them():
    with Router(routes(Answer("Bad."), Answer("Worse.")), accept=says_paris) as router:
        with pytest.raises(AllRoutesFailedError) as caught:
            router.generate("Where?")
        assert [type(error) for error in caught.value.errors] == [RejectedAnswerError] * 2
        assert [len(provider_of(route).takes) for route in router.routes] == [1, 1], "a rejection is not retried"


@pytest.mark.parametrize("face", STREAMED)
def test_nothing_of_a_rejected_stream_is_given_out(face):
    with Router(routes(Answer(["Ba", "d."]), Answer(["{", '"city": "Paris"}'])), accept=says_paris) as router:
        assert ask(face, router).text == GOOD


def test_a_stream_may_be_given_out_and_restarted():
    with Router(routes(Answer("Bad."), Answer(GOOD)), accept=says_paris, on_stream_error="restart") as router:
        chunks = [*router.stream("Where?")]
    assert [chunk.text or chunk.restarted for chunk in chunks] == ["Bad.", True, GOOD, False]


@pytest.mark.parametrize("face", FACES)
def test_an_answer_is_repaired_on_the_same_route(face):
    def improve(call):
        return Answer(GOOD if len(call.request.messages) > 1 else "Bad.")

    with Router(routes(improve), accept=says_paris, repairs=1, max_retries=0) as router:
        outcome = ask(face, router, "Where?")
        assert outcome.text == GOOD
        assert [a.outcome for a in outcome.response.attempts] == ["rejected", "success"]
        question, answer, complaint = provider_of(router.routes[0]).takes[-1].asked.request.messages
        assert (question.text, answer.text) == ("Where?", "Bad.")
        assert "it names no city" in complaint.text


def test_repairs_end():
    with Router(routes(Answer("Bad.")), accept=says_paris, repairs=2, max_retries=0) as router:
        with pytest.raises(RejectedAnswerError):
            router.generate("Where?")
        assert len(provider_of(router.routes[0]).takes) == 3


def test_a_check_that_fails_rejects_without_the_content():
    def fail(response):
        raise ValueError(response.text)

    with Router(routes(Answer("secret")), accept=fail, max_retries=0) as router:
        with pytest.raises(RejectedAnswerError, match="the check 'fail' failed: ValueError") as caught:
            router.generate("Where?")
        assert "secret" not in str(caught.value)


def test_rejected_answers_are_paid_for_and_recorded():
    with Router(routes(Answer("Bad."), Answer(GOOD)), accept=says_paris, ledger="memory") as router:
        router.generate("Where?")
        records = router.ledger.query()
    assert sorted(record.outcome for record in records) == ["rejected", "success"]
    assert all(record.output_tokens for record in records)


def test_a_cached_answer_is_checked_too():
    with Router(routes(Answer("Bad."), Answer(GOOD)), cache="memory") as router:
        assert router.generate("Where?").text == "Bad."
        assert router.generate("Where?", accept=says_paris).text == GOOD
        assert router.generate("Where?", accept=says_paris).cached
        assert [len(provider_of(route).takes) for route in router.routes] == [2, 1]


def test_a_second_parameter_with_a_default_is_the_functions_own():
    def check(response, place="Paris"):
        return place in response.text

    with Router(routes(Answer("Bad."), Answer(GOOD)), accept=check) as router:
        assert router.generate("Where?").text == GOOD


def test_a_judge_is_another_model():
    def verdict(call):
        prompt = call.request.messages[-1].text
        return Answer("Yes." if "Where?" in prompt and "Paris" in prompt else "No.")

    with Router([scripted_route("judge", verdict)]) as jury:
        with Router(routes(Answer("Bad."), Answer(GOOD)), accept=judge(jury, "It names a city.")) as router:
            assert router.generate("Where?").text == GOOD


@pytest.mark.parametrize("face", FACES)
def test_a_judge_does_not_judge_itself(face):
    """A surrounding `accept` is for the answer, and not for the verdict on it."""
    juror = scripted_route("judge", Answer("Yes."))
    with Router([juror]) as jury, Router(routes(Answer(GOOD))) as router:
        asks_jury = judge(jury, "It names a city.")

        async def check(response, request):
            await jury.agenerate("Is it?")
            return True

        for accept in (asks_jury, check):
            with options(accept=accept, model="a", tenant="t", labels={"x"}, deadline=9):
                assert ask(face, router, "Where?").text == GOOD
                assert current().model == "a"
    assert len(provider_of(juror).takes) == 2, "one for each"


@pytest.mark.parametrize("face", FACES)
def test_options_of_a_block_do_not_reach_what_a_check_calls(face):
    """A judge would judge its own verdicts for ever, and its router has other models."""
    with Router([scripted_route("jury", Answer("yes"))]) as jury, Router(routes(Answer("Fine."))) as router:

        async def ask_jury(_):
            return (await jury.agenerate("Well?")).text == "yes"

        for check in (judge(jury, "It is polite."), lambda _: jury.generate("Well?").text == "yes", ask_jury):
            with options(accept=check, model="a", tenant="shop"):
                assert ask(face, router, "Where?").text == "Fine."
        assert len(provider_of(jury.routes[0]).takes) == 3


@pytest.mark.parametrize("verdict", ["yes", "**Yes**", '"Yes."', "yes, it does"])
def test_a_verdict_may_be_decorated(verdict):
    with Router([scripted_route("jury", Answer(verdict))]) as jury:
        with Router(routes(Answer("Fine.")), accept=judge(jury, "It is polite.")) as router:
            assert router.generate("Where?").text == "Fine."


@pytest.mark.parametrize("verdict", ["No.", "yesterday", "", "Eyes"])
def test_anything_else_is_no(verdict):
    with Router([scripted_route("jury", Answer(verdict))]) as jury:
        with Router(routes(Answer("Fine.")), accept=judge(jury, "It is polite."), max_retries=0) as router:
            assert ask("generate", router).kind is RejectedAnswerError


JUDGE: Callable[..., Any] = judge


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda router: JUDGE("openai:gpt-5-mini", "It is polite."), "router='openai:gpt-5-mini' is not valid"),
        (lambda router: JUDGE(ChatMultiRoute(router=router), "It is polite."), "expected a Router, such as the `ro"),
        (lambda router: JUDGE(router, "It is polite.", temprature=0), "did you mean 'temperature'"),
        (lambda router: router.generate("Hi", accept=lambda: True), "check 'lambda' cannot be called"),
        (lambda router: router.generate("Hi", accept=lambda one, two, three: True), "missing a required argument"),
        (lambda router: router.generate("Hi", fallback_on=[lambda: True]), "expected a function that takes a Resp"),
    ],
)
def test_a_check_that_could_never_accept_fails_before_anything_is_sent(build, message):
    with Router(routes(Answer("Fine."))) as router:
        with pytest.raises(ConfigurationError, match=message):
            build(router)
        assert not provider_of(router.routes[0]).takes


def test_schemas_are_json_and_stay_as_they_are():
    required = ["city"]
    schema = MappingProxyType({"type": "object", "required": required})
    (check,) = to_checks(schema)
    required.append("country")
    matcher: Any = check.function
    assert matcher.match(GOOD) is True
    assert [matcher.match(text) for text in ('{"city": NaN}', "-Infinity", "[" * 10**5)] == ["it is not JSON"] * 3


@pytest.mark.parametrize(
    ("fallback_on", "options"),
    [
        ("length", {}),
        ("schema", {"output_schema": CITY}),
        (lambda response: "Paris" not in response.text, {}),
        (["refusal", lambda response: "Paris" not in response.text], {}),
    ],
)
@pytest.mark.parametrize("face", PLAIN)
def test_fallback_on_knows_more_than_refusals(face, fallback_on, options):
    bad = Answer("Bad.", finish_reason="length" if fallback_on == "length" else "stop")
    with Router(routes(bad, Answer(GOOD)), fallback_on=fallback_on) as router:
        assert ask(face, router, "Where?", **options).text == GOOD
    with Router(routes(bad, bad), fallback_on=fallback_on) as router:
        assert ask(face, router, "Where?", **options).text == "Bad.", "the first one is better than nothing"


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "length"])
@pytest.mark.parametrize("face", PLAIN)
def test_without_fallback_on_the_first_answer_counts_whatever_it_is(face, reason):
    with Router(routes(Answer("I cannot.", finish_reason=reason), Answer(GOOD))) as router:
        outcome = ask(face, router, "Where?")
    assert (outcome.text, outcome.finish_reason) == ("I cannot.", reason)


def test_in_both_frameworks():
    chat = ChatMultiRoute(routes(Answer("Bad."), Answer(GOOD)), accept=City)
    assert json.loads(str(chat.invoke("Where?").content)) == {"city": "Paris"}
    llm = MultiRoute(routes(Answer("Bad."), Answer(GOOD)), accept=City, fallback_on=["length"])
    assert json.loads(llm.complete("Where?").text) == {"city": "Paris"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accept": 5}, "accept=5 is not valid"),
        ({"accept": []}, r"accept=\[\] is not valid"),
        ({"accept": {"type": "nothing"}}, "The JSON schema is invalid"),
        ({"repairs": -1}, "repairs=-1 is not valid"),
        ({"fallback_on": "lenght"}, "did you mean 'length'"),
        ({"fallback_on": [City]}, "expected a hashable function"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Router(routes(Answer("x")), **settings)


def unsure(response):
    raise ValueError(response.text)


async def aunsure(response):
    raise ValueError(response.text)


@pytest.mark.parametrize("check", [unsure, aunsure])
@pytest.mark.parametrize("face", PLAIN)
def test_a_function_of_fallback_on_that_fails_counts_as_a_failure_of_the_route(face, check):
    with Router(routes(Answer("secret"), Answer("secret")), fallback_on=check) as router:
        outcome = ask(face, router, "Where?")
        assert (outcome.text, outcome.response.route) == ("secret", "a")
        assert [len(provider_of(route).takes) for route in router.routes] == [1, 1]


def test_what_is_only_better_than_nothing_is_not_cached():
    def is_bad(response):
        return response.text == "Bad."

    with Router(routes([Answer("Bad."), Answer(GOOD)]), fallback_on=[is_bad], cache="memory", max_retries=0) as router:
        assert [router.generate("Where?").text for _ in range(3)] == ["Bad.", GOOD, GOOD]
    with Router(routes([Answer("Bad."), Answer(GOOD)]), cache="memory", max_retries=0) as router:
        assert router.generate("Where?", fallback_on=[is_bad]).text == "Bad."
        assert router.generate("Where?").text == GOOD, "others do not get it either"
    with Router(routes([Answer("Bad."), Answer(GOOD)]), cache="memory", max_retries=0) as router:
        assert router.generate("Where?").text == "Bad."
        assert router.generate("Where?", fallback_on=[is_bad]).text == GOOD, "a cached answer is checked as well"


class TestPausedTurns:
    """A turn that its provider pauses is checked as a whole, and never returned if it is rejected."""

    PAUSE = Answer("Let me see. ", finish_reason="pause")

    @pytest.mark.parametrize("face", FACES)
    def test_the_pieces_of_a_whole_turn_are_given_out(self, face):
        with Router(routes([self.PAUSE, Answer(GOOD)]), accept=says_paris) as router:
            outcome = ask(face, router, "Where?")
            assert outcome.text == outcome.response.text == "Let me see. " + GOOD

    @pytest.mark.parametrize("face", FACES)
    def test_the_next_route_gets_the_request_itself(self, face):
        with Router(routes([self.PAUSE, Answer("Bad.")], Answer(GOOD)), accept=says_paris) as router:
            outcome = ask(face, router, "Where?")
            assert outcome.text == outcome.response.text == GOOD
            assert [a.outcome for a in outcome.response.attempts] == ["success", "rejected", "success"]
            (take,) = provider_of(router.routes[1]).takes
            assert [message.text for message in take.asked.request.messages] == ["Where?"]

    @pytest.mark.parametrize("face", FACES)
    def test_an_earlier_rejection_does_not_reject_it(self, face):
        with Router(routes(Answer("Bad."), [self.PAUSE, Answer(GOOD)]), accept=says_paris) as router:
            assert ask(face, router, "Where?").text == "Let me see. " + GOOD

    @pytest.mark.parametrize("answers", [PAUSE, [PAUSE, Fail()]], ids=["too many pauses", "a failure"])
    @pytest.mark.parametrize("face", FACES)
    def test_an_unfinished_one_is_not_returned(self, face, answers):
        with Router(routes(answers), accept=says_paris, max_retries=0) as router:
            assert ask(face, router, "Where?").error is not None

    def test_routes_that_pause_and_are_rejected_are_asked_once(self):
        turns = [self.PAUSE, Answer("Bad.")] * 5
        with Router(routes(turns, turns, turns), accept=says_paris, max_retries=0) as router:
            with pytest.raises(AllRoutesFailedError):
                router.generate("Where?")
            assert [len(provider_of(route).takes) for route in router.routes] == [2, 2, 2]


@pytest.mark.parametrize("face", STREAMED)
def test_a_stream_longer_than_the_deadline_is_checked_nevertheless(face):
    slow = Answer("Paris", per_chunk=1.1)
    with Router(routes(slow), accept=says_paris, deadline=1.0, max_retries=0) as router:
        assert ask(face, router, "Where?").text == "Paris"


@pytest.mark.parametrize("face", STREAMED)
def test_a_held_stream_that_breaks_was_never_begun(face):
    broken = DropConnection()
    with Router(routes(broken, Answer("Bad.")), accept=says_paris, max_retries=0) as router:
        assert type(ask(face, router, "Where?").error) is AllRoutesFailedError


def test_reasons_hold_no_content_and_stay_short():
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    with Router(routes(Answer('{"ada@example.org": "x"}')), accept=schema, max_retries=0) as router:
        with pytest.raises(RejectedAnswerError, match="the schema at additionalProperties/type") as caught:
            router.generate("Where?")
        assert "ada" not in str(caught.value)
        with pytest.raises(RejectedAnswerError) as caught:
            router.generate("Where?", accept=lambda response: "long \n" * 10_000)
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)
