"""LangChain's messages through MultiRoute's and back: nothing is lost, nothing is touched."""

import base64
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_multiroute.answers import ChunkBuilder, message_out
from langchain_multiroute.convert import messages_back, messages_in
from multiroute_core import (
    Blob,
    Chunk,
    File,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Response,
    Text,
    ToolCall,
    ToolCallDelta,
)
from multiroute_core.messages import VendorPart, assemble
from multiroute_core.types import FinishReason
from tests.conversations import blobs, conversations, json_objects, names, raws, uris, words

mime_types = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "file": "application/pdf"}
kinds = st.sampled_from(sorted(mime_types))
text_blocks = st.builds(lambda text: {"type": "text", "text": text}, words)
by_bytes = st.builds(
    lambda kind, data: {"type": kind, "base64": base64.b64encode(data).decode(), "mime_type": mime_types[kind]},
    kinds,
    st.binary(min_size=1, max_size=8),
)
by_address = st.builds(lambda kind, name: {"type": kind, "url": f"https://example.com/{name}"}, kinds, names)
blocks = text_blocks | by_bytes | by_address
contents = words | st.lists(blocks, min_size=1, max_size=3)
calls = st.builds(lambda name, args: {"name": name, "args": args}, names, json_objects)


@st.composite
def langchain_conversations(draw):
    """Turns as users of LangChain write them: system, human, AI with calls and reasoning, and the answers of tools."""
    messages: list[BaseMessage] = [SystemMessage(draw(words))] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append(HumanMessage(draw(contents)))
        asked = []
        for call in draw(st.lists(calls, max_size=3)):
            number += 1
            asked.append({**call, "id": f"call_{number}", "type": "tool_call"})
        said = draw(words | st.just(""))
        thought = draw(st.none() | words)
        content = said
        if thought is not None:
            content = [{"type": "reasoning", "reasoning": thought}, {"type": "text", "text": said}, *asked]
        about = {"output_version": "v1"} if thought is not None else {}
        messages.append(AIMessage(content, tool_calls=asked, response_metadata=about))
        for call in asked:
            status = draw(st.sampled_from(("success", "error")))
            messages.append(ToolMessage(draw(contents), tool_call_id=call["id"], status=status, name=call["name"]))
    return messages


def told(message):
    """What a message says: its role, its blocks, its calls and ids."""
    blocks = [block for block in message.content_blocks if block["type"] != "text" or block["text"]]
    found = [message.type, blocks]
    if isinstance(message, AIMessage):
        found += [message.tool_calls, message.invalid_tool_calls]
    if isinstance(message, ToolMessage):
        found += [message.tool_call_id, message.status, message.name]
    return found


@pytest.mark.slow
@given(langchain_conversations())
def test_a_conversation_comes_back_as_it_went_in(messages):
    before = copy.deepcopy(messages)
    back = messages_back(messages_in(messages))
    assert messages == before
    assert [told(message) for message in back] == [told(message) for message in messages]


stored = st.builds(
    File,
    names.map("file-{}".format),
    st.just("openai"),
    st.just("application/pdf"),
)


@pytest.mark.slow
@given(conversations(blobs | uris | stored, raws))
def test_what_vendors_said_comes_back_raw(messages):
    before = copy.deepcopy(messages)
    back = messages_in(messages_back(messages))
    assert messages == before
    for one, other in zip(back, messages, strict=True):
        assert one.role == other.role
        if other.role == "assistant":
            assert one == other  # with everything that is raw
        assert (one.text, one.tool_calls) == (other.text, other.tool_calls)


def answered(*parts, provider="anthropic", finish: FinishReason = "tool_call"):
    return Response(tuple(parts), finish, None, "m", provider, f"{provider}:m")


SIGNED = Raw("anthropic", {"type": "thinking", "thinking": "Hm.", "signature": "s"}, "m")
CALL = ToolCall("1", "f", {"a": 1}, Raw("anthropic", {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}))
SEARCH = VendorPart(Raw("anthropic", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, "m"))
ANSWER = (Reasoning("Hm.", SIGNED), SEARCH, Text("So."), CALL)


def blocks_of(message) -> list[dict[str, Any]]:
    return message.content


class TestEdited:
    """Users and middleware change messages; then the message is right, and what they left alone stays as it was."""

    def parts(self, message):
        (made,) = messages_in([message])
        return made.parts

    def test_untouched(self):
        assert self.parts(message_out(answered(*ANSWER))) == ANSWER

    def test_another_text(self):
        message = message_out(answered(*ANSWER))
        content = [block for block in blocks_of(message) if block["type"] != "text"]
        edited = message.model_copy(update={"content": [*content, {"type": "text", "text": "No."}]})
        assert self.parts(edited) == (ANSWER[0], SEARCH, Text("No."), CALL)

    def test_as_plain_text(self):
        edited = message_out(answered(*ANSWER)).model_copy(update={"content": "No."})
        assert self.parts(edited) == (ANSWER[0], SEARCH, Text("No."), CALL)

    def test_other_arguments(self):
        changed = [{"name": "f", "args": {"a": 2}, "id": "1", "type": "tool_call"}]
        edited = message_out(answered(*ANSWER)).model_copy(update={"tool_calls": changed})
        assert self.parts(edited)[-1] == ToolCall("1", "f", {"a": 2})

    def test_a_call_less_and_a_call_more(self):
        more = [{"name": "g", "args": {}, "id": "2", "type": "tool_call"}]
        edited = message_out(answered(*ANSWER)).model_copy(update={"tool_calls": more})
        assert self.parts(edited) == (*ANSWER[:-1], ToolCall("2", "g", {}))

    def test_reasoning_taken_out(self):
        message = message_out(answered(*ANSWER))
        content = [block for block in blocks_of(message) if block["type"] != "reasoning"]
        assert self.parts(message.model_copy(update={"content": content})) == ANSWER[1:]


