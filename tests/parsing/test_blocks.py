"""Content blocks in every spelling."""

import base64
import copy
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import content as langchain

from multiroute_core import ConfigurationError
from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.parsing.blocks import READERS, part, parts
from multiroute_core.parsing.message_json import from_json, to_json

PNG = b"\x89PNG\r\n\x1a\n1234"
PDF = b"%PDF-1.7 x"
B64, PDF64 = base64.b64encode(PNG).decode(), base64.b64encode(PDF).decode()
URL = "https://example.org/a.png"
DATA_URL = f"data:image/png;base64,{B64}"
PICTURE, LINK = Blob(PNG, "image/png"), Uri(URL, None, "image")
WAV = base64.b64encode(b"RIFF1234WAVE").decode()


def own(wire, block):
    return Raw(wire, block)


ANTHROPIC_CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
RESPONSES_CALL = {
    "type": "function_call",
    "call_id": "c1",
    "id": "fc_1",
    "name": "weather",
    "arguments": '{"city":"Rome"}',
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "abc"}
ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "x",
}
CITED = {"type": "text", "text": "So.", "citations": [{"type": "char_location", "cited_text": "x"}]}
LETTER = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Dear"}, "title": "Letter"}
CALLED = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "sig"}
ROME = {"city": "Rome"}


