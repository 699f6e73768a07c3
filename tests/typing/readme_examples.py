"""README's and the docs' own lines, which strict pyright and `mypy --strict` accept without a cast or a check for None."""

from typing import assert_type

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import BatchResults, Ledger, Record, RequestRecord, Response, Route, Router, options
from multiroute_core.ledger import Groups
from multiroute_core.telemetry import JSONLines, LogEvents, OpenTelemetry

with Router(["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"], ledger="sqlite:///ledger.db") as router:
    response = router.generate("Name a colour.", system="Answer in one word.", max_tokens=50)
    print(response.text, response.route, response.cost)
    for attempt in response.attempts:
        print(attempt.route, attempt.outcome, attempt.seconds)
    for chunk in router.stream("Count to five."):
        print(chunk.text, end="")
    assert_type(router.ledger, Ledger)
    assert_type(router.ledger.totals("model"), Groups)
    assert_type(router.ledger.query(tenant="shop", outcome="success"), list[Record])
    results = router.map(f"Name a colour that starts with {letter}." for letter in "abc")
    print(results.texts, results.errors, results.cost)
    assert_type(results, BatchResults)
    assert_type(results[0], Response | Exception)
    assert_type(router.requests()[0], RequestRecord)


async def main() -> None:
    async with Router(["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"]) as other:
        print((await other.agenerate("Name a colour.")).text)
        async for chunk in other.astream("Count to five."):
            print(chunk.text, end="")


llm = ChatMultiRoute("anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol", "google:gemini-3.8-flash")
model = MultiRoute(router=router)
with options(task="long_context", deadline=20):
    llm.invoke("Hello")
Router([Route(llm=llm, timeout=20), Route("local:smollm2", backup=True)], on_event=[LogEvents(), OpenTelemetry()])
Ledger("sqlite:///ledger.db", export=[JSONLines("calls.jsonl")])
