"""Many prompts at once: order, memory, interactive calls beside a batch, and a batch that is killed and resumed.

    python -m benchmarks.many                    # from the repository's root; about three minutes
    python -m benchmarks.many --prompts 2000     # fewer prompts

The provider is in this process and answers after a fixed time, so that what is measured is the router. An interactive
call is timed alone and beside a batch in turns, in the same run: compare the ratios, not the milliseconds. Nothing
fails here: a row that misses its target says `short`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from multiroute_core import BatchResults, Router
from multiroute_core.state.memory import MemoryState
from multiroute_core.testing import Answer, provider_of, scripted_route

ROOT = Path(__file__).resolve().parent.parent
PROVIDER_SECONDS = 0.05
PAUSE_SECONDS = 0.02
"""Between two interactive calls: who calls without a pause takes the place again that it has just left."""
RATIO = 1.2
ROUNDS = 3
CALLS = 20


def build_router(*, seconds: float = PROVIDER_SECONDS, cache: str | None = None, **options: Any) -> Router:
    """A router over one provider in this process, which forgets its calls, so that they do not count as memory."""
    route = scripted_route("provider", Answer("{asked}!", headers=seconds), **options)
    provider: Any = provider_of(route)
    provider.takes = deque(maxlen=1000)
    return Router([route], state=MemoryState(), cache=cache)


def prompts(count: int) -> Iterator[str]:
    """The prompts, made one by one."""
    return (f"prompt {number}" for number in range(count))


def rss() -> float:
    """The memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def order_and_memory(count: int, concurrency: int) -> list[tuple[str, str, str]]:
    """A long batch: are its results in order, and does it hold anything but them?"""
    router = build_router(seconds=0.002)
    router.map(prompts(200), progress=False)
    samples: list[tuple[int, float]] = []

    def sample(progress: Any) -> None:
        if progress.done % (count // 10) == 0:
            samples.append((progress.done, rss()))

    before = rss()
    began = time.perf_counter()
    cpu = time.process_time()
    results = router.map(prompts(count), concurrency=concurrency, progress=sample)
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    ordered = results.texts == [f"prompt {number}!" for number in range(count)]
    with_results = rss() - before
    held = size_of(results)
    return [
        (
            f"{count:,} prompts, {concurrency} at once",
            f"{count / seconds:,.0f} a second, {1e6 * cpu / count:.0f} µs of CPU each",
            "",
        ),
        ("in the order of the prompts", "yes" if ordered else "no", "" if ordered else "short"),
        ("results held", f"{held:.1f} MiB ({held * 2**20 / count:,.0f} bytes each)", ""),
        ("memory beyond them", f"{max(0.0, with_results - held):.1f} MiB", "" if with_results - held < 16 else "short"),
        ("growth by tenths of the batch", ", ".join(f"{mib - before:.0f}" for _, mib in samples) + " MiB", ""),
    ]


def size_of(results: BatchResults) -> float:
    """What results hold, in MiB: objects reachable from them that they do not share."""
    seen: set[int] = set()
    total = 0
    stack: list[Any] = list(results)
    while stack:
        part = stack.pop()
        if id(part) in seen or (isinstance(part, type | str) and len(str(part)) < 12):
            continue
        seen.add(id(part))
        total += sys.getsizeof(part)
        if isinstance(part, tuple | list):
            stack.extend(part)
        elif is_dataclass(part):
            stack.extend(getattr(part, field.name) for field in fields(part))
    return total / 2**20


def time_calls(router: Router, calls: int) -> list[float]:
    """The latencies of interactive calls, in seconds."""
    seconds: list[float] = []
    for number in range(calls):
        time.sleep(PAUSE_SECONDS)
        began = time.perf_counter()
        router.generate(f"mine {number}")
        seconds.append(time.perf_counter() - began)
    return seconds


async def time_calls_async(router: Router, calls: int) -> list[float]:
    seconds: list[float] = []
    for number in range(calls):
        await asyncio.sleep(PAUSE_SECONDS)
        began = time.perf_counter()
        await router.agenerate(f"mine {number}")
        seconds.append(time.perf_counter() - began)
    return seconds


def beside(router: Router, concurrency: int, priority: Any) -> tuple[list[float], list[float], float]:
    """Latencies alone and beside a running batch, in turns, and the batch's calls a second."""
    alone: list[float] = []
    crowded: list[float] = []
    rates: list[float] = []
    for _ in range(ROUNDS):
        alone += time_calls(router, CALLS)
        ended = threading.Event()
        done = [0]

        def endless(ended: threading.Event = ended) -> Iterator[str]:
            number = 0
            while not ended.is_set():
                yield f"prompt {number}"
                number += 1

        def count(progress: Any, done: list[int] = done) -> None:
            done[0] = progress.done

        batch = threading.Thread(
            target=lambda run=endless, seen=count: router.map(
                run(), concurrency=concurrency, progress=seen, priority=priority
            )
        )
        batch.start()
        time.sleep(0.3)
        began = time.perf_counter()
        first = done[0]
        crowded += time_calls(router, CALLS)
        rates.append((done[0] - first) / (time.perf_counter() - began))
        ended.set()
        batch.join()
    return alone, crowded, statistics.median(rates)


def beside_async(router: Router, concurrency: int) -> tuple[list[float], list[float], float]:
    """The same on one event loop: `amap` beside `agenerate`."""

    async def run() -> tuple[list[float], list[float], float]:
        alone: list[float] = []
        crowded: list[float] = []
        rates: list[float] = []
        for _ in range(ROUNDS):
            alone.extend(await time_calls_async(router, CALLS))
            done = [0]

            def count(progress: Any, done: list[int] = done) -> None:
                done[0] = progress.done

            batch = asyncio.create_task(router.amap(prompts(10**9), concurrency=concurrency, progress=count))
            await asyncio.sleep(0.3)
            began = time.perf_counter()
            first = done[0]
            crowded.extend(await time_calls_async(router, CALLS))
            rates.append((done[0] - first) / (time.perf_counter() - began))
            batch.cancel()
            await asyncio.wait([batch])
        return alone, crowded, statistics.median(rates)

    return asyncio.run(run())


def interactive() -> list[tuple[str, str, str, str, str]]:
    """An interactive call beside a batch of 16 or 64, where there are limits and where there are none."""
    cases: list[tuple[str, Callable[[], tuple[list[float], list[float], float]], bool]] = [
        ("map, 16 at once", lambda: beside(build_router(), 16, "batch"), True),
        ("map, 64 at once", lambda: beside(build_router(), 64, "batch"), True),
        ("map, 256 at once: the CPU is full", lambda: beside(build_router(), 256, "batch"), False),
        ("map, 16 at once for 8 places", lambda: beside(build_router(max_concurrency=8), 16, "batch"), True),
        ("the same, without priority", lambda: beside(build_router(max_concurrency=8), 16, "interactive"), False),
        ("amap, 16 at once", lambda: beside_async(build_router(), 16), True),
        ("amap, 16 at once for 8 places", lambda: beside_async(build_router(max_concurrency=8), 16), True),
    ]
    rows: list[tuple[str, str, str, str, str]] = []
    for name, measure, has_target in cases:
        alone, crowded, rate = measure()
        ratio = statistics.median(crowded) / statistics.median(alone)
        late = statistics.quantiles(crowded, n=20)[-1] / statistics.quantiles(alone, n=20)[-1]
        rows.append(
            (
                name,
                f"{1e3 * statistics.median(alone):.1f} ms",
                f"{ratio:.2f}",
                f"{late:.2f}",
                f"{rate:,.0f}/s" + (" short" if has_target and ratio > RATIO else ""),
            )
        )
    return rows


RESUMED = """
import os, sys
from benchmarks.many import build_router, prompts
from multiroute_core.testing import Answer, provider_of
cache, asked, count = sys.argv[1:]
file = os.open(asked, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
router = build_router(cache=cache)
def behaviour(call):
    os.write(file, (call.text + chr(10)).encode())
    return Answer("{asked}!", headers=0.002)
provider_of(router.routes[0]).script = behaviour
router.map(prompts(int(count)), progress=lambda p: print(p.done, p.cached, flush=True))
router.close()
"""


def killed_and_resumed(count: int) -> list[tuple[str, str, str]]:
    """A batch that is killed half way, and started again with the same cache."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "asked"
        command = [sys.executable, "-c", RESUMED, f"sqlite:///{folder}/answers.db", str(asked), str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as first:
            for line in first.stdout or ():
                if int(line.split()[0]) >= count // 2:
                    first.send_signal(signal.SIGKILL)
                    break
        before = len(asked.read_text().splitlines())
        second = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
        calls = asked.read_text().splitlines()
    cached = second.stdout.splitlines()[-1].split()[1]
    twice = len(calls) - len(set(calls))
    return [
        ("calls before SIGKILL", f"{before:,} of {count:,}", ""),
        ("calls after the restart", f"{len(calls) - before:,}, and {int(cached):,} answers from the cache", ""),
        ("asked twice", f"{twice} (16 were in flight)", "" if twice <= 16 and len(set(calls)) == count else "short"),
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=10_000)
    arguments = parser.parse_args()
    console = Console(width=110)
    print_table(console, "A batch", ("", "", ""), order_and_memory(arguments.prompts, 16))
    heads = ("beside a batch", "alone, median", "× median", "× p95", "the batch's calls")
    print_table(console, f"An interactive call (target: median × {RATIO})", heads, interactive())
    print_table(console, "Killed and resumed", ("", "", ""), killed_and_resumed(arguments.prompts))


def print_table(console: Console, title: str, heads: tuple[str, ...], rows: list[Any]) -> None:
    """Print one table."""
    table = Table(*heads, title=title, title_justify="left", show_header=any(heads), box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table, "")


if __name__ == "__main__":
    main()
