"""Tests of agents, which loop until the task is done."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Any, cast

import pytest
from llama_index.core.agent import workflow
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from llamaindex_multiroute.testing.suite import Suite, add, get_weather, multiply, run

TASK = "Call add(2, 3), then multiply(5, 4), then get_weather('Rome'), and tell all results."


def divide(a: int, b: int) -> float:
    """Divide two numbers."""
    return a / b


class AgentTests(Suite):
    """The framework's own agents work with the LLM."""

    async def ask(self, agent: Any, question: str, **more: Any) -> tuple[str, list[Any]]:
        """Run an agent. Returns its response and all events."""
        handler = agent.run(question, **more)
        events = [event async for event in handler.stream_events()]
        return str(await handler), events

    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agent(self, llm: Any, *, streaming: bool) -> None:
        """Three tools, called one after another."""
        self.need("has_tools")
        agent = FunctionAgent(tools=[add, multiply, get_weather], llm=llm, streaming=streaming)
        answer, events = run(self.ask(agent, TASK))
        results = [event for event in events if isinstance(event, ToolCallResult)]
        assert [(result.tool_name, result.tool_output.content) for result in results] == [
            ("add", "5"),
            ("multiply", "20"),
            ("get_weather", "It is 21 degrees and sunny in Rome."),
        ]
        assert "20" in answer
        assert "21" in answer
        if streaming:
            streamed = [event for event in events if isinstance(event, AgentStream)]
            assert streamed[-1].response == answer
            assert "".join(event.delta for event in streamed if not event.tool_calls).endswith(answer)

    def test_function_agent_calls_in_parallel(self, llm: Any) -> None:
        """Two calls in one step."""
        self.need("has_tools")
        self.need("has_parallel_tools")
        agent = FunctionAgent(tools=[get_weather], llm=llm)
        answer, events = run(self.ask(agent, "Call get_weather('Paris') and get_weather('Rome'), both at once."))
        assert sum(isinstance(event, ToolCallResult) for event in events) == len(["Paris", "Rome"])
        assert "Paris" in answer
        assert "Rome" in answer

    def test_function_agent_whose_tool_fails(self, llm: Any) -> None:
        """The model gets the error, and the agent finishes."""
        self.need("has_tools")
        agent = FunctionAgent(tools=[divide], llm=llm)
        answer, events = run(self.ask(agent, "What is divide(1, 0)? Call the tool divide."))
        (result,) = [event for event in events if isinstance(event, ToolCallResult)]
        assert result.tool_output.is_error
        assert answer

    def test_function_agent_with_a_first_tool(self, llm: Any) -> None:
        """The first step calls the tool of `initial_tool_choice`."""
        self.need("has_tools")
        self.need("has_tool_choice")
        agent = FunctionAgent(tools=[add, get_weather], llm=llm, initial_tool_choice="get_weather")
        _, events = run(self.ask(agent, "Say something about Rome."))
        results = [event.tool_name for event in events if isinstance(event, ToolCallResult)]
        assert results[:1] == ["get_weather"]

    def test_function_agent_that_returns_what_a_tool_says(self, llm: Any) -> None:
        """`return_direct` ends the loop, and the conversation can continue."""
        self.need("has_tools")
        self.need("takes_direct_returns")
        memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
        direct = FunctionTool.from_defaults(add, return_direct=True)
        agent = FunctionAgent(tools=[direct, cast("Any", get_weather)], llm=llm)

        async def talk() -> tuple[str, str]:
            first, _ = await self.ask(agent, "What is add(2, 3)? Call the tool add.", memory=memory)
            second, _ = await self.ask(agent, "And get_weather('Rome')? Call the tool.", memory=memory)
            return first, second

        first, second = run(talk())
        assert first == "5"
        assert "Rome" in second

    def test_function_agent_remembers(self, llm: Any) -> None:
        """The memory holds the first question, its calls and their results for the second question."""
        self.need("has_tools")
        memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
        agent = FunctionAgent(tools=[add, multiply], llm=llm)

        async def talk() -> str:
            await self.ask(agent, "What is add(2, 3)? Call the tool add.", memory=memory)
            answer, _ = await self.ask(agent, "What is multiply(6, 7)? Call the tool multiply.", memory=memory)
            return answer

        assert "42" in run(talk())
        roles = [message.role.value for message in memory.get_all()]
        assert roles == ["user", "assistant", "tool", "assistant"] * 2

    def test_agent_workflow(self, llm: Any) -> None:
        """A workflow selects the agent class that matches the LLM."""
        self.need("has_tools")
        agent_workflow = AgentWorkflow.from_tools_or_functions(cast("Any", [add, multiply, get_weather]), llm=llm)
        assert isinstance(next(iter(agent_workflow.agents.values())), FunctionAgent)
        answer, _ = run(self.ask(agent_workflow, TASK))
        assert "20" in answer
        assert "21" in answer

    def test_agents_that_hand_over(self, llm: Any) -> None:
        """One agent hands the task over to another."""
        self.need("has_tools")
        first = FunctionAgent(
            name="front", description="Takes questions.", tools=[get_weather], llm=llm, can_handoff_to=["sums"]
        )
        second = FunctionAgent(name="sums", description="Adds numbers.", tools=[add], llm=llm)
        agent_workflow = AgentWorkflow(agents=[first, second], root_agent="front")
        answer, events = run(
            self.ask(
                agent_workflow, "Call handoff(to_agent='sums', reason='numbers'), then the agent there calls add(2, 3)."
            )
        )
        tool_names = [event.tool_name for event in events if isinstance(event, ToolCallResult)]
        assert tool_names == ["handoff", "add"]
        assert "5" in answer

    @pytest.mark.parametrize("streaming", [True, False])
    def test_react_agent(self, llm: Any, *, streaming: bool) -> None:
        """Tools by text alone, which works with any LLM that follows a format."""
        agent = ReActAgent(tools=[add, get_weather], llm=llm, streaming=streaming)
        answer, events = run(self.ask(agent, "What is add(2, 3)? Use the tool add."))
        assert [event.tool_output.content for event in events if isinstance(event, ToolCallResult)] == ["5"]
        assert "5" in answer

    def test_code_act_agent(self, llm: Any) -> None:
        """The agent can be built, and responds if no code is needed."""
        self.need("has_tools")
        agent = CodeActAgent(code_execute_fn=lambda code: code, tools=[cast("Any", add)], llm=llm)
        answer, _ = run(self.ask(agent, "Say hello."))
        assert answer
        assert workflow.CodeActAgent is type(agent)
