"""What totals and reports of a large ledger cost: seconds and memory, for a million records in an SQLite file.

    python -m benchmarks.reports                       # from the repository's root; about two minutes
    python -m benchmarks.reports --records 100000      # fewer records
    python -m benchmarks.reports --keep ledger.db      # keep the file, or measure an existing one
    python -m benchmarks.reports --cpu                 # CPU time of the calling thread: steady on a busy machine

The records are made up, but look like two weeks of traffic: five routes, one of them without prices, forty tenants of
very different size, labels and tasks; one call in twenty is answered from the cache, one attempt in twenty fails and is
followed by one on another route. They are written through the store, in batches of 256, as a router's ledger does.

Seconds: the shortest of three runs of each form of `ledger.totals`, and of a report saved as a page.

Memory: the peak of a new process (RSS) that takes all of these from a ledger of a tenth of the records, and from all of
them. It is flat if ten times the records take at most a tenth more.

Nothing fails here: a target that is missed says `short`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from multiroute_core import Ledger, report
from multiroute_core.ledger import Record
from multiroute_core.ledger.sqlite import SQLiteStore
from multiroute_core.ledger.writer import BATCH

ROOT = Path(__file__).resolve().parent.parent
TOTALS_SECONDS = 1.0
REPORT_SECONDS = 2.0
GROWTH_SHARE = 0.1
"""By how much ten times the records may raise the peak of the memory, and it still counts as flat."""

RUNS = 3
DAYS = 14
START = 1_790_000_000.0  # 2026-09-21

ROUTES: tuple[tuple[str, str, str, float | None, float | None], ...] = (
    ("openai:gpt-5-mini", "openai", "gpt-5-mini", 0.25e-6, 2e-6),
    ("openai:gpt-5", "openai", "gpt-5-2025-08-07", 1.25e-6, 1e-5),
    ("anthropic:claude-sonnet-5-5", "anthropic", "claude-sonnet-5-5", 3e-6, 15e-6),
    ("google:gemini-3-flash", "google", "gemini-3-flash", 0.3e-6, 2.5e-6),
    ("own:llama", "openai", "llama-4-70b", None, None),
)
"""Route, provider, model, and the prices of an input and an output token in USD."""

TENANTS = [None, *(f"tenant-{number}" for number in range(40))]
LABELS = ((), ("search",), ("search", "team-a"), ("chat",), ("chat", "team-b"), ("batch", "nightly"))
TASKS = (None, "talk", "summary")
ERRORS = ("timeout", "rate_limit", "server_error")


def make_records(count: int) -> Iterator[Record]:
    """Yields records of made-up traffic, the same ones each time."""
    return islice(_make_traffic(random.Random(0), DAYS * 86_400 / count), count)


def _make_traffic(dice: random.Random, pause: float) -> Iterator[Record]:
    weights = [1 / (place + 1) for place in range(len(TENANTS))]
    ended_at = START
    while True:
        ended_at += dice.expovariate(1 / pause)
        request_id = f"{dice.getrandbits(128):032x}"
        stream = dice.random() < 0.5
        scope = (dice.choices(TENANTS, weights)[0], dice.choice(TASKS), dice.choice(LABELS))
        routes = dice.sample(ROUTES, 3) if dice.random() < 0.3 else ROUTES
        tenant, task, labels = scope
        about: dict[str, Any] = {"stream": stream, "tenant": tenant, "task": task, "labels": labels}
        if dice.random() < 0.05:
            yield Record(
                ended_at, request_id, *routes[0][:3], "cached", 0.001, input_tokens=100, output_tokens=50,
                cost=0.0, charged=0.0, saved_cost=0.001, price_source="free", **about,
            )  # fmt: skip
            continue
        for route, provider, model, price_in, price_out in routes:
            seconds = dice.lognormvariate(0.5, 0.8)
            if dice.random() < 0.05:
                yield Record(ended_at, request_id, route, provider, model, dice.choice(ERRORS), seconds, **about)
                ended_at += seconds / 10
                continue
            tokens_in = int(dice.lognormvariate(6, 1))
            tokens_out = int(dice.lognormvariate(5, 1))
            cost = None if price_in is None or price_out is None else tokens_in * price_in + tokens_out * price_out
            interrupted = dice.random() < 0.01
            yield Record(
                ended_at, request_id, route, provider, model, "cancelled" if interrupted else "success", seconds,
                seconds / 4 if stream else None, tokens_in, tokens_out, tokens_in // 3, 0, tokens_out // 4,
                cost=None if interrupted else cost, estimated=interrupted, charged=cost,
                price_source=None if cost is None else "genai-prices 0.2.3 (2026-10-03)", **about,
            )  # fmt: skip
            break


def write_ledger(path: Path, count: int, progress: Progress) -> tuple[float, float]:
    """Writes a ledger.

    Returns:
        The mean and the median microseconds of CPU time per record.
    """
    task = progress.add_task(f"write {count:,} records", total=count)
    store = SQLiteStore(f"sqlite:///{path}")
    records = make_records(count)
    first = 0
    seconds: list[float] = []
    while batch := list(islice(records, BATCH)):
        began = time.thread_time()
        store.append(batch, first)
        seconds.append((time.thread_time() - began) / len(batch))
        first += len(batch)
        progress.advance(task, len(batch))
    store.close()
    return sum(seconds) / len(seconds) * 1e6, statistics.median(seconds) * 1e6


def list_questions(ledger: Ledger, page: Path) -> dict[str, tuple[float, Callable[[], object]]]:
    """Returns what is measured: its name, its target in seconds, and the call."""
    week = START + 7 * 86_400
    totals: list[tuple[str, dict[str, Any]]] = [
        *((by, {}) for by in ("model", "route", "tenant", "task", "label", "day", "month", "outcome")),
        ("model", {"since": week}),
        ("model", {"since": week + 0.5, "until": week + 86_400.5}),
        ("model", {"day": "2026-09-28"}),
        ("model", {"tenant": "tenant-3"}),
        ("tenant", {"label": "team-a"}),
        ("tenant", {"route": "openai:gpt-5"}),
    ]
    questions: dict[str, tuple[float, Callable[[], object]]] = {}
    for by, filters in totals:
        name = ", ".join([by, *(f"{key}={value!r}" for key, value in filters.items())])
        questions[f"totals({name})"] = TOTALS_SECONDS, lambda by=by, filters=filters: ledger.totals(by, **filters)
    questions["report, saved as a page"] = REPORT_SECONDS, lambda: report.of(ledger).save(page)
    questions["report of a week, saved"] = REPORT_SECONDS, lambda: report.of(ledger, since=week).save(page)
    return questions


def measure(path: Path, clock: Callable[[], float], progress: Progress) -> dict[str, tuple[float, float]]:
    """Returns the target and the shortest of `RUNS` times for each question, in seconds."""
    ledger = Ledger(f"sqlite:///{path}")
    times: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        questions = list_questions(ledger, Path(folder) / "report.html")
        task = progress.add_task("read", total=len(questions))
        for name, (target, ask) in questions.items():
            runs: list[float] = []
            for _ in range(RUNS):
                gc.collect()
                began = clock()
                ask()
                runs.append(clock() - began)
            times[name] = target, min(runs)
            progress.advance(task)
    ledger.close()
    return times


def peak_memory(path: Path) -> tuple[int, int]:
    """Returns the RSS of a new process before it reads the ledger, and its peak afterwards, in bytes."""
    command = [sys.executable, "-m", "benchmarks.reports", "--peak", str(path)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    before, after = json.loads(output)
    return before, after


def read_peak() -> int:
    """Returns the peak of this process's RSS in bytes; `ru_maxrss` would include that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def read_all(path: Path) -> None:
    """Prints the peak of this process's memory before and after it takes totals and reports."""
    import multiroute_core.report.report

    _ = multiroute_core.report.report
    ledger = Ledger(f"sqlite:///{path}")
    peaks = [read_peak()]
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, ask) in list_questions(ledger, Path(folder) / "report.html").items():
            if "=" not in name:
                ask()
    ledger.close()
    peaks.append(read_peak())
    print(json.dumps(peaks))


