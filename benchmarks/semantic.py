"""How often the semantic cache finds what was asked in other words, and how often it is wrong.

    python -m benchmarks.semantic                          # from the repository's root; about ten minutes
    python -m benchmarks.semantic --share 0.2              # fewer questions; also fewer that could be mistaken
    python -m benchmarks.semantic --plot semantic.png      # a picture as well
    python -m benchmarks.semantic --show 40                # hits, to be read
    python -m benchmarks.semantic --embed module:function  # another embedding, for its own threshold

44,000 questions of Quora's in 18,000 groups that ask the same (see `benchmarks.paraphrases`). Half of the groups are
known: one question of each was answered before. All others are asked: those of the known groups should find that
answer, the rest nothing. All in one scope, which is harder than life: 9,000 answers to be mistaken for.

The threshold was chosen on one half of the groups; what is told is of the other half.

The labels are no judge. People marked some pairs of many: most hits that the labels call wrong are the same question
once more ("How do I quit smoking? How?"), and some that they call right are not ("Is it fair that he won?", "How is it
fair that he won?"). So hits were read, by one reader, and `READ` says how many asked for something else: the answer to
the one would not have served the other. "Wrong of found" is estimated from that. The threshold is the lowest of the
table with 1 % or less. The near misses are made: a question, and the same one with a single thing changed.
"""

from __future__ import annotations

import argparse
import bisect
import importlib
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks import paraphrases
from benchmarks.paraphrases import Half
from multiroute_core.cache import Embed
from multiroute_core.cache.semantic.index import COUNT
from multiroute_core.cache.semantic.memory import MemoryIndex
from multiroute_core.cache.semantic.minilm import MiniLM
from multiroute_core.cache.semantic.settings import THRESHOLD
from multiroute_core.cache.semantic.veto import VETOES, Words
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO

THRESHOLDS = (0.88, 0.90, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)

FLOOR = 0.80
"""What is less alike is not looked at."""

BANDS = (0.90, 0.92, 0.94, 0.95, 0.96)
"""Where the bands of similarity begin from which hits were read."""

READ: dict[str, tuple[dict[bool, tuple[int, int]], ...]] = {
    "calibrated": (
        {True: (40, 4), False: (60, 9)},
        {True: (40, 2), False: (60, 4)},
        {True: (60, 2), False: (45, 6)},
        {True: (60, 2), False: (30, 1)},
        {True: (100, 0), False: (70, 0)},
    ),
    "reported": (
        {True: (40, 4), False: (60, 7)},
        {True: (40, 0), False: (60, 3)},
        {True: (60, 4), False: (39, 3)},
        {True: (60, 1), False: (38, 1)},
        {True: (100, 0), False: (55, 0)},
    ),
}
"""For each half and band, by whether the labels call them right: how many hits of the bundled model were read, and how
many of them asked for something else. They are the first that `--show` prints."""


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer that a question would get.

    Attributes:
        asked: The question.
        found: The one whose answer it gets.
        similarity: Of the two.
        right: Whether they are of one group.
        vetoes: What speaks against it.
    """

    asked: str
    found: str
    similarity: float
    right: bool
    vetoes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a half brought.

    Attributes:
        half: The questions.
        nearest: For each question the nearest one, whatever speaks against it.
        hits: For each question the nearest one that nothing speaks against.
    """

    half: Half
    nearest: list[Hit]
    hits: list[Hit]


