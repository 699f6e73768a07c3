"""LangChain's own tests for chat models on the vendors' wires: what they share. Support for tests, no test."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_multiroute import ChatMultiRoute
from multiroute_core import Route
from tests.vendors.server import ROUTES, VendorServer, Wire

SECOND: dict[Wire, Wire] = {"anthropic": "chat", "chat": "google", "responses": "anthropic", "google": "responses"}
"""The vendor that is asked first, and is dead, where another one has to stand in."""


def png() -> bytes:
    """A picture of one pixel."""

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", head) + piece(b"IDAT", pixel) + piece(b"IEND", b"")


WAV = b"RIFF" + struct.pack("<I", 38) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
FILES = {
    ".png": png(),
    ".pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    ".wav": WAV + b"data" + struct.pack("<I", 2) + b"\0\0",
}


def fetched(url, **_):
    """What the tests fetch from the public network, made here."""
    kind = next(kind for kind in FILES if url.endswith(kind))
    return httpx.Response(200, content=FILES[kind], request=httpx.Request("GET", url))


class Features:
    """What the vendors' models can do; the tests ask for it by these names."""

    wire: Wire
    audio = False
    has_tool_calling = True
    has_tool_choice = True
    has_structured_output = True
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_model_override = True
    returns_usage_metadata = True

    @property
    def supports_audio_inputs(self):
        return self.audio

    @property
    def supports_video_inputs(self):
        return self.audio

    @property
    def chat_model_class(self):
        return ChatMultiRoute


class Unit(Features, ChatModelUnitTests):
    """The unit tests of one vendor's wire."""

    @property
    def chat_model_params(self):
        return {"routes": [Route(ROUTES[self.wire][0], api_key="k")]}

    @property
    def init_from_env_params(self):
        names = {"anthropic": "ANTHROPIC_API_KEY", "google": "GOOGLE_API_KEY"}
        return {names.get(self.wire, "OPENAI_API_KEY"): "k"}, {}, {}


class Integration(Features, ChatModelIntegrationTests):
    """The integration tests of one vendor's wire, and of that vendor standing in for one that is dead."""

    dead = False

    @property
    def standard_chat_model_params(self):
        return {"temperature": 0, "timeout": 60, "max_retries": 2}

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch):
        monkeypatch.setattr(httpx, "get", fetched)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "tests")
        with VendorServer() as self.server:
            yield

    @property
    def chat_model_params(self):
        routes = [self.server.route(self.wire), self.server.route(self.wire, self.model_override_value)]
        if self.dead:
            self.server.dead.add(SECOND[self.wire])
            routes.insert(0, self.server.route(SECOND[self.wire]))
        return {"routes": routes}

    @property
    def supported_usage_metadata_details(self):
        told = ["cache_read_input"]
        if self.wire == "anthropic":
            told.append("cache_creation_input")
        if self.wire in ("responses", "google"):
            told.append("reasoning_output")
        if self.audio:
            told.append("audio_input")
        return {"invoke": told, "stream": told}

    def ask(self, messages, *, stream, **options):
        settings: dict[str, Any] = self.chat_model_params
        llm = ChatMultiRoute(**settings)
        if not stream:
            return llm.invoke(messages, **options)
        first, *rest = llm.stream(messages, **options)
        return first + rest

    def invoke_with_cache_creation_input(self, *, stream=False):
        return self.ask(self.long(), stream=stream)

    def invoke_with_cache_read_input(self, *, stream=False):
        self.ask(self.long(), stream=stream)
        return self.ask(self.long(), stream=stream)

    def invoke_with_reasoning_output(self, *, stream=False):
        return self.ask("Why is the sky blue?", stream=stream, reasoning="high")

    def invoke_with_audio_input(self, *, stream=False):
        sound = {"type": "audio", "base64": base64.b64encode(FILES[".wav"]).decode(), "mime_type": "audio/wav"}
        return self.ask([HumanMessage([{"type": "text", "text": "What do you hear?"}, sound])], stream=stream)

    def long(self):
        """A conversation whose beginning is worth keeping in the vendor's cache."""
        said = {"type": "text", "text": "Remember this. " * 2000, "cache_control": {"type": "ephemeral"}}
        return [HumanMessage([said]), AIMessage("I do."), HumanMessage("Thank you.")]

    @property
    def model_override_value(self):
        return ROUTES[self.wire][1].partition(":")[2]
