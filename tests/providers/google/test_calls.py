"""Answers, streams and their ends, through each SDK in each world."""

import inspect
import json
from dataclasses import replace

import pytest

from multiroute_core.messages import Message, join
from multiroute_core.providers import classify, registry
from multiroute_core.providers.provider import NoAnswer, WireError
from multiroute_core.route import Route
from multiroute_core.testing.server import Drop, Reply
from multiroute_core.types import Request, Usage
from tests.providers.google.gemini import (
    ANSWER,
    HELLO,
    JSON,
    ROUTE,
    SSE,
    STREAM,
    chunk,
    drive,
    either,
    framed,
    limited,
    plain,
    stream,
    streamed,
    text,
    whole,
)

pytestmark = pytest.mark.wire


def test_a_whole_answer(provider, server, world):
    answer = drive(world, lambda io: whole(provider, io))
    assert text([answer]) == "Hello there"
    assert answer.finish_reason == "stop"
    assert answer.usage == Usage(input_tokens=7, output_tokens=3)
    assert answer.model == "gemini-3.8-flash-001"
    assert answer.raw["candidates"][0]["finishReason"] == "STOP"


def test_what_is_sent(provider, server, world, kind, sdk):
    server.serve(plain(ANSWER) if kind == "whole" else stream(sdk, STREAM))
    drive(world, lambda io: either(kind, provider, io))
    [sent] = server.requests
    path = f"/v1beta/models/gemini-3.8-flash:{'generateContent' if kind == 'whole' else 'streamGenerateContent'}"
    assert sent.path.partition("?")[0] == path
    assert sent.headers["x-goog-api-key"] == "k"
    if kind == "streamed" and sdk != "legacy":
        assert sent.path.endswith("?alt=sse")
    body = json.loads(sent.body)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert body["generationConfig"] == {"temperature": 0.5, "maxOutputTokens": 20}


def test_a_stream(provider, server, world, sdk):
    server.serve(stream(sdk, STREAM))
    deltas, decoder = drive(world, lambda io: streamed(provider, io))
    assert text(deltas) == "Hello"
    assert [delta.finish_reason for delta in deltas] == [None, None, "stop"]
    assert deltas[-1].usage == Usage(input_tokens=7, output_tokens=3)
    assert deltas[-1].model == "gemini-3.8-flash-001"
    assert decoder.complete


def test_unicode_comes_whole(provider, server, world, kind, sdk):
    said = "Grüße, 你好 🎉 “quoted” \\ {brace} [bracket]"
    server.serve(plain(chunk(said, "STOP")) if kind == "whole" else stream(sdk, [chunk(said), chunk(said, "STOP")]))
    answer = drive(world, lambda io: either(kind, provider, io))
    assert text([answer] if kind == "whole" else answer[0]) == (said if kind == "whole" else said * 2)


def test_everything_that_can_be_said_is_said(make, server, sdk):
    request = Request(
        (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go on")),
        temperature=0.1, max_tokens=9, top_p=0.5, stop=("END", "X"), seed=7,
    )  # fmt: skip
    provider = make(server.url)
    encoded = provider.encode(request, ROUTE, stream=False)
    drive("sync", lambda io: whole(provider, io, request=request))
    body = json.loads(server.requests[0].body)
    config = body["generationConfig"]
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert (config["temperature"], config["topP"]) == (pytest.approx(0.1), pytest.approx(0.5))
    assert (config["maxOutputTokens"], config["stopSequences"]) == (9, ["END", "X"])
    if sdk == "legacy":
        assert "seed" not in config
        assert encoded.dropped == ("seed: google-generativeai does not support it",)
    else:
        assert config["seed"] == 7
        assert encoded.dropped == ()


def test_tokens_that_the_older_sdk_does_not_know_are_counted(provider, server, world, sdk):
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 90, "totalTokenCount": 100}
    server.serve(plain(chunk("Hi", "STOP", usageMetadata=counts)))
    usage = drive(world, lambda io: whole(provider, io)).usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 93)
    assert usage.reasoning_tokens == (None if sdk == "legacy" else 90)


def test_no_room_left_for_the_answer(provider, server, world, kind, sdk):
    body = chunk(None, "MAX_TOKENS", usageMetadata={"promptTokenCount": 7, "totalTokenCount": 27})
    server.serve(plain(body) if kind == "whole" else stream(sdk, [body]))
    answer = drive(world, lambda io: either(kind, provider, io))
    delta = answer if kind == "whole" else answer[0][-1]
    assert (text([delta]), delta.finish_reason, delta.usage.output_tokens) == ("", "length", 20)


