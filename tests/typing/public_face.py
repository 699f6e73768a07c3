"""What a type checker sees of the public face; pyright reads this file, nothing runs it."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any, assert_type

import openai
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.llms.llm import ToolSelection
from starlette.applications import Starlette

import multiroute_core
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import (
    Attempt,
    Budget,
    BudgetAlert,
    BudgetStatuses,
    Chunk,
    Event,
    Explanation,
    Health,
    Ledger,
    Limit,
    LimitStatuses,
    Message,
    Options,
    Record,
    Request,
    Response,
    Route,
    RouteHealth,
    Router,
    RouterReloader,
    UnsupportedError,
    Usage,
)
from multiroute_core.ledger import Groups
from multiroute_core.report import Report
from multiroute_core.serving import EventStream, build_app, event_stream, hash_key, http_error
from multiroute_core.telemetry import JSONLines, PrometheusMetrics
from multiroute_core.testing.dialects import DialectServer, dialect_route


def hook(event: Event) -> None:
    assert_type(event.request_id, str)


router = Router(
    [Route("openai:gpt-4.1", tasks={"code_generation"}, tags=["eu"], backup=True), "anthropic:claude-sonnet-5-5"],
    strategy="cheapest",
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

assert_type(router.as_openai(), openai.OpenAI)
assert_type(router.as_async_openai(), openai.AsyncOpenAI)
assert_type(build_app(router, keys={hash_key("key"): "shop"}), Starlette)
assert_type(event_stream(router.stream("Hello")), AsyncGenerator[bytes, None])
assert_type(http_error(UnsupportedError("x")), tuple[int, dict[str, str], dict[str, Any]])
EventStream(router.astream("Hello"), heartbeat=None, headers={"x-request": "1"})

router.generate("Hello", fallback_on={"refusal"}, on_stream_error="continue", region="eu")
assert_type(router.explain("Hello", stream=True, strategy="cheapest"), Explanation)
assert_type(router.health(), Health)
assert_type(router.health()["openai:gpt-4.1"], RouteHealth)


def last_first(request: Request, routes: Sequence[Route], standings: Mapping[str, RouteHealth]) -> Sequence[Route]:
    return sorted(routes, key=lambda route: standings[route.name].in_flight, reverse=True)


Router(strategy=last_first, hedge_budget=0.05, on_stream_error="restart")
Router(on_stream_error="contniue")  # pyright: ignore[reportArgumentType]
Route("openai:gpt-4.1", rpm=50, tpm=40_000, max_concurrency=8, rate_limit_group="team", weight=2, region="eu")
router.generate("Hello", temprature=0)  # pyright: ignore[reportCallIssue]
router.generate("Hello", temperature="hot")  # pyright: ignore[reportArgumentType]
Route("openai:gpt-4.1", api="completions")  # pyright: ignore[reportArgumentType]


async def native() -> None:
    assert_type(await router.agenerate("Hello"), Response)
    async with Router() as other:
        assert_type(other, Router)


def told(alert: BudgetAlert) -> None:
    assert_type(alert.spent, float)


counted = Router(
    budget=[Budget(usd=20, scope="tenant", hard=True), Budget(tokens=10_000, per="call", on_alert=told)],
    ledger=Ledger("sqlite:///ledger.db", export=[JSONLines("calls.jsonl")]),
)
assert_type(counted.budgets(), BudgetStatuses)
assert_type(counted.estimate("Hello", max_tokens=10).cost, float | None)
assert_type(counted.report("7d"), Report)
assert_type(counted.ledger.query(tenant="a"), list[Record])
assert_type(counted.ledger.totals("model"), Groups)
assert_type(counted.ledger.spent(since=0.0).usd, float)
assert_type(counted.with_hooks(hook), Router)
limited = Router(limit=[Limit(rpm=60, concurrency=4), Limit(tpm=40_000, scope="label", scope_values={"a"})])
assert_type(limited.limit_statuses(), LimitStatuses)
configured = Router.from_file("routes.toml")
assert_type(configured, Router)
assert_type(configured.reload(), bool)
with RouterReloader(configured, interval=None) as reloader:
    assert_type(reloader.reload(), bool)
assert_type(PrometheusMetrics("metrics").render(), str)
Limit(rpm=60, scope="route")  # pyright: ignore[reportArgumentType]
Budget(usd=20, per="days")  # pyright: ignore[reportArgumentType]

with multiroute_core.options(task="x", labels={"a"}) as options:
    assert_type(options, Options)

chat_model: BaseChatModel = ChatMultiRoute(router=router)
llm: LLM = MultiRoute(router=router)
assert_type(MultiRoute(router=router).chat([ChatMessage("Hello")]), ChatResponse)
with_tools = MultiRoute(router=router).chat_with_tools([], user_msg="Hello", tool_required=True)
assert_type(with_tools, ChatResponse)
assert_type(MultiRoute(router=router).get_tool_calls_from_response(with_tools), list[ToolSelection])
assert_type(Route(llm=llm, backup=True), Route)
assert_type(Route(llm=chat_model, prices="openai"), Route)
Router([Route(llm=llm), Route("openai:gpt-4.1", llm=chat_model)])
MultiRoute(routes=[llm, Route("openai:gpt-4.1"), "local:smollm2"])

chat = ChatMultiRoute(routes=["openai:gpt-4.1", chat_model])
assert_type(
    chat.bind_tools([{"google_search": {}}], tool_choice=True, strict=True), Runnable[LanguageModelInput, AIMessage]
)
assert_type(chat.with_structured_output({"title": "x"}, method="json_mode"), Runnable[LanguageModelInput, Any])
chat.with_structured_output({"title": "x"}, method="json")  # pyright: ignore[reportArgumentType]
assert_type(chat.get_num_tokens("Hello"), int)

for attempt in response.attempts:
    assert_type(attempt.charged, float | None)
    assert_type(attempt.estimated, bool)
assert_type(Usage().other_models, tuple[tuple[str, Usage], ...])
assert_type(UnsupportedError("It takes no tools.", ability="tools").ability, str)
assert_type(Route("openai:gpt-4.1", base_url="http://127.0.0.1:4000/v1", prices="openai"), Route)
assert_type(dialect_route("groq"), Route)
with DialectServer("groq") as server:
    assert_type(server.route(), Route)
