"""Base of all standard tests: the LLM under test, its features, and the tools."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher

T = TypeVar("T")


@pytest.mark.filterwarnings(  # the framework's own warnings
    "ignore::pydantic.warnings.PydanticDeprecationWarning", "ignore:is_running called:DeprecationWarning"
)
class Suite:
    """The base of all standard tests."""

    has_tools: bool = True
    """It is a `FunctionCallingLLM` and calls tools."""
    has_parallel_tools: bool = True
    """It can call several tools in one response."""
    has_tool_choice: bool = True
    """It supports requiring a specific tool, or forbidding all tools."""
    has_images: bool = True
    """It accepts images."""
    has_usage: bool = True
    """Its responses report token counts."""
    has_streamed_usage: bool = True
    """The last response of its streams reports token counts."""
    keeps_history: bool = True
    """It does not change the list of messages it is given; some LLMs append the user's turn to it."""
    crosses_loops: bool = True
    """It works in several event loops, one after another."""
    takes_direct_returns: bool = True
    """It accepts the message in which `FunctionAgent` repeats the output of a `return_direct` tool: an assistant
    message with the id of a call.
    """
    secrets: tuple[str, ...] = ()
    """Strings that must not appear in its dumps, such as its API key."""

    @pytest.fixture
    def llm(self) -> Any:
        """The LLM under test; override it."""
        raise NotImplementedError("Override the fixture `llm`.")

    @pytest.fixture(autouse=True)
    def _own_loop(self) -> Generator[None]:
        """One event loop per test: not every LLM works in several."""
        with asyncio.Runner() as runner:
            token = _loop.set(runner)
            yield
            _loop.reset(token)

    @property
    def tools(self) -> list[FunctionTool]:
        """Three tools."""
        return [FunctionTool.from_defaults(fn) for fn in (add, multiply, get_weather)]

    def need(self, feature: str) -> None:
        """Skip the test if the LLM lacks `feature`."""
        if not getattr(self, feature):
            pytest.skip(f"{feature} is False for this LLM")


def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It is 21 degrees and sunny in {city}."


def to_messages(text: str) -> list[ChatMessage]:
    """A new conversation with one user message."""
    return [ChatMessage(role="user", content=text)]


_loop: ContextVar[asyncio.Runner] = ContextVar("loop")


def run(coroutine: Awaitable[T]) -> T:
    """Run an awaitable on the test's event loop."""

    async def wait() -> T:
        return await coroutine

    return _loop.get().run(wait())


def arun_all(stream: Awaitable[Any]) -> list[Any]:
    """Collect all items of an async stream."""

    async def read() -> list[Any]:
        return [item async for item in await stream]

    return _loop.get().run(read())


@contextlib.contextmanager
def listening() -> Generator[list[Any]]:
    """Collect the instrumentation events of a block."""
    events: list[Any] = []

    class Ear(BaseEventHandler):
        @classmethod
        def class_name(cls) -> str:
            return "Ear"

        def handle(self, event: Any, **_: Any) -> None:
            events.append(event)

    ear = Ear()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(ear)
    try:
        yield events
    finally:
        dispatcher.event_handlers.remove(ear)
