"""What the writers write is what the providers' own decoders read: whole, and in pieces of any size."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Attempt, Chunk, Reasoning, Response, Text, ToolCall, Usage
from multiroute_core.messages import InvalidToolCall, Raw, ToolCallDelta, assemble
from multiroute_core.providers import body
from multiroute_core.providers.anthropic import decode as anthropic
from multiroute_core.providers.openai import chat_answer, responses_answer
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.providers.sse import StreamReader
from multiroute_core.providers.stream_body import to_value
from multiroute_core.serving.call import ServedCall
from multiroute_core.serving.encoding.custom_calls import find_custom_tools, input_of
from multiroute_core.serving.encoding.events import ChunkWriter
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.serving.service import CHAT, MESSAGES, RESPONSES
from tests.examples import examples

ENCODED = Encoded("/", {}, model="m")
READERS = {
    "chat": (CHAT, lambda reply: chat_answer.decode(body.of(reply), ENCODED), chat_answer.ChatDecoder),
    "responses": (
        RESPONSES,
        lambda reply: responses_answer.decode(body.of(reply), ENCODED),
        responses_answer.ResponsesDecoder,
    ),
    "messages": (MESSAGES, lambda reply: anthropic.decode(reply, ENCODED), anthropic.MessagesDecoder),
}
CALL = ServedCall([], {}, "auto", stream=True, include_usage=True)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
ARGUMENTS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.lists(TEXT, max_size=2), max_size=3
)
USAGE = st.builds(
    lambda read, fresh, output, thought: Usage(
        read + fresh + 1, output + thought, cache_read_tokens=read, reasoning_tokens=thought
    ),
    *[st.integers(0, 1000)] * 4,
)


@st.composite
def answers(draw):
    """Reasoning, text and calls in the order in which models give them."""
    parts = [Reasoning(text) for text in draw(st.lists(TEXT, max_size=1))]
    parts += [Text(text) for text in draw(st.lists(TEXT, max_size=1))]
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3))
    parts += [ToolCall(f"call_{index}", name, arguments) for index, (name, arguments) in enumerate(calls)]
    finish = "tool_call" if calls else draw(st.sampled_from(["stop", "length"]))
    return Response(
        tuple(parts) or (Text("x"),),
        finish,
        draw(USAGE),
        "model",
        "p",
        "route",
        0.5,
        (Attempt("route", "p", "m", "success", 1.0),),
    )


def pieces_of(draw, response):
    """The parts in pieces; those of several calls may alternate."""
    heads, tails = [], []
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    for part in response.parts:
        if isinstance(part, Text | Reasoning):
            cut = draw(st.integers(0, len(part.text)))
            heads += [type(part)(text) for text in (part.text[:cut], part.text[cut:])]
    for index, call in enumerate(calls):
        text = json.dumps(call.arguments)
        cut = draw(st.integers(0, len(text)))
        first = ToolCallDelta(index, call.id, call.name, text[:cut])
        rest = ToolCallDelta(index, arguments=text[cut:])
        if draw(st.booleans()):
            heads += [first, rest]
        else:
            heads.append(first)
            tails.append(rest)
    return [*heads, *tails]


def meaning(parts):
    """Texts and calls, whatever raw forms and ids of items are around them."""
    view = []
    for part in parts:
        if isinstance(part, ToolCall):
            view.append((part.id, part.name, dict(part.arguments)))
        elif isinstance(part, Text | Reasoning) and part.text:
            view.append((type(part).__name__, part.text))
    return view


def usage_of(usage):
    return usage.input_tokens, usage.output_tokens, usage.cache_read_tokens or 0


@settings(max_examples=examples(40))
@given(answers(), st.data())
def test_decoders_read_what_writers_write(response, data):
    for name, (api, decode, decoder_class) in READERS.items():
        whole = decode(Reply(json.dumps(api.write(response, CALL)).encode(), {}))
        assert meaning(whole.parts) == meaning(response.parts), name
        assert whole.finish_reason == response.finish_reason, name
        assert usage_of(whole.usage) == usage_of(response.usage), name

        writer = api.writer(CALL)
        reader = StreamReader()
        decoder = decoder_class(ENCODED)
        parts, finish, usage = [], None, None
        chunks = [Chunk((part,)) for part in pieces_of(data.draw, response)]
        for chunk in [*chunks, Chunk((), response)]:
            for frame in reader.feed(writer.feed(chunk)):
                delta = None if (value := to_value(frame)) is None else decoder.feed(value)
                if delta is not None:
                    parts += delta.parts
                    finish = delta.finish_reason or finish
                    usage = delta.usage or usage
        assert decoder.complete, name
        assert meaning(assemble(parts)) == meaning(response.parts), name
        assert finish == response.finish_reason, name
        assert usage_of(usage) == usage_of(response.usage), name


def test_a_cached_stream_of_whole_parts_is_written_like_one_in_pieces():
    parts = (Text("a"), ToolCall("1", "f", {"x": 1}), InvalidToolCall("2", "g", '{"cut', "not JSON"))
    response = Response(parts, "tool_call", None, "model", "p", "route", 0.0, (), cached=True)
    for name, (api, _, decoder_class) in READERS.items():
        decoder = decoder_class(ENCODED)
        frames = StreamReader().feed(api.writer(CALL).feed(Chunk(parts, response)))
        deltas = [decoder.feed(value) for frame in frames if (value := to_value(frame)) is not None]
        read = assemble([part for delta in deltas if delta is not None for part in delta.parts])
        assert [part.name for part in read if isinstance(part, ToolCall | InvalidToolCall)] == ["f", "g"], name
        assert [part.arguments for part in read if isinstance(part, InvalidToolCall)] == ['{"cut'], name


def test_signatures_of_the_own_api_survive():
    block = {"type": "thinking", "thinking": "hm", "signature": "SIGNED"}
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEALED"}
    for api, raw, key in (
        (MESSAGES, Raw("anthropic", block), "SIGNED"),
        (RESPONSES, Raw("openai.responses", item), "SEALED"),
    ):
        response = Response((Reasoning("hm", raw), Text("ok")), "stop", None, "m", "p", "r")
        assert key in json.dumps(api.write(response, CALL))
        writer = api.writer(CALL)
        frames = b"".join(
            map(writer.feed, [Chunk((Reasoning("hm"),)), Chunk((Reasoning("", raw),)), Chunk((Text("ok"),), response)])
        )
        assert key.encode() in frames


def test_citations_of_the_own_api_survive_in_streams():
    citation = {"type": "char_location", "cited_text": "grass", "document_index": 0}
    cited = {"type": "text", "text": "It is green.", "citations": [citation]}
    for pieces in (
        [Text("It is "), Text("green."), Text("", Raw("anthropic", cited))],
        [Text(cited["text"], Raw("anthropic", cited))],
    ):
        writer = MESSAGES.writer(CALL)
        response = Response((Text(cited["text"], Raw("anthropic", cited)), Text(" Yes.")), "stop", None, "m", "p", "r")
        chunks = [*(Chunk((part,)) for part in pieces), Chunk((Text(" Yes."),)), Chunk((), response)]
        events = b"".join(writer.feed(chunk) for chunk in chunks)
        reader, decoder = StreamReader(), anthropic.MessagesDecoder(ENCODED)
        deltas = [decoder.feed(to_value(event)) for event in reader.feed(events)]
        first, second = assemble([part for delta in deltas if delta is not None for part in delta.parts])
        assert isinstance(first, Text)
        assert first.raw is not None
        assert first.raw.body == cited
        assert second == Text(" Yes.")


def test_calls_of_custom_tools_have_the_form_that_the_client_knows():
    text = 'print("\u00e4")\n' + "{}"
    custom = ToolCall("c1", "code", {"__arg1": text})
    parts = (custom, ToolCall("c2", "f", {"x": 1}))
    response = Response(parts, "tool_call", None, "m", "p", "r")
    encoded = json.dumps(custom.arguments)
    chunks = [
        Chunk((ToolCallDelta(0, "c1", "code", encoded[:15]),)),
        Chunk((ToolCallDelta(1, "c2", "f", '{"x":1}'),)),
        Chunk((ToolCallDelta(0, arguments=encoded[15:]),), response),
    ]
    for name, tool in (
        ("chat", {"type": "custom", "custom": {"name": "code"}}),
        ("responses", {"type": "custom", "name": "code"}),
    ):
        api, decode, _ = READERS[name]
        call = ServedCall([], {"tools": [tool, {"type": "function"}]}, "auto", stream=True)
        body = api.write(response, call)
        assert "__arg1" not in json.dumps(body)
        whole = decode(Reply(json.dumps(body).encode(), {}))
        assert {one.id: one.arguments for one in whole.parts} == {"c1": {"__arg1": text}, "c2": {"x": 1}}, name
        writer = api.writer(call)
        frames = b"".join(map(writer.feed, chunks))
        assert b"__arg1" not in frames
        values = [value for frame in StreamReader().feed(frames) if (value := to_value(frame)) is not None]
        if name == "responses":
            assert values[-1]["response"]["output"] == body["output"]
            assert {one["type"] for one in values} >= {
                f"response.custom_tool_call_input.{end}" for end in ("delta", "done")
            }
        else:
            deltas = [one["choices"][0]["delta"].get("tool_calls", []) for one in values if isinstance(one, dict)]
            assert [{"index": 0, **body["choices"][0]["message"]["tool_calls"][0]}] in deltas


def test_tools_that_are_not_valid_are_left_to_the_router():
    tools = [{"type": "custom", "custom": "x"}, {"type": "custom", "name": 1}, {}]
    assert not find_custom_tools(ServedCall([], {"tools": tools}, "auto"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"__arg1": "a\\nb"}', "a\nb"),
        ('{"__arg1": "cut', "cut"),
        ('{"other": 1}', '{"other": 1}'),
        ("", ""),
        ("[", "["),
    ],
)
def test_input_of_custom_tools(arguments, text):
    assert input_of(arguments) == text


def test_a_refusal_is_a_field_of_the_message_and_no_filter():
    refusal = Text("I can't.", Raw("openai.chat", {"refusal": "I can't."}))
    response = Response((refusal,), "refusal", None, "m", "p", "r")
    (choice,) = CHAT.write(response, CALL)["choices"]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("stop", "I can't.")
    assert b'"finish_reason":"stop"' in CHAT.writer(CALL).feed(Chunk((refusal,), response))
    partial = Response((Text("So"),), "refusal", None, "m", "p", "r")  # a classifier has stopped the model
    assert CHAT.write(partial, CALL)["choices"][0]["finish_reason"] == "content_filter"


def test_no_sentence_of_an_error_reaches_the_client():
    attempt = Attempt("route", "p", "m", "server_error", 1.0, error="http://10.0.0.1 said: KEYWORD")
    response = Response((Text("ok"),), "stop", None, "m", "p", "route", 0.1, (attempt,))
    for api in (CHAT, RESPONSES, MESSAGES):
        body = json.dumps(api.write(response, CALL)).encode() + api.writer(CALL).feed(Chunk((Text("ok"),), response))
        assert b"server_error" in body
        assert b"KEYWORD" not in body
    assert b"KEYWORD" not in ChunkWriter().feed(Chunk((), response))


def test_failures_end_a_stream_in_the_words_of_its_api():
    failure = HTTPFailure(503, "Later.", "server_error", "overloaded")
    assert b'"message":"Later."' in CHAT.writer(CALL).fail(failure)
    assert b"event: error\n" in MESSAGES.writer(CALL).fail(failure)
    assert b"overloaded_error" in MESSAGES.writer(CALL).fail(failure)
    assert b"response.failed" in RESPONSES.writer(CALL).fail(failure)


def test_own_events_mark_restarts_and_lone_surrogates():
    writer = ChunkWriter()
    assert writer.feed(Chunk((Text("a\ud800"),))) == b'data: {"text": "a\\ud800"}\n\n'
    assert writer.feed(Chunk(restarted=True)) == b'data: {"restarted":true}\n\n'
    assert b'"tool_calls":[{"index":0,"id":"1","name":"f"' in writer.feed(Chunk((ToolCall("1", "f", {}),)))
