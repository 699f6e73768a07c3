"""Conversations that one vendor begins and another goes on with."""

import asyncio
import itertools

import pytest
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.memory import ChatMemoryBuffer

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.testing.agents import TASK
from llamaindex_multiroute.testing.suite import add, get_weather, multiply
from multiroute_core import Router
from multiroute_core.events import AttemptEnded
from tests.vendors.server import WIRES, VendorServer

pytestmark = pytest.mark.wire


@pytest.fixture
def vendors():
    with VendorServer() as server:
        yield server


class Switching:
    """A router over three wires, whose vendor goes down as soon as it has answered, while the others come back."""

    def __init__(self, vendors, wires):
        self.vendors, self.answered = vendors, []
        self.router = Router(vendors.routes(*wires), on_event=[self.hear])

    def hear(self, event):
        if isinstance(event, AttemptEnded) and event.attempt.outcome == "success":
            wire = event.attempt.route.partition(":")[0]
            self.answered.append(wire)
            self.vendors.dead.clear()
            self.vendors.dead.add(wire)


def refused(vendors):
    """What a vendor found wrong with a request."""
    return [(seen.wire, seen.message) for seen in vendors.seen if seen.status == 400]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # in LlamaIndex's own code
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("wires", list(itertools.permutations(WIRES, 3)), ids="-".join)
def test_an_agent_whose_vendor_changes_after_each_step(vendors, wires, streaming):
    switching = Switching(vendors, wires)
    llm = MultiRoute(router=switching.router)
    agent = FunctionAgent(tools=[add, multiply, get_weather], llm=llm, streaming=streaming)
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)

    async def talk():
        handler = agent.run(TASK, memory=memory)
        called = [event.tool_name async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
        answer = str(await handler)
        stored = [ChatMessage.model_validate_json(message.model_dump_json()) for message in memory.get_all()]
        again = await llm.achat([*stored, ChatMessage(role="user", content="And what is 2 + 2?")])
        await switching.router.aclose()
        return called, answer, str(again.message.content)

    called, answer, again = asyncio.run(talk())
    assert called == ["add", "multiply", "get_weather"]
    assert "20" in answer
    assert "21" in answer
    assert "4" in again
    assert refused(vendors) == []
    assert all(a != b for a, b in itertools.pairwise(switching.answered))
    assert len(set(switching.answered)) > 1


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # in LlamaIndex's own code
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("wire", WIRES)
def test_what_a_model_thought_goes_back_to_it_unchanged(vendors, wire, streaming):
    """Vendors refuse a tool loop whose thoughts are missing, or are not the very ones that they signed."""
    router = Router([vendors.route(wire, "gpt-5" if wire == "chat" else None)])
    llm = MultiRoute(router=router, reasoning={"effort": "high", "summary": True}, max_tokens=8_000)
    agent = FunctionAgent(tools=[add, multiply, get_weather], llm=llm, streaming=streaming)
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)

    async def talk():
        handler = agent.run(TASK, memory=memory)
        events = [event async for event in handler.stream_events()]
        answer = str(await handler)
        await router.aclose()
        return events, answer

    events, answer = asyncio.run(talk())
    assert "21" in answer
    assert refused(vendors) == []
    thoughts = [block.content for m in memory.get_all() for block in m.blocks if isinstance(block, ThinkingBlock)]
    assert bool(thoughts) == (wire != "chat")  # Chat Completions never shows them
    if streaming and thoughts:
        deltas = [event.thinking_delta for event in events if isinstance(event, AgentStream)]
        assert "".join(delta or "" for delta in deltas) == "".join(thought or "" for thought in thoughts)
