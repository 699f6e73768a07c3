"""What a cached answer costs: MultiRoute's caches beside LangChain's and LiteLLM's, side by side in one run.

    python -m benchmarks.cache                  # from the repository's root; about five minutes
    python -m benchmarks.cache --quick          # fewer rounds, fewer answers
    python -m benchmarks.cache --cpu            # CPU time of the calling thread, but on Redis: steady on a busy machine
    python -m benchmarks.cache --only hits      # or --only memory
    python -m benchmarks.cache --without-peers  # what runs in this environment; nothing is installed

Hits: everybody asks a provider once, through a cache of their own, and then the same again and again. The provider is a
server on 127.0.0.1 that speaks OpenAI's chat wire, answers after 200 ms and counts; who is counted again for an equal
question has not cached. Redis is a real Valkey. All contestants take turns, some calls in a row each and each round in
another order; a time is the median of the rounds' medians. A stream's time runs to its end. MultiRoute and LangChain's
cache in memory share one process; the peers have theirs, in `.venv-peers`, which is made at the first run (the newest
releases, from the package index). What a hit on Redis takes is shown less what redis-py takes in the same process to
get a value of that size. "50 at once" is how often the provider is asked when 50 threads, or on an event loop 50 tasks,
ask the same that nobody has asked before.

Memory: see `benchmarks.caches.growth`.

Nothing fails here: a target that is missed says `short`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.caches.growth import BOUND, TEXT
from benchmarks.caches.hits import OURS, ROOT, Asker, Row, Scale, measured, verdict
from benchmarks.peers import environment

GROUPS = (OURS, "langchain-redis", "litellm-memory", "litellm-redis")
GROWTHS = {
    OURS: "MultiRoute MemoryCache",
    "bounded": f"MultiRoute MemoryCache(max_bytes={BOUND // 2**20} MiB)",
    "langchain": "LangChain InMemoryCache",
    "litellm": "LiteLLM in memory, its 200 answers unbound",
}


def show_hits(found: Sequence[Asker], scale: Scale, console: Console) -> list[str]:
    """The table of the hits; what is short."""
    table = Table("kept in", "who is asked", "", title="A hit, in µs", title_justify="left")
    for head in ("to its end", "first chunk", "less a get", "chunks", f"{scale.crowd} at once", "target", ""):
        table.add_column(head, justify="right")
    rows, short = [row for who in found for row in who.rows], list[str]()
    for store in ("memory", "SQLite", "Redis"):
        for who in found:
            for row in (row for row in (*who.trips, *who.rows) if row.store == store):
                wanted = verdict(row, who, rows)
                if not wanted.met:
                    short.append(row.title)
                mark = "[green]ok[/]" if wanted.target else ""
                table.add_row(*_cells(row, who), wanted.target, mark if wanted.met else "[red]short[/]")
        table.add_section()
    console.print(table)
    sizes = ", ".join(f"{who.bytes:,} ({who.group})" for who in found if who.bytes)
    console.print(
        f"A stream's target is about its first chunk. Of {scale.crowd} at once, one of ours shall ask the provider. "
        f"What redis-py gets has as many bytes as an answer there: {sizes}.",
        style="dim",
        highlight=False,
    )
    for row in rows:
        if row.note not in ("", "not cached"):
            console.print(f"{row.title}: {row.note}", style="yellow", highlight=False, markup=False)
        if row.misses:
            console.print(f"{row.title}: {row.misses} hits were none.", style="yellow", highlight=False)
    return short


def _cells(row: Row, who: Asker) -> tuple[str, ...]:
    name = f"{row.name} ({who.group})" if row in who.trips else row.name
    asked = "" if row.asked is None else str(row.asked)
    if not row.timed:
        return row.store, name, row.face, f"[yellow]{row.note.partition(':')[0]}[/]", "", "", "", asked
    first, chunks = (f"{row.first_micros:,.0f}", str(row.chunks)) if row.stream else ("", "")
    less = f"{row.first_micros - who.trip(row):,.0f}" if row.store == "Redis" and row not in who.trips else ""
    return row.store, name, row.face, f"{row.micros:,.0f}", first, less, chunks, asked


def growth(pythons: Mapping[str, Path], scale: Scale, progress: Progress) -> dict[str, dict[str, Any]]:
    """What each store in memory takes for its answers: `rss` and `traced`, and how many it `held` then."""
    stores = {store: python for store, python in pythons.items() if store in GROWTHS}
    task = progress.add_task("memory", total=2 * len(stores))
    found: dict[str, dict[str, Any]] = {}
    for store, python in stores.items():
        for how in ("rss", "traced"):
            progress.update(task, description=f"memory: {GROWTHS[store]}, {how}")
            command = [str(python), "-m", "benchmarks.caches.growth", store, str(scale.answers)]
            command += ["traced"] if how == "traced" else []
            told = subprocess.run(
                command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            done = json.loads(told.stdout)
            found.setdefault(store, {})[how] = done["bytes"]
            found[store]["held"] = done["held"]
            progress.advance(task)
    return found


def show_growth(found: dict[str, dict[str, Any]], scale: Scale, console: Console) -> None:
    """The table of the memory."""
    title = f"{scale.answers:,} answers of {len(TEXT):,} characters in memory"
    table = Table("store", title=title, title_justify="left")
    for head in ("held", "process grows (RSS)", "Python allocates", "RSS an answer", "allocated an answer"):
        table.add_column(head, justify="right")
    for store, told in found.items():
        whole = [_mebibytes(told[how]) for how in ("rss", "traced")]
        each = ["" if told[how] is None else f"{told[how] / told['held']:,.0f} bytes" for how in ("rss", "traced")]
        table.add_row(GROWTHS[store], f"{told['held']:,}", *whole, *each)
    console.print(table)
    if (bounded := found.get("bounded")) is not None and bounded["rss"] is not None:
        share = bounded["rss"] / BOUND
        console.print(f"A bound of {BOUND // 2**20} MiB takes {share:.2f} times as much of RSS.", highlight=False)


def _mebibytes(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:,.1f} MiB"


def _progress() -> Progress:
    parts = (SpinnerColumn(), BarColumn(20), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    return Progress(*parts, TextColumn("{task.description}"), console=Console(stderr=True), transient=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer answers")
    parser.add_argument("--cpu", action="store_true", help="take CPU time where that tells all: not on Redis")
    parser.add_argument("--only", choices=("hits", "memory"), help="only this part")
    parser.add_argument("--without-peers", action="store_true", help="only what runs in this environment")
    chosen = parser.parse_args(arguments)
    scale = Scale(rounds=5, answers=2_000, cpu=chosen.cpu) if chosen.quick else Scale(cpu=chosen.cpu)
    peers = None if chosen.without_peers else environment.python()
    here = Path(sys.executable)
    groups = {group: python for group in GROUPS if (python := here if group == OURS else peers) is not None}
    stores = {store: python for store in GROWTHS if (python := peers if store == "litellm" else here) is not None}
    console = Console(width=None if sys.stdout.isatty() else 160)
    began, short = time.perf_counter(), list[str]()
    with _progress() as progress:
        asked = [] if chosen.only == "memory" else measured(groups, scale, progress)
        taken = {} if chosen.only == "hits" else growth(stores, scale, progress)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    console.print(f"{machine}; {time.perf_counter() - began:.0f} s", highlight=False)
    if asked:
        short = show_hits(asked, scale, console)
    if taken:
        show_growth(taken, scale, console)
    console.print(f"Short of its target: {'; '.join(short)}." if short else "All targets met.", highlight=False)


if __name__ == "__main__":
    main()
