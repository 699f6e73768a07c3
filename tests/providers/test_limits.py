"""A provider that answers with silence, heartbeats or drips is left at the limit, in every face and on every wire.

Socket timeouts would not do: every ping, comment or dripped byte starts them anew. All wires and faces are asked side
by side, each in a thread of its own, so that a test takes one limit's time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from multiroute_core import AttemptTimeoutError, DeadlineExceededError, MultiRouteError, StreamInterruptedError
from multiroute_core.testing.server import split_events
from tests.providers.faces import FACES, PLAIN, STREAMED, Outcome
from tests.providers.misbehaving import AFTERWARDS, BEAT, GRACE, HANG_SECONDS, INSTEAD, Misbehaving, asked
from tests.providers.wires import WIRES

pytestmark = pytest.mark.wire

LIMIT = 0.3
UNLIMITED = dict.fromkeys(("attempt_timeout", "first_token_timeout", "stall_timeout", "deadline"), HANG_SECONDS)
ALL = tuple(WIRES.values())


@pytest.fixture(scope="module")
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        # The first call of an SDK imports it, which takes seconds that no limit is to blame for.
        for key, outcome in asked(running.url, ALL, FACES, "good").items():
            assert outcome.finish_reason == "stop", (key, outcome)
        yield running
        running.beat.over.set()


def check_time(key: str, outcome: Outcome, grace: float = GRACE) -> None:
    assert LIMIT - 0.02 <= outcome.seconds <= LIMIT + grace, (key, outcome)


@pytest.mark.parametrize(
    ("instead", "limit"), [(name, limit) for name, (_, limits, _) in INSTEAD.items() for limit in limits]
)
def test_a_provider_that_does_not_answer_is_left(server: Misbehaving, instead: str, limit: str) -> None:
    limits = {**UNLIMITED, limit: LIMIT}
    for key, outcome in asked(server.url, ALL, INSTEAD[instead][0], instead, **limits).items():
        error = outcome.error
        assert isinstance(error, TimeoutError), (key, outcome)
        # A plain answer's first token counts from the reply's headers, which on a busy machine may be late themselves.
        plain = limit == "first_token_timeout" and key.endswith("generate")
        check_time(key, outcome, 1.4 * GRACE if plain else GRACE)
        assert isinstance(error, MultiRouteError)
        assert [attempt.outcome for attempt in error.attempts] == ["timeout"], key
        if limit == "deadline":
            assert type(error) is DeadlineExceededError, (key, error)
            assert f"deadline of {LIMIT:g} s" in str(error), key
            error = error.errors[0]
        else:
            assert f"within {LIMIT:g} s" in str(error), (key, error)
        assert type(error) is AttemptTimeoutError, (key, error)
        assert error.__cause__ is not None, key


@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_a_stream_that_stalls_is_broken(server: Misbehaving, afterwards: str) -> None:
    limits = {**UNLIMITED, "stall_timeout": LIMIT}
    for key, outcome in asked(server.url, ALL, STREAMED, afterwards, "good", **limits).items():
        error = outcome.error
        assert type(error) is StreamInterruptedError, (key, outcome)
        check_time(key, outcome)
        assert outcome.text == "Hello, world", key
        assert error.partial is not None, key
        assert error.partial.text == "Hello, world", key
        assert f"within {LIMIT:g} s" in str(error), key
        assert [attempt.route.partition(":")[2] for attempt in error.attempts] == [afterwards], "another route spoke"


def test_a_whole_stream_may_have_a_limit_too(server: Misbehaving) -> None:
    limit = 1.0  # a busy machine takes its time for the first chunk
    for key, outcome in asked(server.url, ALL, STREAMED, "endless-stream", total_timeout=limit).items():
        assert type(outcome.error) is StreamInterruptedError, (key, outcome)
        assert limit - 0.02 <= outcome.seconds <= limit + GRACE, (key, outcome)
        assert outcome.text.startswith("Hello"), key  # how many there are depends on how busy the machine is


def test_a_stream_that_has_begun_is_not_hurried(server: Misbehaving) -> None:
    short = dict.fromkeys(UNLIMITED, LIMIT)
    for key, outcome in asked(server.url, ALL, STREAMED, "slow-stream", **short).items():
        assert outcome.told[:2] == ("Hello, world!" * 2, "stop"), (key, outcome)
        assert outcome.seconds > 2 * LIMIT, key


@pytest.mark.parametrize("deadline", [1e7, float("inf")])
def test_there_may_be_no_limits_at_all(server: Misbehaving, deadline: float) -> None:
    none = {**dict.fromkeys(UNLIMITED), "deadline": deadline}
    for faces, model in ((PLAIN, "heartbeats-and-an-answer"), (STREAMED, "slow-stream")):
        for key, outcome in asked(server.url, ALL, faces, model, **none).items():
            assert outcome.finish_reason == "stop", (key, outcome)


def test_heartbeats_before_an_answer_in_time_do_no_harm(server: Misbehaving) -> None:
    limit = 1.0  # the answer begins after 0.2 s, and ends after more than the limit
    for key, outcome in asked(server.url, ALL, PLAIN, "heartbeats-and-an-answer", first_token_timeout=limit).items():
        assert outcome.told[:2] == ("Hello", "stop"), (key, outcome)
        assert outcome.seconds > limit, key


def test_heartbeats_between_the_chunks_do_no_harm(server: Misbehaving) -> None:
    for key, outcome in asked(server.url, ALL, STREAMED, "pings-and-an-answer").items():
        assert outcome.told[:2] == ("Hello, world!", "stop"), (key, outcome)


@pytest.mark.parametrize("instead", INSTEAD)
def test_a_healthy_route_answers_in_its_place(server: Misbehaving, instead: str) -> None:
    limits = {"attempt_timeout": LIMIT}
    for key, outcome in asked(server.url, ALL, INSTEAD[instead][0], instead, "good", **limits).items():
        assert outcome.finish_reason == "stop", (key, outcome)
        check_time(key, outcome)
        assert outcome.response is not None, key
        tried = [(attempt.route.partition(":")[2], attempt.outcome) for attempt in outcome.response.attempts]
        assert tried == [(instead, "timeout"), ("good", "success")], key


@pytest.mark.parametrize("face", FACES)
def test_who_is_left_is_told(server: Misbehaving, face: str) -> None:
    """A connection that is left is closed: the provider need not go on for nobody."""
    streamed = face in STREAMED
    models = ("pings", "then-pings", "empty-events", "endless-stream") if streamed else ("blank-lines", "dripped-body")
    for wire in ALL:
        for model in models:
            server.left.discard(model)
            for _ in range(3):  # on a busy machine the time may be over before anything was asked
                outcome = asked(
                    server.url, (wire,), (face,), model, attempt_timeout=0.4, stall_timeout=0.1, total_timeout=0.45
                )[f"{wire.provider} {face}"]
                assert outcome.error is not None
                until = time.monotonic() + 5
                while model not in server.left and time.monotonic() < until:
                    time.sleep(BEAT)
                if model in server.left:
                    break
            assert model in server.left, (wire.provider, model)


def test_the_wires_say_what_they_should() -> None:
    for wire in ALL:
        assert json.loads(wire.plain)
        assert b"".join(split_events(wire.stream)) == wire.stream
