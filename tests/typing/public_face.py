"""What a type checker sees of the public face; pyright reads this file, nothing runs it."""

from collections.abc import AsyncGenerator, Generator
from typing import assert_type

from langchain_core.language_models import BaseChatModel
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM, ChatMessage

import multiroute_core
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Attempt, Chunk, Message, Options, Response, Route, Router, Usage
from multiroute_core.events import Event


def hook(event: Event) -> None:
    assert_type(event.request_id, str)


router = Router(
    [Route("openai:gpt-4.1", tasks={"code_generation"}, tags=["eu"], backup=True), "anthropic:claude-sonnet-5-5"],
    order="cheapest",
    on_event=[hook],
)
response = router.generate("Hello", system="Be kind.", temperature=0, stop=["x"], deadline=3, task="general")
assert_type(response, Response)
assert_type(response.text, str)
assert_type(response.cost, float | None)
assert_type(response.usage, Usage | None)
assert_type(response.attempts, tuple[Attempt, ...])
assert_type(
    router.stream([Message("user", "Hello"), ("user", "x"), {"role": "user", "content": "y"}]), Generator[Chunk]
)
assert_type(router.astream("Hello"), AsyncGenerator[Chunk, None])

router.generate("Hello", temprature=0)  # pyright: ignore[reportCallIssue]
router.generate("Hello", temperature="hot")  # pyright: ignore[reportArgumentType]
Route("openai:gpt-4.1", api="completions")  # pyright: ignore[reportArgumentType]


async def native() -> None:
    assert_type(await router.agenerate("Hello"), Response)
    async with Router() as other:
        assert_type(other, Router)


with multiroute_core.options(task="x") as options:
    assert_type(options, Options)

chat_model: BaseChatModel = ChatMultiRoute(router=router)
llm: LLM = MultiRoute(router=router)
assert_type(MultiRoute(router=router).chat([ChatMessage("Hello")]), ChatResponse)
