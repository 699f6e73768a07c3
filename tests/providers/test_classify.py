"""Every error that a vendor sends falls in its class, with the time to come back; and no error is beyond us."""

from __future__ import annotations

import email.utils
import json
import math
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiroute_core import Route, RouteError, StreamInterruptedError
from multiroute_core.testing.server import ReplayServer, Reply
from tests.examples import examples
from tests.providers.faces import FACES, Outcome, ask, routed, streamed_faces
from tests.providers.quoted import IN_STREAM, QUOTED, google, openai
from tests.providers.wires import WIRES

JSON = {"content-type": "application/json"}
PROVIDERS = tuple(WIRES)


def failed(server: ReplayServer, provider: str, face: str, reply: Reply) -> Outcome:
    server.serve(reply)
    with routed(Route(f"{provider}:m", base_url=server.url, api_key="k")) as router:
        return ask(face, router)


def error_of(server: ReplayServer, provider: str, status: int, body: Any, headers: dict[str, str]) -> RouteError:
    """What every face makes of an error reply; they must agree."""
    text = body if isinstance(body, str) else json.dumps(body)
    reply = Reply(status, {**JSON, **headers}, text.encode())
    errors = [failed(server, provider, face, reply).error for face in FACES]
    first = errors[0]
    assert isinstance(first, RouteError), repr(first)
    for error in errors:
        assert isinstance(error, RouteError), repr(error)
        assert type(error) is type(first)
        assert (error.status, error.request_id, said_by(error)) == (first.status, first.request_id, said_by(first))
    return first


def said_by(error: RouteError) -> str:
    """The message without the SDK's class at its end: anthropic 0.75 has one for 529 in sync code, another in async."""
    return error.message.rpartition(" (")[0]


@pytest.mark.parametrize("name", QUOTED)
def test_quoted_errors_fall_in_their_class(server: ReplayServer, name: str) -> None:
    provider, status, headers, body, kind, seconds = QUOTED[name]
    error = error_of(server, provider, status, body, headers)
    assert type(error) is kind, repr(error)
    assert (error.status, error.retry_after) == (status, seconds)
    assert error.__cause__ is not None
    assert not isinstance(error.__cause__, RouteError)
    assert "\n" not in error.message
    if isinstance(body, dict):
        said = (body.get("error") or body)["message"]
        assert error.message.startswith(" ".join(said.split())), "the vendor's own sentence"
        assert error.body


@streamed_faces
@pytest.mark.parametrize("begun", [False, True], ids=["at-once", "in-the-middle"])
@pytest.mark.parametrize("name", IN_STREAM)
def test_errors_inside_a_stream_fall_in_their_class(server: ReplayServer, name: str, begun: bool, face: str) -> None:
    provider, event, kind, seconds = IN_STREAM[name]
    wire = WIRES[provider]
    told = b"event: error\n" * (provider == "anthropic") + b"data: %b\n\n" % json.dumps(event).encode()
    pieces = [*wire.opening, *(wire.chunks[:1] if begun else ()), told, *wire.closing]
    outcome = failed(server, provider, face, Reply(200, {"content-type": "text/event-stream"}, pieces, stream=True))
    error = outcome.error
    assert isinstance(error, RouteError), outcome
    assert type(error) is (StreamInterruptedError if begun else kind), repr(error)
    assert error.retry_after == seconds
    assert outcome.text == ("Hello" if begun else "")
    assert event["error"]["message"] in error.message


@streamed_faces
@pytest.mark.parametrize("nested", [True, False])
def test_errors_inside_a_stream_of_responses(server: ReplayServer, nested: bool, face: str) -> None:
    inner = {"code": "rate_limit_exceeded", "message": "Please try again in 2s.", "param": None}
    event = {"type": "error", "sequence_number": 1, **({"error": inner} if nested else inner)}
    pieces = [b"event: error\ndata: %b\n\n" % json.dumps(event).encode()]
    server.serve(Reply(200, {"content-type": "text/event-stream"}, pieces, stream=True))
    with routed(Route("openai:m", base_url=server.url, api_key="k", api="responses")) as router:
        error = ask(face, router).error
    assert isinstance(error, RouteError)
    assert (error.code, error.retry_after) == ("rate_limit", 2.0), repr(error)


def date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


