"""Recorded calls of tools, as the official SDK's own types read them over a real socket."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from multiroute_core.testing.recorded import Interaction
from multiroute_core.testing.server import ReplayServer
from tests.providers.faces import PLAIN, STREAMED, ask, routed
from tests.providers.reading import needs_recordings, recordings, reply, route

pytestmark = needs_recordings
NO_ANSWERS = {"23.0", "27.0", "F02.0"}  # without a proper end; an error under HTTP 200; an error inside the stream
CALLING = sorted(
    tag
    for tag, each in recordings().items()
    if each.api in ("chat", "responses") and each.status < 400 and tag not in NO_ANSWERS
)


def parsed(client: openai.OpenAI, each: Interaction) -> list[tuple[str, str, str]]:
    """The id, name and arguments of every call, by the SDK."""
    if each.api == "responses":
        if each.stream:
            with client.responses.create(model="m", input="Hello", stream=True) as stream:
                (body,) = [event.response for event in stream if event.type == "response.completed"]
        else:
            body = client.responses.create(model="m", input="Hello")
        return [(item.call_id, item.name, item.arguments) for item in body.output if item.type == "function_call"]
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
    if each.stream:
        with client.chat.completions.stream(model="m", messages=messages) as stream:
            for _ in stream:
                pass
            body = stream.current_completion_snapshot  # its other way refuses what is cut
    else:
        body = client.chat.completions.create(model="m", messages=messages)
    message = body.choices[0].message  # none where a filter took it
    calls: Any = (message and message.tool_calls) or ()
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


@pytest.mark.parametrize("tag", CALLING)
def test_calls_are_those_that_the_sdk_reads(server: ReplayServer, tag: str) -> None:
    each = recordings()[tag]
    server.serve(reply(each))
    with openai.OpenAI(api_key="k", base_url=server.url, max_retries=0) as client:
        expected = parsed(client, each)
    for face in STREAMED if each.stream else PLAIN:
        with routed(route(each, server.url)) as router:
            outcome = ask(face, router)
        assert outcome.response is not None, outcome.error
        calls = outcome.response.tool_calls
        assert [(call.id, call.name, call.arguments) for call in calls] == [
            (call_id, name, json.loads(arguments)) for call_id, name, arguments in expected
        ]
        for call, (call_id, name, arguments) in zip(calls, expected, strict=True):
            raw = call.raw.body
            inner = raw["function"] if each.api == "chat" else raw
            assert (inner["name"], inner["arguments"]) == (name, arguments)
            assert raw["id" if each.api == "chat" else "call_id"] == call_id
            assert raw["type"] == ("function" if each.api == "chat" else "function_call")


def test_there_are_calls_of_every_kind() -> None:
    called = [each for tag in CALLING if b'"arguments"' in (each := recordings()[tag]).body]
    assert {(each.api, each.stream) for each in called} >= {("chat", False), ("chat", True), ("responses", True)}