class TestAnswers:
    @pytest.mark.parametrize("provider", ["anthropic", "openai", "google", "other"])
    def test_blocks_tell_everything_for_every_provider(self, provider):
        message = message_out(answered(Text("So."), ToolCall("1", "f", {"a": 1}), provider=provider))
        assert [block["type"] for block in message.content_blocks] == ["text", "tool_call"]
        assert message.text == "So."
        assert message.additional_kwargs == {}

    def test_text_alone_is_a_string(self):
        assert message_out(answered(Text("a"), Text("b"))).content == "ab"

    def test_vendors_words_become_langchains(self):
        message = message_out(answered(*ANSWER))
        assert message.response_metadata["output_version"] == "v1"
        assert [block["type"] for block in message.content_blocks] == [
            "reasoning",
            "server_tool_call",
            "text",
            "tool_call",
        ]
        assert message.content_blocks[0].get("extras") == {"signature": "s"}

    def test_invalid_calls(self):
        message = message_out(answered(InvalidToolCall("1", "f", '{"a', "cut")))
        assert message.invalid_tool_calls == [
            {"type": "invalid_tool_call", "id": "1", "name": "f", "args": '{"a', "error": "cut"}
        ]


class TestPieces:
    def merged(self, *pieces, blocks=False, provider="anthropic"):
        maker = ChunkBuilder(blocks=blocks)
        chunks = [maker.chunk(Chunk((part,))) for part in pieces]
        chunks.append(maker.chunk(Chunk((), answered(*assemble(pieces), provider=provider))))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return whole, answered(*assemble(pieces), provider=provider)

    def test_reasoning_text_and_calls_merge_to_the_whole_answer(self):
        whole, answer = self.merged(
            Reasoning("H"),
            Reasoning("m."),
            Reasoning("", SIGNED),
            SEARCH,
            Text("S"),
            Text("o."),
            ToolCallDelta(0, "1", "f"),
            ToolCallDelta(0, arguments='{"a":'),
            ToolCallDelta(0, arguments=" 1}", raw=CALL.raw),
            ToolCallDelta(1, "2", "g", "{}"),
        )
        other = message_out(answer)

        def plain(blocks):
            return [{name: value for name, value in block.items() if name != "index"} for block in blocks]

        assert plain(whole.content_blocks) == plain(other.content_blocks)
        assert whole.tool_calls == other.tool_calls
        assert whole.additional_kwargs == other.additional_kwargs
        assert whole.response_metadata == other.response_metadata
        assert messages_in([whole]) == messages_in([other]) == (Message("assistant", answer.parts),)

    @pytest.mark.parametrize("provider", ["openai", "google"])
    def test_text_and_calls_as_strings(self, provider):
        whole, _ = self.merged(
            Text("S"),
            Text("o."),
            ToolCallDelta(0, "1", "f", '{"a": 1}'),
            ToolCallDelta(1, "2", "f", "{}"),
            provider=provider,
        )
        assert whole.content == "So."
        assert [call["id"] for call in whole.tool_calls] == ["1", "2"]
        assert [block["type"] for block in whole.content_blocks] == ["text", "tool_call", "tool_call"]

    def test_a_picture_after_text(self):
        whole, _ = self.merged(Text("See:"), Blob(b"x", "image/png"), provider="google")
        assert [block["type"] for block in whole.content_blocks] == ["text", "image"]

    @pytest.mark.parametrize("arguments", ['{"a": 1', '{"a": "x', '{"a": [1', '{"a": "x\\'])
    @pytest.mark.parametrize("blocks", [True, False])
    def test_cut_arguments_are_no_call(self, arguments, blocks):
        whole, answer = self.merged(ToolCallDelta(0, "1", "f", arguments), blocks=blocks, provider="openai")
        assert isinstance(answer.parts[0], InvalidToolCall)
        assert whole.tool_calls == []
        assert [call["id"] for call in whole.invalid_tool_calls] == ["1"]

    @pytest.mark.slow
    @given(conversations(raw=raws))
    def test_any_answer_streams_to_itself(self, messages):
        for message in messages:
            if message.role == "assistant":
                pieces = []
                calls = 0
                for part in message.parts:
                    if isinstance(part, ToolCall):
                        import json

                        pieces.append(ToolCallDelta(calls, part.id, part.name, json.dumps(part.arguments), part.raw))
                        calls += 1
                    else:
                        pieces.append(part)
                whole, answer = self.merged(*pieces, provider="other")
                assert messages_in([whole]) == (Message("assistant", answer.parts),)
