"""LangGraph's `interrupt()` suspends a graph by an exception: it is no failure of a route, and the graph resumes."""

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt, ParentCommand
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_multiroute import ChatMultiRoute
from multiroute_core.providers.whole import is_control_flow
from tests.newer import needed
from tests.wire_replies import candidate_pair, chat_pair, message_pair, response_pair, route, served

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")
from langchain.agents.middleware import HumanInTheLoopMiddleware, ModelFallbackMiddleware, wrap_model_call  # noqa: E402

ARGS = {"amount": 5}


@tool
def pay(amount: int) -> str:
    """Pay, when somebody has agreed."""
    return f"paid {amount}: {interrupt(f'Pay {amount}?')}"


def item(text):
    return {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


CALL = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 5}'}}
ITEM = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "pay", "arguments": '{"amount": 5}'}
REPLIES = {
    "openai.chat": (chat_pair({"tool_calls": [CALL]}, "tool_calls"), chat_pair({"content": "Done."})),
    "openai.responses": (response_pair(ITEM), response_pair(item("Done."))),
    "anthropic": (
        message_pair({"type": "tool_use", "id": "c1", "name": "pay", "input": ARGS}, stop_reason="tool_use"),
        message_pair({"type": "text", "text": "Done."}),
    ),
    "google": (
        candidate_pair({"functionCall": {"name": "pay", "args": ARGS}}),
        candidate_pair({"text": "Done."}),
    ),
}
HERE = {"configurable": {"thread_id": "1"}}
ASK = {"messages": [("user", "Pay.")]}


async def run(graph, face, given):
    """What a run ends with: the state, and the interrupts."""
    match face:
        case "invoke":
            graph.invoke(given, HERE)
        case "ainvoke":
            await graph.ainvoke(given, HERE)
        case "stream":
            list(graph.stream(given, HERE, stream_mode="messages"))
        case _:
            [part async for part in graph.astream(given, HERE, stream_mode=["messages", "updates"])]
    state = await graph.aget_state(HERE)
    return state.values["messages"], [one.value for one in state.interrupts]


FACES = ("invoke", "ainvoke", "stream", "astream")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("wire", REPLIES)
async def test_in_a_tool(wire, face):
    with served(*REPLIES[wire]) as server:
        model = ChatMultiRoute(routes=[route(server, wire)])
        agent = create_agent(model, [pay], checkpointer=InMemorySaver())
        _, waiting = await run(agent, face, ASK)
        assert waiting == ["Pay 5?"]
        assert len(server.bodies) == 1
        messages, waiting = await run(agent, face, Command(resume="yes"))
        assert waiting == []
        assert len(server.bodies) == 2
    (answer,) = [message for message in messages if isinstance(message, ToolMessage)]
    assert answer.content == "paid 5: yes"
    assert messages[-1].text == "Done."


@pytest.mark.parametrize("face", FACES)
async def test_before_a_call_of_the_model_that_the_middleware_interrupts(face):
    with served(*REPLIES["openai.chat"]) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")])
        middleware = [HumanInTheLoopMiddleware(interrupt_on={"pay": {"allowed_decisions": ["approve", "reject"]}})]

        @tool
        def pay(amount: int) -> str:
            """Pay."""
            return f"paid {amount}"

        agent = create_agent(model, [pay], middleware=middleware, checkpointer=InMemorySaver())
        _, (waiting,) = await run(agent, face, ASK)
        assert waiting["action_requests"][0]["args"] == ARGS
        messages, _ = await run(agent, face, Command(resume={"decisions": [{"type": "approve"}]}))
    assert [message.content for message in messages if isinstance(message, ToolMessage)] == ["paid 5"]


