"""What a provider in trouble costs the caller: MultiRoute, LiteLLM's Router and LangChain's fallbacks, side by side.

    python -m benchmarks.failover                  # from the repository's root; about twelve minutes, mostly waits
    python -m benchmarks.failover --quick          # fewer calls
    python -m benchmarks.failover --only multiroute

Everybody has two providers: servers on 127.0.0.1 that speak OpenAI's chat wire over real HTTP. The healthy one answers
after 200 ms. Everybody runs in a process of their own, with everything at its defaults but for what a column's head
says, and each probe gets a new router and new servers. The peers live in `.venv-peers`, which is made at the first run
(the newest releases, from the package index); where they cannot be installed, only MultiRoute is shown.

Nothing fails here: a target that is missed says `short`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import providers
from benchmarks.peers import environment
from benchmarks.providers import BEFORE_THE_CUT, TEXT, Behaviour, Providers

ROOT = Path(__file__).resolve().parent.parent
CALLER = Path(__file__).resolve().parent / "peers" / "caller.py"

PATIENCE = 1.0
TRIES = 3
WORTH_REPEATING = 2.0
"""A single call that takes less than so many seconds is measured some times."""

BREAK_SECONDS = 7.0
"""Longer than anybody's first break: LiteLLM's documented cooldown is 5 s, ours is 5 s with a quarter of jitter."""

OURS = "multiroute"
COLUMNS = {
    OURS: "MultiRoute",
    "litellm": "LiteLLM Router",
    "litellm-tuned": "LiteLLM Router\nallowed_fails=1",
    "fallbacks": "with_fallbacks",
    "fallbacks-tuned": "with_fallbacks\nmax_retries=0",
}


@dataclass
class Scale:
    """How much is asked."""

    calls: int = 20
    crowd: int = 50


@dataclass
class Caller:
    """A router in a process of its own."""

    name: str
    process: subprocess.Popen[str]
    version: str = ""
    healthy: dict[str, float] = field(default_factory=dict[str, float])
    """What the same calls took with two healthy providers, `one` of them and `all`."""

    def do(self, what: str, **told: Any) -> dict[str, Any]:
        """Have it done, and hear what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"do": what, **told}), file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(
                f"{COLUMNS[self.name]} ended while it was to {what}; run {CALLER.name} by hand to see why."
            )
        return json.loads(line)

    def open(self, found: Providers, **settings: Any) -> None:
        """Begin anew over these providers."""
        self.version = self.do("open", urls=found.urls, **settings)["version"]


