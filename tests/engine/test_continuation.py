"""Streams that break in the middle: what is kept, what goes on, and what begins anew."""

import asyncio
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Router, StreamInterruptedError, ToolCall, Usage
from multiroute_core.engine.continuation import INSTRUCTION, Overlap
from multiroute_core.testing import Answer, DropConnection, Fail, provider_of, scripted_route

SAID = "The quick brown fox jumps over the lazy dog."


def heard(router, *, native=False, **options):
    """Everything that a caller hears of a stream, and its end."""
    chunks, error = [], None

    async def listen():
        async for chunk in router.astream("Hi", **options):
            chunks.append(chunk)

    try:
        if native:
            asyncio.run(listen())
        else:
            chunks.extend(router.stream("Hi", **options))
    except StreamInterruptedError as broken:
        error = broken
    return chunks, error


def pieces(text):
    return st.lists(st.integers(0, len(text)), max_size=6).map(
        lambda cuts: [text[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(text)], strict=True)]
    )


@given(data=st.data(), cut=st.integers(12, len(SAID) - 1), back=st.integers(9, 60))
def test_what_is_said_again_is_left_out(data, cut, back):
    """However far the new speaker goes back, and however its words are cut into pieces."""
    again = SAID[max(0, cut - back) :]
    overlap = Overlap(SAID[:cut])
    new = "".join([overlap.feed(piece) for piece in data.draw(pieces(again))]) + overlap.end()
    assert SAID[:cut] + new == SAID


@given(said=st.text("ab ", max_size=30), more=st.text("cd", min_size=1, max_size=30), data=st.data())
def test_what_is_new_is_never_left_out(said, more, data):
    overlap = Overlap(said)
    assert "".join([overlap.feed(piece) for piece in data.draw(pieces(more))]) + overlap.end() == more


@pytest.mark.parametrize(
    ("said", "again", "new"),
    [
        ("Hello wor", "world", "ld"),  # a word that was cut, taken up again
        ("I am in", "in the garden", "in the garden"),  # two letters may be chance
        ("It is the", "the end", " end"),
        ("Go on", "n the other hand", "n the other hand"),
        ("aaaaaaaaaa", "aaaaaaaaaab", "b"),
        ("", "anything", "anything"),
        ("End. ", "", ""),
    ],
)
def test_overlaps(said, again, new):
    overlap = Overlap(said)
    assert overlap.feed(again) + overlap.end() == new


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
class TestEveryFace:
    def test_continue(self, native):
        first = scripted_route("a", DropConnection(3, Answer(["The quick ", "brown fox ", "jumps ov", "er"])))
        second = scripted_route("b", Answer(["fox jumps ", "over the lazy dog."]))
        chunks, error = heard(Router([first, second], on_stream_error="continue"), native=native)
        response = chunks[-1].response
        assert error is None
        assert "".join(chunk.text for chunk in chunks) == response.text == SAID
        assert not any(chunk.restarted for chunk in chunks)
        assert [a.outcome for a in response.attempts] == ["broken_stream", "success"]
        assert (response.route, response.finish_reason) == ("b", "stop")
        asked = provider_of(second).takes[0].asked.request.messages
        assert [(m.role, m.text) for m in asked] == [
            ("user", "Hi"),
            ("assistant", "The quick brown fox jumps ov"),
            ("user", INSTRUCTION),
        ]

    def test_continue_more_than_once(self, native):
        routes = [
            scripted_route("a", DropConnection(1, Answer(["The quick ", "brown"]))),
            scripted_route("b", DropConnection(1, Answer(["quick brown fox ", "jumps"]))),
            scripted_route("c", Answer(["jumps over ", "the lazy dog."])),
        ]
        chunks, error = heard(Router(routes, on_stream_error="continue"), native=native)
        assert error is None
        assert "".join(chunk.text for chunk in chunks) == chunks[-1].response.text == SAID

    def test_nobody_can_go_on(self, native):
        routes = [
            scripted_route("a", DropConnection(2, Answer(["one ", "two ", "three"]))),
            scripted_route("b", Fail()),
        ]
        chunks, error = heard(Router(routes, on_stream_error="continue", max_retries=0), native=native)
        assert "".join(chunk.text for chunk in chunks) == "one two " == error.partial.text
        assert (
            [a.outcome for a in error.attempts]
            == ["broken_stream", "server_error"]
            == [a.outcome for a in error.partial.attempts]
        )
        assert "No other route could take over" in error.__notes__[0]

    def test_raise_is_the_default_and_keeps_the_partial_answer(self, native):
        usage = Usage(input_tokens=5, output_tokens=7)
        routes = [
            scripted_route("a", DropConnection(2, Answer(["one ", "two ", "three"], usage=usage))),
            scripted_route("b", Answer()),
        ]
        chunks, error = heard(Router(routes), native=native)
        assert "".join(chunk.text for chunk in chunks) == error.partial.text == "one two "
        assert error.partial.finish_reason is None
        assert [a.outcome for a in error.attempts] == ["broken_stream"]
        assert provider_of(routes[1]).takes == []

    def test_restart(self, native):
        routes = [
            scripted_route("a", DropConnection(2, Answer(["one ", "two ", "three"]))),
            scripted_route("b", Answer(["1 ", "2"])),
        ]
        chunks, error = heard(Router(routes), native=native, on_stream_error="restart")
        assert error is None
        assert [(chunk.text, chunk.restarted) for chunk in chunks] == [
            ("one ", False),
            ("two ", False),
            ("", True),
            ("1 ", False),
            ("2", False),
            ("", False),
        ]
        assert chunks[-1].response.text == "1 2"
        assert [a.outcome for a in chunks[-1].attempts] == ["broken_stream", "success"]

    def test_tool_calls_are_not_mixed(self, native):
        """Half a tool call can be ended by nobody else."""
        call = ToolCall("1", "look", {"at": "it"})
        routes = [
            scripted_route("a", DropConnection(2, Answer("I look. ", tool_calls=[call]))),
            scripted_route("b", Answer()),
        ]
        chunks, error = heard(Router(routes, on_stream_error="continue"), native=native)
        assert len(chunks) == 2
        assert error.partial.text == "I look. "
        assert provider_of(routes[1]).takes == []

    def test_a_form_of_the_answer_is_not_continued(self, native):
        routes = [scripted_route("a", DropConnection(1, Answer(['{"a": ', "1}"]))), scripted_route("b", Answer())]
        _, error = heard(Router(routes, on_stream_error="continue"), native=native, output_schema={"type": "object"})
        assert error is not None
        assert provider_of(routes[1]).takes == []


