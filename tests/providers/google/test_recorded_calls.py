"""Recorded answers of Gemini: the calls of tools in them are those that Google's own SDK reads out of them."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import ReplayServer, Reply, split_events
from tests.providers.faces import PLAIN, STREAMED, ask, routed
from tests.providers.reading import elements, needs_recordings, recordings, route

pytestmark = needs_recordings
ANSWERS = sorted(
    tag for tag, each in recordings().items() if each.provider == "google" and b'"candidates"' in each.body
)
PIECES = "F06.0"  # asked for the arguments in pieces, which the SDK leaves in pieces
LEGACY = importlib.util.find_spec("google.generativeai") is not None
SDKS = ("google-genai", *(("google-generativeai",) if LEGACY else ()))


@pytest.fixture(scope="module")
def server():
    with ReplayServer() as running:
        yield running


def events(each: Interaction) -> list[bytes]:
    """The events of a stream, each framed; also of one that came as a JSON array."""
    if not each.body.startswith(b"["):
        return split_events(each.body)
    return [b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in json.loads(each.body)]


def serve(server: ReplayServer, each: Interaction, sdk: str) -> None:
    if not each.stream:
        server.serve(lambda _: Reply(200, each.headers, each.body))
    elif sdk == "google-generativeai":
        server.serve(lambda _: Reply(200, {"content-type": "application/json"}, elements(events(each)), stream=True))
    else:
        server.serve(lambda _: Reply(200, {"content-type": "text/event-stream"}, iter(events(each)), stream=True))


def typed(server: ReplayServer, each: Interaction) -> list[Any]:
    """The parts that the SDK's typed calls tell."""
    genai = pytest.importorskip("google.genai")
    serve(server, each, "google-genai")
    options = {"base_url": server.url, "api_version": "v1beta"}
    client = genai.Client(api_key="k", vertexai=False, http_options=options)
    asked = {"model": each.model or "gemini-3.8-flash", "contents": "Hello"}
    if each.stream:
        answers = list(client.models.generate_content_stream(**asked))
    else:
        answers = [client.models.generate_content(**asked)]
    contents = [answer.candidates[0].content for answer in answers if answer.candidates]
    return [part for content in contents if content is not None for part in content.parts or ()]


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("tag", [tag for tag in ANSWERS if tag != PIECES])
def test_the_calls_are_those_that_the_sdk_reads(server: ReplayServer, tag: str, sdk: str) -> None:
    each = recordings()[tag]
    parts = typed(server, each)
    calls = [part.function_call for part in parts if part.function_call]
    signed = [bool(part.thought_signature) for part in parts if part.function_call]
    serve(server, each, sdk)
    for face in STREAMED if each.stream else PLAIN:
        with routed(route(each, server.url, sdk=sdk)) as router:
            response = ask(face, router).response
        assert response is not None
        assert [(call.name, dict(call.arguments)) for call in response.tool_calls] == [
            (call.name, call.args or {}) for call in calls
        ]
        assert all(call.id in (given.id, call.id) for call, given in zip(response.tool_calls, calls, strict=True))
        assert len({call.id for call in response.tool_calls}) == len(calls)
        if sdk == "google-genai":
            assert ["thoughtSignature" in _body(call) for call in response.tool_calls] == signed


@pytest.mark.parametrize("tag", ANSWERS)
def test_no_signature_is_lost(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    sent = [part.get("thoughtSignature") for part in _parts(each) if part.get("thoughtSignature")]
    serve(server, each, "google-genai")
    with routed(route(each, server.url)) as router:
        response = ask("stream" if each.stream else "generate", router).response
    assert response is not None
    assert [s for part in response.parts if (s := _body(part).get("thoughtSignature"))] == sent


def test_arguments_in_pieces_are_put_together(server: ReplayServer) -> None:
    each = recordings()[PIECES]
    serve(server, each, "google-genai")
    for face in STREAMED:
        with routed(route(each, server.url)) as router:
            response = ask(face, router).response
        assert response is not None
        found = [(call.name, call.arguments) for call in response.tool_calls]
        assert found == [("getWeather", {"location": "Boston"}), ("getWeather", {"location": "San Francisco"})]
        assert [_body(call)["functionCall"]["args"] for call in response.tool_calls] == [args for _, args in found]


def test_the_recordings_hold_what_this_is_about() -> None:
    parts = [part for tag in ANSWERS for part in _parts(recordings()[tag])]
    assert sum("functionCall" in part for part in parts) > 5
    assert any("thoughtSignature" in part for part in parts)


def _body(part: Any) -> Any:
    return {} if part.raw is None else part.raw.body


def _parts(each: Interaction) -> list[dict[str, Any]]:
    bodies = [event.removeprefix(b"data:") for event in events(each)] if each.stream else [each.body]
    candidates = [json.loads(body)["candidates"][0] for body in bodies if b'"candidates"' in body]
    return [part for candidate in candidates for part in candidate.get("content", {}).get("parts", ())]
