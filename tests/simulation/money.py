"""Money in random worlds: providers of many dialects, a hard budget, callers who come at once and leave when they like.

What the router books is kept beside what its providers know to be true. All of a world follows from one number.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_multiroute.wrap import ModelProvider
from multiroute_core import Budget, BudgetExceededError, Ledger, Route, Router, Usage
from multiroute_core.budgets.accounts import MemoryAccounts
from multiroute_core.errors import MultiRouteError, ServerError
from multiroute_core.events import AttemptEnded
from multiroute_core.parsing import token_count
from multiroute_core.resilience.spend_account import Account
from multiroute_core.testing import (
    Answer,
    DropConnection,
    Fail,
    Failure,
    VirtualLoop,
    dialect_route,
    provider_of,
    run_in_virtual_time,
)
from multiroute_core.testing.dialects import DIALECTS, FAILURES

NANO = 1_000_000_000
TELLS_CACHED = frozenset(
    "openai openai_responses anthropic google xai deepseek moonshot groq openrouter vllm lightllm alias chatty "
    "chatty_anthropic chatty_google zeros mistral openrouter_anthropic".split()
)
WRAPPED = "wrapped"


class World:
    """Everything that follows from `seed`.

    Args:
        seed: The number.
        callers: How many requests there are.

    Attributes:
        obedient: Whether no answer is longer than `max_tokens`.
        cap: The budget, in billionths of a USD.
    """

    def __init__(self, seed: int, callers: int = 200) -> None:
        dice = self.dice = random.Random(seed)
        self.seed, self.callers = seed, callers
        self.obedient = dice.random() < 0.6
        self.names = [*dice.sample(sorted(DIALECTS), dice.randint(2, 4)), *([WRAPPED] if dice.random() < 0.4 else [])]
        dice.shuffle(self.names)
        self.prices = {
            name: {
                "input": dice.choice((0.5, 1, 3)),
                "cache_read": dice.choice((0.1, 0.25)),
                "output": dice.choice((2, 10, 25)),
            }
            for name in self.names
        }
        self.routes = [self._route(name) for name in self.names]
        # Enough for about a third of the callers.
        self.cap = round(callers / 3 * 250 * 10 / 1e6 * NANO)
        self.budgets = (
            Budget(usd=self.cap / NANO, per="session", hard=True),
            Budget(tokens=callers * 2_000, per="session", hard=True),
        )
        self.loop = VirtualLoop()
        self.ledger = Ledger(wall=self.loop.time)
        self.router = Router(
            self.routes,
            budget=self.budgets,
            ledger=self.ledger,
            on_event=[self._heard],
            max_retries=dice.choice((0, 1, 2)),
            hedge_budget=dice.choice((None, None, 0.3)),
            on_stream_error=dice.choice(("raise", "restart", "continue")),
            strategy=dice.choice(("priority", "weighted", "cheapest", "least_busy")),
        )
        run_in_virtual_time(self.router, self.loop, seed)
        self.accounts = WatchedAccounts(self.loop.time, self.budgets[0].name, self.cap)
        self.router._parts.spending._session = self.accounts
        self.ends: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    def run(self) -> World:
        """Let it happen, to its end."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._happen())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(asyncio.sleep(1.0))
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
        return self

    def wrongs(self) -> list[str]:
        """The laws that were broken."""
        wrongs: list[str] = []
        account, records = self.accounts.account, list(self.ledger.query())
        booked = sum(round((record.charged or 0.0) * NANO) for record in records)
        if booked != account.spent:
            wrongs.append(f"the ledger says {booked}, the budget {account.spent}")
        if account.held:
            wrongs.append(f"{account.held} is held for nobody")
        if self.obedient and account.spent > self.cap:
            wrongs.append(f"{account.spent - self.cap} was spent beyond the cap of {self.cap}")
        if account.spent > self.cap + self.accounts.excess:
            wrongs.append(f"{account.spent} spent of {self.cap}, and the excess in flight was {self.accounts.excess}")
        if self.accounts.late:
            wrongs.append(f"{self.accounts.late} attempts began when nothing was left")
        for route in self.routes:
            if route.name != WRAPPED:
                wrongs += self._wrong_records(route, [r for r in records if r.route == route.name])
        if late := self.ends["answered though nothing was left"]:
            wrongs.append(f"{late} requests were not refused though nothing was left")
        for record in records:
            if record.outcome == "success" and not record.charged:
                wrongs.append(f"an answer of {record.route} was charged {record.charged}")
        return wrongs

    def _wrong_records(self, route: Route, records: list[Any]) -> list[str]:
        """Where a dialect states its counts, the ledger has the dialect's own sum."""
        wrongs: list[str] = []
        dialect = DIALECTS[route.name]
        by_caller: dict[str, list[Any]] = {}
        for take in provider_of(route).takes:
            by_caller.setdefault(take.asked.request.messages[0].text.partition(" ")[0], []).append(take)
        for record in records:
            take = by_caller[record.labels[0]].pop(0)
            if record.outcome != "success" or take.usage is None:
                continue  # a missing tool call after text is no failure, and the script may have no counts for it
            stated = dialect.place != "nowhere"
            right = self._cost(route.name, take.usage) if stated else None
            if (record.cost is None) != (right is None) or (right is not None and abs(record.cost - right) > 1e-12):
                wrongs.append(f"{route.name}: {take.usage} costs {right}, the ledger says {record.cost}")
            if record.estimated is stated:
                wrongs.append(f"{route.name}: estimated is {record.estimated}, and the counts were stated: {stated}")
        return wrongs

    def _cost(self, name: str, usage: Usage) -> float:
        if name == "openrouter" and usage.stated_cost is not None:
            return usage.stated_cost
        prices, cached = self.prices[name], usage.cache_read_tokens or 0
        fresh = (usage.input_tokens or 0) - cached
        return (
            fresh * prices["input"] + cached * prices["cache_read"] + (usage.output_tokens or 0) * prices["output"]
        ) / 1e6

    def _route(self, name: str) -> Route:
        options: dict[str, Any] = {"prices": self.prices[name], "weight": self.dice.choice((1.0, 3.0)), "name": name}
        if name == WRAPPED:
            model = FakeModel(dice=random.Random(self.seed), tells=self.dice.random() < 0.5)
            return Route("openai:wrapped", llm=ModelProvider(model, {}, "openai", "wrapped"), **options)
        return dialect_route(name, lambda asked: self._behaviour(name, asked), **options)

    def _behaviour(self, name: str, asked: Any) -> Any:
        """What a provider does with a call."""
        dice, request = self.dice, asked.request
        most = request.max_tokens or 1_024
        longest = most if self.obedient or dice.random() < 0.7 else most * 4
        written = dice.randint(1, longest)
        read = token_count.estimate(request)
        cached = dice.choice((0, read // 2)) if name in TELLS_CACHED else None
        usage = Usage(read, written, cached or None, reasoning_tokens=dice.choice((0, written // 3)))
        if name == "openrouter" and dice.random() < 0.5:
            usage = replace(usage, stated_cost=self._cost(name, usage) * 0.9)
        words = ["word "] * dice.randint(1, max(1, min(written, 12)))
        answer = Answer(
            words, headers=dice.random(), first_token=dice.random(), per_chunk=dice.random() / 4, usage=usage
        )
        chance = dice.random()
        if chance < 0.80:
            return answer
        if chance < 0.86:
            return Fail(ServerError, after=dice.random())
        if chance < 0.92:
            failure = dice.choice(sorted(FAILURES[DIALECTS[name].wire]))
            return Failure(failure, answer, after=dice.randint(0, 2), usage=dice.choice((None, usage)))
        told = replace(usage, output_tokens=1) if DIALECTS[name].wire == "anthropic" else None
        return DropConnection(dice.randint(0, len(words)), answer, usage=told)

    async def _happen(self) -> None:
        calls = [asyncio.ensure_future(self._call(number)) for number in range(self.callers)]
        await asyncio.gather(*calls)

    async def _call(self, number: int) -> None:
        dice = random.Random(f"{self.seed} {number}")
        await asyncio.sleep(dice.random() * 20)
        name = f"caller{number}"
        prompt = f"{name} " + "asks " * dice.randint(0, 200)
        options: dict[str, Any] = {"max_tokens": dice.choice((20, 100, 300)), "labels": {name}, "deadline": 60.0}
        spent_before = self.accounts.account.spent
        leaves = dice.random() < 0.15
        try:
            if dice.random() < 0.5:
                chunks = self.router.astream(prompt, **options)
                seen = 0
                async for _ in chunks:
                    seen += 1
                    if leaves and seen == 2:
                        break
                await chunks.aclose()
            elif leaves:
                await asyncio.wait_for(self.router.agenerate(prompt, **options), dice.random() * 3)
            else:
                await self.router.agenerate(prompt, **options)
            end = "left" if leaves else "success"
        except BudgetExceededError:
            end = "refused"
        except TimeoutError:
            end = "left"
        except MultiRouteError as error:
            end = type(error).__name__
        if spent_before >= self.cap and end != "refused":
            end = "answered though nothing was left"
        self.ends[end] += 1

    def _heard(self, event: Any) -> None:
        if isinstance(event, AttemptEnded):
            self.outcomes[event.attempt.outcome] += 1


class WatchedAccounts(MemoryAccounts):
    """Accounts that keep the truth of what is in flight.

    Attributes:
        late: How many reservations were granted when nothing was left.
        excess: What attempts took beyond their reservations since spent and held money together were last within the
            cap.
    """

    def __init__(self, wall: Any, budget: str, cap: int) -> None:
        super().__init__(wall)
        self._name, self._cap = f"{budget}:", cap
        self._open: dict[str, int] = {}
        self.late = self.excess = 0

    @property
    def account(self) -> Any:
        kept = self._accounts.get(self._name)
        return Account() if kept is None else kept.account

    async def reserve(self, io: Any, claims: Any, slot: str) -> Any:
        spent = self.account.spent
        reply = await super().reserve(io, claims, slot)
        if reply.refused_index is None and not reply.fresh:
            self.late += spent >= self._cap
            self._open[slot] = next(claim.amount for claim in claims if claim.account == self._name)
        return reply

    def settle(self, claims: Any, slot: str, took: Any, settled: Any) -> None:
        super().settle(claims, slot, took, settled)
        charge = next(n for claim, n in zip(claims, took, strict=True) if claim.account == self._name)
        self.excess += max(0, charge - self._open.pop(slot, charge))
        if self.account.spent + self.account.held <= self._cap:
            self.excess = 0


class FakeModel(BaseChatModel):
    """A chat model of LangChain's that answers on virtual time."""

    dice: Any
    tells: bool

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError("It is asked on an event loop.")

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        await asyncio.sleep(self.dice.random())
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word word", usage_metadata=self._usage()))])

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        for place in range(3):
            await asyncio.sleep(self.dice.random() / 3)
            usage = self._usage() if place == 2 else None
            yield ChatGenerationChunk(message=AIMessageChunk(content="word ", usage_metadata=usage))

    def _usage(self) -> Any:
        return {"input_tokens": 4, "output_tokens": 3, "total_tokens": 7} if self.tells else None


def run(seeds: range, callers: int) -> tuple[Counter[str], dict[int, list[str]]]:
    """Run some worlds: how requests and attempts ended, and the laws that were broken, by seed."""
    counts: Counter[str] = Counter()
    broken: dict[int, list[str]] = {}
    for seed in seeds:
        world = World(seed, callers).run()
        counts.update({f"request: {end}": count for end, count in world.ends.items()})
        counts.update({f"attempt: {outcome}": count for outcome, count in world.outcomes.items()})
        counts["worlds that crossed the cap"] += world.accounts.account.spent > world.cap
        if wrongs := world.wrongs():
            broken[seed] = wrongs
    return counts, broken