@contextlib.contextmanager
def caller(name: str, python: Path) -> Generator[Caller]:
    """A process that asks as `name` does."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)} if name == OURS else dict(os.environ)
    command = [str(python), str(CALLER), name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as process:
        assert process.stdin is not None
        try:
            yield Caller(name, process)
        finally:
            process.stdin.close()


@dataclass
class Cell:
    """What came of one probe of one contestant, and whether it is what is wanted."""

    text: str
    met: bool


@dataclass
class Probe:
    """A row.

    Attributes:
        name: What befalls the first provider.
        target: What is wanted, in words.
        run: Does it to one contestant.
    """

    name: str
    target: str
    run: Callable[[Caller, Scale], Cell]


def healthy(who: Caller, scale: Scale) -> Cell:
    """Two healthy providers: what the other probes are compared with."""
    with Providers.of(providers.answer) as found:
        who.open(found)
        who.do("ask", count=1)  # imports, connections
        done = who.do("ask", count=scale.calls)
        who.healthy = {"all": done["seconds"], "one": _best(who, lambda: providers.answer)[0]["seconds"]}
        return Cell(f"{done['seconds']:.2f} s", not any(done["ends"]))


def dead(who: Caller, scale: Scale) -> Cell:
    """The first provider answers with 500, always."""
    with Providers.of(providers.dead) as found:
        who.open(found)
        done = who.do("ask", count=scale.calls)
        share = done["seconds"] / who.healthy["all"]
        met = found.hits <= 4 and share <= 1.1 and not any(done["ends"])
        return Cell(f"{done['seconds']:.2f} s ({share:.2f} ×), {_count(found.hits)}{_failed(done)}", met)


def _answered(behaviour: Callable[[], Behaviour]) -> Callable[[Caller, Scale], Cell]:
    def run(who: Caller, _: Scale) -> Cell:
        done, hits = _best(who, behaviour)
        share = done["seconds"] / who.healthy["one"]
        text = f"{done['seconds']:.2f} s ({share:.2f} ×), {_count(hits)}{_failed(done)}"
        return Cell(text, share <= 1.1 and not any(done["ends"]))

    return run


def _best(who: Caller, behaviour: Callable[[], Behaviour]) -> tuple[dict[str, Any], int]:
    """One call of a new router, and the hits: the quickest of some, so that what else the machine does counts less."""
    found: list[tuple[dict[str, Any], int]] = []
    while len(found) < TRIES and (not found or found[-1][0]["seconds"] < WORTH_REPEATING):
        with Providers.of(behaviour()) as servers:
            who.open(servers)
            found.append((who.do("ask", count=1), servers.hits))
    return min(found, key=lambda one: one[0]["seconds"])


def _patient(first: Behaviour, second: Behaviour) -> Callable[[Caller, Scale], Cell]:
    def run(who: Caller, _: Scale) -> Cell:
        with Providers.of(first, second) as found:
            who.open(found, patience=PATIENCE)
            done = who.do("ask", count=1)
            end = done["ends"][0] or "answer"
            return Cell(f"{end} in {done['seconds']:.2f} s", done["seconds"] <= PATIENCE * 1.1)

    return run


def storm(who: Caller, scale: Scale) -> Cell:
    """The first provider is down, was left alone for a while, and is still down when all come at once."""
    with Providers.of(providers.slowly_dead) as found:
        who.open(found)
        for _ in range(4):
            who.do("crowd", count=1)  # on the event loop, as the crowd will be
        time.sleep(BREAK_SECONDS)
        before = found.hits
        done = who.do("crowd", count=scale.crowd)
        hits = found.hits - before
        text = f"{_count(hits)}, {done['seconds']:.2f} s{_failed(done)}"
        return Cell(text, hits == 1 and not any(done["ends"]))  # without a hit the break was not over


def _broken(behaviour: Behaviour, mode: str | None = None) -> Callable[[Caller, Scale], Cell]:
    def run(who: Caller, _: Scale) -> Cell:
        with Providers.of(behaviour) as found:
            who.open(found, on_stream_error=mode)
            done = who.do("stream")
            if done["text"] == TEXT and not done["end"]:
                return Cell("completed", True)
            if not done["end"]:
                return Cell("[red]cut without a word[/]" if done["text"] == BEFORE_THE_CUT else "garbled", False)
            kept = done["kept"] and done["text"] == BEFORE_THE_CUT
            return Cell(f"{'partial kept' if kept else 'lost'} ({done['end']})", kept and mode is None)

    return run


def _count(hits: int) -> str:
    return f"{hits} hit" + "s" * (hits != 1)


def _failed(done: dict[str, Any]) -> str:
    ends = [end for end in done["ends"] if end]
    return f", {len(ends)} failed ({ends[0]})" if ends else ""


def probes(scale: Scale) -> list[Probe]:
    """The rows."""
    waits = f"an end ≤ {PATIENCE * 1.1:.1f} s"
    calls = f"{scale.calls} calls"
    return [
        Probe(f"both are well: {calls}", "answers", healthy),
        Probe(f"500, always: {calls}", "≤ 1.1 ×, ≤ 4 hits", dead),
        Probe("429 once, Retry-After: 5", "≤ 1.1 ×", _answered(providers.limited_once)),
        Probe("429 always, Retry-After: 5", "≤ 1.1 ×", _answered(lambda: providers.limited)),
        Probe("hangs, the other is well; limit 1 s", waits, _patient(providers.silent, providers.answer)),
        Probe("both hang; limit 1 s", waits, _patient(providers.silent, providers.silent)),
        Probe("both drip a blank each 0.2 s; limit 1 s", waits, _patient(providers.dripping, providers.dripping)),
        Probe(f"down, after its break {scale.crowd} at once", "1 hit", storm),
        Probe(
            'connection drops in mid-stream; on_stream_error="continue"',
            "completed",
            _broken(providers.cut, "continue"),
        ),
        Probe(
            'stream ends without its end; on_stream_error="continue"',
            "completed",
            _broken(providers.ends_early, "continue"),
        ),
        Probe("connection drops in mid-stream", "partial kept", _broken(providers.cut)),
        Probe("stream ends without its end", "partial kept", _broken(providers.ends_early)),
    ]


def measure(
    names: Sequence[str], python: dict[str, Path], rows: Sequence[Probe], scale: Scale
) -> dict[str, list[Cell]]:
    """Every contestant through every probe; the cells of a column by its head."""
    columns: dict[str, list[Cell]] = {}
    with _progress() as progress:
        task = progress.add_task("", total=len(names) * len(rows))
        for name in names:
            with caller(name, python[name]) as who:
                cells: list[Cell] = []
                for row in rows:
                    progress.update(task, description=f"{COLUMNS[name].replace(chr(10), ', ')}: {row.name}")
                    cells.append(row.run(who, scale))
                    progress.advance(task)
                columns[f"{COLUMNS[name]}\n{who.version}"] = cells
    return columns


def _progress() -> Progress:
    parts = (SpinnerColumn(), BarColumn(20), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    return Progress(*parts, TextColumn("{task.description}"), console=Console(stderr=True), transient=True)


def show(rows: Sequence[Probe], columns: dict[str, list[Cell]], seconds: float) -> None:
    """The table, and what is short."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table("the first provider", title=f"{machine}; {seconds:.0f} s", title_justify="left", show_lines=True)
    for head in (*columns, "target"):
        table.add_column(head)
    table.add_column("MultiRoute", justify="right")
    ours = next(iter(columns.values()))
    for i, row in enumerate(rows):
        verdict = "[green]met[/]" if ours[i].met else "[red]short[/]"
        table.add_row(row.name, *(cells[i].text for cells in columns.values()), row.target, verdict)
    console = Console(width=None if sys.stdout.isatty() else 190)
    console.print(table)
    console.print(
        f"×: of what the same calls take where both are well. The healthy provider answers in "
        f"{providers.HEALTHY_SECONDS:g} s. A hit is a request to the first one.",
        style="dim",
    )
    short = [row.name for row, cell in zip(rows, ours, strict=True) if not cell.met]
    console.print(f"MultiRoute is short at: {'; '.join(short)}." if short else "MultiRoute meets all targets.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--only", action="append", choices=[*COLUMNS], help="only this contestant; may be repeated")
    chosen = parser.parse_args(arguments)
    names = [name for name in COLUMNS if not chosen.only or name in chosen.only]
    python = dict.fromkeys(names, Path(sys.executable))
    if others := [name for name in names if name != OURS]:
        found = environment.python()
        if found is None:
            names = [name for name in names if name == OURS]
        python |= dict.fromkeys(others, found or Path(sys.executable))
    scale = Scale(calls=4, crowd=20) if chosen.quick else Scale()
    began, rows = time.perf_counter(), probes(scale)
    if names:
        show(rows, measure(names, python, rows, scale), time.perf_counter() - began)


if __name__ == "__main__":
    main()
