"""Recorded streams that are cut short, in every way that a network has: never a silent success."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from multiroute_core import APIConnectionError, InvalidResponseError, RouteError, StreamInterruptedError
from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import Drop, ReplayServer, split_events
from tests.providers.faces import Outcome, ask, routed, streamed_faces
from tests.providers.reading import before_end, needs_recordings, recordings, reply, route, told

pytestmark = [pytest.mark.wire, needs_recordings]

# 23.0 never ends, F02 is an error, F05 is two answers in one, 45.* are no event streams.
NO_ANSWERS = {"23.0", "45.0", "45.1", "F02.0", "F05.0"}
STREAMS = sorted(t for t, each in recordings().items() if each.stream and each.status == 200 and t not in NO_ANSWERS)
SDKS = [None, "google-generativeai"] if importlib.util.find_spec("google.generativeai") else [None]
# Streams and, for Google's, the SDKs that read them.
CASES = [(tag, sdk) for tag in STREAMS for sdk in SDKS if sdk is None or recordings()[tag].provider == "google"]
every_stream = pytest.mark.parametrize(("tag", "sdk"), CASES, ids=[f"{tag}-{sdk or 'sdk'}" for tag, sdk in CASES])


def dropped(pieces: list[bytes]) -> Iterator[bytes]:
    """The pieces, and then the connection is gone."""
    yield from pieces
    raise Drop


def replayed(server: ReplayServer, face: str, each: Interaction, pieces, sdk: str | None) -> Outcome:
    server.serve(lambda _: reply(each, pieces(), array=sdk is not None))
    settings = {"sdk": sdk} if sdk else {}
    with routed(route(each, server.url, **settings)) as router:
        return ask(face, router)


def check_broken(outcome: Outcome, text: str, *before_the_first: type[RouteError]) -> None:
    """It is an error that keeps what came; one of a class of its own only where nothing did, no call or thought either."""
    error = outcome.error
    assert isinstance(error, RouteError), outcome
    assert outcome.text == text
    assert error.retryable
    assert error.attempts[-1].outcome == error.code
    if not text and getattr(error, "partial", None) is None:
        assert type(error) in (StreamInterruptedError, *before_the_first), repr(error)
        return
    assert isinstance(error, StreamInterruptedError), repr(error)
    assert error.partial is not None
    assert error.partial.parts
    assert error.partial.text == text
    assert error.partial.finish_reason is None
    assert error.partial.attempts == error.attempts


@streamed_faces
@every_stream
def test_a_stream_without_its_end_is_broken(server: ReplayServer, face: str, tag: str, sdk: str | None) -> None:
    each = recordings()[tag]
    pieces = before_end(each)
    outcome = replayed(server, face, each, lambda: pieces, sdk)
    check_broken(outcome, told(each, pieces).text)


@streamed_faces
@every_stream
def test_a_stream_cut_inside_its_last_event_is_broken(
    server: ReplayServer, face: str, tag: str, sdk: str | None
) -> None:
    each = recordings()[tag]
    pieces = before_end(each)
    last = split_events(each.body)[len(pieces)]
    # To the middle of the JSON: Anthropic's `event:` line alone would already be a whole, if empty, message_stop.
    cut = (last.index(b"data:") + len(last)) // 2
    outcome = replayed(server, face, each, lambda: [*pieces, last[:cut]], sdk)
    check_broken(outcome, told(each, pieces).text, InvalidResponseError)


@streamed_faces
@every_stream
def test_a_connection_dropped_before_the_end_is_broken(
    server: ReplayServer, face: str, tag: str, sdk: str | None
) -> None:
    each = recordings()[tag]
    pieces = before_end(each)
    outcome = replayed(server, face, each, lambda: dropped(pieces), sdk)
    check_broken(outcome, told(each, pieces).text, APIConnectionError)


@streamed_faces
@every_stream
def test_a_connection_dropped_in_the_goodbye_costs_nothing(
    server: ReplayServer, face: str, tag: str, sdk: str | None
) -> None:
    each = recordings()[tag]
    pieces = split_events(each.body)[: len(before_end(each)) + 1]
    outcome = replayed(server, face, each, lambda: dropped(pieces), sdk)
    expected = told(each, pieces)
    assert (outcome.kind, outcome.text, outcome.finish_reason) == (None, expected.text, expected.finish_reason)


@streamed_faces
@pytest.mark.parametrize("tag", ["01.0", "33.1", "11.1", "49.0"])
def test_wherever_a_stream_is_cut_no_half_answer_passes_for_a_whole(server: ReplayServer, face: str, tag: str) -> None:
    if tag not in recordings():
        pytest.skip("MULTIROUTE_SHARED names other recordings")
    each = recordings()[tag]
    pieces = before_end(each)
    for kept in range(0, len(pieces), max(1, len(pieces) // 8)):
        outcome = replayed(server, face, each, lambda kept=kept: pieces[:kept], None)
        check_broken(outcome, told(each, pieces[:kept]).text)