def test_a_blocked_prompt_is_no_answer(provider, server, world, kind, sdk):
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}}
    server.serve(plain(body) if kind == "whole" else stream(sdk, [body]))
    with pytest.raises(NoAnswer) as caught:
        drive(world, lambda io: either(kind, provider, io))
    assert caught.value.filtered
    assert provider.classify(caught.value).code == "content_filter"


@pytest.mark.parametrize("end", [True, False])
def test_a_stream_without_its_end_is_not_complete(provider, server, world, sdk, end):
    server.serve(stream(sdk, STREAM[:2], end=end))
    if sdk == "legacy" and not end:
        with pytest.raises(ValueError, match="Unfinished stream") as caught:
            drive(world, lambda io: streamed(provider, io))
        assert provider.classify(caught.value).code == "broken_stream"
        return
    deltas, decoder = drive(world, lambda io: streamed(provider, io))
    assert text(deltas) == "Hello"
    assert not decoder.complete


def test_a_stream_that_drops(provider, server, world, sdk):
    def cut():
        yield from framed(sdk, STREAM[:1], end=False)
        raise Drop

    server.serve(lambda _: Reply(200, SSE, cut(), stream=True))
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: streamed(provider, io))
    assert provider.classify(caught.value).code == "connection"


def test_a_dropped_call_is_sent_once(provider, server, world, kind):
    def drop(received):
        raise Drop

    server.serve(drop)
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: either(kind, provider, io))
    assert provider.classify(caught.value).code == "connection"
    assert len(server.requests) == 1


def test_nobody_listens(make, world, kind):
    provider = make("http://127.0.0.1:9")  # the port of "discard", which nobody serves
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: either(kind, provider, io))
    assert provider.classify(caught.value).code == "connection"


@pytest.mark.parametrize("body", [b"", b'{"candidates": [', b"[]", b"<html>"])
def test_a_body_that_is_none(provider, server, world, body):
    server.serve(Reply(200, {"content-type": "application/json"}, body))
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: whole(provider, io))
    assert classify.classify(caught.value).code == "bad_reply"


def test_a_redirect_is_followed(provider, server, world):
    def answer(received):
        if "moved" in received.path:
            return plain(ANSWER)
        return Reply(307, {"location": "/moved"})

    server.serve(answer)
    assert text([drive(world, lambda io: whole(provider, io))]) == "Hello there"


def test_an_error_inside_a_stream(provider, server, world, sdk):
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    server.serve(stream(sdk, [STREAM[0], error]))
    if sdk == "legacy":  # it cannot read it, but nor does it take what came for the whole
        deltas, decoder = drive(world, lambda io: streamed(provider, io))
        assert not decoder.complete
        return
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: streamed(provider, io))
    assert provider.classify(caught.value).code == "overloaded"


@pytest.mark.parametrize("error", ["overloaded", {"message": "overloaded"}])
def test_an_error_of_another_shape_inside_a_stream(provider, server, world, sdk, error):
    server.serve(stream(sdk, [STREAM[0], {"error": error}]))
    if sdk == "legacy":
        return
    with pytest.raises(WireError) as caught:
        drive(world, lambda io: streamed(provider, io))
    assert provider.classify(caught.value).code == "overloaded"
    assert caught.value.body == {"error": {"message": "overloaded"}}


FIRST, *REST = (b"data: " + json.dumps(event).encode() + b"\n\n" for event in STREAM)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\xef\xbb\xbf", FIRST, *REST],
        [b": ping\n\n", b"retry: 3\n\n", FIRST, b"data:\n\nid: 1\n\nevent: x\n\n", *REST, b"data: [DONE]\n\n"],
        [FIRST.replace(b"\n", b"\r"), *REST[:-1], REST[-1].rstrip()],
        [b"\xef\xbb\xbf " + json.dumps(STREAM, indent=1).encode()],
        [b"\n" + json.dumps(chunk("Hello", "STOP")).encode()],
    ],
)
def test_a_stream_in_any_framing(provider, server, world, pieces):
    server.serve(lambda _: Reply(200, SSE, pieces, stream=True))
    deltas, decoder = drive(world, lambda io: streamed(provider, io))
    assert decoder.complete
    assert "".join(join(delta.parts) for delta in deltas) == "Hello"


