"""What is kept of an answer comes back as it was; what is no entry is never taken for one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Blob, Raw, Reasoning, Text, ToolCall, ToolCallDelta, Usage
from multiroute_core.cache.entry import FORM, NOTHING, UnreadableError, decode, encode
from multiroute_core.messages import VendorPart, assemble
from multiroute_core.types import Attempt, Response

texts = st.text(max_size=4)
raws = st.none() | st.builds(
    Raw, st.sampled_from(["anthropic", "google"]), st.just({"type": "x", "n": [1, {"a": 0.5}]})
)
calls = st.builds(
    ToolCall, texts, st.just("f"), st.dictionaries(texts, st.integers(-(2**63), 2**63) | texts, max_size=2), raws
)
whole = st.one_of(
    st.builds(Text, texts, raws),
    st.builds(Reasoning, texts, raws),
    calls,
    st.builds(Blob, st.binary(max_size=4), st.just("image/png")),
    st.builds(VendorPart, st.builds(Raw, st.just("anthropic"), st.just({"type": "server_tool_use"}))),
)
streamed = st.one_of(
    st.builds(Text, texts, raws),
    st.builds(Reasoning, texts, raws),
    st.builds(ToolCallDelta, st.integers(0, 2), texts, st.just("f"), st.just("{}"), raws),
)
costs = st.none() | st.floats(0, 1)


def response(parts, cost=0.5, **more):
    tried = (Attempt("r", "openai", "m", "success", 1.0),)
    return Response(tuple(parts), "stop", Usage(5, 2), "m-1", "openai", "r", cost, tried, **more)


@given(st.lists(whole, max_size=4), costs)
def test_a_whole_answer_comes_back_marked_free_and_without_the_tries(parts, cost):
    entry = decode(encode(response(parts, cost, raw={"id": "c1"}), None, now=1.0, fresh_until=2.0))
    found = entry.response
    assert (entry.saved_at, entry.fresh_until) == (1.0, 2.0)
    assert found.parts == tuple(parts)
    assert (found.model, found.provider, found.route, found.finish_reason) == ("m-1", "openai", "r", "stop")
    assert (found.cached, found.cost, found.saved_cost, found.usage, found.attempts) == (True, 0.0, cost, NOTHING, ())
    assert found.raw == {"id": "c1"}
    assert [chunk.response for chunk in entry.replayed(stream=False)] == [found]


@given(st.lists(whole, min_size=1, max_size=4))
def test_a_whole_answer_streams_to_itself(parts):
    entry = decode(encode(response(parts), None, now=1.0, fresh_until=2.0))
    *said, last = entry.replayed(stream=True)
    again = assemble(part for chunk in said for part in chunk.parts)
    neighbours = assemble(parts)  # what stands side by side is one piece of text in any stream
    assert again == neighbours
    assert (last.parts, last.response) == ((), entry.response)


@given(st.lists(st.lists(streamed, min_size=1, max_size=2).map(tuple), min_size=1, max_size=4))
def test_a_stream_comes_back_piece_by_piece(said):
    parts = assemble(part for told in said for part in told)
    entry = decode(encode(response(parts), said, now=1.0, fresh_until=2.0))
    assert [chunk.parts for chunk in entry.replayed(stream=True)] == [*said, ()]
    assert entry.response.parts == parts


def test_nobody_can_spoil_what_is_kept():
    value = encode(response([ToolCall("1", "f", {"a": [1]})], raw={"a": [1]}), None, now=1.0, fresh_until=2.0)
    for _ in range(2):
        found = decode(value).response
        assert found.tool_calls[0].arguments == {"a": [1]}
        found.tool_calls[0].arguments["a"].append(2)
        found.raw["a"].append(2)


VALUE = encode(response([Text("Hello")]), None, now=1.0, fresh_until=2.0)


@given(st.binary(max_size=40) | st.integers(0, len(VALUE) - 1).map(lambda n: VALUE[:n]))
def test_bytes_of_another_kind_are_unreadable(value):
    with pytest.raises(UnreadableError):
        decode(value)


@given(st.integers(3, len(VALUE) - 1), st.integers(0, 255))
def test_a_byte_that_was_changed_gives_an_answer_or_is_unreadable(place, byte):
    try:
        decode(VALUE[:place] + bytes([byte]) + VALUE[place + 1 :])
    except UnreadableError:
        pass


def test_a_later_form_is_not_read():
    with pytest.raises(UnreadableError, match="does not have the format"):
        decode(b"MR2" + VALUE[3:])
    junk = FORM + msgspec.msgpack.encode([1.0, 2.0, False, [[{"type": "hologram"}]], "stop", "m", "p", "r", None, None])
    with pytest.raises(UnreadableError):
        decode(junk)


def test_what_has_no_form_in_bytes_is_said():
    with pytest.raises(TypeError):
        encode(response([Text("x")], raw={"a": object()}), None, now=1.0, fresh_until=2.0)
