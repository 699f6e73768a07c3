"""What the router does when routes fail, on real sockets through the real SDK."""

import copy
import inspect
import pickle
import time
from typing import Any

import pytest

from multiroute_core import (
    AllRoutesFailedError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextOverflowError,
    DeadlineExceededError,
    OverloadedError,
    RateLimitError,
    Route,
    RouteError,
    Router,
    ServerError,
    StreamInterruptedError,
)
from multiroute_core.events import AttemptEnded, AttemptStarted, FirstToken, RequestEnded, RequestStarted, RouteSkipped
from multiroute_core.testing import Answer, scripted_route
from multiroute_core.testing.server import Drop, Reply
from tests.chat_server import FACES, SSE, Fleet, answer, ask, error, events

STREAMS = ("stream", "astream")


@pytest.mark.parametrize("face", FACES)
class TestEveryFace:
    def test_the_first_route_answers(self, face):
        with Fleet(answer("Hello to you."), answer("never")) as fleet:
            response = ask(fleet.router, face)
            assert (response.text, response.finish_reason, response.route) == ("Hello to you.", "stop", "a")
            assert (response.usage.input_tokens, response.usage.output_tokens) == (5, 2)
            assert response.model == "gpt-4.1"
            assert response.cost == pytest.approx((5 * 2 + 2 * 8) / 1e6)
            assert [a.outcome for a in response.attempts] == ["success"]
            assert fleet.hits == [1, 0]

    @pytest.mark.parametrize("status", [500, 502, 503, 529, 401, 403, 404, 429, 408])
    def test_a_failing_route_is_passed_over(self, face, status):
        with Fleet(error(status), answer()) as fleet:
            response = ask(fleet.router, face)
            assert (response.text, response.route) == ("Hello.", "b")
            assert [a.route for a in response.attempts] == ["a", "b"]
            assert fleet.hits == [1, 1]

    def test_the_callers_fault_fails_once(self, face):
        with Fleet(error(400, "temperature is wrong", "invalid_request_error"), answer()) as fleet:
            with pytest.raises(BadRequestError, match="temperature is wrong") as caught:
                ask(fleet.router, face)
            assert caught.value.status == 400
            assert caught.value.route == "a"
            assert type(caught.value.__cause__).__module__.startswith("openai")
            assert [a.outcome for a in caught.value.attempts] == ["bad_request"]
            assert fleet.hits == [1, 0]

    def test_context_overflow_moves_on(self, face):
        overflow = error(400, "This model's maximum context length is 8192 tokens.", "invalid_request_error")
        with Fleet(overflow, answer()) as fleet:
            assert ask(fleet.router, face).attempts[0].outcome == ContextOverflowError.code

    def test_all_fail(self, face):
        with Fleet(error(500, "first"), error(503, "second"), max_retries=0) as fleet:
            with pytest.raises(AllRoutesFailedError) as caught:
                ask(fleet.router, face)
            failure = caught.value
            assert [type(e) for e in failure.errors] == [ServerError, OverloadedError]
            assert [a.outcome for a in failure.attempts] == ["server_error", "overloaded"]
            assert "Route 'a': first" in str(failure)
            assert "Route 'b': second" in str(failure)
            assert failure.__cause__ is failure.errors[-1]
            assert all(type(e.__cause__).__module__.startswith("openai") for e in failure.errors)

    def test_the_only_candidate_fails_with_its_own_error(self, face):
        with Fleet(error(401), answer()) as fleet:
            with pytest.raises(AuthenticationError):
                ask(fleet.router, face, fallback=False)
            assert fleet.hits == [1, 0]

    def test_twenty_calls_with_a_dead_route_hit_it_three_times(self, face):
        with Fleet(error(500), answer()) as fleet:
            assert [ask(fleet.router, face).text for _ in range(20)] == ["Hello."] * 20
            assert fleet.hits == [3, 20]

    def test_nobody_waits_for_retry_after_while_another_is_healthy(self, face):
        with Fleet(error(429, "slow down", "rate_limit_error", retry_after="30"), answer()) as fleet:
            began = time.monotonic()
            for _ in range(3):
                assert ask(fleet.router, face).route == "b"
            assert time.monotonic() - began < 25
            assert fleet.hits == [1, 3]

    def test_a_route_has_a_timeout_of_its_own(self, face):
        def silent(received):
            time.sleep(3)
            return error(500)

        with Fleet(silent, answer(), details=[{"timeout": 0.2}, {}]) as fleet:
            response = ask(fleet.router, face)
            assert response.route == "b"
            assert response.attempts[0].outcome == "timeout"
            assert "within 0.2 s" in str(response.attempts[0].error)
            assert response.attempts[0].seconds < 25

    def test_the_deadline_ends_it(self, face):
        with Fleet(error(500)) as fleet:
            began = time.monotonic()
            with pytest.raises((DeadlineExceededError, ServerError)) as caught:
                ask(fleet.router, face, deadline=0.2, max_retries=50)
            assert time.monotonic() - began < 25
            assert caught.value.attempts

    def test_a_retry_answers_when_there_is_only_one_route(self, face):
        replies = iter([error(500), error(503)])
        good = answer("At last.")
        with Fleet(lambda received: next(replies, None) or good(received)) as fleet:
            response = ask(fleet.router, face)
            assert response.text == "At last."
            assert [a.outcome for a in response.attempts] == ["server_error", "overloaded", "success"]

    def test_events_tell_the_story(self, face):
        with Fleet(error(500), answer("One two.")) as fleet:
            ask(fleet.router, face, tenant="acme")
            kinds = [type(event).__name__ for event in fleet.events]
            expected = "RequestStarted AttemptStarted AttemptEnded AttemptStarted AttemptEnded RequestEnded".split()
            if face in STREAMS:
                expected.insert(4, "FirstToken")
            assert kinds == expected
            started, ended = fleet.events[0], fleet.events[-1]
            assert isinstance(started, RequestStarted)
            assert (started.candidates, started.tenant) == (("a", "b"), "acme")
            assert isinstance(ended, RequestEnded)
            assert ended.response.text == "One two."
            assert {event.request_id for event in fleet.events} == {started.request_id}
            failed = [e for e in fleet.events if isinstance(e, AttemptEnded) and e.error]
            assert isinstance(failed[0].error, ServerError)

    def test_a_hook_that_fails_is_only_logged(self, face, caplog):
        def broken(event):
            raise ValueError("my hook")

        with Fleet(answer()) as fleet:
            router = Router(fleet.routes, on_event=[broken, fleet.events.append])
            assert ask(router, face).text == "Hello."
            router.close()
            assert "my hook" in caplog.text
            assert len(fleet.events) >= 4


