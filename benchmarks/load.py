"""CPU time of an async call under load: many calls in flight, each answered after 100 ms, on httpx and on aiohttp.

    python -m benchmarks.load                     # from the repository's root; about two minutes
    python -m benchmarks.load --quick             # about half a minute
    python -m benchmarks.load --in-flight 128     # one number of calls in flight
    python -m benchmarks.load --only Router       # the rows with "Router" in their name

Each contestant makes its calls from as many tasks as calls are in flight, on one event loop, to a server on 127.0.0.1
that is a process of its own. All contestants take turns, each round in another order. A row is the median of the rounds
and their minimum: the CPU time of the whole client process per call, so it holds on a busy machine. "Collections" are
those of Python's garbage collector per 1,000 calls, in its three generations; "in gc" is the part of the CPU time that
they take. Nothing fails here, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import importlib.metadata
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}  # before LangChain looks

import anthropic
import openai
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from benchmarks import loopback
from benchmarks.contestants import BRIEF, CHAT, CLAUDE, COLD, GPT, QUESTION, SYSTEM, TURNS
from langchain_multiroute import ChatMultiRoute
from multiroute_core import Route, Router

SECONDS = 0.1
IN_FLIGHT = (16, 128, 256)
SWITCH = "MULTIROUTE_AIOHTTP"
TRANSPORTS = {"httpx": "0", "aiohttp": "1"}
ORDER = random.Random(0)
PACKAGES = ("openai", "anthropic", "httpx", "httpx2", "aiohttp", "langchain-core", "langchain-openai")

Call = Callable[[], Awaitable[Any]]


@dataclass
class Turn:
    """What one turn of a contestant took: CPU seconds per call, collections per call, and seconds of those per call."""

    cpu: float
    collections: tuple[float, ...]
    collecting: float


@dataclass
class Contestant:
    """One way to make the call, on one transport."""

    name: str
    transport: str
    call: Call
    turns: list[Turn] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        """Return the cells of its row."""
        cpu = [turn.cpu * 1e6 for turn in self.turns]
        collecting = statistics.median(turn.collecting for turn in self.turns) * 1e6
        generations = zip(*(turn.collections for turn in self.turns), strict=True)
        collections = " / ".join(f"{statistics.mean(counts) * 1000:.1f}" for counts in generations)
        return (
            self.name,
            self.transport,
            f"{statistics.median(cpu):,.0f}",
            f"{min(cpu):,.0f}",
            collections,
            f"{collecting:,.0f}",
        )


class CollectionCounter:
    """Counts the collections of the garbage collector, and the CPU time in them."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Called by the collector."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._began
            self.counts[info["generation"]] += 1


def contestants(url: str) -> list[Contestant]:
    """Return all of them, on a server at `url`."""
    rows: list[Contestant] = []
    settings: dict[str, Any] = {"api_key": "k", "max_retries": 0}
    turns = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
    for transport in TRANSPORTS:
        gpt = Route(f"openai:{GPT}", base_url=f"{url}/v1", api_key="k", prices="openai")
        claude = Route(f"anthropic:{CLAUDE}", base_url=url, api_key="k")
        calls: dict[str, Call] = {
            "Router.agenerate, openai": functools.partial(Router([gpt]).agenerate, TURNS, **COLD),
            "Router.agenerate, anthropic": functools.partial(Router([claude]).agenerate, TURNS, **BRIEF),
            "ChatMultiRoute.ainvoke, openai": functools.partial(ChatMultiRoute(routes=[gpt], **COLD).ainvoke, turns),
        }
        rows += [Contestant(name, transport, call) for name, call in calls.items()]
        try:
            clients: list[Any] = [getattr(sdk, _class_name(transport))() for sdk in (openai, anthropic)]
        except RuntimeError as error:
            print(f"Without the SDKs on {transport}: {error}.")
            continue
        chat = openai.AsyncOpenAI(base_url=f"{url}/v1", http_client=clients[0], **settings).chat.completions.create
        create = anthropic.AsyncAnthropic(base_url=url, http_client=clients[1], **settings).messages.create
        llm = ChatOpenAI(
            model=GPT, base_url=f"{url}/v1", api_key=SecretStr("k"), max_retries=0, http_async_client=clients[0], **COLD
        )
        claude_options: dict[str, Any] = {"model": CLAUDE, "system": SYSTEM, "messages": CHAT[1:], **BRIEF}
        gpt_options: dict[str, Any] = {"model": GPT, "messages": CHAT, **COLD}
        calls = {
            "openai SDK, typed": functools.partial(chat, **gpt_options),
            "anthropic SDK, typed": functools.partial(create, **claude_options),
            "ChatOpenAI.ainvoke": functools.partial(llm.ainvoke, turns),
        }
        rows += [Contestant(name, transport, call) for name, call in calls.items()]
    return rows


def _class_name(transport: str) -> str:
    return "DefaultAioHttpClient" if transport == "aiohttp" else "DefaultAsyncHttpxClient"


async def turn(call: Call, in_flight: int, count: int) -> Turn:
    """Make `count` calls in each of `in_flight` tasks."""

    async def repeat() -> None:
        for _ in range(count):
            await call()

    gc.collect()
    counter = CollectionCounter()
    gc.callbacks.append(counter)
    began = time.process_time()
    try:
        await asyncio.gather(*(repeat() for _ in range(in_flight)))
    finally:
        cpu = time.process_time() - began
        gc.callbacks.remove(counter)
    calls = in_flight * count
    return Turn(cpu / calls, tuple(n / calls for n in counter.counts), counter.seconds / calls)


async def measure(rows: Sequence[Contestant], in_flight: int, rounds: int, count: int) -> None:
    """Let everybody take a turn, again and again; the turns stand with the contestants afterwards."""
    for row in rows:
        row.turns.clear()
        os.environ[SWITCH] = TRANSPORTS[row.transport]  # read when the first call creates its client
        await turn(row.call, in_flight, 3)  # opens the connections
    gc.collect()
    gc.freeze()  # objects of the imports do not belong to a call; those of a call are collected as usual
    shuffled = list(rows)
    for _ in range(rounds):
        ORDER.shuffle(shuffled)
        for row in shuffled:
            row.turns.append(await turn(row.call, in_flight, count))
    gc.unfreeze()


@contextlib.contextmanager
def server(seconds: float = SECONDS) -> Iterator[str]:
    """Run the model server, which answers after so many seconds; gives its address."""
    command = [sys.executable, str(Path(loopback.__file__)), "50", "-1", str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def show(rows: Sequence[Contestant], in_flight: int) -> None:
    """Print the table."""
    table = Table("call", "transport", title=f"{in_flight} calls in flight", title_justify="left")
    for head in ("CPU µs a call", "minimum", "collections a 1,000 calls", "µs in gc"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row.cells())
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--in-flight", type=int, action="append", metavar="CALLS", help="default: 16, 128 and 256")
    parser.add_argument("--only", default="", metavar="WORD", help="only the rows with this in their name")
    chosen = parser.parse_args()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}")
    with server() as url, asyncio.Runner() as runner:
        everybody = [row for row in contestants(url) if chosen.only in row.name]
        everybody.sort(key=lambda row: row.name)
        for in_flight in chosen.in_flight or IN_FLIGHT:
            rounds, count = (3, 3) if chosen.quick else (7, 5)
            runner.run(measure(everybody, in_flight, rounds, max(count, 160 // in_flight)))
            show(everybody, in_flight)


if __name__ == "__main__":
    main()