# Headers, message: the seconds that they say.
WAITS: list[tuple[dict[str, str], str, float | None]] = [
    ({"retry-after": "7"}, "", 7.0),
    ({"retry-after": "0"}, "", 0.0),
    ({"retry-after": "0.5"}, "", 0.5),
    ({"retry-after": "7", "retry-after-ms": "1500"}, "", 1.5),
    ({"retry-after": "7"}, "Please try again in 20s.", 7.0),
    ({"retry-after": date(-30)}, "", 0.0),
    ({"retry-after": "soon"}, "", None),
    ({"retry-after": "-5"}, "", None),
    ({"retry-after": "nan"}, "", None),
    ({"retry-after": "inf"}, "", None),
    ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, "", None),
    ({"retry-after-ms": "oops"}, "Please try again in 20s.", 20.0),
    ({}, "Please try again in 26.604s. Visit us.", 26.604),
    ({}, "Please try again in 644ms.", 0.644),
    ({}, "Please try again in 1m30s.", 90.0),
    ({}, "Please try again in 1m26.4s.", 86.4),
    ({}, "Please try again in 2m.", 120.0),
    ({}, "Please try again in 0h2m3s.", 123.0),
    ({}, "Please retry in 45.57s.", 45.57),
    ({}, "Please retry in 13h4m31.2s.", 3600.0),
    ({}, "Please retry after 9 seconds.", 9.0),  # Azure
    ({}, "Please try again in a while.", None),
    ({}, "Please try again later.", None),
    ({}, "Please try again in 1.2.3s.", None),
    ({}, "Please try again in ..s.", None),
]


@pytest.mark.parametrize(("headers", "message", "seconds"), WAITS)
def test_the_time_to_come_back(
    server: ReplayServer, headers: dict[str, str], message: str, seconds: float | None
) -> None:
    body = openai(message or "Slow down.", "tokens", "rate_limit_exceeded")
    found = error_of(server, "openai", 429, body, headers)
    assert found.code == "rate_limit"
    assert found.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_the_time_to_come_back_as_a_date(server: ReplayServer) -> None:
    found = error_of(server, "anthropic", 429, {}, {"retry-after": date(30)})
    assert found.retry_after is not None
    assert 25 < found.retry_after <= 30


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34.4s", 34.4), ("7s", 7.0), ("0.847655010s", 0.847655010), ("1.2.3s", None), ("s", None)]
)
def test_the_time_to_come_back_of_gemini(server: ReplayServer, delay: str, seconds: float | None) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    found = error_of(server, "google", 429, google(429, "RESOURCE_EXHAUSTED", "Resource exhausted.", info), {})
    assert (found.code, found.retry_after) == ("rate_limit", seconds)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
sentences = st.sampled_from([message for _, message, _ in WAITS]) | st.text(max_size=20)
names = ("type", "code", "status", "message", "reason", "innererror", "details", "error", "param", "request_id")
errors = st.dictionaries(st.sampled_from(names), anything | sentences, max_size=4)
bodies = anything | st.fixed_dictionaries({"error": anything | errors}) | errors
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=examples(60), deadline=None)
@given(status=st.integers(400, 599), body=bodies, wait=HEADER, stream=st.booleans())
@example(status=429, body=[], wait="", stream=False)
@example(status=500, body={"error": "overloaded"}, wait="", stream=True)
@example(status=429, body={"error": {"message": "retry in 1.2.3s"}}, wait="", stream=False)
@example(status=429, body={}, wait="Fri, 31 Dec 99999 23:59:59 GMT", stream=False)
@example(status=429, body={"error": {"code": 10**400}}, wait="1e308", stream=False)
def test_any_error_reply_is_some_route_error(
    server: ReplayServer, provider: str, status: int, body: Any, wait: str, stream: bool
) -> None:
    reply = Reply(status, {**JSON, "retry-after": wait}, json.dumps(body).encode())
    error = failed(server, provider, "stream" if stream else "generate", reply).error
    assert isinstance(error, RouteError), repr(error)
    assert isinstance(error.__cause__, Exception)
    assert error.attempts[-1].outcome == error.code
    assert str(error)
    assert error.retry_after is None or 0 <= error.retry_after < math.inf


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=examples(60), deadline=None)
@given(status=st.integers(400, 599), body=st.binary(max_size=40), native=st.booleans())
def test_any_bytes_are_some_route_error(
    server: ReplayServer, provider: str, status: int, body: bytes, native: bool
) -> None:
    face = "agenerate" if native else "generate"
    error = failed(server, provider, face, Reply(status, JSON, body)).error
    assert isinstance(error, RouteError), repr(error)
    assert isinstance(error.__cause__, Exception)
    assert error.status in (status, None)


def test_the_tables_are_whole() -> None:
    for table in (QUOTED, IN_STREAM):
        assert {row[0] for row in table.values()} == set(PROVIDERS)