@pytest.mark.parametrize(
    ("block", "made"),
    [
        ("Hi", Text("Hi")),
        (Text("Hi"), Text("Hi")),
        # the standard blocks, version 1
        (langchain.create_text_block("Hi"), Text("Hi")),
        ({"type": "text", "text": "Hi", "annotations": [], "index": 0}, Text("Hi")),
        (langchain.create_image_block(url=URL), LINK),
        (langchain.create_image_block(base64=B64, mime_type="image/png"), PICTURE),
        ({"type": "image", "base64": B64}, PICTURE),
        (langchain.create_image_block(file_id="file-abc"), File("file-abc", "openai", None, "image")),
        (langchain.create_audio_block(base64=WAV, mime_type="audio/wav"), Blob(b"RIFF1234WAVE", "audio/wav")),
        (langchain.create_audio_block(url="https://x/a.mp3"), Uri("https://x/a.mp3", None, "audio")),
        (langchain.create_video_block(url="https://x/a.mp4"), Uri("https://x/a.mp4", None, "video")),
        (langchain.create_file_block(base64=PDF64, mime_type="application/pdf"), Blob(PDF, "application/pdf")),
        (langchain.create_file_block(file_id="file_011C"), File("file_011C", "anthropic")),
        (
            langchain.create_file_block(url="https://x/a", mime_type="image/gif"),
            Uri("https://x/a", "image/gif", "image"),
        ),
        (langchain.create_plaintext_block("Dear"), Text("Dear")),
        ({"type": "text-plain", "base64": base64.b64encode(b"Dear").decode(), "mime_type": "text/plain"}, Text("Dear")),
        (langchain.create_reasoning_block("Hm."), Reasoning("Hm.")),
        (langchain.create_tool_call("weather", ROME, id="1"), ToolCall("1", "weather", ROME)),
        ({"type": "tool_call", "id": None, "name": "weather", "args": ROME}, ToolCall("", "weather", ROME)),
        (
            {"type": "invalid_tool_call", "id": "1", "name": "weather", "args": "{", "error": None},
            InvalidToolCall("1", "weather", "{", "The arguments are malformed."),
        ),
        (
            langchain.create_non_standard_block(ANTHROPIC_CALL),
            ToolCall("toolu_1", "weather", ROME, own("anthropic", ANTHROPIC_CALL)),
        ),
        (
            {"type": "non_standard", "value": {"type": "dream"}},
            VendorPart(own("langchain", {"type": "non_standard", "value": {"type": "dream"}})),
        ),
        ({"type": "server_tool_call", "id": "1", "name": "x", "args": {}}, "langchain"),
        # the standard blocks, version 0
        ({"type": "image", "source_type": "base64", "data": B64, "mime_type": "image/png"}, PICTURE),
        ({"type": "image", "source_type": "url", "url": URL}, LINK),
        ({"type": "image", "source_type": "id", "id": "file-abc"}, File("file-abc", "openai", None, "image")),
        (
            {
                "type": "file",
                "source_type": "base64",
                "data": PDF64,
                "mime_type": "application/pdf",
                "filename": "a.pdf",
            },
            Blob(PDF, "application/pdf", "a.pdf"),
        ),
        ({"type": "file", "source_type": "text", "text": "Dear", "mime_type": "text/plain"}, Text("Dear")),
        (
            {"type": "audio", "source_type": "base64", "data": WAV, "mime_type": "audio/wav"},
            Blob(b"RIFF1234WAVE", "audio/wav"),
        ),
        ({"type": "media", "mime_type": "video/mp4", "data": B64}, Blob(PNG, "video/mp4")),
        (
            {"type": "media", "mime_type": "video/mp4", "file_uri": "https://x/a"},
            Uri("https://x/a", "video/mp4", "video"),
        ),
        # Chat Completions
        ({"type": "image_url", "image_url": {"url": URL}}, LINK),
        ({"type": "image_url", "image_url": URL}, LINK),
        ({"type": "image_url", "image_url": {"url": DATA_URL, "detail": "auto"}}, PICTURE),
        (
            {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
            Uri(URL, None, "image", extras={"openai": {"detail": "high"}}),
        ),
        (
            {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
            Blob(PNG, "image/png", extras={"openai": {"detail": "low"}}),
        ),
        ({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}, Blob(b"RIFF1234WAVE", "audio/wav")),
        ({"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}}, Blob(b"RIFF1234WAVE", "audio/mpeg")),
        ({"type": "file", "file": {"file_id": "abc"}}, File("abc", "openai")),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF64}", "filename": "a.pdf"}},
            Blob(PDF, "application/pdf", "a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": PDF64}}, Blob(PDF, "application/pdf")),
        ({"type": "refusal", "refusal": "No."}, Text("No.")),
        (
            {"type": "function", "id": "1", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
            ToolCall("1", "weather", ROME),
        ),
        (
            {"type": "function", "id": "1", "function": {"name": "weather", "arguments": ""}},
            ToolCall("1", "weather", {}),
        ),
        # Responses
        ({"type": "input_text", "text": "Hi"}, Text("Hi")),
        ({"type": "output_text", "text": "Hi", "annotations": []}, Text("Hi")),
        (
            block := {"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation"}]},
            Text("Hi", own("openai.responses", block)),
        ),
        ({"type": "input_image", "image_url": DATA_URL}, PICTURE),
        ({"type": "input_image", "file_id": "abc", "detail": "auto"}, File("abc", "openai", None, "image")),
        ({"type": "input_file", "file_id": "abc"}, File("abc", "openai")),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, Uri("https://x/a.pdf", None, "document")),
        ({"type": "input_file", "file_data": PDF64, "filename": "a.pdf"}, Blob(PDF, "application/pdf", "a.pdf")),
        (RESPONSES_CALL, ToolCall("c1", "weather", ROME, own("openai.responses", RESPONSES_CALL))),
        ({"type": "function_call_output", "call_id": "c1", "output": "Sun"}, ToolCallResponse("c1", "Sun")),
        (
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": URL}]},
            ToolCallResponse("c1", [LINK]),
        ),
        (ITEM, Reasoning("Hm.", own("openai.responses", ITEM))),
        ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, "openai.responses"),
        ({"type": "computer_call_output", "call_id": "1", "output": {}}, "openai.responses"),
        # Anthropic
        (CITED, Text("So.", own("anthropic", CITED))),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}}, PICTURE),
        ({"type": "image", "source": {"type": "url", "url": URL}}, LINK),
        ({"type": "image", "source": {"type": "file", "file_id": "x"}}, File("x", "anthropic", None, "image")),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF64}},
            Blob(PDF, "application/pdf"),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}},
            Uri("https://x/a.pdf", None, "document"),
        ),
        (LETTER, Text("Dear", own("anthropic", LETTER))),
        (
            block := {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Dear"}]}},
            Text("Dear", own("anthropic", block)),
        ),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF64},
                "title": "Letter",
                "citations": {"enabled": True},
            },
            Blob(
                PDF,
                "application/pdf",
                "Letter",
                extras={"anthropic": {"title": "Letter", "citations": {"enabled": True}}},
            ),
        ),
        (THOUGHT, Reasoning("Hm.", own("anthropic", THOUGHT))),
        ({"type": "thinking", "thinking": "Hm."}, Reasoning("Hm.")),
        (block := {"type": "redacted_thinking", "data": "x"}, Reasoning("", own("anthropic", block))),
        (ANTHROPIC_CALL, ToolCall("toolu_1", "weather", ROME, own("anthropic", ANTHROPIC_CALL))),
        (
            {**ANTHROPIC_CALL, "index": 1, "partial_json": "{}"},
            ToolCall("toolu_1", "weather", ROME, own("anthropic", ANTHROPIC_CALL)),
        ),
        ({**ANTHROPIC_CALL, "input": '{"city": "Rome"}'}, ToolCall("toolu_1", "weather", ROME)),
        ({"type": "tool_result", "tool_use_id": "1", "content": "Sun"}, ToolCallResponse("1", "Sun")),
        ({"type": "tool_result", "tool_use_id": "1"}, ToolCallResponse("1", [])),
        (
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "No"}], "is_error": True},
            ToolCallResponse("1", "No", error=True),
        ),
        ({"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}, "anthropic"),
        ({"type": "web_search_tool_result", "tool_use_id": "1", "content": []}, "anthropic"),
        (
            block := {
                "type": "search_result",
                "source": "https://x",
                "title": "T",
                "content": [{"type": "text", "text": "Hi"}],
            },
            Text("T (https://x):\nHi", own("anthropic", block)),
        ),
        (
            block := {"type": "tool_reference", "tool_name": "weather"},
            Text("Tool: weather", own("anthropic", block)),
        ),
        # Gemini
        ({"text": "Hi"}, Text("Hi")),
        ({"text": "Hi", "thoughtSignature": "s"}, Text("Hi", own("google", {"text": "Hi", "thoughtSignature": "s"}))),
        ({"text": "Hm.", "thought": True}, Reasoning("Hm.", own("google", {"text": "Hm.", "thought": True}))),
        ({"inlineData": {"mimeType": "image/png", "data": B64}}, PICTURE),
        ({"inline_data": {"mime_type": "image/png", "data": PNG}}, PICTURE),
        ({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a"}}, Uri("gs://b/a", "video/mp4", "video")),
        (
            {
                "file_data": {
                    "file_uri": "https://generativelanguage.googleapis.com/v1beta/files/a",
                    "mime_type": "image/png",
                }
            },
            File("https://generativelanguage.googleapis.com/v1beta/files/a", "google", "image/png", "image"),
        ),
        (CALLED, ToolCall("", "weather", ROME, own("google", CALLED))),
        (
            {"function_call": {"name": "weather", "args": {"my_city": 1}, "id": "1"}},
            ToolCall(
                "1",
                "weather",
                {"my_city": 1},
                own("google", {"functionCall": {"name": "weather", "args": {"my_city": 1}, "id": "1"}}),
            ),
        ),
        (
            block := {"functionResponse": {"name": "weather", "response": {"result": "Sun"}}},
            ToolCallResponse("", "Sun", name="weather", raw=own("google", block)),
        ),
        (
            block := {"functionResponse": {"id": "1", "name": "weather", "response": {"error": {"code": 5}}}},
            ToolCallResponse("1", '{"error": {"code": 5}}', error=True, name="weather", raw=own("google", block)),
        ),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, "google"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, "google"),
        # marks
        ({"cachePoint": {"type": "default"}}, CachePoint()),
    ],
)
def test_every_spelling_of_a_block(block, made):
    before = copy.deepcopy(block)
    found = part(block)
    expected = made
    if isinstance(made, str) and made != "Hi":
        expected = VendorPart(Raw(made, block))  # pyright: ignore[reportArgumentType]  # an API
    assert found == expected
    assert block == before
    assert from_json(json.loads(json.dumps(to_json([found])))) == (found,)


def test_a_content_is_a_text_or_blocks():
    assert parts("Hi") == (Text("Hi"),)
    assert parts(None) == ()
    assert parts({"type": "text", "text": "Hi"}) == (Text("Hi"),)
    assert parts(part for part in ("a", Text("b"), {"text": "c"})) == (Text("a"), Text("b"), Text("c"))


def test_a_cache_mark_stands_after_its_block():
    mark = {"type": "ephemeral"}
    assert parts(
        [
            {"type": "text", "text": "a", "cache_control": mark},
            {"type": "document", "source": {"type": "url", "url": URL}, "cache_control": {**mark, "ttl": "1h"}},
            {"type": "tool_result", "tool_use_id": "1", "content": "x", "cache_control": None},
        ]
    ) == (Text("a"), CachePoint(), Uri(URL, None, "document"), CachePoint("1h"), ToolCallResponse("1", "x"))
    found, point = parts([{**CITED, "cache_control": mark}])
    assert isinstance(found, Text)
    assert (found.raw.body, point) == (CITED, CachePoint()), "the mark is told once"


def test_base64_is_read_as_it_is_written_in_the_wild():
    data = bytes(range(256))
    for told in (base64.b64encode(data), base64.urlsafe_b64encode(data), base64.encodebytes(data)):
        for text in (told.decode(), told.decode().rstrip("=\n")):
            assert part({"type": "image", "base64": text, "mime_type": "image/png"}) == Blob(data, "image/png")
    assert part({"type": "image_url", "image_url": "data:text/plain,a%20b"}) == Blob(b"a b", "text/plain")


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF1234WEBP", "image/webp"),
        (PDF, "application/pdf"),
        (b"ID3x", "audio/mpeg"),
    ],
)
def test_a_kind_that_is_not_said_is_seen(data, mime_type):
    assert part({"type": "file", "base64": base64.b64encode(data).decode()}) == Blob(data, mime_type)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (5, "A content block is a int; expected a string, a part or a dict"),
        (None, "A content block is a NoneType"),
        ({}, "A content block has no type (its keys: none)"),
        ({"txt": "Hi"}, "A content block has no type (its keys: 'txt'); expected {'type': 'text', 'text': …}"),
        ({"type": "imge"}, "Unknown type of content 'imge': did you mean 'image'?"),
        ({"type": "dream"}, "Unknown type of content 'dream': "),
        ({"type": "tool_call_chunk", "args": "{"}, "Unknown type of content 'tool_call_chunk'"),
        ({"type": "text", "text": 5}, "A block of type 'text' needs a text under 'text'"),
        ({"type": "image"}, "A block of type 'image' has no content; expected base64, url or file_id"),
        ({"type": "image", "source_type": "telepathy"}, "A block of type 'image' has no content"),
        ({"type": "image", "base64": "not base64!", "mime_type": "image/png"}, "A block's data is not valid base64"),
        ({"type": "image", "base64": 5, "mime_type": "image/png"}, "A block's data is not valid base64"),
        ({"type": "image_url", "image_url": "data:image/png;base64,?"}, "A block's data is not valid base64"),
        ({"type": "image", "base64": "AAAA"}, "A block contains a file of unknown type; set its 'mime_type'"),
        (
            {"type": "image", "url": "a.png"},
            "A block's address 'a.png' is not a valid URL; expected https://… or data:…",
        ),
        ({"type": "image_url", "image_url": None}, "A block's address 'None' is not a valid URL"),
        (
            {"type": "image", "file_id": "abc"},
            "The provider of the file 'abc' is unknown; expected File(file_id, provider='openai')",
        ),
        ({"type": "file", "file_id": 5}, "The provider of the file 5 is unknown"),
        ({"type": "document"}, "A block of type 'document' needs an object under 'source'"),
        ({"type": "input_audio"}, "A block of type 'input_audio' needs an object under 'input_audio'"),
        ({"type": "function", "function": None}, "A block of type 'function' needs an object under 'function'"),
        ({"inlineData": 5}, "A block of type 'inlineData' needs an object under 'inlineData'"),
        ({"type": "text-plain", "base64": "/w==", "mime_type": "text/plain"}, "contains data that is not text"),
        ({"type": "tool_result", "tool_use_id": 5}, "A block of type 'tool_result' needs a text under 'tool_use_id'"),
    ],
)
def test_what_is_no_block(block, sentence):
    with pytest.raises(ConfigurationError) as caught:
        part(block)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", ['{"city": "Ro', "[]", "5", '"Rome"'])
