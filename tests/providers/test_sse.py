"""Server-sent events: the decoder of their bytes, wherever the network cuts them."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiroute_core.providers.body import to_text_error
from multiroute_core.providers.google.sse_normalizer import SSENormalizer
from multiroute_core.providers.provider import DONE, WireError
from multiroute_core.providers.sse import BOM, ServerSentEvent, SSEDecoder, StreamReader
from multiroute_core.providers.stream_body import error_body_of, to_error_body, to_value

CASES: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "one event": (b"data: {}\n\n", [(b"", b"{}")]),
    "no space after the colon": (b"data:{}\n\n", [(b"", b"{}")]),
    "only one space is taken": (b"data:  x\n\n", [(b"", b" x")]),
    "CRLF": (b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [(b"a", b"1"), (b"", b"2")]),
    "CR": (b"event: a\rdata: 1\r\rdata: 2\r\r", [(b"a", b"1"), (b"", b"2")]),
    "mixed ends": (b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\n", [(b"", b"1"), (b"", b"2"), (b"", b"3")]),
    "several data lines": (b"data: {\ndata: }\n\n", [(b"", b"{\n}")]),
    "data without a colon": (b"data\ndata: x\n\n", [(b"", b"\nx")]),
    "BOM": (BOM + b"data: 1\n\n", [(b"", b"1")]),
    "comments": (b": ping\n\n:\n\ndata: 1\n: x\n\n", [(b"", b"1")]),
    "control frames": (b"retry: 3\n\nid: 7\n\nevent: ping\n\ndata:\n\ndata\n\ndata: 1\n\n", [(b"", b"1")]),
    "a name is not kept": (b"event: a\n\ndata: 1\n\n", [(b"", b"1")]),
    "unknown fields": (b"foo: bar\nbaz\ndata: 1\n\n", [(b"", b"1")]),
    "no blank line at the end": (b"data: 1\n\ndata: 2\n", [(b"", b"1"), (b"", b"2")]),
    "no line end at the end": (b"data: 1\n\ndata: 2", [(b"", b"1"), (b"", b"2")]),
    "UTF-8 separators are no line ends": (
        "data: a\u2028b\u0085c\x0bd\n\n".encode(),
        [(b"", "a\u2028b\u0085c\x0bd".encode())],
    ),
    "event: error": (b"event: error\ndata: x\n\n", [(b"error", b"x")]),
    "event: error without data": (b"event: error\n\n", [(b"error", b"")]),
    "event: error before a bare line": (b"event: error\n: c\nupstream failed\n\n", [(b"error", b"upstream failed")]),
    "llama.cpp": (b'data: 1\n\nerror: {"code":400}\n\n', [(b"", b"1"), (b"error", b'{"code":400}')]),
    "llama.cpp, no space, in the same frame": (b'data: 1\nerror:{"a":1}\n\n', [(b"", b"1"), (b"error", b'{"a":1}')]),
    "bare JSON": (b'data: 1\n\n{"error": 1}\n\n', [(b"", b"1"), (b"bare", b'{"error": 1}')]),
    "bare JSON of several lines": (
        b'data: 1\n{\n "error": 1\n}\ndata: 2\n\n',
        [(b"", b"1"), (b"bare", b'{\n "error": 1\n}'), (b"", b"2")],
    ),
    "bare JSON that is no error": (b'data: 1\n\n{"a": 1}\n\n', [(b"", b"1"), (b"bare", b'{"a": 1}')]),
    "bare JSON, a value on each line": (
        b'data: 1\n\n{"a": 1}\n{"b": 2}\n',
        [(b"", b"1"), (b"bare", b'{"a": 1}'), (b"bare", b'{"b": 2}')],
    ),
    "a value on each data line": (
        b'data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n\n',
        [(b"", b'{"a": 1}'), (b"", b'{"b": 2}'), (b"", b"[DONE]")],
    ),
}
SEPARATORS = [b"\n", b"\r", b"\r\n"]
LINES = [
    b"data: {}", b"data:", b"data", b"data: [DONE]", b"event: error", b"event:", b"error: {", b": x", b":", b"id: 1", b"retry: 9",
    b'{"error": 1}', b"[", b"}", b"", b"", b"", BOM, b"\xff\xc3", "data: \u2028é😀".encode(), b"<html>", b"data: \xc3",
]  # fmt: skip
bodies = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(SEPARATORS)), max_size=14).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
cuts = st.lists(st.integers(0, 400), max_size=14)


def pieces(body: bytes, places: list[int]) -> list[bytes]:
    """The body, cut at these places."""
    borders = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[begin:end] for begin, end in zip(borders, borders[1:], strict=False)]


def decoded(parts: list[bytes]) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    events = [event for part in parts for event in decoder.feed(part)]
    return [*events, *decoder.end()]


@pytest.mark.parametrize("name", CASES)
def test_what_is_an_event(name: str) -> None:
    body, events = CASES[name]
    assert decoded([body]) == events
    assert decoded([body[at : at + 1] for at in range(len(body))]) == events  # cut everywhere


@settings(deadline=None)
@given(body=bodies | st.binary(max_size=60), places=cuts)
def test_cut_anywhere_the_events_are_the_same(body: bytes, places: list[int]) -> None:
    assert decoded(pieces(body, places)) == decoded([body])


def read(parts: list[bytes]) -> tuple[object, ...]:
    reader = StreamReader()
    events = [event for part in parts for event in reader.feed(part)]
    return [*events, *reader.end()], reader.body, reader.text


@settings(deadline=None)
@given(body=bodies | st.binary(max_size=60), places=cuts)
def test_cut_anywhere_what_came_instead_is_the_same(body: bytes, places: list[int]) -> None:
    assert read(pieces(body, places)) == read([body])


@pytest.mark.parametrize(
    ("body", "whole", "text"),
    [
        (b'{"a": 1}', b'{"a": 1}', None),
        (BOM + b' \r\n [{"a": 1}]', b'[{"a": 1}]', None),
        (b'{"a": ', b'{"a": ', None),
        (b"<html>x</html>", None, b"<html>x</html>"),
        (b"\n\n<!doctype html>", None, b"<!doctype html>"),
        (b"upstream connect error", None, b"upstream connect error"),
        (b"Bad gateway\n\ntry later\n", None, b"Bad gateway\n\ntry later\n"),
        (b": ping\n\n", None, None),
        (b"retry: 1\n\n", None, None),
        (b"", None, None),
        (b"\n \n", None, None),
    ],
)
def test_what_came_instead_of_a_stream(body: bytes, whole: bytes | None, text: bytes | None) -> None:
    assert read([body]) == ([], whole, text)


def test_an_error_before_an_end_marker_is_no_whole_body() -> None:
    events, body, text = read([b'{"error": {"message": "x"}}\n\ndata: [DONE]\n\n'])
    assert events == [(b"bare", b'{"error": {"message": "x"}}'), (b"", b"[DONE]")]
    assert (body, text) == (None, None)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[DONE]", DONE),
        (b" [DONE] ", DONE),
        (b"[DONE]\n", DONE),
        (b" ", None),
        (b"null", None),
        (b'"text"', "text"),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
    ],
)
def test_what_the_data_say(data: bytes, value: object) -> None:
    assert to_value(ServerSentEvent(b"", data)) == value


@pytest.mark.parametrize("data", [b"error: upstream failed", b'{"a"', b"{'a': 1}", b"\xff"])
def test_data_that_are_no_json(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        to_value(ServerSentEvent(b"", data))
    assert data.decode("utf-8", "replace") in caught.value.body["error"]["message"]
    assert to_value(ServerSentEvent(b"", data), last=True) is None  # cut: the stream lacks its end


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"error": {"message": "x", "code": 5}}', {"message": "x", "code": 5}),
        (b'{"type": "error", "error": {"message": "x"}}', {"message": "x"}),
        (b'{"error": "x"}', {"message": "x"}),
        (b'{"message": "x", "code": "y"}', {"message": "x", "code": "y"}),
        (b'{"type": "error", "message": "x"}', {"message": "x"}),
        (b'{"type": "overloaded_error", "message": "x"}', {"type": "overloaded_error", "message": "x"}),
        (b'[{"error": {"message": "x"}}]', {"message": "x"}),
        (b'"x"', {"message": "x"}),
        (b"x", {"message": "x"}),
        (b'{"mess', {"message": '{"mess'}),
        (b"503", {"code": 503, "message": "503"}),
        (b"7", {"message": "7"}),
    ],
)
def test_an_event_named_error(data: bytes, error: object) -> None:
    with pytest.raises(WireError) as caught:
        to_value(ServerSentEvent(b"error", data))
    assert caught.value.body["error"] == error


@given(
    st.binary(max_size=40) | st.sampled_from([b"", b"null", b"{}", b"[]", b"[[]]", b'{"error": null}', b"[" * 9_999])
)
def test_any_error_has_an_error_object(data: bytes) -> None:
    assert isinstance(to_error_body(data)["error"], dict)
    assert isinstance(error_body_of(data.decode("latin-1"))["error"]["message"], str)


def test_a_page_is_told_without_its_markup() -> None:
    error = to_text_error(b"<html><style>a{}</style><h1>502 Bad\nGateway</h1></html>")
    assert "an HTML page" in str(error)
    assert str(error).endswith(": 502 Bad Gateway")


@settings(deadline=None)
@given(body=bodies | st.binary(max_size=60), places=cuts)
@example(body=b"[\x0b\x00", places=[])
def test_the_normalizer_writes_data_lines_alone(body: bytes, places: list[int]) -> None:
    normalizer = SSENormalizer()
    normal = b"".join(map(normalizer.feed, pieces(body, places))) + normalizer.end()
    whole = SSENormalizer()
    assert normal == whole.feed(body) + whole.end()
    for frame in normal.split(b"\n\n")[:-1]:
        assert frame.startswith(b"data: ")
        assert len(frame.decode("utf-8", "replace").splitlines()) == 1
    assert not normal or normal.endswith(b"\n\n")


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_the_normalizer_changes_no_answer(indent: int | None) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "a\u2028b\u0085c\n"}]}}]}
    lines = json.dumps(answer, ensure_ascii=False, indent=indent).split("\n")
    body = ": x\r\n" + "".join(f"data: {line}\r\n" for line in lines) + "\r\n"
    normalizer = SSENormalizer()
    normal = normalizer.feed(body.encode()) + normalizer.end()
    assert json.loads(normal.removeprefix(b"data: ")) == answer


def test_the_normalizer_makes_events_of_a_list() -> None:
    normalizer = SSENormalizer()
    assert normalizer.feed(b'[{"a": 1}\n,\n{"a": 2}]') == b""
    assert normalizer.end() == b'data: {"a":1}\n\ndata: {"a":2}\n\n'
