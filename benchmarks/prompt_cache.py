"""What prompt caching saves: the input cost of a 20-turn agent, billed by an emulator of Anthropic's prompt cache.

    python -m benchmarks.prompt_cache                  # from the repository's root; about ten seconds

An agent with a long system prompt and five tools reads files; each turn adds a tool call and a growing result, and two
turns add twelve calls and results at once, more than the 20 blocks of the cache's window. The same conversation runs
through `Router` and `ChatMultiRoute`: without marks (`prompt_cache=False`), with today's default (None), with the usual
mark by hand on the system prompt, with `prompt_cache=True`, and with "1h" where every third turn comes ten minutes
late. The requests are those of the real SDK over a socket; the emulator reads their bodies, and the bill is the
usage that it reports, by `genai-prices`. Output is not counted.

Nothing fails here: a target that is missed says `short`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from rich.console import Console
from rich.table import Table

from langchain_multiroute import ChatMultiRoute
from multiroute_core import CachePoint, Message, Route, Router, Text, Tool, ToolCallResponse, Usage
from multiroute_core.pricing.prices import Prices
from multiroute_core.providers.anthropic.usage import read_usage
from multiroute_core.testing import PromptCacheEmulator, Received, ReplayServer, Reply

MODEL = "claude-sonnet-4-5"
TURNS = 20
WIDE_TURNS = (8, 14)
"""Turns with more blocks than the window of the cache."""

TARGET = 3.0
"""How much cheaper the input must be than without marks."""

SYSTEM = "You are a careful reader of source code. " * 400
TOOLS = [
    Tool(
        f"tool_{number}", f"Tool number {number}. " * 20, {"type": "object", "properties": {"path": {"type": "string"}}}
    )
    for number in range(5)
]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to run the agent: the option, a mark by hand, and the seconds between two turns."""

    name: str
    mode: Any = None
    by_hand: bool = False
    late: float = 20.0


CASES = (
    Case("no marks", False),
    Case("mark by hand on the system prompt", False, by_hand=True),
    Case("default", None),
    Case("prompt_cache=True", True),
    Case("no marks, every third turn 10 min late", False, late=600.0),
    Case("prompt_cache=True, every third turn 10 min late", True, late=600.0),
    Case('prompt_cache="1h", every third turn 10 min late', "1h", late=600.0),
)


def count_calls(turn: int) -> int:
    """Return how many tools the model calls in a turn."""
    return 12 if turn in WIDE_TURNS else 1


def call_tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the model's answer to a request: a text, and the tool calls of this turn."""
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    calls: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"call_{turn}_{number}", "name": "tool_0", "input": {"path": f"{turn}/{number}.py"}}
        for number in range(count_calls(turn))
    ]
    return [{"type": "text", "text": f"I read the files of step {turn}."}, *calls]


def build_result(turn: int, number: int) -> str:
    """Return the result of a tool call; results grow with the turns."""
    return f"line {turn} of file {number}\n" * (20 + 10 * turn)


def run_router(url: str, case: Case, clock: list[float]) -> None:
    """Run the agent on a `Router`."""
    system = [Text(SYSTEM), CachePoint()] if case.by_hand else [Text(SYSTEM)]
    messages = [Message("system", system), Message("user", "Read the files.")]
    with Router(Route(f"anthropic:{MODEL}", base_url=url, api_key="k"), prompt_cache=case.mode) as router:
        for turn in range(TURNS):
            response = router.generate(messages, tools=TOOLS)
            results = [
                ToolCallResponse(call.id, (Text(build_result(turn, number)),))
                for number, call in enumerate(response.tool_calls)
            ]
            messages += [Message("assistant", response.parts), *(Message("tool", [result]) for result in results)]
            clock[0] += case.late if turn % 3 == 2 else 20.0


def run_langchain(url: str, case: Case, clock: list[float]) -> None:
    """Run the agent on a `ChatMultiRoute`."""
    text: dict[str, Any] = {"type": "text", "text": SYSTEM}
    system: list[str | dict[Any, Any]] = [{**text, "cache_control": {"type": "ephemeral"}} if case.by_hand else text]
    messages: list[BaseMessage] = [SystemMessage(content=system), HumanMessage("Read the files.")]
    route = Route(f"anthropic:{MODEL}", base_url=url, api_key="k")
    model = ChatMultiRoute(routes=[route], prompt_cache=case.mode)
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in TOOLS
    ]
    bound = model.bind_tools(tools)
    for turn in range(TURNS):
        answer = bound.invoke(messages)
        assert isinstance(answer, AIMessage)
        messages.append(answer)
        messages += [
            ToolMessage(build_result(turn, number), tool_call_id=str(call["id"]))
            for number, call in enumerate(answer.tool_calls)
        ]
        clock[0] += case.late if turn % 3 == 2 else 20.0
    model.router.close()


FACES: dict[str, Callable[[str, Case, list[float]], None]] = {
    "Router": run_router,
    "ChatMultiRoute": run_langchain,
}


def measure(face: str, case: Case) -> list[Usage]:
    """Run a case through a face on a fresh cache; return the bill of each turn."""
    clock = [0.0]
    emulator = PromptCacheEmulator(lambda: clock[0], answer=call_tools)
    usages: list[Usage] = []

    def serve(received: Received) -> Reply:
        reply = emulator.serve(received)
        assert isinstance(reply.body, bytes)
        usages.append(read_usage(json.loads(reply.body)["usage"]) or Usage())
        return reply

    with ReplayServer(serve) as server:
        FACES[face](server.url, case, clock)
    return usages


def find_input_cost(usages: Sequence[Usage]) -> float:
    """Return the cost of all input in USD."""
    prices = Prices()
    counts = [
        Usage(u.input_tokens, 0, u.cache_read_tokens, u.cache_write_tokens, u.cache_write_1h_tokens) for u in usages
    ]
    return sum(float(prices.cost("anthropic", MODEL, each) or 0.0) for each in counts)


def build_table() -> Table:
    """Measure everything and return it as a table."""
    table = Table("", *(f"{face}: input, read, USD, times cheaper" for face in FACES), "target")
    plain: dict[tuple[str, float], float] = {}
    for case in CASES:
        cells: list[str] = []
        factors: list[float] = []
        for face in FACES:
            usages = measure(face, case)
            cost = find_input_cost(usages)
            base = plain.setdefault((face, case.late), cost)
            total = sum(u.input_tokens or 0 for u in usages)
            read = sum(u.cache_read_tokens or 0 for u in usages)
            factors.append(base / cost)
            cells.append(f"{total:,}  {read / total:.0%}  {cost:.4f}  {base / cost:.2f}")
        target = "" if case.name != "prompt_cache=True" else "ok" if min(factors) >= TARGET else "short"
        table.add_row(case.name, *cells, target)
    return table


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    Console().print(build_table())


if __name__ == "__main__":
    main()
