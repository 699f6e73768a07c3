"""Every fault that `llmock` knows, on every wire and through every face: an answer or a typed error, never silence.

The faults are chosen by the asked model's name, so that one server plays them all at once. Cases run side by side, each
in a thread of its own, so that a hang costs its limit once.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest
from llmock.chaos import STREAM_FAULT_KINDS, ChaosSettings, StreamChaos
from llmock.ratelimit import LimitSettings
from llmock.scenarios import Behavior, Reply, StreamFaultKind, ToolFaultKind
from llmock.simulation import build_error_response
from llmock.testing import LLMockServer

from multiroute_core import (
    AttemptTimeoutError,
    RateLimitError,
    RouteError,
    StreamInterruptedError,
    Tool,
)
from tests.providers.faces import FACES, PLAIN, STREAMED, Outcome, ask, routed
from tests.providers.llmock_faults import (
    BREAKS,
    CALL_CUT,
    LAST,
    LIMIT,
    QUOTAS,
    SLOW,
    SOME,
    STATUSES,
    TEXT,
    TOOL_FAULTS,
    UNCONCERNED,
    WIRES,
    WORDS,
    behaviours,
)

pytestmark = pytest.mark.wire

SECOND = "From the second."
AMPLE = 10.0
"""Seconds that no case takes."""
AT_SIDES = 8
"""How many cases run at once: more would be late for their limits on a small machine."""


@pytest.fixture(scope="module")
def second() -> Iterator[LLMockServer]:
    with LLMockServer() as running:
        running.state.scenarios.add(Reply(SECOND, times=None))
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[LLMockServer]:
    with LLMockServer() as running:
        running.state.scenarios.add(*behaviours())
        # The first call of an SDK imports it, which takes seconds that no limit is to blame for.
        for wire in WIRES.values():
            with routed(wire.route(running, "good")) as router:
                assert ask("generate", router).text == TEXT
        yield running


@pytest.fixture
def moody(server: LLMockServer) -> Iterator[LLMockServer]:
    """A server whose settings a test may change."""
    with LLMockServer() as running:
        running.state.scenarios.add(Reply(TEXT, times=None))
        yield running


Case = tuple[str, str, str]
"""A wire, a face, a model."""


def cases(faces: Iterable[str], *models: str) -> list[Case]:
    return list(itertools.product(WIRES, faces, models))


def all_asked(
    server: LLMockServer,
    wanted: list[Case],
    *after: LLMockServer,
    **options: Any,
) -> Iterator[tuple[Case, Outcome]]:
    """What came of each case, with a route on each of the other servers behind the first."""

    def one(case: Case) -> Outcome:
        wire, face, model = case
        # Who stands in for the first is given time of its own: a busy machine is not what is under test.
        others = [WIRES[wire].route(other, "good", name="second", timeout=4.0) for other in after]
        with routed(WIRES[wire].route(server, model), *others, **limits(case)) as router:
            return ask(face, router, **options)

    with ThreadPoolExecutor(AT_SIDES) as pool:
        yield from zip(wanted, pool.map(one, wanted), strict=True)


def limits(case: Case) -> dict[str, float]:
    """Short only where a silence is to end; a busy machine is late with words as well."""
    wire, face, model = case
    given: dict[str, float] = dict.fromkeys(
        ("attempt_timeout", "first_token_timeout", "stall_timeout", "deadline"), AMPLE
    )
    if model in SLOW:
        given["attempt_timeout"] = LIMIT if face in SLOW[model] else UNCONCERNED
    if model.startswith("stall-at-"):
        begun = int(model.rpartition("-")[2]) > WIRES[wire].opening
        given["stall_timeout" if begun else "first_token_timeout"] = LIMIT if face in STREAMED else UNCONCERNED
    return given


def check_second(case: Case, outcome: Outcome, kind: type[RouteError]) -> None:
    """The second route answered, after the first had failed so."""
    assert outcome.error is None, (case, repr(outcome.error))
    assert outcome.told[:2] == (SECOND, "stop"), case
    assert outcome.response is not None, case
    assert [a.outcome for a in outcome.response.attempts] == [kind.code, "success"], case


def test_no_fault_is_forgotten() -> None:
    codes = {status: build_error_response("/v1/chat/completions", status).body for status in range(400, 600)}
    named = {status for status, body in codes.items() if json.loads(bytes(body))["error"]["code"] != f"http_{status}"}
    assert named <= set(STATUSES)
    assert {type(one) for one in behaviours()} == set(get_args(Behavior))
    assert set(BREAKS) == set(get_args(StreamFaultKind)) == set(STREAM_FAULT_KINDS)
    assert set(TOOL_FAULTS) == set(get_args(ToolFaultKind))
    quotas = LimitSettings(rpm=1, tpm=1, context_window=1).as_env()
    assert set(quotas) == {f"LLMOCK_{name.upper()}" for name in QUOTAS}
    by_chance = {*ChaosSettings(error_rates={429: 1.0}).as_env(), *StreamChaos((("stall", 1.0),)).as_env()}
    assert by_chance == {
        *("LLMOCK_LATENCY_MS", "LLMOCK_ERROR_RATE_429"),  # as Delay and Fail
        *("LLMOCK_STREAM_FAULT_STALL", "LLMOCK_STREAM_STALL_SECONDS", "LLMOCK_STREAM_CHUNK_DELAY_MS"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_has_its_class_and_the_second_route_answers(
    server: LLMockServer, second: LLMockServer, status: int
) -> None:
    kind, wanted = STATUSES[status], cases(FACES, f"fail-{status}")
    for case, outcome in all_asked(server, wanted):
        assert type(outcome.error) is kind, (case, repr(outcome.error))
        assert outcome.error.status == status, case
    for case, outcome in all_asked(server, wanted, second):
        if kind.fallback_allowed:
            check_second(case, outcome, kind)
        else:
            assert type(outcome.error) is kind, (case, repr(outcome.error))
            assert len(outcome.error.attempts) == 1, f"{case}: the caller's fault went on to another route"


@pytest.mark.parametrize("slow", SLOW)
def test_who_is_too_slow_is_left(server: LLMockServer, second: LLMockServer, slow: str) -> None:
    faces = SLOW[slow]
    for case, outcome in all_asked(server, cases(faces, slow)):
        assert type(outcome.error) is AttemptTimeoutError, (case, repr(outcome.error))
        assert outcome.text == "", case
    for case, outcome in all_asked(server, cases(faces, slow), second):
        check_second(case, outcome, AttemptTimeoutError)


def test_a_slow_first_token_is_of_no_concern_to_a_plain_answer(server: LLMockServer) -> None:
    for case, outcome in all_asked(server, cases(PLAIN, "slow-first-token", "truncate-at-0", "stall-at-5")):
        assert outcome.told[:2] == (TEXT, "stop"), (case, outcome)


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with-a-second"])
@pytest.mark.parametrize("fault", BREAKS)
def test_wherever_a_stream_breaks_what_had_come_is_kept(
    server: LLMockServer, second: LLMockServer, fault: str, alone: bool
) -> None:
    # A stall costs its limit, and what a second route does is the same at every place.
    places = SOME if fault == "stall" or not alone else range(LAST + 1)
    for case, outcome in all_asked(
        server, cases(STREAMED, *(f"{fault}-at-{place}" for place in places)), *(() if alone else (second,))
    ):
        wire, place, error = WIRES[case[0]], int(case[2].rpartition("-")[2]), outcome.error
        heard = "".join(WORDS[: max(0, place - wire.opening)])
        if place > wire.told:  # what is cut is the goodbye
            assert (error, *outcome.told[:2]) == (None, TEXT, "stop"), (case, outcome)
        elif heard:
            assert type(error) is StreamInterruptedError, (case, outcome)
            assert error.partial is not None, case
            assert error.partial.text == outcome.text == heard, case
            assert error.partial.finish_reason is None, case
            assert error.partial.attempts == error.attempts, case
            assert [attempt.outcome for attempt in error.attempts] == ["broken_stream"], "another route spoke"
        elif alone:
            assert type(error) is BREAKS[fault], (case, repr(error))
            assert outcome.text == "", case
        else:
            check_second(case, outcome, BREAKS[fault])


WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


@pytest.mark.parametrize("fault", TOOL_FAULTS)
def test_a_broken_tool_call_is_an_answer_that_says_so(server: LLMockServer, fault: str) -> None:
    for case, outcome in all_asked(server, cases(FACES, fault), messages="The weather in Paris?", tools=[WEATHER]):
        response = outcome.response
        assert response is not None, (case, repr(outcome.error))
        assert response.finish_reason == "tool_call", case
        calls = [(call.name, call.arguments) for call in response.tool_calls]
        if fault == "unknown_tool":
            assert [name for name, _ in calls] == ["llmock_unknown_tool"], case
        elif calls:  # a wire on which arguments are an object: the server leaves them empty
            assert calls == [("weather", {})], case
            assert case[0] == "google" or (case[0] == "anthropic" and case[1] in PLAIN), case
        else:
            assert [call.name for call in response.invalid_tool_calls] == ["weather"], case


def test_half_a_tool_call_is_never_a_call(server: LLMockServer, second: LLMockServer) -> None:
    wanted = [(wire, face, f"call-cut-at-{place}") for wire, place in CALL_CUT.items() for face in STREAMED]
    for case, outcome in all_asked(server, wanted, second, messages="The weather in Paris?", tools=[WEATHER]):
        error = outcome.error
        assert type(error) is StreamInterruptedError, (case, outcome)
        assert error.partial is not None, case
        assert error.partial.tool_calls == (), case
        assert [call.name for call in error.partial.invalid_tool_calls] == ["weather"], case
        assert [attempt.outcome for attempt in error.attempts] == ["broken_stream"], case


@pytest.mark.slow
@pytest.mark.parametrize("quota", QUOTAS)
def test_a_quota_that_is_used_up(moody: LLMockServer, second: LLMockServer, quota: str) -> None:
    moody.state.limiter.configure(LimitSettings(**{quota: 1}))
    kind = QUOTAS[quota]
    if quota == "rpm":  # the one request of the minute; both wires of OpenAI have one together
        first = [outcome.text for _, outcome in all_asked(moody, cases(PLAIN[:1], "m"))]
        assert sorted(first) == ["", TEXT, TEXT, TEXT]
    question = "How far can you count?"
    for case, outcome in all_asked(moody, cases(FACES, "m"), messages=question):
        assert type(outcome.error) is kind, (case, repr(outcome.error))
        if kind is RateLimitError:
            assert isinstance(outcome.error, RateLimitError)
            assert outcome.error.retry_after is not None, case
            assert 0 < outcome.error.retry_after <= 3600, case
    for case, outcome in all_asked(moody, cases(FACES, "m"), second, messages=question):
        check_second(case, outcome, kind)


def test_a_steady_pace_is_no_silence(moody: LLMockServer) -> None:
    moody.state.stream_chaos = StreamChaos(chunk_delay_ms=100).validated()
    for case, outcome in all_asked(moody, cases(STREAMED, "m")):
        assert outcome.told[:2] == (TEXT, "stop"), (case, outcome)
