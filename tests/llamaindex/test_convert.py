"""LlamaIndex's messages to MultiRoute's and back: nothing lost, nothing changed."""

import base64
import copy
import io
import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_message_function_tool_call import Function
from pydantic import ValidationError

from llamaindex_multiroute.answer import Answer, response_out, selections, single
from llamaindex_multiroute.convert import messages_in, messages_out
from multiroute_core import (
    Blob,
    Chunk,
    ConfigurationError,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Response,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core import CachePoint as CacheMark

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def reads_back(block):
    """Whether llama-index-core can read the block that it has written."""
    try:
        ChatMessage.model_validate_json(ChatMessage(blocks=[block]).model_dump_json())
    except ValidationError:
        return False
    return True


texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
arguments = st.dictionaries(texts, st.recursive(scalars, lambda s: st.lists(s, max_size=3), max_leaves=5), max_size=3)
data = st.binary(min_size=1, max_size=40).map(lambda raw: base64.b64encode(PNG + raw))
urls = st.from_regex(r"https://example\.com/[a-z]{1,8}\.png", fullmatch=True)

said = st.builds(TextBlock, text=texts)
media = st.one_of(
    st.builds(ImageBlock, image=data, image_mimetype=st.sampled_from(["image/png", "image/jpeg"])),
    st.builds(ImageBlock, url=urls, detail=st.none() | st.sampled_from(["low", "high"])),
    st.builds(AudioBlock, audio=data, format=st.sampled_from(["mp3", "wav", "ogg"])),
    st.builds(VideoBlock, video=data, video_mimetype=st.just("video/mp4")),
    st.builds(DocumentBlock, data=data, document_mimetype=st.just("application/pdf"), title=texts),
    st.builds(DocumentBlock, url=st.just("https://example.com/a.pdf"), document_mimetype=st.just("application/pdf")),
)
mark = st.builds(
    CachePoint, cache_control=st.builds(CacheControl, type=st.just("ephemeral"), ttl=st.sampled_from(["5m", "1h"]))
)
thinking = st.builds(ThinkingBlock, content=texts, additional_information=st.sampled_from([{}, {"signature": "c2ln"}]))


@st.composite
def conversations(draw):
    """A conversation as frameworks hold it: turns, tool loops with parallel calls, media, marks."""
    messages = [ChatMessage(role="system", blocks=[draw(said)])] if draw(st.booleans()) else []
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append(ChatMessage(role="user", blocks=draw(st.lists(said | media | mark, min_size=1, max_size=4))))
        blocks = [*draw(st.lists(thinking, max_size=1)), *draw(st.lists(said, max_size=2))]
        calls = draw(st.lists(st.tuples(names, arguments), max_size=3))
        made = [
            ToolCallBlock(tool_call_id=f"id_{count + i}", tool_name=n, tool_kwargs=a) for i, (n, a) in enumerate(calls)
        ]
        count += len(made)
        if blocks or made:
            messages.append(ChatMessage(role="assistant", blocks=[*blocks, *made]))
        for call in made:
            own = {"tool_call_id": call.tool_call_id, "name": call.tool_name}
            if draw(st.booleans()):
                own["is_error"] = True
            messages.append(
                ChatMessage(
                    role="tool", blocks=draw(st.lists(said | media, min_size=1, max_size=2)), additional_kwargs=own
                )
            )
    return messages


class TestRoundTrip:
    @given(conversations())
    def test_it_comes_back_equal_and_what_went_in_is_untouched(self, messages):
        before = copy.deepcopy(messages)
        neutral = messages_in(messages)
        assert messages == before
        assert messages_out(neutral) == messages

    @pytest.mark.skipif(
        not reads_back(AudioBlock(audio=PNG)), reason="llama-index-core cannot read back yet what has no url"
    )
    @given(conversations())
    def test_it_survives_a_store(self, messages):
        stored = [ChatMessage.model_validate_json(message.model_dump_json()) for message in messages]
        assert messages_in(stored) == messages_in(messages)

    @given(st.lists(st.tuples(names, arguments), min_size=1, max_size=4), st.data())
    def test_calls_without_ids_of_their_own_are_paired_and_always_get_the_same(self, calls, data):
        """Some vendors give none, and some integrations give the tool's name, to all calls of it."""
        given_ids = [data.draw(st.sampled_from([None, "", name])) for name, _ in calls]
        blocks = [
            ToolCallBlock(tool_call_id=given_id, tool_name=name, tool_kwargs=kwargs)
            for (name, kwargs), given_id in zip(calls, given_ids, strict=True)
        ]
        asked = ChatMessage(role="assistant", blocks=blocks)
        answers = [
            ChatMessage(role="tool", content=str(i), additional_kwargs={"tool_call_id": given_id, "name": name})
            for i, ((name, _), given_id) in enumerate(zip(calls, given_ids, strict=True))
        ]
        turns = [asked, *answers, ChatMessage(role="user", content="Again."), asked, *answers]
        neutral = messages_in(turns)
        ids = [call.id for message in neutral for call in message.tool_calls]
        assert all(ids)
        assert len(set(ids)) == len(ids)
        told = [part.id for message in neutral for part in message.parts if isinstance(part, ToolCallResponse)]
        assert sorted(told) == sorted(ids)
        assert messages_in(turns) == neutral


class TestIn:
    def only(self, message):
        (found,) = messages_in([message])
        return found

    def test_roles(self):
        spelled = {role: self.only(ChatMessage(role=role, content="x")).role for role in MessageRole}
        assert spelled == {
            MessageRole.SYSTEM: "system",
            MessageRole.DEVELOPER: "system",
            MessageRole.USER: "user",
            MessageRole.ASSISTANT: "assistant",
            MessageRole.MODEL: "assistant",
            MessageRole.CHATBOT: "assistant",
            MessageRole.TOOL: "tool",
            MessageRole.FUNCTION: "tool",
        }

    def test_a_file_is_read_and_its_type_told(self, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        (tmp_path / "a.md").write_text("# A")
        blocks = [ImageBlock(path=tmp_path / "a.png"), DocumentBlock(path=tmp_path / "a.md", title="a.md")]
        assert self.only(ChatMessage(blocks=blocks)).parts == (
            Blob(PNG, "image/png"),
            Blob(b"# A", "text/markdown", "a.md"),
        )

    @pytest.mark.skipif(
        io.IOBase not in typing.get_args(ImageBlock.model_fields["image"].annotation),
        reason="llama-index-core has no blocks of open files yet",
    )
    def test_an_open_file_is_read_and_left_where_it_was(self):
        file = io.BytesIO(PNG)
        file.seek(5)
        assert self.only(ChatMessage(blocks=[ImageBlock(image=file)])).parts == (Blob(PNG, "image/png"),)
        assert file.tell() == 5

    def test_a_data_url_is_bytes(self):
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert self.only(ChatMessage(blocks=[ImageBlock(url=url)])).parts == (Blob(PNG, "image/png"),)
        text = DocumentBlock(url="data:text/plain,Hello%20there", title="a")
        assert self.only(ChatMessage(blocks=[text])).parts == (Blob(b"Hello there", "text/plain", "a"),)

    def test_how_closely_to_look_is_kept_for_the_vendor_that_asks(self):
        (part,) = self.only(ChatMessage(blocks=[ImageBlock(url="https://x.org/y.png", detail="low")])).parts
        assert isinstance(part, Uri)
        assert part.extras == {"openai": {"detail": "low"}}

    def test_sources_and_citations_are_text_and_a_source_is_native_where_there_is_one(self):
        source = CitableBlock(title="Moon", source="https://m.org", content=[TextBlock(text="It is far.")])
        (part,) = self.only(ChatMessage(blocks=[source])).parts
        assert isinstance(part, Text)
        assert part.text == "Moon (https://m.org):\nIt is far."
        assert part.raw.api == "anthropic"
        assert part.raw.body["type"] == "search_result"
        cited = CitationBlock(
            cited_content=TextBlock(text="It is far."), source="s", title="t", additional_location_info={}
        )
        assert self.only(ChatMessage(role="assistant", blocks=[cited])).parts == (Text("It is far."),)

    def test_a_cache_point(self):
        blocks = [TextBlock(text="a"), CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h"))]
        assert self.only(ChatMessage(blocks=blocks)).parts == (Text("a"), CacheMark("1h"))

    @pytest.mark.parametrize(
        ("spelled", "read"),
        [('{"a": 1}', {"a": 1}), ("", {}), ({"a": 1}, {"a": 1})],
    )
    def test_arguments_in_any_form(self, spelled, read):
        block = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs=spelled)
        assert self.only(ChatMessage(role="assistant", blocks=[block])).parts == (ToolCall("1", "add", read),)

    @pytest.mark.parametrize("spelled", ['{"a": "b', "[1]", "}", '{"a": 1, "b": tr'])
    def test_arguments_that_are_no_object_are_kept_as_they_came(self, spelled):
        block = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs=spelled)
        (part,) = self.only(ChatMessage(role="assistant", blocks=[block])).parts
        assert isinstance(part, InvalidToolCall)
        assert (part.id, part.name, part.arguments) == ("1", "add", spelled)

    @pytest.mark.parametrize(
        "call",
        [
            ChatCompletionMessageFunctionToolCall(
                id="1", type="function", function=Function(name="add", arguments='{"a": 1}')
            ),
            {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": "fc_1", "call_id": "1", "type": "function_call", "name": "add", "arguments": '{"a": 1}'},
            {"id": "1", "type": "tool_use", "name": "add", "input": {"a": 1}},
            {"id": "1", "name": "add", "args": {"a": 1}},
            {"tool_id": "1", "tool_name": "add", "tool_kwargs": {"a": 1}},
        ],
    )
    def test_calls_where_they_stood_before_there_were_blocks(self, call):
        message = ChatMessage(role="assistant", content="I add.", additional_kwargs={"tool_calls": [call]})
        assert self.only(message).parts == (Text("I add."), ToolCall("1", "add", {"a": 1}))
        both = [TextBlock(text="I add."), ToolCallBlock(tool_call_id="2", tool_name="add", tool_kwargs={"a": 2})]
        beside = ChatMessage(role="assistant", blocks=both, additional_kwargs={"tool_calls": [call]})
        assert self.only(beside).parts == (Text("I add."), ToolCall("2", "add", {"a": 2}))

    def test_calls_that_are_none_are_refused_or_left(self):
        for junk in (True, 1, 0.5):
            with pytest.raises(ConfigurationError, match="expected a list"):
                messages_in([ChatMessage(role="assistant", content="x", additional_kwargs={"tool_calls": junk})])
        for junk in ("x", {"a": 1}, [None], [[]], [1], [{"function": 1}]):
            message = ChatMessage(role="assistant", content="x", additional_kwargs={"tool_calls": junk})
            assert messages_in([message]) == (Message("assistant", "x"),)

    def test_an_agent_that_returns_what_its_tool_said(self):
        """FunctionAgent tells the tool's answer once more, as the assistant's, with the call's id."""
        turns = [
            ChatMessage(role="user", content="Add."),
            ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={})]),
            ChatMessage(role="tool", content="3", additional_kwargs={"tool_call_id": "1"}),
            ChatMessage(role="assistant", content="3", additional_kwargs={"tool_call_id": "1"}),
        ]
        assert messages_in(turns)[2:] == (
            Message("tool", [ToolCallResponse("1", "3", name="add")]),
            Message("assistant", "3"),
        )

    @pytest.mark.parametrize(
        ("block", "sentence"),
        [
            (ImageBlock(), "ImageBlock is empty"),
            (DocumentBlock(path="/no/such/file.pdf"), "cannot read /no/such/file.pdf"),
        ],
    )
    def test_what_cannot_be_sent(self, block, sentence):
        with pytest.raises(ConfigurationError, match=sentence):
            self.only(ChatMessage(blocks=[block]))