@pytest.mark.parametrize("face", FACES)
async def test_in_the_node_that_calls_the_model(face):
    with served(chat_pair({"content": "Done."})) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")])

        def node(state):
            first = model.invoke(state["messages"])
            word = interrupt("Go on?")
            return {"messages": [first, model.invoke([*state["messages"], first, ("user", word)])]}

        builder = StateGraph(MessagesState)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=InMemorySaver())
        _, waiting = await run(graph, face, ASK)
        assert waiting == ["Go on?"]
        messages, _ = await run(graph, face, Command(resume="Yes."))
        assert server.bodies[-1]["messages"][-1]["content"] == "Yes."
    assert [message.text for message in messages] == ["Pay.", "Done.", "Done."]


class Asking(BaseCallbackHandler):
    """A handler whose errors LangChain lets through."""

    raise_error = True
    run_inline = True

    def __init__(self, name):
        self._asked = False
        setattr(self, name, self._ask)

    def _ask(self, *args, **kwargs):
        if not self._asked:
            self._asked = True
            interrupt("May I?")

    def on_chat_model_start(self, *args, **kwargs):
        pass


@pytest.mark.parametrize("event", ["on_chat_model_start", "on_llm_new_token", "on_llm_end"])
async def test_in_a_callback(event):
    with served(chat_pair({"content": "Done."})) as first, served(chat_pair({"content": "Second."})) as second:
        routes = [route(first, "openai.chat"), route(second, "openai.responses")]
        model = ChatMultiRoute(routes=routes, streaming=event == "on_llm_new_token")

        def node(state):
            return {"messages": [model.invoke(state["messages"], {"callbacks": [Asking(event)]})]}

        builder = StateGraph(MessagesState)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=InMemorySaver())
        _, waiting = await run(graph, "invoke", ASK)
        assert waiting == ["May I?"]
        messages, _ = await run(graph, "invoke", Command(resume="yes"))
        assert second.bodies == []  # no route has failed
    assert messages[-1].text == "Done."


class Interrupting(BaseChatModel):
    """A model that asks a human before it answers, on each of its faces."""

    late: bool = False

    @property
    def _llm_type(self):
        return "interrupting"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        word = interrupt("May I?")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"You said {word}."))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        if self.late:
            yield ChatGenerationChunk(message=AIMessageChunk(content="Hm. "))
        word = interrupt("May I?")
        yield ChatGenerationChunk(message=AIMessageChunk(content=f"You said {word}."))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("face", ["invoke", "stream", "ainvoke", "astream"])
async def test_in_a_wrapped_model(face, late):
    with served(chat_pair({"content": "Second."})) as second:
        model = ChatMultiRoute(routes=[Interrupting(late=late), route(second, "openai.chat")])
        agent = create_agent(model, [], checkpointer=InMemorySaver())
        _, waiting = await run(agent, face, ASK)
        assert waiting == ["May I?"]
        messages, _ = await run(agent, face, Command(resume="yes"))
        assert second.bodies == []
    assert messages[-1].text.endswith("You said yes.")
    health = model.router.health()
    assert [health[one.name].breaker for one in model.router.routes] == ["closed", "closed"]
    assert [health[one.name].in_flight for one in model.router.routes] == [0, 0]


async def test_the_fallback_middleware_lets_it_through_as_well():
    with served(chat_pair({"content": "Second."})) as second:
        spare = ChatMultiRoute(routes=[route(second, "openai.chat")])
        asked = []

        @wrap_model_call
        def ask(request, handler):
            asked.append(interrupt("May I?"))
            return handler(request)

        with served(chat_pair({"content": "Done."})) as first:
            model = ChatMultiRoute(routes=[route(first, "openai.chat")])
            agent = create_agent(
                model, [], middleware=[ModelFallbackMiddleware(spare), ask], checkpointer=InMemorySaver()
            )
            _, waiting = await run(agent, "invoke", ASK)
            assert waiting == ["May I?"]
            messages, _ = await run(agent, "invoke", Command(resume="yes"))
        assert second.bodies == []
    assert messages[-1].text == "Done."


def test_what_suspends_a_run():
    assert is_control_flow(GraphInterrupt())
    assert is_control_flow(ParentCommand(Command()))
    assert not is_control_flow(ValueError())
    assert not is_control_flow(type("GraphBubbleUp", (Exception,), {})())
