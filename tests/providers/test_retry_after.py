"""When a provider wants to be asked again, in every way that it may say so, on the wire of every vendor."""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiroute_core import OverloadedError, RateLimitError, Route, RouteError
from multiroute_core.providers.classify import LONGEST_WAIT, classify
from multiroute_core.testing.server import ReplayServer, Reply
from tests.examples import examples
from tests.providers.faces import FACES, ask, routed
from tests.providers.quoted import anthropic, google, openai, retry_in

pytestmark = pytest.mark.wire

JSON = {"content-type": "application/json"}
STATUSES: dict[int, type[RouteError]] = {429: RateLimitError, 503: OverloadedError}
BODIES: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "openai": lambda status, said: (
        openai(said, "requests", "rate_limit_exceeded") if status == 429 else openai(said, "server_error")
    ),
    "anthropic": lambda status, said: anthropic("rate_limit_error" if status == 429 else "overloaded_error", said),
    "google": lambda status, said: google(status, "RESOURCE_EXHAUSTED" if status == 429 else "UNAVAILABLE", said),
}


def date(seconds: float) -> str:
    """An HTTP date so far from now."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@dataclass(frozen=True)
class Saying:
    """One way to say when to come back.

    Attributes:
        seconds: What it means; None for nothing.
        headers: The reply's headers, made when they are sent, since a date counts from then.
        message: What the error's message says.
        delay: Gemini's RetryInfo.
        within: How much less it may be by the time that it is read: dates know whole seconds only.
    """

    seconds: float | None
    headers: Callable[[], Mapping[str, str]] = dict
    message: str = "Slow down."
    delay: str | None = None
    within: float = 0.0


def headed(name: str, value: str, seconds: float | None, **more: Any) -> Saying:
    """One header."""
    return Saying(seconds, lambda: {name: value}, **more)


SAYINGS = {
    "seconds": headed("Retry-After", "7", 7.0),
    "no seconds": headed("Retry-After", "0", 0.0),
    "parts of a second": headed("retry-after", "0.25", 0.25),
    "a date": Saying(30.0, lambda: {"Retry-After": date(30)}, within=5.0),
    "a date in another zone": Saying(
        40.0, lambda: {"Retry-After": email.utils.formatdate(time.time() + 40, localtime=True)}, within=5.0
    ),
    "a date in its oldest form": Saying(
        50.0, lambda: {"Retry-After": time.asctime(time.gmtime(time.time() + 50))}, within=5.0
    ),
    "a date that is over": Saying(0.0, lambda: {"Retry-After": date(-600)}),
    "milliseconds": headed("retry-after-ms", "1500", 1.5),
    "milliseconds, the more exact": Saying(0.35, lambda: {"retry-after": "1", "retry-after-ms": "350"}),
    "a message": Saying(12.3, message="Please retry in 12.3s."),
    "a message with milliseconds": Saying(0.64, message="Rate limit reached. Please try again in 640ms."),
    "a message with minutes": Saying(90.5, message="Please try again in 1m30.5s. Visit us."),
    "RetryInfo": Saying(34.4, delay="34.4s"),
    "RetryInfo beside a rounded message": Saying(20.25, message="Please retry in 21s.", delay="20.250s"),
    "a header beside a message": headed("retry-after", "3", 3.0, message="Please retry in 12.3s."),
    "nothing": Saying(None),
    # What makes no sense is not said; another saying beside it may still be.
    "negative": headed("Retry-After", "-5", None),
    "not a number": headed("Retry-After", "NaN", None),
    "for ever": headed("Retry-After", "inf", None),
    "garbage": headed("Retry-After", "soon; perhaps", None),
    "an empty header": headed("Retry-After", "", None),
    "a date that is none": headed("Retry-After", "Fri, 31 Feb 2026 25:61:61 GMT", None),
    "a date beyond all calendars": headed("Retry-After", "Fri, 31 Dec 99999 23:59:59 GMT", None),
    "garbage beside a message": headed("Retry-After", "soon", 12.3, message="Please retry in 12.3s."),
    "negative beside RetryInfo": headed("Retry-After", "-1", 9.0, delay="9s"),
    "negative milliseconds beside seconds": Saying(2.0, lambda: {"retry-after-ms": "-9", "retry-after": "2"}),
    "a negative message": Saying(None, message="Please retry in -3s."),
    "a negative RetryInfo": Saying(None, delay="-3s"),
    "a RetryInfo that is none": Saying(None, delay="soon"),
    # What is absurd is not believed for longer than this.
    "an hour": headed("Retry-After", "3600", LONGEST_WAIT),
    "days": headed("Retry-After", "604800", LONGEST_WAIT),
    "centuries": headed("Retry-After", "1e300", LONGEST_WAIT),
    "centuries of milliseconds": headed("retry-after-ms", "9" * 300, LONGEST_WAIT),
    "a date in a thousand years": headed("Retry-After", "Wed, 25 Nov 3026 12:00:00 GMT", LONGEST_WAIT),
    "a message with hours": Saying(LONGEST_WAIT, message="Please retry in 13h4m31.2s."),
    "a message beyond numbers": Saying(LONGEST_WAIT, message=f"Please retry in {'9' * 400}s."),
    "RetryInfo with days": Saying(LONGEST_WAIT, delay="604800s"),
}


def turns() -> Iterator[tuple[str, str, int, str]]:
    """Every saying from every vendor with every status, each through the next face in turn: the faces agree anyhow."""
    faces = itertools.cycle(FACES)
    for name, saying in SAYINGS.items():
        for provider in BODIES if saying.delay is None else ("google",):  # RetryInfo is Gemini's alone
            for status in STATUSES:
                yield name, provider, status, next(faces)
        next(faces)


@pytest.mark.parametrize(("name", "provider", "status", "face"), [*turns()])
def test_the_time_to_come_back_is_understood(
    server: ReplayServer, name: str, provider: str, status: int, face: str
) -> None:
    saying = SAYINGS[name]
    body = BODIES[provider](status, saying.message)
    if saying.delay is not None:
        body["error"]["details"] = [retry_in(saying.delay)]
    server.serve(Reply(status, {**JSON, **saying.headers()}, json.dumps(body).encode()))
    with routed(Route(f"{provider}:m", base_url=server.url, api_key="k")) as router:
        error = ask(face, router).error
    assert isinstance(error, STATUSES[status]), repr(error)
    assert error.status == status
    if saying.seconds is None:
        assert error.retry_after is None
    else:
        assert error.retry_after is not None
        assert saying.seconds - saying.within <= error.retry_after <= saying.seconds + 1e-9


def test_every_vendor_says_it_through_every_face() -> None:
    assert {(provider, face) for _, provider, _, face in turns()} == set(itertools.product(BODIES, FACES))


class Refusal(Exception):
    """An error as the SDKs raise it: with a status, a body, and a response that has headers."""

    def __init__(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        super().__init__("Refused.")
        self.status_code, self.body, self.response = status, body, self
        self.headers = headers


near_numbers = st.one_of(
    st.floats().map(str),
    st.integers(-(10**9), 10**20).map(str),
    st.from_regex(r"\A[+-]?[0-9_.]{1,8}([eE][+-]?[0-9]{1,4})?(s|ms|m|h| seconds)?\Z"),
)
near_dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Sun", "Xyz", ""]),
    *(st.integers(-1, 99), st.sampled_from(["Jan", "Feb", "Dec", "13"]), st.integers(-1, 99999)),
    *(st.integers(-1, 99), st.integers(-1, 99), st.integers(-1, 99)),
    st.sampled_from(["GMT", "UTC", "+9999", "-0000", "EST", "Nowhere", ""]),
)
said = near_numbers | near_dates | st.text(max_size=30)


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(status=st.sampled_from([429, 500, 503, 529]), after=st.none() | said, ms=st.none() | said, told=said)
@example(status=429, after="nan", ms="-inf", told="-0")
@example(status=503, after="1e309", ms=None, told="9" * 5000 + "h")
@example(status=429, after="Thu, 1 Jan 99999 0:0:0 +9999", ms=None, told="")
def test_whatever_is_said_is_a_time_or_none(status: int, after: str | None, ms: str | None, told: str) -> None:
    headers = {name: value for name, value in (("Retry-After", after), ("retry-after-ms", ms)) if value is not None}
    details = [{"retryDelay": told}, {"retryDelay": f"{told}s"}]
    body = {"error": {"message": f"Please retry in {told}. Try again in {told}s.", "details": details}}
    found = classify(Refusal(status, headers, body)).retry_after
    assert found is None or 0.0 <= found <= LONGEST_WAIT, f"retry_after of {headers} and {told!r}: {found}"


@settings(max_examples=examples(200), deadline=None)
@given(seconds=st.floats(0, 1e9, allow_subnormal=False))
def test_a_number_is_believed_up_to_an_hour(seconds: float) -> None:
    expected = min(seconds, LONGEST_WAIT)
    for headers in ({"Retry-After": repr(seconds)}, {"retry-after-ms": repr(seconds * 1000)}):
        found = classify(Refusal(429, headers, {})).retry_after
        assert found is not None
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def iso(seconds: float) -> str:
    """An RFC 3339 timestamp so far from now."""
    return dt.datetime.fromtimestamp(time.time() + seconds, dt.UTC).isoformat().replace("+00:00", "Z")


def later(seconds: float, unit: float = 1.0) -> str:
    """A moment so far from now, since 1970."""
    return str(int((time.time() + seconds) * unit))


def resets(**limits: tuple[str, str]) -> dict[str, str]:
    """OpenAI's headers: what remains of each limit, and when it resets."""
    return {
        f"x-ratelimit-{kind}-{name}": value
        for name, pair in limits.items()
        for kind, value in zip(("remaining", "reset"), pair, strict=True)
    }


