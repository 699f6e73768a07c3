"""The same answer and the same error through all four faces of every backend, on a server that is true to the wire."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from llmock.scenarios import Delay, Fail, Reply, SlowFirstToken, StreamFault, StreamFaultKind
from llmock.testing import LLMockServer

from multiroute_core import (
    APIConnectionError,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    InvalidResponseError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    Route,
    RouteError,
    ServerError,
    StreamInterruptedError,
    Usage,
)
from tests.providers.faces import Outcome, ask, ask_all, every_face, plain_faces, routed, streamed_faces

pytestmark = pytest.mark.wire

TEXT = "one two three four five six seven eight nine ten — elf."


@dataclass(frozen=True)
class Backend:
    """A wire and the SDK that carries it; `filtered` is what a filtered answer's finish reason becomes."""

    route: str
    path: str
    filtered: str = "content_filter"
    settings: tuple[tuple[str, str], ...] = ()
    needs: str | None = None


BACKENDS = {
    "chat": Backend("openai:gpt-4o", "openai"),
    "responses": Backend("openai:gpt-4.1", "openai", "stop", (("api", "responses"),)),  # the server knows no other
    "anthropic": Backend("anthropic:claude-sonnet-4-6", "anthropic", "refusal"),
    "google-genai": Backend("google:gemini-3.8-flash", "gemini"),
    "google-generativeai": Backend(
        "google:gemini-3.8-flash",
        "gemini",
        settings=(("sdk", "google-generativeai"),),
        needs="google.generativeai",
    ),
}


def _params(*names: str) -> Any:
    return pytest.mark.parametrize(
        "backend",
        [
            pytest.param(
                backend,
                id=name,
                marks=pytest.mark.skipif(
                    backend.needs is not None and importlib.util.find_spec(backend.needs) is None,
                    reason=f"{name} is not installed",
                ),
            )
            for name in names
            if (backend := BACKENDS[name])
        ],
    )


every_backend = _params(*BACKENDS)
# The older Google SDK streams a JSON array, in which the server has no faults; recordings of it are cut elsewhere.
every_event_stream = _params(*(name for name in BACKENDS if name != "google-generativeai"))

