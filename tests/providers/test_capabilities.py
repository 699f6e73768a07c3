"""What a request needs, what a route can carry, and who goes on with an open tool loop."""

import pytest

from multiroute_core import (
    Blob,
    File,
    Message,
    Raw,
    Route,
    ServerTool,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.messages import Role
from multiroute_core.options import Options
from multiroute_core.providers.capabilities import RouteCapabilities, required, supported
from multiroute_core.routing.candidates import candidates
from multiroute_core.routing.strategies import LiveStats, rank_routes
from multiroute_core.types import Request

CLAUDE, GPT, GEMINI = Route("anthropic:c"), Route("openai:g"), Route("google:x")
SPARE = Route("local:smollm2", backup=True)
SEES = frozenset({"image", "document"})
FACTS = {
    CLAUDE.name: RouteCapabilities("anthropic", supported("anthropic", "anthropic", SEES, tools=True)),
    GPT.name: RouteCapabilities("openai.chat", supported("openai", "openai.chat", SEES | {"audio"}, tools=True)),
    GEMINI.name: RouteCapabilities("google", supported("google", "google", SEES | {"audio", "video"}, tools=True)),
    SPARE.name: RouteCapabilities("openai.chat", supported("local", "openai.chat", frozenset(), tools=False)),
}


def asked(*parts, role: Role = "user", tools=()):
    return Request((Message(role, parts),), tools=tools)


def able(request):
    routes = candidates(request, [CLAUDE, GPT, GEMINI, SPARE], Options(), FACTS).routes
    live = LiveStats(FACTS, {}, lambda route, usage, *, model=None: None, lambda: 0.5, 1)
    return [route.provider for route in rank_routes(request, routes, Options(), live)]


@pytest.mark.parametrize(
    ("part", "routes"),
    [
        (Text("x"), ["anthropic", "openai", "google", "local"]),
        (Blob(b"x", "image/png"), ["anthropic", "openai", "google"]),
        (Uri("https://x/y.pdf", "application/pdf", "document"), ["anthropic", "google"]),
        (Blob(b"x", "audio/wav"), ["openai", "google"]),
        (Blob(b"x", "video/mp4"), ["google"]),
        (File("file-1", "openai"), ["openai"]),
        (VendorPart(Raw("anthropic", {"type": "search_result"})), ["anthropic"]),
    ],
)
def test_content_chooses_routes(part, routes):
    assert able(asked(part)) == routes


def test_what_a_tool_shows_counts_too():
    shown = ToolCallResponse("1", [Blob(b"x", "audio/wav")])
    assert "audio" in required(asked(shown, role="tool"))


def test_tools_choose_routes():
    assert able(asked(Text("x"), tools=(Tool("f"),))) == ["anthropic", "openai", "google"]
    assert able(asked(Text("x"), tools=(Tool("f"), ServerTool("google", {"googleSearch": {}})))) == ["google"]


def test_what_a_model_said_in_its_vendors_words_excludes_nobody():
    request = Request((Message("assistant", [VendorPart(Raw("anthropic", {}))]), Message("user", "x")))
    assert required(request) == frozenset()


def test_nobody_can_carry_it_and_the_sentence_says_what_and_where():
    request = asked(Blob(b"x", "video/mp4"), File("f", "openai"))
    found = candidates(request, [CLAUDE, GPT, GEMINI, SPARE], Options(), FACTS)
    assert found.routes == ()
    for word in ("video", "stored at openai", "anthropic:c", "google:x"):
        assert word in (found.problem or "")


def loop(wire, model, *after):
    call = ToolCall("1", "f", {}, Raw(wire, {}, model))
    return Request(
        (Message("user", "x"), Message("assistant", [call]), Message("tool", [ToolCallResponse("1", "y")]), *after)
    )


def test_an_open_tool_loop_stays_with_its_vendor_and_then_its_model():
    assert able(loop("google", "x"))[0] == "google"
    assert able(loop("openai.chat", "other"))[:2] == ["openai", "anthropic"]


def test_a_backup_does_not_keep_a_loop():
    assert able(loop("openai.chat", "smollm2"))[-1] == "local"


def test_a_closed_loop_binds_nobody():
    assert able(loop("google", "x", Message("assistant", "done"), Message("user", "next")))[0] == "anthropic"