OTHER_HEADERS: list[tuple[Callable[[], dict[str, str]], float | None]] = [
    (lambda: {"retry-after": later(30)}, 30),
    (lambda: {"retry-after": later(30, 1000)}, 30),
    (lambda: {"retry-after": iso(40)}, 40),
    (lambda: {"retry-after": "1m30s"}, 90),
    (lambda: {"retry-after": "500ms"}, 0.5),
    (lambda: {"x-ms-retry-after-ms": "2500"}, 2.5),
    (lambda: resets(requests=("0", "6m0s")), 360),
    (lambda: resets(requests=("9", "1s"), tokens=("0", "20ms")), 0.02),
    (lambda: resets(requests=("9", "60s")), None),
    (lambda: {**resets(requests=("0", "30000")), "x-ratelimit-renewalperiod-requests": "60"}, 30),
    (lambda: {"x-ratelimit-reset": later(50, 1000), "x-ratelimit-remaining": "0"}, 50),
    (lambda: {"ratelimit-reset": "13"}, 13),
    (lambda: {"x-rate-limit-reset": later(14)}, 14),
    (lambda: {"anthropic-ratelimit-tokens-reset": iso(25), "anthropic-ratelimit-tokens-remaining": "0"}, 25),
]


@pytest.mark.parametrize("place", range(len(OTHER_HEADERS)))
def test_headers_beyond_the_standard(place: int) -> None:
    headers, seconds = OTHER_HEADERS[place]
    found = classify(Refusal(429, headers(), {})).retry_after
    assert (found is None) == (seconds is None)
    assert found is None or abs(found - (seconds or 0)) < 1.6
    if "retry" not in str(headers()):
        assert classify(Refusal(503, headers(), {})).retry_after is None  # limits say nothing about an overload


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Please try again after 1 seconds", 1.0),
        ("Please wait 20 seconds before retrying.", 20.0),
        ("Please retry in 1 minute and 30 seconds.", 90.0),
        ("Please try again in about 5 minutes.", 300.0),
        ("Quota will be replenished in 00:05:30.", 330.0),
        ("Rate limit resets in 3h", LONGEST_WAIT),
        ("请在 30 秒后重试", 30.0),
        (r'b\'{"details": [{"retryDelay": "44s"}]}\'', 44.0),
        (r"{\"retryDelay\": \"44s\"}", 44.0),
        ("We allow 60 requests in 60 seconds.", None),
    ],
)
def test_sentences(said: str, seconds: float | None) -> None:
    assert classify(Refusal(429, {}, {"error": {"message": said}})).retry_after == seconds


def test_members_of_the_body() -> None:
    upstream = {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": later(33, 1000)}}
    for body, seconds in (
        ({"message": "x", "retry_after": 1.5}, 1.5),
        ({"error": {"message": "x", "retry_after_ms": 1500}}, 1.5),
        ({"error": {"message": "x", "metadata": {"retry_after_seconds": 12}}}, 12.0),
        ({"error": {"message": "x", "details": [{"retryDelay": {"seconds": 7, "nanos": 500000000}}]}}, 7.5),
        ({"error": {"message": "x", "code": 429, "metadata": upstream}}, 33.0),
    ):
        found = classify(Refusal(429, {}, body)).retry_after
        assert found is not None
        assert abs(found - seconds) < 1.6
