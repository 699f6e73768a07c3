"""What a call costs before and after: two commits of MultiRoute, side by side in one run.

    python -m benchmarks.commits d0c5a20           # against the working tree; about two minutes
    python -m benchmarks.commits HEAD~20 HEAD --rounds 15

Each commit runs in a process of its own, from a checkout in a temporary folder, on the packages of this environment.
The processes take turns: every round asks both, now the one first and now the other. What is compared is the CPU time
of the calling thread, as the median over the rounds, and the number of Python function calls of one call, which does
not depend on the machine. The server is `benchmarks/loopback.py`, another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHUNKS = 200
MOST = 1.03
"""A row that is dearer than this share of the commit before is marked."""


def worker(port: int, calls: int) -> None:
    """Ask as told on stdin, and tell CPU seconds or function calls a call on stdout, one JSON line each."""
    os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}
    from llama_index.core.base.llms.types import ChatMessage

    from langchain_multiroute import ChatMultiRoute
    from llamaindex_multiroute import MultiRoute
    from multiroute_core import Route, Router

    prices = {"input": 2.0, "output": 8.0}
    gpt = Route("openai:gpt-4.1", base_url=f"http://127.0.0.1:{port}/v1", api_key="k", prices=prices)
    claude = Route("anthropic:claude-sonnet-4-6", base_url=f"http://127.0.0.1:{port}", api_key="k", prices=prices)
    router, other = Router([gpt]), Router([claude])
    chain, engine = ChatMultiRoute(router=router), MultiRoute(router=router)
    question = "What did the fox do, and what did the dog do then?"
    message = ChatMessage(content=question)
    loop = asyncio.new_event_loop()

    def exhaust(stream: Iterator[Any]) -> None:
        for _ in stream:
            pass

    rows: dict[str, tuple[Callable[[], Any], int]] = {
        "Router.generate, chat": (lambda: router.generate(question), calls),
        "Router.generate, anthropic": (lambda: other.generate(question), calls),
        "Router.agenerate, chat": (lambda: loop.run_until_complete(router.agenerate(question)), calls),
        "ChatMultiRoute.invoke": (lambda: chain.invoke(question), calls),
        "MultiRoute.chat": (lambda: engine.chat([message]), calls),
        "Router.stream, chat": (lambda: exhaust(router.stream(question)), max(2, calls // 8)),
        "Router.stream, anthropic": (lambda: exhaust(other.stream(question)), max(2, calls // 8)),
    }
    for ask, _ in rows.values():
        for _ in range(5):
            ask()
    for line in sys.stdin:
        result: dict[str, float] = {}
        for name, (ask, times) in rows.items():
            if line.strip() == "count":
                result[name] = count_calls(ask)
                continue
            began = time.thread_time()
            for _ in range(times):
                ask()
            result[name] = (time.thread_time() - began) / times
        print(json.dumps(result), flush=True)


def count_calls(ask: Callable[[], Any]) -> float:
    """The Python function calls of one call: the least of some, since a collector may come in between."""
    least = float("inf")
    for _ in range(5):
        count = 0

        def profile(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        try:
            ask()
        finally:
            sys.setprofile(None)
        least = min(least, count)
    return least


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The tree of a commit; the working tree for an empty name."""
    if not commit:
        yield ROOT
        return
    with tempfile.TemporaryDirectory(prefix="multiroute-commit-") as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


@contextmanager
def asking(tree: Path, port: int, calls: int) -> Iterator[subprocess.Popen[str]]:
    """A worker on the code of `tree`."""
    # -P, and so not this folder, but the checkout comes first, before the environment's own installation.
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--worker", str(port), str(calls)]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def told(process: subprocess.Popen[str], what: str) -> dict[str, float]:
    """What a worker answers."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main() -> int:
    """Compare, and print the table; the exit code is 1 where a row is dearer than it may be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits", description=__doc__)
    parser.add_argument("before", help="the commit before")
    parser.add_argument("after", nargs="?", default="", help="the commit after (the working tree)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (15)")
    parser.add_argument("--calls", type=int, default=60, help="calls in a round (60)")
    given = parser.parse_args()
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    console = Console()
    with ExitStack() as stack:
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "loopback.py"), str(CHUNKS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        trees = [stack.enter_context(checkout(commit)) for commit in (given.before, given.after)]
        pair = [stack.enter_context(asking(tree, port, given.calls)) for tree in trees]
        counts = [told(process, "count") for process in pair]
        seconds: list[dict[str, list[float]]] = [{name: [] for name in counts[0]} for _ in pair]
        for number in track(range(given.rounds), "rounds", console=console):
            for place in (0, 1) if number % 2 else (1, 0):
                for name, value in told(pair[place], "time").items():
                    seconds[place][name].append(value)
    table = Table("", "CPU µs", "ratio", "of pairs", "calls", "ratio")
    dearer = 0
    for name in counts[0]:
        before, after = (seconds[place][name] for place in (0, 1))
        ratio = statistics.median(after) / statistics.median(before)
        pairs = statistics.median(b / a for a, b in zip(before, after, strict=True))
        calls = counts[1][name] / counts[0][name]
        dearer += min(ratio, pairs) > MOST or calls > MOST
        micros = " → ".join(f"{statistics.median(values) * 1e6:,.0f}" for values in (before, after))
        style = "red" if min(ratio, pairs) > MOST or calls > MOST else "green"
        table.add_row(
            name,
            micros,
            f"[{style}]{ratio:.3f}[/]",
            f"{pairs:.3f}",
            " → ".join(f"{counts[place][name]:,.0f}" for place in (0, 1)),
            f"{calls:.3f}",
        )
    console.print(table)
    console.print(f"{given.rounds} interleaved rounds; {dearer or 'no'} rows above {MOST}.")
    return 1 if dearer else 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--worker":
        worker(int(sys.argv[2]), int(sys.argv[3]))
        sys.exit(0)
    sys.exit(main())