ERRORS: dict[int, type[RouteError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: AttemptTimeoutError,
    429: RateLimitError,
    500: ServerError,
    503: OverloadedError,
    529: OverloadedError,
}
# What the wire breaks like: the class once text has come, and the class before.
FAULTS: dict[str, type[RouteError]] = {
    "truncate": StreamInterruptedError,
    "disconnect": APIConnectionError,
    "malformed": InvalidResponseError,
    "stall": AttemptTimeoutError,
}


@pytest.fixture(scope="module")
def running() -> Iterator[LLMockServer]:
    with LLMockServer() as server:
        yield server


@pytest.fixture
def server(running: LLMockServer) -> Iterator[LLMockServer]:
    running.state.reset()
    yield running
    running.state.reset()


def route(server: LLMockServer, backend: Backend, **settings: Any) -> Route:
    base_url = server.base_url(backend.path)
    return Route(backend.route, base_url=base_url, api_key="k", **dict(backend.settings), **settings)


def asked(server: LLMockServer, backend: Backend, face: str, *behaviours: Any, **limits: Any) -> Outcome:
    """One call through one face to a server that behaves so."""
    server.state.scenarios.clear()
    server.state.scenarios.add(*behaviours)
    with routed(route(server, backend), **limits) as router:
        return ask(face, router, "How far can you count?")


@pytest.mark.slow
@every_backend
def test_an_answer_is_the_same_in_every_face(server: LLMockServer, backend: Backend) -> None:
    server.state.scenarios.add(Reply(text=TEXT, times=None))
    with routed(route(server, backend)) as router:
        outcomes = ask_all(router, "How far can you count?")
    assert {outcome.told[:2] for outcome in outcomes.values()} == {(TEXT, "stop")}
    counted = [outcome.usage for outcome in outcomes.values()]
    assert all(isinstance(usage, Usage) for usage in counted)
    assert len(set(counted)) == 1
    assert counted[0] is not None
    assert (counted[0].input_tokens, counted[0].output_tokens) == (5, len(TEXT) // 4)
    for outcome in outcomes.values():
        assert outcome.response is not None
        assert outcome.response.model == backend.route.partition(":")[2]
        assert [attempt.outcome for attempt in outcome.response.attempts] == ["success"]


@every_backend
@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_finish_reason_is_the_same_in_every_face(server: LLMockServer, backend: Backend, finish: str) -> None:
    server.state.scenarios.add(Reply(text=TEXT, finish_reason=finish, times=None))
    with routed(route(server, backend)) as router:
        outcomes = ask_all(router)
    expected = backend.filtered if finish == "content_filter" else "length"
    assert {outcome.told[:2] for outcome in outcomes.values()} == {(TEXT, expected)}


@every_face
@every_backend
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_is_the_same_in_every_face(server: LLMockServer, backend: Backend, status: int, face: str) -> None:
    retry_after = 7.25 if status == 429 else None
    outcome = asked(server, backend, face, Fail(status, retry_after=retry_after))
    error = outcome.error
    assert type(error) is ERRORS[status], repr(error)
    assert (error.status, error.route, error.provider) == (status, backend.route, backend.route.partition(":")[0])
    assert error.__cause__ is not None
    assert error.body
    assert [attempt.outcome for attempt in error.attempts] == [error.code]
    # The server sends retry-after (whole seconds) and retry-after-ms with 429, 503 and 529; one second by default.
    assert error.retry_after == {429: 7.25, 503: 1.0, 529: 1.0}.get(status)
    assert len(server.state.journal.records(wait=2)) == 1, "an SDK asked again by itself"


@every_face
@every_event_stream
def test_a_slow_answer_is_waited_for(server: LLMockServer, backend: Backend, face: str) -> None:
    behaviours = (Delay(0.05), SlowFirstToken(0.15), Reply(text=TEXT))
    outcome = asked(server, backend, face, *behaviours, attempt_timeout=5, first_token_timeout=5)
    assert outcome.told[:2] == (TEXT, "stop")
    assert outcome.seconds >= (0.2 if "stream" in face else 0.05)


@every_face
@every_backend
def test_an_answer_that_is_too_slow_is_left(server: LLMockServer, backend: Backend, face: str) -> None:
    outcome = asked(server, backend, face, Delay(15), attempt_timeout=0.3)
    assert outcome.kind is AttemptTimeoutError, repr(outcome.error)
    assert outcome.seconds < 12


@streamed_faces
@every_event_stream
def test_a_first_token_that_is_too_slow_is_left(server: LLMockServer, backend: Backend, face: str) -> None:
    outcome = asked(server, backend, face, SlowFirstToken(15), first_token_timeout=0.3)
    assert outcome.kind is AttemptTimeoutError, repr(outcome.error)
    assert outcome.seconds < 12


@plain_faces
@every_backend
def test_a_plain_answer_knows_no_faults_of_streams(server: LLMockServer, backend: Backend, face: str) -> None:
    outcome = asked(server, backend, face, StreamFault("truncate", times=None), Reply(text=TEXT))
    assert outcome.told[:2] == (TEXT, "stop")


@streamed_faces
@every_event_stream
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_breaks_keeps_what_had_come(
    server: LLMockServer, backend: Backend, fault: StreamFaultKind, face: str
) -> None:
    # Six events on, every wire has said some words and has some left.
    behaviours = (StreamFault(fault, after_chunks=6, stall_seconds=15), Reply(text=TEXT))
    outcome = asked(server, backend, face, *behaviours, stall_timeout=0.3)
    error = outcome.error
    assert type(error) is StreamInterruptedError, repr(error)
    assert outcome.text
    assert TEXT.startswith(outcome.text)
    assert outcome.text != TEXT
    assert error.partial is not None
    assert error.partial.text == outcome.text
    assert error.partial.finish_reason is None
    assert outcome.seconds < 12


@streamed_faces
@every_event_stream
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_breaks_before_its_text_is_as_good_as_none(
    server: LLMockServer, backend: Backend, fault: StreamFaultKind, face: str
) -> None:
    behaviours = (StreamFault(fault, after_chunks=0, stall_seconds=5), Reply(text=TEXT))
    outcome = asked(server, backend, face, *behaviours, first_token_timeout=0.3)
    assert outcome.text == ""
    assert isinstance(outcome.error, RouteError), repr(outcome.error)
    assert type(outcome.error) is FAULTS[fault], repr(outcome.error)
    assert outcome.error.retryable


@streamed_faces
@every_event_stream
def test_a_stream_that_breaks_before_its_text_is_answered_by_the_next_route(
    server: LLMockServer, backend: Backend, face: str
) -> None:
    server.state.scenarios.add(StreamFault("disconnect", after_chunks=0), Reply(text="broken"), Reply(text=TEXT))
    with routed(route(server, backend), route(server, backend, name="second")) as router:
        outcome = ask(face, router)
    assert outcome.told[:2] == (TEXT, "stop")
    assert outcome.response is not None
    assert [attempt.outcome for attempt in outcome.response.attempts] == ["connection", "success"]