def test_malformed_arguments_are_an_invalid_call(arguments):
    for block in (
        {"type": "function", "id": "1", "function": {"name": "weather", "arguments": arguments}},
        {"type": "function_call", "call_id": "1", "name": "weather", "arguments": arguments},
        {"type": "tool_use", "id": "1", "name": "weather", "input": "", "partial_json": arguments},
        {"type": "tool_call", "id": "1", "name": "weather", "args": arguments},
    ):
        found = part(block)
        assert isinstance(found, InvalidToolCall)
        assert (found.id, found.name, found.arguments) == ("1", "weather", arguments)


def test_the_sdks_block_types_are_all_known():
    """Every block that the installed SDKs let a caller send is read."""
    from typing import get_args, get_type_hints

    from anthropic.types.content_block_param import ContentBlockParam
    from google.genai.types import Part as GeminiPart
    from openai.types.chat.chat_completion_content_part_param import ChatCompletionContentPartParam
    from openai.types.responses.response_input_content_param import ResponseInputContentParam

    for union in (ContentBlockParam, ChatCompletionContentPartParam, ResponseInputContentParam):
        kinds = {one for block in get_args(union) for one in get_args(get_type_hints(block)["type"])}
        assert len(kinds) >= 3
        for kind in kinds:
            try:
                part({"type": kind})
            except ConfigurationError as error:
                assert "Unknown type" not in str(error), kind
    holding = {"text", "inline_data", "file_data", "function_call", "function_response", "executable_code"}
    holding |= {"code_execution_result", "tool_call", "tool_response"}
    assert holding <= set(GeminiPart.model_fields)
    for name in holding:
        try:
            part({name: {}})
        except ConfigurationError as error:
            assert "has no type" not in str(error), name


