"""What stands beside content reaches the vendor whose word it is, in every face; for the others `dropped` names it."""

import base64
import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from llama_index.core.base.llms.types import CacheControl, ChatMessage, ImageBlock, TextBlock
from llama_index.core.base.llms.types import CachePoint as CacheBlock

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Blob, InvalidToolCall, Message, Router
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests import shape_faces
from tests.shape_faces import ROUTES

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF").decode()
SIDE = {"citations": {"enabled": True}, "title": "T", "context": "C"}
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
MARK = {"prompt_cache_breakpoint": {"type": "ephemeral"}}
PICTURE = {"type": "image", "base64": PNG, "mime_type": "image/png"}
FILM = {"type": "video", "base64": PNG, "mime_type": "video/mp4"}
PAPER = {"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "a.pdf"}
OLD_PAPER = {"type": "file", "source_type": "base64", "data": PDF, "mime_type": "application/pdf", "filename": "a.pdf"}

BLOCKS = {
    "a document's sides": ({**PAPER, **SIDE}, {"anthropic": SIDE}),
    "a document's sides in extras": ({**PAPER, "extras": SIDE}, {"anthropic": SIDE}),
    "a document's sides in metadata": ({**OLD_PAPER, "metadata": SIDE}, {"anthropic": SIDE}),
    "a document at an address": (
        {"type": "file", "url": "https://example.com/a.pdf", "mime_type": "application/pdf", **SIDE},
        {"anthropic": SIDE},
    ),
    "a plain text's sides": ({"type": "text-plain", "text": "Dear", **SIDE}, {"anthropic": SIDE}),
    "an image's detail": ({**PICTURE, "extras": {"detail": "high"}}, {"openai": {"detail": "high"}}),
    "Chat Completions' detail": (
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"openai": {"detail": "low"}},
    ),
    "Responses' detail": (
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "original"},
        {"openai": {"detail": "original"}},
    ),
    "OpenAI's cache mark on an image": ({**PICTURE, "extras": MARK}, {"openai": MARK}),
    "OpenAI's cache mark on a text": ({"type": "text", "text": "q", "extras": MARK}, {"openai": MARK}),
    "an image's resolution": (
        {**PICTURE, "extras": {"media_resolution": "MEDIA_RESOLUTION_HIGH"}},
        {"google": {"mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}},
    ),
    "a film's metadata": (
        {**FILM, "extras": {"video_metadata": {"fps": 2, "start_offset": "1s"}}},
        {"google": {"videoMetadata": {"fps": 2, "startOffset": "1s"}}},
    ),
    "two vendors' at once": (
        {**PICTURE, "extras": {"detail": "high", "media_resolution": {"level": "MEDIA_RESOLUTION_LOW"}}},
        {"openai": {"detail": "high"}, "google": {"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}},
    ),
}
VENDOR = {"anthropic": "anthropic", "chat": "openai", "responses": "openai", "google": "google"}


def objects(value):
    """Every object in some JSON."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def carries(wire, block):
    if block["type"] == "video":
        return wire == "google"
    return not (wire == "chat" and "url" in block and block["type"] == "file")


@pytest.mark.parametrize("wire", ROUTES)
@pytest.mark.parametrize("name", BLOCKS)
def test_it_is_sent_or_named(name, wire):
    block, words = BLOCKS[name]
    if not carries(wire, block):
        block = {"type": "text", "text": "q"}
        words = {}
    encoded = shape_faces.encode(wire, [{"role": "user", "content": [block, {"type": "text", "text": "q"}]}])
    for vendor, values in words.items():
        for word, value in values.items():
            is_there = any(one.get(word) == value for one in objects(encoded.body))
            is_named = any(entry.startswith(f"content.{word}: ") for entry in encoded.dropped)
            assert (is_there, is_named) == ((True, False) if vendor == VENDOR[wire] else (False, True)), word
    if not words:
        assert encoded.dropped == ()


class World:
    """A server of one wire, and what it was asked."""

    def __init__(self, wire):
        self.wire, self.seen = wire, []
        self.server = ReplayServer(self._answer)

    def _answer(self, received: Received) -> Reply:
        self.seen.append(json.loads(received.body))
        return Reply(200, {"content-type": "application/json"}, json.dumps(shape_faces.hello(self.wire)).encode())

    def __enter__(self):
        self.server.__enter__()
        self.router = Router([shape_faces.route_at(self.wire, self.server.url)], max_retries=0)
        return self

    def __exit__(self, *error):
        self.router.close()
        return self.server.__exit__(*error)


CALL = {"name": "f", "args": {}, "id": "c1"}
MARKED = {
    "the system's text": [SystemMessage([{"type": "text", "text": "Be kind.", **EPHEMERAL}]), HumanMessage("q")],
    "a user's text": [HumanMessage([{"type": "text", "text": "q", **EPHEMERAL}])],
    "a user's text, in extras": [HumanMessage([{"type": "text", "text": "q", "extras": EPHEMERAL}])],
    "an image": [HumanMessage([{**PICTURE, **EPHEMERAL}, {"type": "text", "text": "q"}])],
    "an image, in extras": [HumanMessage([{**PICTURE, "extras": EPHEMERAL}, {"type": "text", "text": "q"}])],
    "the assistant's text": [
        HumanMessage("q"),
        AIMessage([{"type": "text", "text": "a", **EPHEMERAL}]),
        HumanMessage("and?"),
    ],
    "a tool's answer": [
        HumanMessage("q"),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage([{"type": "text", "text": "r", **EPHEMERAL}], tool_call_id="c1"),
    ],
    "beside a message": [HumanMessage("q", additional_kwargs=EPHEMERAL)],
}


@pytest.mark.parametrize("wire", ROUTES)
@pytest.mark.parametrize("name", MARKED)
def test_a_cache_mark_anywhere(name, wire):
    with World(wire) as world:
        message = ChatMultiRoute(router=world.router).invoke(MARKED[name])
        dropped = message.response_metadata["multiroute"]["attempts"][0].get("dropped") or []
        marked = [one for one in objects(world.seen[0]) if one.get("cache_control") == {"type": "ephemeral"}]
    assert len(marked) == (wire == "anthropic")
    assert [entry.partition(":")[0] for entry in dropped] == ([] if wire == "anthropic" else ["content.cache_control"])


@tool(
    extras={
        "defer_loading": True,
        "input_examples": [{"city": "Rome"}],
        "allowed_callers": ["code_execution_20250825"],
        **EPHEMERAL,
    }
)
def weather(city: str) -> str:
    """The weather."""
    return city


TOOL_WORDS = {
    "anthropic": {"defer_loading", "input_examples", "allowed_callers", "cache_control"},
    "responses": {"defer_loading"},
    "chat": set(),
    "google": set(),
}


@pytest.mark.parametrize("wire", ROUTES)
def test_what_stands_on_a_tool(wire):
    with World(wire) as world:
        message = ChatMultiRoute(router=world.router).bind_tools([weather]).invoke("q")
        dropped = message.response_metadata["multiroute"]["attempts"][0].get("dropped") or []
        words = {word for one in objects(world.seen[0]["tools"]) for word in one}
    assert words & TOOL_WORDS["anthropic"] == TOOL_WORDS[wire]
    lost = TOOL_WORDS["anthropic"] - TOOL_WORDS[wire]
    assert sorted(entry.partition(":")[0] for entry in dropped) == sorted(f"tools.{word}" for word in lost)


NAMED = {
    "router": lambda router: router.generate([Message("user", "q", "ada")]).attempts[0].dropped,
    "router, a dict": lambda router: (
        router.generate([{"role": "user", "content": "q", "name": "ada"}]).attempts[0].dropped
    ),
    "langchain": lambda router: (
        ChatMultiRoute(router=router)
        .invoke([HumanMessage("q", name="ada")])
        .response_metadata["multiroute"]["attempts"][0]
        .get("dropped")
        or ()
    ),
    "llamaindex": lambda router: (
        MultiRoute(router=router)
        .chat([ChatMessage(role="user", content="q", additional_kwargs={"name": "ada"})])
        .additional_kwargs["attempts"][0]
        .get("dropped")
        or ()
    ),
}


@pytest.mark.parametrize("wire", ROUTES)
@pytest.mark.parametrize("face", NAMED)
def test_a_participants_name(face, wire):
    with World(wire) as world:
        dropped = NAMED[face](world.router)
        named = [one for one in objects(world.seen[0]) if one.get("name") == "ada"]
    assert len(named) == (wire == "chat")
    assert [entry.partition(":")[0] for entry in dropped] == ([] if wire == "chat" else ["content.name"])


@pytest.mark.parametrize("wire", ["anthropic", "chat", "responses"])
def test_llamaindex_blocks(wire):
    picture = ImageBlock(image=base64.b64decode(PNG), image_mimetype="image/png", detail="high")
    blocks = [picture, CacheBlock(cache_control=CacheControl(type="ephemeral")), TextBlock(text="q")]
    with World(wire) as world:
        response = MultiRoute(router=world.router).chat([ChatMessage(role="user", blocks=blocks)])
        dropped = response.additional_kwargs["attempts"][0].get("dropped") or []
        body = world.seen[0]
    lost = {entry.partition(":")[0] for entry in dropped}
    if wire == "anthropic":
        assert (any("cache_control" in one for one in objects(body)), lost) == (True, {"content.detail"})
    else:
        assert (any(one.get("detail") == "high" for one in objects(body)), lost) == (True, {"content.cache_control"})


@pytest.mark.parametrize("wire", ROUTES)
@pytest.mark.parametrize(("name", "is_named"), [("f", False), ("", True)])
def test_a_malformed_call_goes_back_where_it_has_a_name(wire, name, is_named):
    history = [Message("user", "q"), Message("assistant", [InvalidToolCall("c1", name, '{"a": ', "cut")])]
    with World(wire) as world:
        response = world.router.generate([*history, Message("user", "and?")])
        sent = any(one.get("name") == "f" for one in objects(world.seen[0]))
    lost = [entry.partition(":")[0] for entry in response.attempts[0].dropped]
    assert (sent, lost) == (not is_named, ["content.invalid_tool_call"] if is_named else [])


def test_strict_params_do_not_bind_a_conversation_to_a_vendor():
    picture = Blob(base64.b64decode(PNG), "image/png", extras={"openai": {"detail": "high"}})
    with World("anthropic") as world:
        strict = Router(world.router.routes, strict_params=True)
        response = strict.generate([Message("user", [picture])])
    assert [entry.partition(":")[0] for entry in response.attempts[0].dropped] == ["content.detail"]
