"""Money cannot leak: every answer is charged, whatever its server says of tokens, on every face and in both frameworks."""

import asyncio
import json

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, BudgetExceededError, ConfigurationError, Route, Router, Text, Usage
from multiroute_core.parsing import token_count
from multiroute_core.parsing.arguments import build
from multiroute_core.pricing.prices import Prices
from multiroute_core.testing import (
    DIALECTS,
    Answer,
    DialectServer,
    Fail,
    ScriptedProvider,
    dialect_route,
    scripted_route,
)
from multiroute_core.testing.server import ReplayServer, Reply
from tests.chat_server import FACES, ask

PROMPT = "How do you do? " * 40
READ = token_count.estimate(build(PROMPT, {})[0])
USAGE = Usage(READ, 10)
PRICES = {"input": 0.0, "output": 100.0}
"""Ten tokens cost 0.001 USD."""


def budgets():
    return [Budget(usd=0.0055, per="session", hard=True), Budget(tokens=100 * READ, per="session", hard=True)]


def spend(call, most=20):
    """How many calls are answered before the budget refuses; the last one is refused."""
    for number in range(most):
        try:
            call()
        except BudgetExceededError:
            return number
    raise AssertionError(f"{most} calls were answered")


def check(router, answered, *, estimated):
    records = list(router.ledger.query())
    assert answered == 5
    assert [record.outcome for record in records] == ["success"] * answered
    assert {record.estimated for record in records} == {estimated}
    (standing,) = [one for one in router.budgets() if one.unit == "usd"]
    assert standing.spent <= standing.limit
    assert standing.spent == pytest.approx(sum(record.charged for record in records))
    assert router.ledger.spent(since=0).usd == pytest.approx(standing.spent)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_on_each_face(name, face):
    script = Answer("word " * 10, usage=USAGE)
    router = Router([dialect_route(name, script, prices=PRICES)], budget=budgets(), ledger="memory")
    answered = spend(lambda: ask(router, face, PROMPT, max_tokens=10))
    check(router, answered, estimated=DIALECTS[name].place == "nowhere")


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_in_both_frameworks_over_a_socket(name, framework):
    with DialectServer(name, Answer("word " * 10, usage=USAGE)) as server:
        router = Router([server.route(prices=PRICES)], budget=budgets(), ledger="memory", max_retries=0)
        if framework == "langchain":
            call = ChatMultiRoute(router=router).invoke
        else:
            call = MultiRoute(router=router).complete
        check(router, spend(lambda: call(PROMPT, max_tokens=10)), estimated=DIALECTS[name].place == "nowhere")
        router.close()


