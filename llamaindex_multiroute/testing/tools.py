"""Tests of tools: optional, required and named; single and parallel calls; results and failures."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from llamaindex_multiroute.testing.suite import Suite, arun_all, get_weather, run, to_messages

Face = Callable[..., ChatResponse]

FACES: dict[str, Face] = {
    "chat": lambda llm, *given, **more: llm.chat_with_tools(*given, **more),
    "achat": lambda llm, *given, **more: run(llm.achat_with_tools(*given, **more)),
    "stream_chat": lambda llm, *given, **more: list(llm.stream_chat_with_tools(*given, **more))[-1],
    "astream_chat": lambda llm, *given, **more: arun_all(llm.astream_chat_with_tools(*given, **more))[-1],
}
"""The four methods for tools; each returns the complete response."""

ADD = "What is add(2, 3)? Call the tool add."
CITIES = "Call get_weather('Paris') and get_weather('Rome'), both at once."


def fail(reason: str) -> str:
    """Fail for a reason."""
    raise ValueError(f"It failed: {reason}")


class ToolTests(Suite):
    """An LLM that calls tools is a `FunctionCallingLLM` and fulfills its contract."""

    @pytest.fixture(autouse=True)
    def _needs_tools(self, request: pytest.FixtureRequest) -> None:
        if request.function.__qualname__.startswith(ToolTests.__name__):
            self.need("has_tools")

    def read_calls(self, llm: Any, response: ChatResponse) -> list[tuple[str, dict[str, Any]]]:
        """The tool names and arguments of a response's calls; checks that each call has a unique id."""
        selected = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        ids = [call.tool_id for call in selected]
        assert all(isinstance(call_id, str) for call_id in ids)
        assert all(ids)
        assert len(set(ids)) == len(ids)
        return [(call.tool_name, call.tool_kwargs) for call in selected]

    def test_it_says_so(self, llm: Any) -> None:
        """Agents check the class and the metadata."""
        assert isinstance(llm, FunctionCallingLLM)
        assert llm.metadata.is_function_calling_model

    @pytest.mark.parametrize("face", FACES)
    def test_one_call(self, llm: Any, face: str) -> None:
        """A tool is called with its arguments, in a block of the message."""
        response = FACES[face](llm, self.tools, user_msg=ADD)
        assert self.read_calls(llm, response) == [("add", {"a": 2, "b": 3})]
        assert [b.tool_name for b in response.message.blocks if isinstance(b, ToolCallBlock)] == ["add"]

    @pytest.mark.parametrize("face", FACES)
    def test_the_question_in_every_place(self, llm: Any, face: str) -> None:
        """The user's turn may be a text, a message, or part of the history."""
        message = ChatMessage(role="user", content=ADD)
        for arguments in ({"user_msg": ADD}, {"user_msg": message}, {"chat_history": [message]}):
            assert self.read_calls(llm, FACES[face](llm, self.tools, **copy.deepcopy(arguments))) == [
                ("add", {"a": 2, "b": 3})
            ]
        before = [
            ChatMessage(role="system", content="Use tools."),
            *to_messages("Hello."),
            _build_assistant_message("Hello."),
        ]
        response = FACES[face](llm, self.tools, user_msg=ADD, chat_history=before)
        assert self.read_calls(llm, response) == [("add", {"a": 2, "b": 3})]

    @pytest.mark.parametrize("face", FACES)
    def test_the_history_is_left_alone(self, llm: Any, face: str) -> None:
        """The caller's list and its messages do not change."""
        self.need("keeps_history")
        history = [*to_messages("Hello."), _build_assistant_message("Hello.")]
        before = copy.deepcopy(history)
        FACES[face](llm, self.tools, user_msg=ADD, chat_history=history)
        assert history == before

    def test_a_stream_may_be_asked_at_any_time(self, llm: Any) -> None:
        """Agents read the calls of every response, with the arguments received so far."""
        for responses in (
            list(llm.stream_chat_with_tools(self.tools, user_msg=ADD)),
            arun_all(llm.astream_chat_with_tools(self.tools, user_msg=ADD)),
        ):
            for response in responses:
                for call in llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
                    assert call.tool_name in {"", "add"}
                    assert set(call.tool_kwargs) <= {"a", "b"}

    @pytest.mark.parametrize("face", FACES)
    def test_no_call(self, llm: Any, face: str) -> None:
        """A response without calls has a text; a missing call is an error only if the caller requires one."""
        response = FACES[face](llm, self.tools, user_msg="Say hello, and call no tool.")
        assert response.message.content
        assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError, match="tool call"):
            llm.get_tool_calls_from_response(response, error_on_no_tool_call=True)

    def test_no_tools(self, llm: Any) -> None:
        """An empty list of tools is a plain request."""
        assert llm.chat_with_tools([], user_msg="Say hello.").message.content

    def test_no_arguments(self, llm: Any) -> None:
        """A tool without parameters is called without arguments."""

        def get_time() -> str:
            """Tell the time."""
            return "It is noon."

        response = llm.chat_with_tools([FunctionTool.from_defaults(get_time)], user_msg="Call the tool get_time.")
        assert self.read_calls(llm, response) == [("get_time", {})]

    @pytest.mark.parametrize("face", FACES)
    def test_parallel_calls(self, llm: Any, face: str) -> None:
        """Several calls in one response, if parallel calls are allowed."""
        self.need("has_parallel_tools")
        response = FACES[face](llm, self.tools, user_msg=CITIES, allow_parallel_tool_calls=True)
        expected = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
        assert self.read_calls(llm, response) == expected

    def test_one_call_at_a_time(self, llm: Any) -> None:
        """One call if parallel calls are not allowed."""
        for face in ("chat", "achat"):
            response = FACES[face](llm, self.tools, user_msg=CITIES, allow_parallel_tool_calls=False)
            assert len(self.read_calls(llm, response)) == 1

    @pytest.mark.parametrize("face", FACES)
    def test_tool_required(self, llm: Any, face: str) -> None:
        """A required call is made even if the model would not call a tool."""
        self.need("has_tool_choice")
        response = FACES[face](llm, self.tools, user_msg="Say hello.", tool_required=True)
        assert len(self.read_calls(llm, response)) >= 1

    @pytest.mark.parametrize("face", FACES)
    def test_tool_choice(self, llm: Any, face: str) -> None:
        """One tool is required by name, or all tools are forbidden."""
        self.need("has_tool_choice")
        response = FACES[face](llm, self.tools, user_msg=ADD, tool_choice="multiply")
        assert {name for name, _ in self.read_calls(llm, response)} == {"multiply"}
        response = FACES[face](llm, self.tools, user_msg=ADD, tool_choice="none")
        assert self.read_calls(llm, response) == []

    @pytest.mark.parametrize("face", FACES)
    def test_the_answer_of_a_tool(self, llm: Any, face: str) -> None:
        """The model gets the tool's result."""
        turns = self.turns(llm, ADD, ["5"])
        response = FACES[face](llm, self.tools, chat_history=turns)
        assert "5" in str(response.message.content)

    def test_the_answers_of_several_tools(self, llm: Any) -> None:
        """Each result is matched to its call."""
        self.need("has_parallel_tools")
        turns = self.turns(llm, CITIES, ["Rain in Paris.", "Sun in Rome."])
        text = str(llm.chat_with_tools(self.tools, chat_history=turns).message.content)
        assert "Rain" in text
        assert "Sun" in text

    def test_the_failure_of_a_tool(self, llm: Any) -> None:
        """The model gets the error."""
        turns = self.turns(llm, ADD, ["Encountered error: the numbers are too large."])
        assert "too large" in str(llm.chat_with_tools(self.tools, chat_history=turns).message.content)

    def test_a_conversation_from_a_store(self, llm: Any) -> None:
        """A conversation continues unchanged after its memory was saved and loaded."""
        memory = ChatMemoryBuffer.from_defaults(chat_history=self.turns(llm, ADD, ["5"]), token_limit=100_000)
        by_json = [ChatMessage.model_validate_json(message.model_dump_json()) for message in memory.get()]
        by_dict = [ChatMessage.model_validate(message.model_dump()) for message in memory.get()]
        for turns in (memory.get(), by_json, by_dict):
            assert "5" in str(llm.chat_with_tools(self.tools, chat_history=turns).message.content)

    def test_predict_and_call(self, llm: Any) -> None:
        """The tool is called, and its output is the response."""
        for response in (
            llm.predict_and_call(self.tools, user_msg=ADD),
            run(llm.apredict_and_call(self.tools, user_msg=ADD)),
        ):
            assert response.response == "5"
            assert [source.tool_name for source in response.sources] == ["add"]

    def test_predict_and_call_in_parallel(self, llm: Any) -> None:
        """All requested tools are called."""
        self.need("has_parallel_tools")
        response = llm.predict_and_call(self.tools, user_msg=CITIES, allow_parallel_tool_calls=True)
        assert [source.content for source in response.sources] == [get_weather("Paris"), get_weather("Rome")]

    def test_predict_and_call_what_fails(self, llm: Any) -> None:
        """A tool failure raises an error if the caller wants that; otherwise it is an output."""
        tools = [FunctionTool.from_defaults(fail)]
        question = "Call the tool fail, with the reason 'tired'."
        (source,) = llm.predict_and_call(tools, user_msg=question).sources
        assert source.is_error
        assert "It failed" in source.content
        with pytest.raises(ValueError, match="It failed"):
            llm.predict_and_call(tools, user_msg=question, error_on_tool_error=True)

    def turns(self, llm: Any, question: str, answers: list[str]) -> list[ChatMessage]:
        """A conversation with tool calls and their results."""
        response = llm.chat_with_tools(self.tools, user_msg=question, allow_parallel_tool_calls=len(answers) > 1)
        selected = llm.get_tool_calls_from_response(response)
        assert len(selected) == len(answers)
        tool_messages = [
            ChatMessage(role="tool", content=answer, additional_kwargs={"tool_call_id": call.tool_id})
            for call, answer in zip(selected, answers, strict=True)
        ]
        return [*to_messages(question), response.message, *tool_messages]


def _build_assistant_message(text: str) -> ChatMessage:
    return ChatMessage(role="assistant", content=text)
