"""What MultiRoute costs beside the official SDKs and the frameworks' own OpenAI classes, side by side in one run.

    python -m benchmarks.overhead                  # from the repository's root; about a minute
    python -m benchmarks.overhead --quick          # about twenty seconds
    python -m benchmarks.overhead --cpu            # CPU time of the calling thread: steady on a busy machine
    python -m benchmarks.overhead --only stream    # the rows with "stream" in their name

Both sides of a row do the same work: the same question to the same model, the same bytes back from a server on
127.0.0.1, which is a process of its own and on another core where there is one. All contestants take turns, everybody
once a round and each round in another order, so that whatever else the machine does hits them alike and nobody always
finds the caches that another one has warmed; a row is the ratio of two medians. A stream is timed from its first chunk
to its end, over its number of chunks. Nothing fails here: a row that misses its target says `short`, and the exit code
is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}  # before LangChain looks

from rich.console import Console
from rich.table import Table

from benchmarks import loopback
from benchmarks.contestants import Contestant, Kind, Pair, everybody

ROOT = Path(__file__).resolve().parent.parent
CHUNKS = 500
TEXTS: dict[Kind, str] = {
    "plain": "".join(loopback.pieces(CHUNKS)[: loopback.PLAIN]),
    "stream": "".join(loopback.pieces(CHUNKS)),
}
ORDER = random.Random(0)
PACKAGES = ("openai", "anthropic", "langchain-core", "langchain-openai", "llama-index-core", "llama-index-llms-openai")

IMPORT_MILLIS = 100.0
IMPORTS = {
    # The package is lazy: without the name it would load no chat model, which every user of one does load.
    "langchain_multiroute": "from langchain_core.language_models import BaseChatModel",
    "llamaindex_multiroute": "import llama_index.core.llms",
}
"""Our packages, and what whoever uses them has imported anyway."""
STOPWATCH = """\
import time
began = time.perf_counter()
{theirs}
between = time.perf_counter()
import {ours}
print(between - began, time.perf_counter() - between)
"""


Clock = Callable[[], float]


@dataclass
class Rounds:
    """How often everybody is asked. A round of plain calls takes milliseconds, one of streams a second."""

    plain: int = 300
    stream: int = 12
    imports: int = 3
    batches: int = 12
    """Sync and async take turns as well, so many times."""
    seconds: float = 50.0
    """A busy machine gets fewer batches."""


@dataclass
class Row:
    """What a pair came to: a share of theirs, or how much above theirs."""

    name: str
    ours: float
    theirs: float
    target: float
    unit: str = "µs"
    above: bool = False

    @property
    def value(self) -> float:
        """What the target is about."""
        return self.ours - self.theirs if self.above else self.ours / self.theirs

    @property
    def met(self) -> bool:
        """Whether it is no more than the target."""
        return self.value <= self.target

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        own = f"+{self.value:.1f} {self.unit}" if self.above else f"{self.value:.2f}"
        target = f"+{self.target:g} {self.unit}" if self.above else f"{self.target:.2f}"
        verdict = "[green]ok[/]" if self.met else "[red]short[/]"
        return self.name, f"{self.ours:,.1f}", f"{self.theirs:,.1f}", own, f"≤ {target}", verdict


def ask(who: Contestant, kind: Kind, clock: Clock) -> float:
    """Ask once, and take the time."""
    if kind == "plain":
        began = clock()
        who.ask()
        return clock() - began
    chunks = iter(who.ask())
    next(chunks)
    began = clock()
    for _ in chunks:
        pass
    return (clock() - began) / CHUNKS


async def aask(who: Contestant, kind: Kind, clock: Clock) -> float:
    """The same on the running loop."""
    if kind == "plain":
        began = clock()
        await who.ask()
        return clock() - began
    chunks = await _iterator(who)
    await anext(chunks)
    began = clock()
    async for _ in chunks:
        pass
    return (clock() - began) / CHUNKS


async def _iterator(who: Contestant) -> Any:
    """Some give an async iterator, some something to await for it."""
    asked = who.ask()
    return aiter(asked if hasattr(asked, "__aiter__") else await asked)


def check(who: Contestant, kind: Kind) -> None:
    """See that it answers, and with all of the text; this warms it up, too."""
    answers = [who.ask()] if kind == "plain" else who.ask()
    _same(who, kind, [who.text(answer) for answer in answers])


async def acheck(who: Contestant, kind: Kind) -> None:
    """The same on the running loop."""
    answers = [await who.ask()] if kind == "plain" else [chunk async for chunk in await _iterator(who)]
    _same(who, kind, [who.text(answer) for answer in answers])


def _same(who: Contestant, kind: Kind, texts: Sequence[str | None]) -> None:
    if "".join(text or "" for text in texts) != TEXTS[kind]:
        raise RuntimeError(f"{who.ask} did not give the whole answer.")


def measure(pairs: Sequence[Pair], rounds: Rounds, clock: Clock) -> None:
    """Everybody in turn, again and again; the times stand with the contestants afterwards."""
    with asyncio.Runner() as runner:
        for pair in pairs:
            for who in (pair.ours, pair.theirs):
                for _ in range(3):
                    runner.run(acheck(who, pair.kind)) if pair.native else check(who, pair.kind)
        gc.collect()
        gc.freeze()  # objects of the imports do not belong to a call; those of a call are collected as usual
        began = time.perf_counter()
        for batch in range(rounds.batches):
            if batch and time.perf_counter() - began > rounds.seconds:
                break
            counts: tuple[tuple[Kind, int], ...] = (("plain", rounds.plain), ("stream", rounds.stream))
            for kind, count in counts:
                turns = count * (batch + 1) // rounds.batches - count * batch // rounds.batches
                _sync(_turns(pairs, kind, turns, native=False), clock)
                runner.run(_async(_turns(pairs, kind, turns, native=True), clock))
        gc.unfreeze()


def _turns(pairs: Sequence[Pair], kind: Kind, count: int, *, native: bool) -> Iterator[tuple[Contestant, Kind, int]]:
    """Who is asked, in turn, and how often in a row."""
    everyone = [(who, p) for p in pairs if p.kind == kind and p.native is native for who in (p.ours, p.theirs)]
    for _ in range(count):
        ORDER.shuffle(everyone)
        for who, pair in everyone:
            yield who, kind, pair.burst


def _sync(turns: Iterable[tuple[Contestant, Kind, int]], clock: Clock) -> None:
    for who, kind, burst in turns:
        who.seconds.append(sum(ask(who, kind, clock) for _ in range(burst)) / burst)


async def _async(turns: Iterable[tuple[Contestant, Kind, int]], clock: Clock) -> None:
    for who, kind, burst in turns:
        who.seconds.append(sum([await aask(who, kind, clock) for _ in range(burst)]) / burst)


def imports(rounds: Rounds) -> list[Row]:
    """What importing our packages takes after the framework is there, in a process of its own each time."""
    rows = []
    for ours, theirs in IMPORTS.items():
        code = STOPWATCH.format(ours=ours, theirs=theirs)
        _python("-c", code)  # the byte code is written
        took = [[float(word) * 1e3 for word in _python("-c", code).split()] for _ in range(rounds.imports)]
        base, own = (statistics.median(column) for column in zip(*took, strict=True))
        framework = theirs.split()[1]
        rows.append(Row(f"import {ours} / {framework}", base + own, base, IMPORT_MILLIS, "ms", above=True))
    return rows


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The model server, on a core of its own where there are two; gives its address."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = [str(cores[1])] if len(cores) > 1 else []
    command = [sys.executable, str(Path(loopback.__file__)), str(CHUNKS), *pinned]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if pinned:
            os.sched_setaffinity(0, {cores[0]})
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            if pinned:
                os.sched_setaffinity(0, cores)


def show(rows: Sequence[Row], seconds: float) -> None:
    """The table, and what is short."""
    names = {distribution.name for distribution in importlib.metadata.distributions()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if name in names)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    title = f"Python {platform.python_version()}, {machine}; {versions}; {seconds:.0f} s"
    table = Table("ours / theirs", title=title, title_justify="left", caption_justify="left")
    for head in ("ours", "theirs", "value", "target", ""):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row.cells())
    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print(table)
    console.print("µs a call, or a chunk of a stream; imports in ms. Medians.", style="dim")
    short = [row.name for row in rows if not row.met]
    console.print(f"Short of its target: {'; '.join(short)}." if short else "All targets met.", highlight=False)


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--cpu", action="store_true", help="take this thread's CPU time, where the machine is busy")
    parser.add_argument("--only", default="", metavar="WORD", help="only the rows with this in their name")
    chosen = parser.parse_args()
    rounds = Rounds(plain=60, stream=4, imports=1, batches=4) if chosen.quick else Rounds()
    clock = time.thread_time if chosen.cpu else time.perf_counter
    began = time.perf_counter()
    with server() as url:
        pairs = [pair for pair in everybody(url, CHUNKS) if chosen.only in pair.name]
        measure(pairs, rounds, clock)
    rows = [Row(p.name, p.ours.micros, p.theirs.micros, p.target, above=p.above) for p in pairs]
    if not chosen.only or "import" in chosen.only:
        rows += imports(rounds)
    show(rows, time.perf_counter() - began)


if __name__ == "__main__":
    main()
