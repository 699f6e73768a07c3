"""What a refusal does to a router, over the real wires: who is asked next, and whether the route stays open."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from multiroute_core import BadRequestError, ContentFilterError, Message, Route, Router
from multiroute_core.messages import ToolCall, ToolCallResponse
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.providers.faces import ask, every_face
from tests.providers.quoted import anthropic, google, openai
from tests.providers.refusals import BAD_INPUT, openrouter
from tests.providers.wires import WIRES

pytestmark = pytest.mark.wire

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
TIMES = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the first route answers to a bad prompt.

    Attributes:
        provider: Whose wire.
        status: The HTTP status; 200 for an error inside a stream.
        body: The error.
        api: The API of the route.
        filtered: Whether a filter spoke.
    """

    provider: str
    status: int
    body: Any
    api: str | None = None
    filtered: bool = False

    def reply(self, received: Received) -> Reply:
        streamed = WIRES[self.provider].streamed(received)
        if self.status != 200:
            return Reply(self.status, JSON, json.dumps(self.body).encode())
        if not streamed:
            body = self.body["response"] if self.body.get("type") == "response.failed" else self.body
            return Reply(200, JSON, json.dumps(body).encode())
        name = f"event: {self.body['type']}\n".encode() if "type" in self.body else b""
        return Reply(200, SSE, [name + b"data: " + json.dumps(self.body).encode() + b"\n\n"], stream=True)


FAILED = {"id": "r", "object": "response", "status": "failed", "output": [], "model": "m"}
REFUSALS = {
    "anthropic filter": Refusal(
        "anthropic", 400, anthropic(BAD_INPUT, "Output blocked by content filtering policy"), filtered=True
    ),
    "anthropic filter in a stream": Refusal(
        "anthropic", 200, anthropic(BAD_INPUT, "Output blocked by content filtering policy"), filtered=True
    ),
    "azure filter": Refusal("openai", 400, openai("Filtered.", None, "content_filter"), filtered=True),
    "deepseek filter": Refusal("openai", 400, openai("Content Exists Risk"), filtered=True),
    "responses filter": Refusal(
        *("openai", 200),
        {
            "type": "response.failed",
            "response": {**FAILED, "error": {"code": "cyber_policy", "message": "It was flagged."}},
        },
        *("responses", True),
    ),
    "gemini filter": Refusal("google", 400, google(400, "INVALID_ARGUMENT", "PROHIBITED_CONTENT"), filtered=True),
    "ollama tools": Refusal("openai", 400, openai("m does not support tools", "api_error")),
    "openrouter tools": Refusal("openai", 404, openrouter("No endpoints found that support tool use.", 404)),
    "llama.cpp images": Refusal("openai", 500, openai("image input is not supported", "server_error")),
    "in a stream": Refusal("openai", 200, {"error": {"message": "This response_format type is unavailable now"}}),
    "gemini tools": Refusal(
        "google", 400, google(400, "INVALID_ARGUMENT", "Function calling is not enabled for models/m")
    ),
    "anthropic thinking": Refusal(
        "anthropic", 400, anthropic(BAD_INPUT, "adaptive thinking is not supported on this model")
    ),
    "another account's reasoning": Refusal(
        "openai", 400, openai("It could not be verified.", code="invalid_encrypted_content"), "responses"
    ),
}


@contextlib.contextmanager
def pair(refusal: Refusal) -> Iterator[tuple[Router, ReplayServer, ReplayServer]]:
    """A router whose first route refuses a bad prompt, and whose second one answers everything."""
    other = WIRES["anthropic" if refusal.provider != "anthropic" else "openai"]

    def answer(received: Received) -> Reply:
        if other.streamed(received):
            return Reply(200, SSE, [other.stream], stream=True)
        return Reply(200, JSON, other.plain)

    with ReplayServer(refusal.reply) as first, ReplayServer(answer) as second:
        routes = [
            Route(f"{refusal.provider}:m", name="first", base_url=first.url, api_key="k", api=refusal.api),  # pyright: ignore[reportArgumentType]
            Route(f"{other.provider}:m", name="second", base_url=second.url, api_key="k"),
        ]
        with Router(routes, fallback_on={"content_filter"}) as router:
            yield router, first, second


@every_face
@pytest.mark.parametrize("name", REFUSALS)
def test_the_next_route_is_asked_and_the_first_stays_open(name: str, face: str) -> None:
    refusal = REFUSALS[name]
    with pair(refusal) as (router, first, second):
        for _ in range(TIMES):
            outcome = ask(face, router, "A bad prompt.")
            assert outcome.error is None, outcome.error
            assert outcome.response is not None
            assert outcome.response.route == "second"
            kind = "content_filter" if refusal.filtered else "unsupported"
            assert [attempt.outcome for attempt in outcome.response.attempts] == [kind, "success"]
        assert (len(first.requests), len(second.requests)) == (TIMES, TIMES), "each route is asked once for each prompt"
        assert router.health().routes["first"].breaker == "closed"


@every_face
def test_a_filter_is_its_vendors_and_not_the_callers(face: str) -> None:
    with pair(REFUSALS["deepseek filter"]) as (router, _, second):
        for calls in range(1, TIMES + 1):
            assert ask(face, router, "A bad prompt.", fallback_on=()).error is None
            assert len(second.requests) == calls
        assert type(ask(face, router, "A bad prompt.", fallback=False).error) is ContentFilterError
        assert router.health().routes["first"].breaker == "closed"


HALF = json.loads('"Thanks \\ud83d"')
NOT_A_NUMBER = [
    Message("user", "What now?"),
    Message("assistant", [ToolCall("c1", "f", json.loads('{"a": NaN}'))]),
    Message("tool", [ToolCallResponse("c1", "It works.")]),
]


@every_face
@pytest.mark.parametrize(
    ("provider", "api", "prompt", "word"),
    [
        ("openai", "chat", HALF, "surrogate"),
        ("openai", "responses", HALF, "surrogate"),
        ("anthropic", None, HALF, "surrogate"),
        ("anthropic", None, NOT_A_NUMBER, "NaN"),
    ],
)
def test_a_prompt_that_cannot_be_written_is_the_callers(
    provider: str, api: Any, prompt: Any, word: str, face: str
) -> None:
    with ReplayServer(Reply(200, JSON, WIRES[provider].plain)) as server:
        with Router([Route(f"{provider}:m", name="only", base_url=server.url, api_key="k", api=api)]) as router:
            for _ in range(TIMES):
                error = ask(face, router, prompt).error
                assert type(error) is BadRequestError, repr(error)
                assert word in str(error)
            assert router.health().routes["only"].breaker == "closed"
        assert not server.requests