class Vectors:
    """The vectors of texts; each is computed once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, Any] = {}

    def __call__(self, texts: Sequence[str], what: str) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        parts = (SpinnerColumn(), BarColumn(30), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
        columns = (*parts, TimeRemainingColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=len(new))
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for text, vectors in zip(new, pool.map(lambda text: self._embed([text]), new), strict=True):
                    vector = np.asarray(vectors[0], np.float32)
                    self._known[text] = vector / np.linalg.norm(vector) if len(vector) else None
                    progress.advance(task)
        size = next(len(vector) for vector in self._known.values() if vector is not None)
        nothing = np.zeros(size, np.float32)  # near to none
        return np.stack([nothing if (vector := self._known[text]) is None else vector for text in texts])


def measure(half: Half, vectors: Vectors, what: str) -> Outcome:
    """Ask everything."""
    cached = vectors(half.cached, f"vectors of what is known, {what}")
    asked = vectors(half.asked, f"vectors of what is asked, {what}")
    nearest: list[Hit] = []
    hits: list[Hit] = []
    for start in range(0, len(half.asked), 1000):
        similar = asked[start : start + 1000] @ cached.T
        for text, row in zip(half.asked[start : start + 1000], similar, strict=True):
            best = np.argpartition(-row, min(COUNT, len(row)) - 1)[:COUNT]
            best = best[np.argsort(-row[best])]
            if row[best[0]] < FLOOR:
                continue
            found = [_hit(half, text, half.cached[place], float(row[place])) for place in best if row[place] >= FLOOR]
            nearest.append(found[0])
            hits.extend([hit for hit in found if not hit.vetoes][:1])
    return Outcome(half, nearest, hits)


def _hit(half: Half, asked: str, found: str, similarity: float) -> Hit:
    right = half.groups[asked] == half.groups[found]
    a, b = Words(asked), Words(found)
    against = frozenset(name for name, differ in VETOES.items() if asked != found and differ(a, b))
    return Hit(asked, found, similarity, right, against)


def band(similarity: float) -> int:
    """The number of the band; -1 below the first."""
    return bisect.bisect_right(BANDS, similarity) - 1


def wrong_as_read(hits: Sequence[Hit], name: str) -> float | None:
    """How many of the hits are wrong, by the share of those that were read; None where their like was not read."""
    if name not in READ or any(hit.similarity < BANDS[0] for hit in hits):
        return None
    counts = Counter((band(hit.similarity), hit.right) for hit in hits)
    return sum(
        count * READ[name][place][right][1] / READ[name][place][right][0] for (place, right), count in counts.items()
    )


def curve(outcome: Outcome, name: str, *, judged: bool) -> Table:
    """The table of thresholds."""
    half = outcome.half
    title = f"{len(half.asked)} questions, {half.known} of them answered before in other words ({name} half)"
    table = Table("threshold", title=title, title_justify="left")
    for head in (
        "found",
        "wrong of found",
        "by the labels",
        "found, no veto",
        "by the labels, no veto",
    ):
        table.add_column(head, justify="right")
    for threshold in THRESHOLDS:
        hits = [hit for hit in outcome.hits if hit.similarity >= threshold]
        bare = [hit for hit in outcome.nearest if hit.similarity >= threshold]
        read = wrong_as_read(hits, name) if judged else None
        right, bare_right = sum(hit.right for hit in hits), sum(hit.right for hit in bare)
        table.add_row(
            f"{threshold:.2f}" + (" ◀" if judged and threshold == THRESHOLD else ""),
            f"{right / half.known:.1%}",
            "" if read is None else f"{read / len(hits):.1%}",
            f"{1 - right / len(hits):.1%}",
            f"{bare_right / half.known:.1%}",
            f"{1 - bare_right / len(bare):.1%}",
        )
    return table


def vetoes(outcome: Outcome, vectors: Vectors, threshold: float) -> Table:
    """What each veto costs and prevents."""
    hits = [hit for hit in outcome.nearest if hit.similarity >= threshold]
    right = sum(hit.right for hit in hits)
    made = paraphrases.altered([*outcome.half.groups])
    table = Table("veto", title=f"The vetoes, at {threshold:.2f}", title_justify="left")
    for head in ("right hits lost", "wrong by the labels, prevented", "near misses", "near enough", "let through"):
        table.add_column(head, justify="right")
    for name in VETOES:
        against = [hit for hit in hits if name in hit.vetoes]
        one, other = (vectors(texts, "vectors of near misses") for texts in zip(*made[name], strict=True))
        near = [pair for pair, alike in zip(made[name], (one * other).sum(axis=1), strict=True) if alike >= threshold]
        passed = sum(not VETOES[name](Words(a), Words(b)) for a, b in near)
        table.add_row(
            name,
            f"{sum(hit.right for hit in against) / right:.1%}",
            f"{sum(not hit.right for hit in against) / max(len(hits) - right, 1):.1%}",
            str(len(made[name])),
            f"{len(near) / len(made[name]):.0%}",
            f"{passed / len(made[name]):.0%}",
        )
    lost = sum(bool(hit.vetoes) for hit in hits if hit.right) / right
    table.add_row("all", f"{lost:.1%}", end_section=True)
    return table


def describe(data: Sequence[Half], name: str) -> str:
    """The questions, and the hits that were read."""
    texts = sum(len(half.groups) for half in data)
    groups = len({group for half in data for group in half.groups.values()})
    known = len(data[name == "reported"].cached)
    lines = [f"{texts:,} questions in {groups:,} groups; {known:,} answers are known in the {name} half."]
    for half, bands in READ.items():
        read = [sample for band in bands for sample in band.values()]
        near = [sample for band in bands[BANDS.index(THRESHOLD) :] for sample in band.values()]
        lines.append(
            f"{sum(count for count, _ in read)} hits of the {half} half were read; of "
            f"{sum(count for count, _ in near)} from {THRESHOLD:.2f} on, {sum(wrong for _, wrong in near)} asked for "
            "something else."
        )
    return "\n".join(lines)


def costs(embed: Embed, texts: Sequence[str]) -> str:
    """The time of the model and of a lookup, one after the other on one core."""
    begin = time.process_time()
    for text in texts[:100]:
        embed([text])
    seconds = (time.process_time() - begin) / 100
    parts = [f"The model takes {1000 * seconds:.1f} ms of processor time for a question"]
    random = np.random.default_rng(1)
    clock = SyncIO()
    for count in (1000, 10_000):
        index = MemoryIndex(count)
        rows = random.standard_normal((count, 384)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        for number, row in enumerate(rows):
            run(index.add(clock, "", row, "question", str(number), 1e9))
        times: list[float] = []
        for row in rows[:200]:
            begin = time.perf_counter()
            run(index.near(clock, "", row, THRESHOLD))
            times.append(time.perf_counter() - begin)
        parts.append(f"a lookup among {count:,} vectors in memory {1000 * sorted(times)[100]:.2f} ms")
    return ", ".join(parts) + "."


def draw(outcome: Outcome, name: str, path: Path, *, judged: bool) -> None:
    """The picture: what is found against what of it is wrong."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for threshold in np.arange(0.88, 0.995, 0.005):
        for label, found in (("by the labels, without vetoes", outcome.nearest), ("by the labels", outcome.hits)):
            hits = [hit for hit in found if hit.similarity >= threshold - 1e-9]
            right = sum(hit.right for hit in hits)
            lines.setdefault(label, []).append((right / outcome.half.known, 1 - right / len(hits), float(threshold)))
            if judged and found is outcome.hits and (read := wrong_as_read(hits, name)) is not None:
                lines.setdefault("as read", []).append((right / outcome.half.known, read / len(hits), float(threshold)))
    for number, (label, points) in enumerate(lines.items()):
        found, wrong = [100 * x for x, _, _ in points], [100 * y for _, y, _ in points]
        axes.plot(found, wrong, marker=".", color=f"C{number}", label=label)
        for x, y, (_, _, threshold) in list(zip(found, wrong, points, strict=True))[4::4]:
            axes.annotate(f"{threshold:.2f}", (x, y), xytext=(3, 5), textcoords="offset points", fontsize=7)
        chosen = [place for place, (_, _, threshold) in enumerate(points) if abs(threshold - THRESHOLD) < 1e-6]
        if judged and chosen:
            axes.plot(found[chosen[0]], wrong[chosen[0]], marker="o", markersize=9, fillstyle="none", color="black")
    axes.set(xlabel="% of repeated questions found", ylabel="% of the found that are wrong", ylim=(0, None))
    circle = f"; the circles are the default, {THRESHOLD}" if judged else ""
    axes.set_title(f"Semantic cache: {len(outcome.half.asked)} questions, {name} half{circle}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def show(outcome: Outcome, count: int, console: Console) -> None:
    """Hits of each band, to be read."""
    chosen: defaultdict[tuple[int, bool], list[Hit]] = defaultdict(list)
    for hit in sorted(outcome.hits, key=lambda hit: paraphrases.lot(hit.asked + hit.found)):
        chosen[band(hit.similarity), hit.right].append(hit)
    for place, low in enumerate(BANDS):
        for right in (True, False):
            hits = chosen[place, right]
            console.print(f"from {low:.2f}, {'right' if right else 'wrong'} by the labels: {len(hits)}", style="bold")
            for number, hit in enumerate(hits[:count], 1):
                told = f"{number:3} {hit.similarity:.3f}  {hit.asked}  |  {hit.found}"
                console.print(told, markup=False, highlight=False, soft_wrap=True)


def chosen_embed(name: str | None) -> Embed:
    """The bundled model, or a function by its name."""
    if name is None:
        return MiniLM()
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="which part of the questions is taken, 0 to 1")
    parser.add_argument("--embed", metavar="MODULE:FUNCTION", help="another embedding than the bundled model")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="where the vetoes are measured")
    parser.add_argument("--half", choices=("calibrated", "reported"), default="reported", help="which one is told of")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture, as PNG, SVG or PDF")
    parser.add_argument("--show", type=int, metavar="N", help="print hits of each band, to be read")
    chosen = parser.parse_args(arguments)
    folder = paraphrases.shared()
    if folder is None:
        sys.exit("The data is not there: set MULTIROUTE_SHARED to the folder that holds data/paraphrases.")
    began = time.perf_counter()
    data = paraphrases.halves(paraphrases.pairs(folder), chosen.share)
    half = data[chosen.half == "reported"]
    embed = chosen_embed(chosen.embed)
    vectors, judged = Vectors(embed), chosen.embed is None
    outcome = measure(half, vectors, chosen.half)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(curve(outcome, chosen.half, judged=judged))
    console.print(vetoes(outcome, vectors, chosen.threshold))
    console.print(describe(data, chosen.half))
    console.print(costs(embed, half.asked))
    console.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; {time.perf_counter() - began:.0f} s", style="dim"
    )
    if chosen.show:
        show(outcome, chosen.show, console)
    if chosen.plot is not None:
        draw(outcome, chosen.half, chosen.plot, judged=judged)


if __name__ == "__main__":
    main()