@pytest.mark.parametrize("face", STREAMS)
class TestStreams:
    def read(self, fleet, face):
        """The chunks' texts up to the end or the error."""
        seen: list[str] = []

        def stream():
            for chunk in fleet.router.stream("Hi"):
                seen.append(chunk.text)

        async def astream():
            async for chunk in fleet.router.astream("Hi"):
                seen.append(chunk.text)

        try:
            if face == "stream":
                stream()
            else:
                import asyncio

                asyncio.run(astream())
        except RouteError as failure:
            return seen, failure
        return seen, None

    def test_chunks_come_as_they_are_and_the_last_one_carries_the_rest(self, face):
        with Fleet(answer("One two three.")) as fleet:
            seen, failure = self.read(fleet, face)
            assert failure is None
            assert seen == ["One ", "two ", "three.", ""]

    def broken(self, pieces):
        def body():
            yield from pieces
            raise Drop

        return lambda received: Reply(200, SSE, body(), stream=True)

    def test_a_stream_that_breaks_before_its_first_token_is_failed_over(self, face):
        role = next(iter(events()))
        with Fleet(self.broken([role]), answer()) as fleet:
            seen, failure = self.read(fleet, face)
            assert failure is None
            assert "".join(seen) == "Hello."

    def test_a_stream_that_breaks_later_keeps_what_had_come(self, face):
        pieces = list(events("One two three."))[:3]
        with Fleet(self.broken(pieces), answer()) as fleet:
            seen, failure = self.read(fleet, face)
            assert seen == ["One ", "two "]
            assert isinstance(failure, StreamInterruptedError)
            assert failure.partial.text == "One two "
            assert failure.partial.finish_reason is None
            assert failure.partial.route == "a"
            assert [a.outcome for a in failure.attempts] == ["broken_stream"]
            assert failure.__cause__ is not None
            assert fleet.hits == [1, 0]

    def test_a_stream_that_ends_without_its_end_is_broken(self, face):
        pieces = list(events("One two three."))[:4]
        with Fleet(Reply(200, SSE, pieces, stream=True), answer()) as fleet:
            seen, failure = self.read(fleet, face)
            assert "".join(seen) == "One two three."
            assert isinstance(failure, StreamInterruptedError)
            assert failure.partial.text == "One two three."

    def test_what_breaks_after_the_end_breaks_nothing(self, face):
        pieces = list(events("One two three."))[:5]
        with Fleet(self.broken(pieces)) as fleet:
            seen, failure = self.read(fleet, face)
            assert failure is None
            assert "".join(seen) == "One two three."

    def test_an_error_inside_the_stream_is_classified(self, face):
        inside = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
        with Fleet(Reply(200, SSE, [inside], stream=True), answer()) as fleet:
            self.read(fleet, face)
            assert [e.attempt.outcome for e in fleet.events if isinstance(e, AttemptEnded)] == [
                "overloaded",
                "success",
            ]

    def test_the_first_token_is_told_once(self, face):
        with Fleet(answer("One two three.")) as fleet:
            self.read(fleet, face)
            assert sum(isinstance(event, FirstToken) for event in fleet.events) == 1