@pytest.mark.parametrize(
    "error",
    [
        b'error: {"message": "overloaded"}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b'event: error\ndata: {"message": "overloaded"}\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b"data: overloaded\n\n",
    ],
)
@pytest.mark.parametrize("before", [b"", FIRST])
def test_an_error_in_any_framing(provider, server, world, before, error):
    server.serve(lambda _: Reply(200, SSE, [before + error], stream=True))
    with pytest.raises(WireError) as caught:
        drive(world, lambda io: streamed(provider, io))
    assert provider.classify(caught.value).code == "overloaded"


@pytest.mark.parametrize("error", [None, {}, {"code": 0, "message": ""}])
def test_an_empty_error_is_none(provider, server, world, sdk, error):
    server.serve(stream(sdk, [{"error": error, **event} for event in STREAM]))
    deltas, decoder = drive(world, lambda io: streamed(provider, io))
    assert decoder.complete
    assert text(deltas) == "Hello"


def test_an_event_of_words_is_no_answer(provider, server, world, sdk):
    server.serve(lambda _: Reply(200, SSE, [FIRST, b"data: nonsense\n\n"], stream=True))
    with pytest.raises(WireError) as caught:
        drive(world, lambda io: streamed(provider, io))
    assert provider.classify(caught.value).code == "bad_reply"


def test_a_bom_before_a_whole_answer(provider, server, world, sdk):
    if sdk == "typed":  # the typed call reads the body itself
        return
    server.serve(Reply(200, JSON, b"\xef\xbb\xbf" + json.dumps(ANSWER).encode()))
    assert join(drive(world, lambda io: whole(provider, io)).parts) == "Hello there"


def test_headers_of_one_request(provider, server, world):
    request = replace(
        HELLO, extra={"google": {"extra_headers": {"X-Gateway": "1"}, "http_options": {"headers": {"x-b": "2"}}}}
    )
    drive(world, lambda io: whole(provider, io, request=request))
    assert server.requests[0].headers["x-gateway"] == "1"
    assert server.requests[0].headers["x-b"] == "2"
    assert "http_options" not in json.loads(server.requests[0].body)
    drive(world, lambda io: whole(provider, io))
    assert "x-gateway" not in server.requests[1].headers


def test_the_environment_makes_no_vertex_client(make, server, world, monkeypatch):
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GENAI_USE_ENTERPRISE", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1")
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    provider = make(server.url)
    drive(world, lambda io: whole(provider, io))
    assert server.requests[0].path.startswith("/v1beta/models/gemini-3.8-flash:generateContent")
    assert server.requests[0].headers["x-goog-api-key"] == "k"


def test_the_environment_names_the_address(make, server, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    provider = make(registry.base_url(Route("google:gemini-3.8-flash")))
    drive("sync", lambda io: whole(provider, io))
    assert len(server.requests) == 1


def test_an_address_may_have_a_path(make, server):
    provider = make(f"{server.url}/gateway")
    drive("sync", lambda io: whole(provider, io))
    assert server.requests[0].path.startswith("/gateway/v1beta/models/gemini-3.8-flash:generateContent")


def test_each_provider_has_its_own_key(make, server, world):
    first, second = make(server.url, "first"), make(server.url, "second")
    for provider in (first, second, first):
        drive(world, lambda io, provider=provider: whole(provider, io))
    assert [sent.headers["x-goog-api-key"] for sent in server.requests] == ["first", "second", "first"]


def test_the_request_is_not_touched(provider):
    encoded = provider.encode(HELLO, ROUTE, stream=False)
    before = json.dumps(encoded.body)
    drive("sync", lambda io: provider.call(io, limited(), encoded))
    assert json.dumps(encoded.body) == before
    assert HELLO.temperature == 0.5


def test_the_door_of_the_newer_sdk_is_where_it_was():
    api = pytest.importorskip("google.genai._api_client").BaseApiClient
    for name in ("request", "request_streamed", "async_request", "async_request_streamed"):
        parameters = list(inspect.signature(getattr(api, name)).parameters)
        assert parameters[:4] == ["self", "http_method", "path", "request_dict"]
    assert inspect.isgeneratorfunction(api.request_streamed)
    assert inspect.iscoroutinefunction(api.async_request_streamed)


def test_the_http_client_keeps_its_own_timeouts(make, server, sdk):
    if sdk == "legacy":
        pytest.skip("the older SDK has no httpx")
    provider = make(server.url)
    drive("sync", lambda io: whole(provider, io))
    asked = provider._clients.blocking().http.build_request("POST", server.url, timeout=None)
    assert asked.extensions["timeout"] == {"connect": 5.0, "read": None, "write": None, "pool": None}