def response(*parts, **more):
    return Response(parts, "tool_call", None, "m", "openai", "a", **more)


CALL = ToolCall("1", "add", {"a": 1}, Raw("google", {"functionCall": {"name": "add"}, "thoughtSignature": "c2ln"}, "m"))


class TestOut:
    def test_an_answer(self):
        message = response_out(response(Reasoning("Hm."), Text("I "), Text("add."), CALL)).message
        assert message.role is MessageRole.ASSISTANT
        assert message.blocks == [
            ThinkingBlock(content="Hm."),
            TextBlock(text="I add."),
            ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={"a": 1}),
        ]
        spelled = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
        assert message.additional_kwargs["tool_calls"] == [spelled]
        assert json.loads(json.dumps(message.additional_kwargs)) == message.additional_kwargs

    def test_its_exact_parts_come_back_from_a_store(self):
        parts = (Reasoning("Hm.", Raw("anthropic", {"type": "thinking", "signature": "x"}, "m")), Text("I add."), CALL)
        parts = (*parts, VendorPart(Raw("anthropic", {"type": "server_tool_use"}, "m")))
        message = response_out(response(*parts)).message
        stored = ChatMessage.model_validate_json(message.model_dump_json())
        assert messages_in([stored]) == (Message("assistant", parts),)

    def test_a_message_that_was_edited_counts_as_it_stands(self):
        message = response_out(response(Text("I add."), CALL)).message
        for edited in ([TextBlock(text="No.")], [TextBlock(text="I add.")]):
            changed = message.model_copy(update={"blocks": edited})
            changed.additional_kwargs.pop("tool_calls", None)
            assert messages_in([changed]) == (Message("assistant", edited[0].text),)

    @pytest.mark.parametrize("junk", [None, {}, {"parts": 1}, {"parts": [{"type": "?"}]}, {"parts": ["x"]}])
    def test_what_somebody_else_put_there_is_no_matter(self, junk):
        message = ChatMessage(role="assistant", content="x", additional_kwargs={"multiroute": junk})
        assert messages_in([message]) == (Message("assistant", "x"),)

    def test_plain_text_keeps_nothing(self):
        assert response_out(response(Text("x"))).message.additional_kwargs == {}

    def test_malformed_arguments_are_shown_but_never_believed(self):
        broken = InvalidToolCall("1", "delete", '{"path": "/home', "The arguments are no JSON.")
        answered = response_out(response(broken))
        shown = answered.message.blocks[-1]
        assert isinstance(shown, ToolCallBlock)
        assert shown.tool_kwargs == '{"path": "/home'
        assert [call["id"] for call in answered.additional_kwargs["invalid_tool_calls"]] == ["1"]
        (selected,) = selections(answered, required=False)
        assert selected.tool_name.startswith("delete (not run: ")
        assert selected.tool_kwargs == {}
        with pytest.raises(ValueError, match="delete"):
            selections(answered, required=True)
        assert messages_in([answered.message]) == (Message("assistant", [broken]),)

    def test_the_first_call_only(self):
        other = ToolCall("2", "add", {"a": 2}, Raw("google", {"functionCall": {"name": "add"}}, "m"))
        both = response_out(response(Text("x"), CALL, other))
        before = both.model_copy(deep=True)
        one = single(both)
        assert both == before
        assert [s.tool_id for s in selections(one, required=True)] == ["1"]
        assert len(one.message.additional_kwargs["tool_calls"]) == 1
        assert messages_in([one.message]) == (Message("assistant", (Text("x"), CALL)),)

    def test_no_call_where_one_is_required(self):
        with pytest.raises(ValueError, match="at least one tool call"):
            selections(response_out(response(Text("x"))), required=True)
        assert selections(response_out(response(Text("x"))), required=False) == []


class TestStream:
    def test_each_response_holds_all_so_far(self):
        whole = response(Reasoning("Hm."), Text("I add."), CALL)
        chunks = [
            Chunk((Reasoning("Hm."),)),
            Chunk((Text("I "),)),
            Chunk((Text("add."),)),
            Chunk((ToolCallDelta(0, "1", "add"),)),
            Chunk((ToolCallDelta(0, arguments='{"a"'),)),
            Chunk((ToolCallDelta(0, arguments=": 1}"),)),
            Chunk((), whole),
        ]
        answer = Answer()
        told = [answer.add(chunk) for chunk in chunks]
        assert [r.message.content for r in told] == ["", "I ", "I add.", "I add.", "I add.", "I add.", "I add."]
        assert [r.delta for r in told] == ["", "I ", "add.", "", "", "", ""]
        assert [r.additional_kwargs.get("thinking_delta") for r in told] == ["Hm.", *[None] * 6]
        assert [[s.tool_kwargs for s in selections(r, required=False)] for r in told[3:]] == [
            [{}],
            [{}],
            [{"a": 1}],
            [{"a": 1}],
        ]
        assert all(r.message.additional_kwargs["tool_calls"] for r in told[3:])
        assert told[-1] == response_out(whole, "")
