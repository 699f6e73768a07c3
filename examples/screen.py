"""What the audience sees: a line for each attempt as it ends, and a table when all is over."""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multiroute_core import (
    Attempt,
    AttemptEnded,
    Event,
    RequestEnded,
    RequestStarted,
    Response,
    RouteError,
    RouteSkipped,
)


@dataclass
class Record:
    """What a scene was meant to show, and what happened in it."""

    title: str
    expected: str
    attempts: list[Attempt] = field(default_factory=list)
    spared: float = 0.0
    seconds: float = 0.0
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the scene ended as it should."""
        return self.problem is None

    @property
    def answered(self) -> list[str]:
        """The providers that answered, one for each answer."""
        return [attempt.provider for attempt in self.attempts if attempt.outcome == "success"]

    @property
    def tried(self) -> list[str]:
        """The providers that were called, one for each attempt."""
        return [attempt.provider for attempt in self.attempts]

    @property
    def cost(self) -> float:
        """What all attempts cost together, in USD; attempts of unknown cost are left out."""
        return sum(attempt.cost or 0.0 for attempt in self.attempts)


class Screen:
    """Prints a show. It is an event hook of the routers in it: `Router(..., on_event=[screen])`."""

    def __init__(self, file: TextIO | None = None) -> None:
        stream = file or sys.stdout
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only shall see the show as well
        self.console = Console(file=stream, highlight=False)
        self.width = min(self.console.width, 100)
        yes, no = "✓✗" if self.console.encoding.startswith("utf") else "+x"
        self.marks = {True: Text(yes, "green"), False: Text(no, "red")}
        self.records: list[Record] = []
        self._callers: dict[str, str] = {}
        self._skipped: dict[str, list[str]] = {}
        self._column = 0
        self._began = 0.0

    @property
    def record(self) -> Record:
        """The scene that is on."""
        return self.records[-1]

    def __call__(self, event: Event) -> None:
        """Hear what the router tells."""
        match event:
            case RequestStarted():
                # The faces are told apart by their tenant, which goes into the events.
                self._callers[event.request_id] = event.tenant or ""
            case RouteSkipped():
                self._skipped.setdefault(event.request_id, []).append(event.route.partition(":")[0])
            case AttemptEnded():
                self.record.attempts.append(event.attempt)
                skipped = [] if event.error else self._skipped.pop(event.request_id, [])
                self._attempt(self._callers[event.request_id], event.attempt, event.error, skipped)
            case RequestEnded(response=Response(cached=True) as response):
                self.record.spared += response.saved_cost or 0.0
                self._hit(self._callers[event.request_id], response)
            case _:
                pass

    def wait(self, why: str) -> AbstractContextManager[object]:
        """Show on a terminal that something is going on."""
        return self.console.status(f"{why} ...")

    def say(self, line: str | Text = "", style: str = "") -> None:
        """Print one line, cut to the width."""
        if self._column:
            self.console.print()
            self._column = 0
        text = Text(line, style) if isinstance(line, str) else line
        self.console.print(text, width=self.width, no_wrap=True, overflow="ellipsis")

    def quote(self, words: str) -> None:
        """Print what a model has said: the first paragraph of it."""
        first = words.strip().partition("\n\n")[0]
        for line in textwrap.wrap(f"“{' '.join(first.split())}”", self.width - 4):
            self.say(f"    {line}", "italic")

    def stream(self, piece: str) -> None:
        """Print a piece of a streamed answer behind the one before."""
        piece = piece.replace("\n", " ")
        if not piece.strip() and not self._column:
            return
        if self._column and self._column + len(piece.rstrip()) > self.width:
            self.console.print()
            self._column = 0
        if not self._column:
            self.console.print("    ", end="")
            self._column = 4
            piece = piece.lstrip()
        self.console.print(Text(piece, "italic"), end="", soft_wrap=True)
        self._column += len(piece)

    def begin(self, title: str, expected: str) -> None:
        """A scene begins."""
        self.records.append(Record(title, expected))
        self.say()
        self.say(f"{len(self.records)}  {title}", "bold")
        self.say(f"   Expected: {expected}.", "dim")
        self._began = time.monotonic()

    def end(self, problem: str | None = None) -> None:
        """The scene is over; `problem` says in what it did not end as it should."""
        record = self.record
        record.seconds, record.problem = time.monotonic() - self._began, problem
        if problem is not None:
            for line in textwrap.wrap(f"Not as expected: {problem}", self.width - 3):
                self.say(f"   {line}", "bold red")

    def finish(self) -> bool:
        """Print the table; whether every scene ended as it should."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", width=self.width)
        table.add_column("scene", ratio=15)
        table.add_column("expected", ratio=30)
        table.add_column("tried → answered", ratio=21)
        table.add_column("sec", justify="right", no_wrap=True)
        table.add_column("USD", justify="right", no_wrap=True)
        table.add_column("ok", no_wrap=True)
        for record in self.records:
            path = f"{_counted(record.tried)}\n→ {_counted(record.answered)}"
            row = (record.title, record.expected, path, f"{record.seconds:.1f}", f"{record.cost:.4f}")
            table.add_row(*row, self.marks[record.ok])
        self.console.print(table)
        return all(record.ok for record in self.records)

    def _hit(self, caller: str, response: Response) -> None:
        line = Text.assemble(
            (f"   {caller:<7}", "dim"),
            self.marks[True],
            f" {'from the cache':<27} {'':>9}",
            (f"${response.cost or 0.0:.5f}  ", "cyan"),
            (f"${response.saved_cost or 0.0:.5f} spared", "dim"),
        )
        self.say(line)

    def _attempt(self, caller: str, attempt: Attempt, error: RouteError | None, skipped: list[str]) -> None:
        cost = "" if attempt.cost is None else f"${attempt.cost:.5f}"
        line = Text.assemble(
            (f"   {caller:<7}", "dim"),
            self.marks[attempt.outcome == "success"],
            f" {attempt.route:<27} {attempt.seconds * 1000:>5.0f} ms ",
            (f"{cost:<8}  ", "cyan"),
        )
        if error is not None:
            line.append(_told(attempt, error), "red")
        elif skipped:
            who = skipped[0] if len(skipped) == 1 else f"{len(skipped)} routes"
            line.append(f"{who} skipped", "dim")
        self.say(line)


def _told(attempt: Attempt, error: RouteError) -> str:
    told = attempt.outcome.replace("_", " ")
    return told if error.retry_after is None else f"{told}, {error.retry_after:g} s"


def _counted(names: list[str]) -> str:
    """`["a", "a", "b"]` as "a ×2, b"."""
    counts = Counter(names)
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in counts.items()) or "none"
