"""Real recorded traffic, replayed through the real SDKs: every face says what the vendor said."""

from __future__ import annotations

import importlib.util
import json

import pytest

from multiroute_core import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    InvalidResponseError,
    NotFoundError,
    QuotaExhaustedError,
    RateLimitError,
    RouteError,
    StreamInterruptedError,
    UnsupportedError,
)
from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import ReplayServer, Serving
from tests.providers.faces import PLAIN, STREAMED, Outcome, ask, routed
from tests.providers.reading import needs_recordings, recordings, reply, route, tokens, told

pytestmark = [pytest.mark.wire, needs_recordings]

# The class of every recorded error, by what its body says.
ERRORS: dict[str, type[RouteError]] = {
    "07.0": UnsupportedError,  # max_tokens is unsupported with this model
    "08.0": BadRequestError,  # messages: empty array
    "09.0": NotFoundError,  # model_not_found
    "12.0": BadRequestError,  # temperature below the minimum; asked for as a stream
    "13.1": UnsupportedError,  # a reasoning item without its follower
    "14.0": UnsupportedError,  # the role developer is unsupported with this model
    "15.0": BadRequestError,  # web search is not supported with this model
    "17.0": NotFoundError,  # model_not_found
    "18.0": NotFoundError,  # not_found_error
    "19.0": NotFoundError,  # NOT_FOUND
    "20.1": BadRequestError,  # invalid content blocks
    "21.1": BadRequestError,  # unsupported_file
    "27.0": ContentFilterError,  # Azure: HTTP 200, and the body is an error with the code content_filter
    "28.1": NotFoundError,  # Azure: DeploymentNotFound
    "28.2": NotFoundError,
    "28.3": NotFoundError,
    "30.3": BadRequestError,  # invalid_image_format
    "31.0": AuthenticationError,  # invalid_api_key
    "32.0": UnsupportedError,  # stop is unsupported with this model
    "37.0": NotFoundError,  # not_found_error
    "38.0": BadRequestError,  # invalid_request_error
    "39.0": AuthenticationError,  # invalid x-api-key
    "40.0": UnsupportedError,  # an effort that the model does not have
    "54.1": ContentFilterError,  # HTTP 200, promptFeedback.blockReason and no candidates
    "56.1": RateLimitError,  # RESOURCE_EXHAUSTED, without a time to come back
    "57.0": AuthenticationError,  # Gemini: a bad key is HTTP 400 with the reason API_KEY_INVALID
    "57.1": AuthenticationError,
    "57.2": AuthenticationError,
    "58.0": BadRequestError,  # Vertex: the temperature is out of range
    "59.0": NotFoundError,  # model_not_found
    "60.0": RateLimitError,  # OpenRouter: rate-limited upstream
    "60.1": RateLimitError,
    "60.2": RateLimitError,
    "F00.0": RateLimitError,  # a quota per minute, and RetryInfo says 34.4 s: not one that is spent for long
    "F01.0": QuotaExhaustedError,  # insufficient_quota
    "F02.0": QuotaExhaustedError,  # insufficient_quota inside the stream, under HTTP 200
    "F03.0": UnsupportedError,  # unsupported_parameter
}
RETRY_AFTER = {"F00.0": 34.4}
# Streams that are no answers as they stand.
ODD: dict[str, tuple[type[RouteError], ...]] = {
    "F05.0": (InvalidResponseError, StreamInterruptedError),  # a second message_start: two answers spliced into one
}
# Streams that are answers in an unusual form, with their finish reason.
UNUSUAL = {
    "23.0": "tool_call",  # no finish reason, only [DONE]
    "45.0": "tool_call",  # asked for without alt=sse: a JSON array and no event stream
    "45.1": "stop",
}
# MODEL_ARMOR is younger than this SDK, which drops words that it does not know.
OF_OLDER_SDK: dict[str, type[RouteError]] = {"54.1": InvalidResponseError}
ANSWERS = sorted(tag for tag in recordings() if tag not in {*ERRORS, *ODD, *UNUSUAL})
GOOGLE = sorted(tag for tag, each in recordings().items() if each.provider == "google")
needs_legacy = pytest.mark.skipif(
    importlib.util.find_spec("google.generativeai") is None, reason="google-generativeai is not installed"
)


def replayed(server: ReplayServer, each: Interaction, served: Serving | None = None, **settings) -> tuple[Outcome, ...]:
    """What both worlds make of a recording; they must agree."""
    server.serve(served or reply(each))
    outcomes: list[Outcome] = []
    for face in STREAMED if each.stream else PLAIN:
        with routed(route(each, server.url, **settings)) as router:
            outcomes.append(ask(face, router))
    sync, native = outcomes
    assert sync.told == native.told
    return sync, native