def test_a_stream_asks_nobody_before_it_is_read():
    with Fleet(answer()) as fleet:
        stream = fleet.router.stream("Hi")
        assert fleet.hits == [0]
        next(stream)
        stream.close()
        assert fleet.hits == [1]
        assert [e.attempt.outcome for e in fleet.events if isinstance(e, AttemptEnded)] == ["cancelled"]
        assert isinstance(fleet.events[-1], RequestEnded)
        assert fleet.events[-1].response is None


def test_an_abandoned_probe_gives_its_permit_back():
    """Three failures open the route; the probe that follows is abandoned, and the next caller may still probe."""
    with Fleet(error(500), max_retries=0) as fleet:
        for _ in range(3):
            with pytest.raises(ServerError):
                fleet.router.generate("Hi")
        fleet.servers[0].serve(answer("One two."))
        stream = fleet.router.stream("Hi")
        next(stream)
        stream.close()
        assert fleet.router.generate("Hi", deadline=5).text == "One two."


def test_a_single_open_route_is_probed_and_comes_back():
    with Fleet(error(500), max_retries=0) as fleet:
        for _ in range(5):
            with pytest.raises(ServerError):
                fleet.router.generate("Hi")
        fleet.servers[0].serve(answer())
        assert fleet.router.generate("Hi").text == "Hello."
        assert fleet.router.generate("Hi").text == "Hello."
        assert any(isinstance(event, RouteSkipped) for event in fleet.events)


def test_a_door_closed_by_retry_after_is_waited_for():
    replies = iter([error(429, "slow down", "rate_limit_error", retry_after="0.4")])
    good = answer()
    with Fleet(lambda received: next(replies, None) or good(received), max_retries=0) as fleet:
        with pytest.raises(RateLimitError) as caught:
            fleet.router.generate("Hi")
        assert caught.value.retry_after == 0.4
        began = time.monotonic()
        assert fleet.router.generate("Hi").text == "Hello."
        assert time.monotonic() - began > 0.2


def test_a_door_beyond_the_deadline_is_told_with_its_time():
    with Fleet(error(429, "slow down", "rate_limit_error", retry_after="60"), max_retries=0) as fleet:
        with pytest.raises(RateLimitError):
            fleet.router.generate("Hi")
        with pytest.raises(AllRoutesFailedError, match="rate-limited it for another") as caught:
            fleet.router.generate("Hi", deadline=1)
        assert caught.value.retry_after is not None
        assert 50 < caught.value.retry_after <= 60
        assert fleet.hits == [1]


def test_options_reach_the_router_by_keyword_and_by_context_the_nearest_winning():
    import multiroute_core

    details = [{}, {"tasks": {"code_generation"}, "tags": {"eu"}}]
    with Fleet(answer("a"), answer("b"), details=details) as fleet:
        assert fleet.router.generate("Hi").route == "a"
        assert fleet.router.generate("Hi", task="code_generation").route == "b"
        with multiroute_core.options(task="code_generation"):
            assert fleet.router.generate("Hi").route == "b"
            assert fleet.router.generate("Hi", task="other").route == "a"
            with multiroute_core.options(route_tags="eu") as inner:
                assert inner.task == "code_generation"
                assert fleet.router.generate("Hi", task="other").route == "b"
        assert fleet.router.generate("Hi").route == "a"