def test_all_speakers_are_paid_for():
    """Each is one attempt with its own cost, and the answer costs what all of them do."""
    first, second = Usage(input_tokens=10, output_tokens=2), Usage(input_tokens=20, output_tokens=3)
    prices = {"input": 1_000_000, "output": 2_000_000}
    broken = DropConnection(2, Answer(["one ", "two ", "three"], usage=first))
    routes = [
        scripted_route("a", broken, prices=prices),
        scripted_route("b", Answer("three", usage=second), prices=prices),
    ]
    response = list(Router(routes, on_stream_error="continue").stream("Hi"))[-1].response
    assert (response.usage, response.cost) == (None, None)  # the first speaker broke off before it told its tokens
    assert [a.cost for a in response.attempts] == [None, 26.0]


def test_fewer_tokens_are_left_to_who_goes_on():
    routes = [
        scripted_route("a", DropConnection(1, Answer(["one two three four ", "five"]))),
        scripted_route("b", Answer("five")),
    ]
    list(Router(routes, on_stream_error="continue").stream("Hi", max_tokens=50))
    assert provider_of(routes[0]).takes[0].asked.request.max_tokens == 50
    assert provider_of(routes[1]).takes[0].asked.request.max_tokens == 45


def test_an_unknown_way_is_refused():
    with pytest.raises(ConfigurationError, match="did you mean 'continue'"):
        Router([scripted_route("a", Answer())], on_stream_error="continu")  # pyright: ignore[reportArgumentType]  # refused


@pytest.mark.parametrize("native", [False, True], ids=["stream", "astream"])
def test_what_looks_like_a_repetition_to_the_very_end_is_said_after_all(native):
    routes = [scripted_route("a", DropConnection(1, Answer(["one two", "three"]))), scripted_route("b", Answer("tw"))]
    chunks, error = heard(Router(routes, on_stream_error="continue"), native=native)
    assert error is None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].response.text == "one twotw"


def test_every_count_of_a_usage_can_be_summed():
    from multiroute_core.engine.continuation import _sum

    kinds: dict[str, Any] = {
        "service_tier": "flex",
        "speed": "fast",
        "inference_geo": "us",
        "other_models": (("m", Usage(1, 1)),),
    }
    usage = Usage(**{field.name: kinds.get(field.name, 1) for field in fields(Usage)})
    total = _sum([usage, usage])
    assert total is not None
    for field in fields(Usage):
        value = getattr(total, field.name)
        once = kinds.get(field.name)
        assert value == (2 if once is None else once * 2 if isinstance(once, tuple) else once), field.name