@pytest.mark.parametrize("tag", ANSWERS)
def test_an_answer_is_what_the_vendor_said(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    expected = told(each)
    for outcome in replayed(server, each):
        assert outcome.error is None
        assert (outcome.text, outcome.finish_reason) == (expected.text, expected.finish_reason)
        assert tokens(outcome.usage) == expected.tokens
        response = outcome.response
        assert response is not None
        assert f'"{response.model}"'.encode() in each.body, "the model is the one that answered"
        (attempt,) = response.attempts
        assert (attempt.outcome, attempt.model, attempt.usage) == ("success", response.model, outcome.usage)
        if each.stream:
            assert (response.raw or {}).keys() <= {"stop_reason", "stop_details", "stop_sequence"}, (
                "why it ended, and nothing else"
            )
        else:
            assert response.raw == json.loads(each.body)


@pytest.mark.parametrize("tag", sorted(tag for tag in ERRORS if tag in recordings()))
def test_an_error_falls_in_its_class(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    for outcome in replayed(server, each):
        error = outcome.error
        assert isinstance(error, RouteError)
        assert type(error) is ERRORS[tag], repr(error)
        assert error.__cause__ is not None
        assert (error.route, error.provider) == (error.attempts[-1].route, error.attempts[-1].provider)
        assert outcome.text == ""
        assert error.status == each.status or each.status == 200
        assert error.retry_after == RETRY_AFTER.get(tag)
        assert [attempt.outcome for attempt in error.attempts] == [error.code]


@pytest.mark.parametrize("tag", sorted(tag for tag in ODD if tag in recordings()))
def test_a_stream_that_is_no_answer_is_an_error(server: ReplayServer, tag: str) -> None:
    for outcome in replayed(server, recordings()[tag]):
        assert outcome.kind in ODD[tag], repr(outcome.error)
        assert isinstance(outcome.error, RouteError)
        assert outcome.error.fallback_allowed


@pytest.mark.parametrize("tag", sorted(tag for tag in UNUSUAL if tag in recordings()))
def test_a_stream_in_an_unusual_form_is_an_answer(server: ReplayServer, tag: str) -> None:
    expected = told(recordings()[tag])
    for outcome in replayed(server, recordings()[tag]):
        assert outcome.error is None, repr(outcome.error)
        assert (outcome.text, outcome.finish_reason) == (expected.text, UNUSUAL[tag])
        assert tokens(outcome.usage) == expected.tokens


def test_every_recorded_error_is_in_the_table() -> None:
    found = {tag for tag, each in recordings().items() if each.status >= 400}
    assert found <= ERRORS.keys()


@pytest.mark.parametrize("tag", sorted(tag for tag in ANSWERS if recordings()[tag].stream))
def test_events_may_be_cut_anywhere_on_their_way(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    crumbs = [each.body[at : at + 61] for at in range(0, len(each.body), 61)]  # also inside a character
    expected = told(each)
    for outcome in replayed(server, each, reply(each, crumbs)):
        assert (outcome.kind, outcome.text) == (None, expected.text)
        assert tokens(outcome.usage) == expected.tokens


@needs_legacy
@pytest.mark.parametrize("tag", GOOGLE)
def test_the_older_google_sdk_tells_the_same(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    # It asks for streams as JSON arrays, which 45.* are.
    served = None if tag in UNUSUAL else lambda _: reply(each, array=True)
    for outcome in replayed(server, each, served, sdk="google-generativeai"):
        if tag in ERRORS:
            error = outcome.error
            assert type(error) in (ERRORS[tag], OF_OLDER_SDK.get(tag)), repr(error)
            assert isinstance(error, RouteError)
            assert error.retry_after == RETRY_AFTER.get(tag)
            continue
        expected = told(each)
        assert outcome.error is None, repr(outcome.error)
        assert (outcome.text, outcome.finish_reason) == (expected.text, expected.finish_reason)
        assert tokens(outcome.usage)[:3] == expected.tokens[:3]  # it has no field for the reasoning tokens


def test_the_recordings_are_of_every_kind() -> None:
    kinds = {(each.api, each.stream, each.status < 400) for each in recordings().values()}
    apis = ("chat", "responses", "messages", "generate")
    assert {(api, stream, True) for api in apis for stream in (True, False)} <= kinds