KEYS = (
    "type text id name args input source data url base64 file_id image_url content summary mime_type inlineData "
    "functionCall function_response response arguments function cache_control value tool_use_id is_error media_type "
    "title citations file filename file_data format input_audio image reasoning signature thinking custom call_id output "
    "extras annotations fileData executable_code partial_json uri detail"
).split()
WORDS = st.sampled_from(KEYS)
KINDS = st.sampled_from([*READERS, "web_search_call", "base64", "url", "content", "image/png", "AAAA", "https://x"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 1), KINDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.builds(
            lambda kind, more: {"type": kind, **more},
            st.sampled_from([*READERS]),
            st.dictionaries(WORDS, inner, max_size=4),
        ),
        st.dictionaries(WORDS, inner, max_size=3),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_anything_is_read_or_refused_in_one_sentence_and_never_changed(value):
    before = copy.deepcopy(value)
    try:
        found = parts(value)
    except ConfigurationError as error:
        assert "\n" not in str(error)
    else:
        json.dumps(to_json(found))
    assert value == before


ODD_VALUES = (
    True,
    1,
    0.5,
    "x",
    "",
    [],
    [1],
    ["x"],
    [[]],
    [{}],
    [{"type": "text"}],
    {},
    {"x": 1},
    {"type": "text", "text": 1},
)


@pytest.mark.parametrize("kind", READERS)
def test_a_field_of_another_type_is_read_or_refused_in_one_sentence(kind):
    for key, value in itertools.product(KEYS, ODD_VALUES):
        try:
            to_json(parts([{"type": kind, key: value}]))
        except ConfigurationError as error:
            assert "\n" not in str(error)


def test_a_summary_may_be_one_text():
    assert part({"type": "reasoning", "summary": "Because."}) == Reasoning(
        "Because.", Raw("openai.responses", {"type": "reasoning", "summary": "Because."})
    )