def test_copies_share_and_pickles_carry_the_configuration_without_keys(monkeypatch):
    with Fleet(answer(), strategy="cheapest", deadline=7.0) as fleet:
        router = fleet.router
        assert copy.copy(router) is router
        assert copy.deepcopy({"router": router})["router"] is router
        plain = Router(
            [Route("openai:gpt-4.1", api_key="sk-secret", base_url=f"{fleet.servers[0].url}/v1")], deadline=7
        )
        wire = pickle.dumps(plain)
        assert b"sk-secret" not in wire
        monkeypatch.setenv("OPENAI_API_KEY", "from-env")
        back = pickle.loads(wire)
        assert back.options.deadline == 7
        assert back.generate("Hi").text == "Hello."
        assert fleet.servers[0].requests[-1].headers["authorization"] == "Bearer from-env"
        back.close()
        plain.close()


def test_a_pickle_forgets_no_setting(monkeypatch):
    """Every argument of a router is in it, those of later days too."""
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    route = Route("openai:gpt-4.1", rpm=5, rate_limit_group="team", region="eu", prices={"input": 1, "output": 2})
    given = {
        "hedge_budget": 0.05,
        "on_stream_error": "continue",
        "fallback_on": {"refusal"},
        "strategy": "fastest",
        "max_retries": 7,
    }
    router = Router([route], cache="memory", **given)
    assert set(router._settings.arguments()) == set(inspect.signature(Router).parameters)
    back = pickle.loads(pickle.dumps(router))
    assert back._settings.arguments() == router._settings.arguments()


def test_secrets_appear_nowhere():
    with Fleet(error(500), max_retries=0) as fleet:
        router = Router(
            [Route("openai:gpt-4.1", api_key="sk-secret", base_url=f"{fleet.servers[0].url}/v1")], max_retries=0
        )
        seen: list[object] = [router, router.routes]
        router = Router(router.routes, on_event=[seen.append], max_retries=0)
        with pytest.raises(ServerError) as caught:
            router.generate("Hi")
        router.close()
        told = repr([*seen, caught.value, vars(caught.value), str(caught.value), caught.value.attempts])
        assert "sk-secret" not in told


def test_messages_are_taken_in_every_form_and_never_changed():
    import json

    given = [{"role": "system", "content": "Be kind."}, ("user", "Hi")]
    before = copy.deepcopy(given)
    with Fleet(answer()) as fleet:
        fleet.router.generate(given, system="First.")
        assert given == before
        body = json.loads(fleet.servers[0].requests[0].body)
        assert [(m["role"], m["content"]) for m in body["messages"]] == [
            ("system", "First."),
            ("system", "Be kind."),
            ("user", "Hi"),
        ]


@pytest.mark.parametrize("setting", ["cache", "state"])
def test_a_password_in_a_url_goes_into_no_pickle_repr_or_error(setting, caplog):
    """Nobody is at that address: the router says so in the log, and goes by its own rules."""
    with Fleet(answer()) as fleet:
        settings: dict[str, Any] = {setting: "redis://user:s3cret@127.0.0.1:1/0"}
        with Router(fleet.routes, **settings) as router:
            assert router.generate("Hi").text == "Hello."
            with pytest.raises(ConfigurationError, match="password") as caught:
                pickle.dumps(router)
            shown = [repr(router), str(caught.value), caplog.text, repr(router._settings), repr(router._parts.state)]
            assert not any("s3cret" in text for text in shown)


def test_a_hook_hears_only_what_it_wants_to_hear():
    class Ends:
        event_types = (AttemptEnded,)

        def __init__(self):
            self.heard = []

        def __call__(self, event):
            self.heard.append(event)

    some, every, more = Ends(), [], []
    router = Router([scripted_route("a", Answer("Well."))], on_event=[some, every.append])
    router.generate("Hi", tenant="t", task="x", labels={"b"})
    router.with_hooks(more.append).generate("Hi")
    assert [type(event) for event in some.heard] == [AttemptEnded] * 2
    assert [type(event) for event in every[:4]] == [RequestStarted, AttemptStarted, AttemptEnded, RequestEnded]
    assert len(every) == 8 and more == every[4:]
    assert every[2].about == every[3].about == (False, "t", "x", frozenset({"b"}))


def test_a_router_without_a_ledger_says_how_to_get_one():
    router = Router([scripted_route("a", Answer("x"))])
    for call in (lambda: router.ledger, router.report):
        with pytest.raises(
            ConfigurationError, match=r"no ledger; build it with Router\(ledger='sqlite:///ledger.db'\)"
        ):
            call()
    with Router([scripted_route("a", Answer("x"))], ledger="memory") as keeping:
        keeping.generate("Hello")
        assert len(keeping.ledger.query()) == len(keeping.with_hooks(print).ledger.query()) == 1
