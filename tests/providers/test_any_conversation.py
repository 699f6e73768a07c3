"""Any conversation, whoever wrote it, is one that each vendor takes."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiroute_core import (
    Blob,
    CachePoint,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Router,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from tests.conversations import conversations
from tests.examples import examples
from tests.providers.walker import WALKS
from tests.vendors.server import WIRES, VendorServer

EVERY_CHECK: Any = list(HealthCheck)  # as it iterates, its members seem to be its metaclass's

pytestmark = pytest.mark.wire

MEDIA = (
    Blob(b"\x89PNG\r\n\x1a\n", "image/png"),
    Blob(b"RIFF\x04\x00\x00\x00WEBP", "image/webp", "a.webp"),
    Blob(b"%PDF-1.4", "application/pdf"),
    Uri("https://example.com/a.jpg", "image/jpeg"),
    Uri("https://example.com/a.jpg"),
)
GIF = Blob(b"GIF89a", "image/gif", "a.gif")


def media(wire):
    """What the vendor takes; Gemini takes no GIF, and a route that cannot carry a part is refused before the wire."""
    return st.sampled_from(MEDIA if wire == "google" else (*MEDIA, GIF))


def foreign(wire):
    """What another vendor might have written, or an older conversation."""
    return st.sampled_from(
        [
            Raw("langchain", {"type": "text", "text": "a"}),
            *(
                Raw(other, body, model)  # pyright: ignore[reportArgumentType]  # an API each
                for model in ("old-model", None)
                for other, body in (
                    ("anthropic", {"type": "thinking", "thinking": "a", "signature": "EqoB"}),
                    ("openai.chat", {"id": "call_a", "type": "function", "function": {"name": "a", "arguments": "{}"}}),
                    (
                        "openai.responses",
                        {"type": "reasoning", "id": "rs_a", "summary": [], "encrypted_content": "gAAAAAB"},
                    ),
                    ("google", {"functionCall": {"name": "a", "args": {}}, "thoughtSignature": "CiQB"}),
                )
                if other != {"chat": "openai.chat", "responses": "openai.responses"}.get(wire, wire)
            ),
        ]
    )


@pytest.fixture(scope="module")
def server():
    with VendorServer() as server:
        yield server


def taken(server, router, wire, messages):
    """The vendor takes it, in its own types, and the caller's messages are as they were."""
    before = copy.deepcopy(messages)
    router.generate(messages)
    seen = server.seen[-1]
    assert (seen.wire, seen.status, seen.message) == (wire, 200, "")
    WALKS[wire](seen.body)
    assert messages == before
    return seen.body


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
def test_any_conversation(server, wire):
    with Router([server.route(wire)], max_retries=0) as router:

        @settings(max_examples=examples(150), deadline=None, database=None, suppress_health_check=EVERY_CHECK)
        @given(conversations(media(wire), st.none() | foreign(wire)))
        def hold(messages):
            taken(server, router, wire, messages)

        hold()


CALL = ToolCall("call_1", "get_weather", {"city": "Paris"})
ANSWER = ToolCallResponse("call_1", "Rain.")
ODD = {
    "two users in a row": [Message("user", "a"), Message("user", "b")],
    "two assistants in a row": [
        Message("user", "a"),
        Message("assistant", "b"),
        Message("assistant", "c"),
        Message("user", "d"),
    ],
    "the assistant begins": [Message("assistant", "Welcome"), Message("user", "a")],
    "a system message in the middle": [Message("user", "a"), Message("system", "Be kind."), Message("user", "b")],
    "only a system message": [Message("system", "Be kind.")],
    "an empty text": [Message("user", [Text(""), Text("a")]), Message("assistant", ""), Message("user", "b")],
    "nothing but blanks": [Message("user", "a"), Message("assistant", " \n"), Message("user", "b")],
    "an answer of no parts": [Message("user", "a"), Message("assistant", []), Message("user", "b")],
    "thoughts alone": [Message("user", "a"), Message("assistant", [Reasoning("Hm.")]), Message("user", "b")],
    "an empty answer of a tool": [
        Message("user", "a"),
        Message("assistant", [CALL]),
        Message("tool", [ToolCallResponse("call_1", "")]),
    ],
    "an answer of no parts by a tool": [
        Message("user", "a"),
        Message("assistant", [CALL]),
        Message("tool", [ToolCallResponse("call_1", [])]),
    ],
    "text beside a call": [
        Message("user", "a"),
        Message("assistant", [Text("I look."), CALL]),
        Message("tool", [ANSWER]),
    ],
    "text after a call": [
        Message("user", "a"),
        Message("assistant", [CALL, Text("I look.")]),
        Message("tool", [ANSWER]),
    ],
    "an answer among the user's words": [
        Message("user", "a"),
        Message("assistant", [CALL]),
        Message("user", [Text("b"), ANSWER]),
    ],
    "a user who goes on at once": [
        Message("user", "a"),
        Message("assistant", [CALL]),
        Message("tool", [ANSWER]),
        Message("user", "b"),
    ],
    "a call that was malformed": [
        Message("user", "a"),
        Message("assistant", [Text("b"), InvalidToolCall("call_2", "get_weather", '{"city": "Pa', "cut")]),
        Message("user", "c"),
    ],
    "a malformed call alone": [
        Message("user", "a"),
        Message("assistant", [InvalidToolCall("call_2", "", "[", "cut")]),
        Message("user", "c"),
    ],
    "a malformed call that was answered": [
        Message("user", "a"),
        Message("assistant", [CALL, InvalidToolCall("call_2", "get_weather", "[", "cut")]),
        Message("tool", [ANSWER, ToolCallResponse("call_2", "Your arguments are no JSON.", error=True)]),
    ],
    "two answers that say their ids in different ways": [
        Message("user", "a"),
        Message("assistant", [ToolCall("x:1", "get_weather", {}), ToolCall("x:2", "get_weather", {})]),
        Message("tool", [ToolCallResponse("x:2", "Sun.")]),
        Message("tool", [ToolCallResponse("x:1", "Rain.")]),
    ],
    "the same id in two turns": [
        Message("user", "a"),
        Message("assistant", [CALL]),
        Message("tool", [ANSWER]),
        Message("assistant", [CALL]),
        Message("tool", [ANSWER]),
    ],
    "marks everywhere": [
        Message("system", [Text("a"), CachePoint()]),
        *(
            m
            for i in range(6)
            for m in (Message("user", [Text(f"a{i}"), CachePoint()]), Message("assistant", [Text("b"), CachePoint()]))
        ),
        Message("user", [CachePoint(), Text("c")]),
    ],
    "a mark after thoughts": [
        Message("user", "a"),
        Message("assistant", [Text("b"), Reasoning("Hm."), CachePoint()]),
        Message("user", [Text("c"), CachePoint("1h")]),
    ],
    "what only one vendor knows": [
        Message("user", "a"),
        Message("assistant", [VendorPart(Raw("langchain", {"type": "x"})), Text("b")]),
        Message("user", "c"),
    ],
    "arguments with everything in them": [
        Message("user", "a"),
        Message("assistant", [ToolCall("call_1", "get_weather", {"ü": [None, 1.5, {"b": True}], "": ""})]),
        Message("tool", [ANSWER]),
    ],
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("wire", WIRES)
def test_odd_conversation(server, wire, case):
    with Router([server.route(wire)], max_retries=0) as router:
        taken(server, router, wire, ODD[case])
