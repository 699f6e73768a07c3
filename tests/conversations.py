"""Random parts and conversations in neutral form, for property tests. Support for tests, no test."""

from __future__ import annotations

from hypothesis import strategies as st

from multiroute_core import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)

words = st.text(min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(words, json_values, max_size=3)
wires = st.sampled_from(("anthropic", "openai.chat", "openai.responses", "google"))
raws = st.builds(Raw, wires, json_objects, st.none() | names)
maybe_raw = st.none() | raws
mime_types = st.sampled_from(("image/png", "image/jpeg", "application/pdf", "audio/wav", "video/mp4", "text/plain"))
modalities = st.sampled_from(("image", "audio", "video", "document"))

texts = st.builds(Text, words, maybe_raw)
reasonings = st.builds(Reasoning, st.text(max_size=12), maybe_raw)
blobs = st.builds(Blob, st.binary(min_size=1, max_size=8), mime_types, st.none() | names, maybe_raw)
uris = st.builds(Uri, names.map("https://example.com/{}".format), st.none() | mime_types, modalities, maybe_raw)
files = st.builds(File, names, st.sampled_from(("anthropic", "openai", "google")), st.none() | mime_types, modalities)
tool_calls = st.builds(ToolCall, words, names, json_objects, maybe_raw)
invalid_calls = st.builds(InvalidToolCall, words, names, words, words)
vendor_parts = st.builds(VendorPart, raws)
cache_points = st.builds(CachePoint, st.sampled_from(("5m", "1h")))
media = blobs | uris | files
responses = st.builds(
    ToolCallResponse,
    words,
    words | st.lists(texts | media, min_size=1, max_size=2),
    error=st.booleans(),
    name=st.none() | names,
    raw=maybe_raw,
)
parts = texts | reasonings | media | tool_calls | invalid_calls | vendor_parts | cache_points | responses


@st.composite
def conversations(draw: st.DrawFn, media: st.SearchStrategy = st.nothing(), raw: st.SearchStrategy = st.none()):
    """A conversation that every vendor understands: perhaps a system message, then turns of user and assistant, with
    every tool call answered before anybody goes on.

    Args:
        media: What users and tools may show besides text.
        raw: The raw form of tool calls and reasoning.
    """
    said = st.builds(Text, words)
    messages = [Message("system", draw(words))] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", [draw(said), *draw(st.lists(said | media, max_size=2))]))
        for _ in range(draw(st.integers(0, 2))):
            calls = []
            for _ in range(draw(st.integers(1, 2))):
                number += 1
                call_id = draw(st.sampled_from((f"call_{number}", f"toolu_{number}", f"x.{number}:ü", f"{number:050}")))
                calls.append(ToolCall(call_id, draw(names), draw(json_objects), draw(raw)))
            before = draw(st.lists(st.builds(Reasoning, words, raw) | said, max_size=2))
            messages.append(Message("assistant", [*before, *calls]))
            for call in calls:
                result = draw(words | st.lists(said | media, min_size=1, max_size=2))
                messages.append(Message("tool", [ToolCallResponse(call.id, result, error=draw(st.booleans()))]))
        messages.append(Message("assistant", [draw(said)]))
    messages.append(Message("user", draw(words)))
    return tuple(messages)