def show(times: dict[str, tuple[float, float]], memory: dict[int, tuple[int, int]], console: Console) -> list[str]:
    """Prints the tables; returns what is short."""
    short = list[str]()
    table = Table("", "seconds", "target", "", title="An SQLite ledger", title_justify="left")
    for name, (target, seconds) in times.items():
        short += [] if seconds <= target else [f"{name} ({seconds:.2f} s)"]
        table.add_row(name, f"{seconds:.3f}", f"≤ {target:g}", "[green]ok[/]" if seconds <= target else "[red]short[/]")
    console.print(table)
    table = Table("records", "before", "peak", title="RSS in MiB, all totals and the report", title_justify="left")
    for count, (before, after) in memory.items():
        table.add_row(f"{count:,}", f"{before / 2**20:.1f}", f"{after / 2**20:.1f}")
    console.print(table)
    few, many = (after for _, after in memory.values())
    if many > few * (1 + GROWTH_SHARE):
        short.append(f"memory (grows by {many / few - 1:.0%})")
    return short


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="number of records (default: 1,000,000)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the ledger here; an existing one is measured")
    parser.add_argument("--cpu", action="store_true", help="take this thread's CPU time, where the machine is busy")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.peak:
        read_all(chosen.peak)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    parts = (SpinnerColumn(), BarColumn(20), TextColumn("{task.completed:,}/{task.total:,}"), TimeElapsedColumn())
    progress = Progress(*parts, TextColumn("{task.description}"), console=Console(stderr=True), transient=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(progress)
        path = chosen.keep or folder / "ledger.db"
        written = None if path.exists() else write_ledger(path, chosen.records, progress)
        few = max(1, chosen.records // 10)
        write_ledger(folder / "few.db", few, progress)
        times = measure(path, time.thread_time if chosen.cpu else time.perf_counter, progress)
        memory = {few: peak_memory(folder / "few.db"), chosen.records: peak_memory(path)}
    load = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    console.print(load, highlight=False)
    if written is not None:
        mean, median = written
        console.print(f"Written in {mean:.1f} µs of CPU time per record; median {median:.1f} µs", highlight=False)
    short = show(times, memory, console)
    console.print(f"Short of its target: {'; '.join(short)}." if short else "All targets met.", highlight=False)


if __name__ == "__main__":
    main()