class Chat(BaseChatModel):
    """A chat model of LangChain's that tells its tokens, or does not."""

    tells: bool = True
    max_tokens: int | None = None

    @property
    def _llm_type(self):
        return "chat"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        told = {"input_tokens": READ, "output_tokens": 10, "total_tokens": READ + 10} if self.tells else None
        message = AIMessage("word " * 10, usage_metadata=told)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Complete(CustomLLM):
    """An LLM of LlamaIndex's that tells nothing."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="complete", context_window=100_000)

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="word " * 10)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        yield CompletionResponse(text="word " * 10, delta="word " * 10)


WRAPPED = {
    "langchain": lambda: Route(llm=Chat(), prices=PRICES),
    "langchain, silent": lambda: Route(llm=Chat(tells=False), prices=PRICES),
    "llamaindex": lambda: Route(llm=Complete(), prices=PRICES),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", WRAPPED)
def test_wrapped_models_count(kind, face):
    router = Router([WRAPPED[kind]()], budget=budgets(), ledger="memory")
    answered = spend(lambda: ask(router, face, PROMPT, max_tokens=10))
    check(router, answered, estimated=kind != "langchain")


def test_a_wrapped_model_without_a_price_is_refused_by_a_hard_budget():
    with pytest.raises(ConfigurationError, match=r"price of route 'langchain:Chat' is unknown"):
        Router([Route(llm=Chat())], budget=Budget(usd=1, hard=True))


class TestUnknownAddress:
    """A server on one's own machine has no known price; only a closed model is estimated by its vendor's list."""

    BODY = (
        b'{"id": "c", "model": "prod-alias", "choices": [{"index": 0, "finish_reason": "stop", "message": '
        b'{"role": "assistant", "content": "Well."}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 8000, '
        b'"total_tokens": 9000}}'
    )

    def server(self):
        return ReplayServer(Reply(200, {"content-type": "application/json"}, self.BODY))

    def test_the_cost_is_unknown_and_the_budget_charges_an_estimate(self):
        with self.server() as server:
            route = Route("openai:gpt-4o-mini", base_url=f"{server.url}/v1", api_key="k")
            router = Router([route], budget=Budget(usd=0.01, hard=True), ledger="memory")
            response = router.generate("Hi", max_tokens=1_000)
            (attempt,) = response.attempts
            assert (response.cost, attempt.cost, attempt.estimated) == (None, None, True)
            assert attempt.charged == pytest.approx(1_000 * 0.15e-6 + 8_000 * 0.6e-6)
            assert "estimate" in str(attempt.price_source)
            (record,) = router.ledger.query()
            assert (record.cost, record.charged, record.estimated) == (None, attempt.charged, True)
            assert spend(lambda: router.generate("Hi", max_tokens=1_000)) == 1, "what is left is too little for another"

    def test_an_open_model_is_refused_by_a_hard_budget(self):
        with self.server() as server, pytest.raises(ConfigurationError, match="price of route .* is unknown"):
            route = Route("openai:gpt-oss-20b", base_url=f"{server.url}/v1", api_key="k")
            Router([route], budget=Budget(usd=0.01, hard=True))

    def test_the_route_may_say_whose_prices_hold(self):
        with self.server() as server:
            route = Route("openai:gpt-4o-mini", base_url=f"{server.url}/v1", api_key="k", prices="openai")
            response = Router([route]).generate("Hi")
            assert response.cost == pytest.approx(1_000 * 0.15e-6 + 8_000 * 0.6e-6)
            assert not response.attempts[0].estimated


class TestReservation:
    """What `extra` lays over the body decides about the bill, and so about what is held for it."""

    @pytest.mark.parametrize(
        ("extra", "factor"),
        [
            ({}, 1),
            ({"n": 3}, 3),
            ({"max_completion_tokens": 40}, 4),
            ({"max_output_tokens": 20}, 2),
            ({"generationConfig": {"maxOutputTokens": 30, "candidateCount": 2}}, 6),
        ],
    )
    def test_it_counts(self, extra, factor):
        held = 0.001 * factor
        for cap, enough in ((held, True), (held * 0.99, False)):
            route = Route("openai:a", llm=ScriptedProvider(Answer("x", usage=Usage(1, 1))), prices=PRICES)
            router = Router([route], budget=Budget(usd=cap, hard=True))
            call = lambda router=router: router.generate("Hi", max_tokens=10, extra={"openai": extra})  # noqa: E731
            if enough:
                call()
            else:
                with pytest.raises(BudgetExceededError):
                    call()

    def test_a_dearer_tier_holds_more(self):
        router = Router([Route("openai:gpt-5", api_key="k")])
        plain, priority = (
            router.estimate("Hi", max_tokens=100, extra={"openai": extra})[0].most_cost
            for extra in ({}, {"service_tier": "priority"})
        )
        assert plain is not None
        assert priority is not None
        assert priority > 1.5 * plain


@pytest.mark.parametrize("face", FACES)
def test_an_estimate_is_never_longer_than_max_tokens(face):
    """A server that keeps to it and does not count: the text looks longer than it is."""
    route = dialect_route("silent", Answer("wörter " * 50, usage=Usage(READ, 10)), prices=PRICES)
    router = Router([route], ledger="memory")
    ask(router, face, PROMPT, max_tokens=10)
    (record,) = router.ledger.query()
    assert (record.output_tokens, record.estimated, record.charged) == (10, True, pytest.approx(0.001))


def test_ledger_report_and_totals_agree_on_what_failed():
    answer = Answer(("one ", "two "), per_chunk=0.01, usage=Usage(1, 2))
    routes = [scripted_route("a", [Fail(), answer, answer]), scripted_route("b", answer)]
    router = Router(routes, ledger="memory", max_retries=0)
    router.generate("Hi")
    stream = router.stream("Hi")
    next(stream)
    stream.close()

    async def main():
        task = asyncio.create_task(router.agenerate("Hi"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    groups = router.ledger.totals("route")
    total = router.report().total
    assert (sum(g.failed for g in groups), sum(g.cancelled for g in groups)) == (total.failed, total.cancelled)
    assert total.failed == 1 and total.cancelled >= 1


@pytest.mark.parametrize("face", FACES)
def test_a_stated_zero_never_wins_against_a_price(face):
    body = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "word " * 10}}]}
    reply = Reply(200, {"content-type": "application/json"}, json.dumps({**body, "usage": {"cost": 0}}).encode())
    with ReplayServer(lambda _received: reply) as server:
        route = Route("openai:gpt-4.1", api="chat", base_url=f"{server.url}/v1", api_key="k", prices=PRICES)
        router = Router([route], budget=budgets(), ledger="memory")
        check(router, spend(lambda: ask(router, face, PROMPT, max_tokens=10)), estimated=True)


def test_a_whole_answer_that_loses_a_race_in_the_same_moment_is_charged():
    """Its server says nothing of tokens, and its end was read before it was called off."""
    from multiroute_core.engine.attempt import AttemptRunner

    attempt = object.__new__(AttemptRunner)
    attempt.stream = True
    attempt.parts = [Text("word " * 10)]
    attempt.usage = None
    attempt.model = None
    attempt.route = scripted_route("a", Answer(), prices=PRICES)
    attempt.first_token_seconds, attempt._done, attempt._max_tokens, attempt._tokens = 0.1, True, 10, READ
    attempt._pricing = Prices()
    charge = attempt._charge("a", is_answered=False)
    assert (charge.cost, charge.estimated_cost) == (None, pytest.approx(0.001))
