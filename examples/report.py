"""Four weeks of traffic in a few seconds, and the report of it.

    python examples/report.py                     # prints the report
    python examples/report.py --html report.html  # writes the page
    python examples/report.py --days 7 --ledger week.db; multiroute report week.db

The router, its rules, its cache, its prices and its ledger are real. The providers are scripted and time is virtual: an
afternoon without Anthropic, rate limits at OpenAI and weekends are in the script, and every run is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from multiroute_core import Ledger, MultiRouteError, OverloadedError, Route, Router, Usage, report
from multiroute_core.testing import (
    Answer,
    Behaviour,
    DropConnection,
    Fail,
    IncomingCall,
    ScriptedProvider,
    VirtualLoop,
    rate_limited,
    run_in_virtual_time,
)

START = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAY = 86400.0
DAYS = 28
WORDS = ("You will ", "find it ", "in the ", "settings, ", "under ", "billing.")


class Team(NamedTuple):
    """Who asks: how often on a working day, for what, and how much there is to read and to write."""

    tenant: str
    calls: int
    task: str
    labels: frozenset[str]
    read: int
    written: int
    questions: int
    """How many different ones there are: repeated requests come from the cache."""


TEAMS = (
    Team("support", 420, "general", frozenset({"chatbot", "production"}), 2600, 260, 900),
    Team("engineering", 260, "code_generation", frozenset({"assistant"}), 9000, 1400, 100_000),
    Team("research", 60, "long_context", frozenset({"reports"}), 60_000, 1800, 100_000),
    Team("marketing", 90, "general", frozenset({"texts"}), 900, 700, 2500),
    Team("search", 320, "general", frozenset({"production"}), 700, 90, 1500),
)


class Vendor:
    """What a provider does: it answers in its own time, or fails as the script says."""

    def __init__(self, dice: random.Random, loop: VirtualLoop, first_token: float, per_piece: float) -> None:
        self.dice, self.loop, self.first_token, self.per_piece = dice, loop, first_token, per_piece
        self.trouble: Callable[[float], Behaviour | None] = lambda _: None

    def __call__(self, asked: IncomingCall) -> Behaviour:
        days = (self.loop.time() - START) / DAY
        if (trouble := self.trouble(days)) is not None:
            return trouble
        read, written = (int(word) for word in asked.text.rpartition("|")[2].split())
        slow = self.dice.lognormvariate(0.0, 0.45)
        answer = Answer(
            WORDS,
            headers=0.05,
            first_token=self.first_token * slow * (1 + read / 60_000),
            per_chunk=self.per_piece * slow * written / 300,
            usage=Usage(input_tokens=read, output_tokens=written),
        )
        return DropConnection(4, answer) if self.dice.random() < 0.002 and asked.stream else answer


def routes(dice: random.Random, loop: VirtualLoop) -> list[Route]:
    """The routes of a company that has found its way: three vendors and a server of its own."""
    claude, gpt = Vendor(dice, loop, 0.7, 0.3), Vendor(dice, loop, 0.5, 0.25)
    gemini, office = Vendor(dice, loop, 0.4, 0.2), Vendor(dice, loop, 0.2, 0.6)

    def claude_is_down(days: float) -> Behaviour | None:
        overloaded = 11.54 < days < 11.73 or dice.random() < 0.004
        return Fail(OverloadedError, after=0.4) if overloaded else None

    def gpt_is_limited(days: float) -> Behaviour | None:
        busy = 0.58 < days % 1 < 0.62
        return rate_limited(retry_after=8.0, after=0.1) if busy and dice.random() < 0.25 else None

    claude.trouble, gpt.trouble = claude_is_down, gpt_is_limited
    return [
        Route("anthropic:claude-sonnet-4-5", tasks={"code_generation"}, llm=ScriptedProvider(claude)),
        Route("openai:gpt-5-mini", llm=ScriptedProvider(gpt)),
        Route("google:gemini-2.5-pro", tasks={"long_context"}, llm=ScriptedProvider(gemini)),
        Route("openai:house-model-2", name="office", llm=ScriptedProvider(office)),
    ]


def moments(dice: random.Random, days: int) -> Iterator[tuple[float, Team]]:
    """When who asks: much by day, little by night and at weekends, a little more every week."""
    for day in range(days):
        weekend = datetime.fromtimestamp(START + day * DAY, UTC).weekday() >= 5
        for team in TEAMS:
            share = (0.25 if weekend else 1.0) * (1 + 0.015 * day) * dice.uniform(0.85, 1.15)
            for _ in range(int(team.calls * share)):
                hour = min(max(dice.gauss(13.5, 3.2), 0.0), 23.9)
                yield START + day * DAY + hour * 3600, team


async def live(router: Router, dice: random.Random, loop: VirtualLoop, days: int) -> None:
    """So many days of calls."""

    async def call(at: float, team: Team) -> None:
        await asyncio.sleep(at - loop.time())
        number = min(int(dice.paretovariate(0.4)), team.questions)
        size = random.Random(f"{team.tenant} {number}")  # equal questions are equally long
        read = int(team.read * size.lognormvariate(0.0, 0.4))
        text = f"{team.tenant}: question {number} |{read} {int(team.written * size.lognormvariate(0.0, 0.5))}"
        if team.questions == 100_000:
            text = f"{at} {text}"
        asked = {"tenant": team.tenant, "task": team.task, "labels": team.labels}
        if team.tenant == "search" and dice.random() < 0.12:
            asked["model"] = "office"
        patience = 3.0 if dice.random() < 0.004 else None
        with contextlib.suppress(MultiRouteError, TimeoutError):
            async with asyncio.timeout(patience):
                await answered(text, asked)

    async def answered(text: str, asked: dict[str, Any]) -> None:
        if dice.random() < 0.6:
            async for _ in router.astream(text, **asked):
                pass
        else:
            await router.agenerate(text, **asked)

    async with asyncio.TaskGroup() as group:
        for at, team in moments(dice, days):
            group.create_task(call(at, team))


def traffic(store: str = "memory", days: int = DAYS) -> Ledger:
    """The ledger of it.

    Args:
        store: Where the records are kept, as of `Ledger`.
        days: How many days of it, from a Sunday on.
    """
    dice, loop = random.Random(11), VirtualLoop(START)
    ledger = Ledger(store, wall=loop.time)
    router = Router(routes(dice, loop), ledger=ledger, cache="memory")
    run_in_virtual_time(router, loop)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(live(router, dice, loop, days))
    ledger.flush()
    return ledger


def main() -> None:
    """Make the traffic, and show what it came to."""
    parser = argparse.ArgumentParser(description="Four weeks of traffic in a few seconds, and the report of it.")
    parser.add_argument("--html", metavar="FILE", help="write the page there")
    parser.add_argument("--ledger", metavar="FILE", help="keep the records in this SQLite file")
    parser.add_argument("--days", metavar="N", type=int, default=DAYS, help=f"how many days ({DAYS})")
    given = parser.parse_args()
    ledger = traffic(f"sqlite:///{given.ledger}" if given.ledger else "memory", given.days)
    made = report.of(ledger)
    ledger.close()
    if given.html:
        made.save(given.html)
    else:
        print(made)


if __name__ == "__main__":
    main()
