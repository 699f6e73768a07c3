"""Breaks the flow and its rules in known ways, one at a time, in a copy, and sees whether the tests notice.

Only tests that do the same on every run count: Hypothesis's are left out, so that no mutant lives by luck.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path.cwd()
COPIED = (
    "multiroute_core",
    "langchain_multiroute",
    "llamaindex_multiroute",
    "tests",
    "pyproject.toml",
    "examples",
    "docs",
    "README.md",
    "LICENSE",
)
PATIENCE = 60.0
"""Seconds beyond five times what its tests take without it, until a mutant counts as noticed because they do not end."""

NO_TESTS = 5
"""How pytest ends where all tests are Hypothesis's."""

WORLDS = "40"
"""Worlds of the simulation that a mutant has to survive."""

COLOURS = {"killed": "green", "survived": "red", "stale": "yellow"}


def copy(where: Path) -> Path:
    """A copy of what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, where / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, where / name)
    return where


def tests(where: Path, names: str, patience: float | None = None) -> tuple[bool, str]:
    """Whether these tests pass there within `patience` seconds, and the line that says why not."""
    environment = {**os.environ, "PYTHONPATH": str(where), "MULTIROUTE_WORLDS": WORLDS, "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not hypothesis"]
    command = [sys.executable, "-m", "pytest", *options, *shlex.split(names)]
    try:
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"the tests did not end within {patience:.0f} s"
    wrong = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(("FAILED", "ERROR"))), "")
    return done.returncode in (0, NO_TESTS), wrong or done.stdout.strip().rpartition("\n")[2]


def noticed(mutant: Mutant, patience: float, where: Path) -> tuple[str, str]:
    """`"killed"`, `"survived"` or `"stale"`, and why."""
    path = where / mutant.file
    text = path.read_text() if path.exists() else ""
    if text.count(mutant.old) != 1:
        return "stale", f"{mutant.file} has {text.count(mutant.old)} places like it"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        passed, why = tests(where, mutant.tests, patience)
    finally:
        path.write_text(text)
    return ("survived", mutant.tests) if passed else ("killed", why)


def measured(names: str, where: Path) -> tuple[str, float, bool, str]:
    """The tests' names, the seconds that they take, whether they pass, and why not."""
    began = time.perf_counter()
    passed, why = tests(where, names)
    return names, time.perf_counter() - began, passed, why


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose names hold one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    given = parser.parse_args()
    console = Console()
    chosen = [m for m in MUTANTS if not given.words or any(word in m.name for word in given.words)]
    found: dict[str, tuple[str, str]] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(given.jobs):
            copies.put(copy(Path(folder) / str(number)))
        suites = sorted({mutant.tests for mutant in chosen})
        bar = progress.add_task("without mutants", total=len(suites))

        def lent(work, *arguments):
            where = copies.get()
            try:
                return work(*arguments, where)
            finally:
                copies.put(where)

        with ThreadPoolExecutor(given.jobs) as pool:
            patience: dict[str, float] = {}
            for future in as_completed([pool.submit(lent, measured, names) for names in suites]):
                names, seconds, passed, why = future.result()
                patience[names] = PATIENCE + 5 * seconds
                progress.advance(bar)
                if not passed:
                    console.print(f"[red]{names} fails without any mutant[/]: {why}", soft_wrap=True)
                    pool.shutdown(cancel_futures=True)
                    return 1
            bar = progress.add_task("mutants", total=len(chosen))
            waiting = {pool.submit(lent, noticed, mutant, patience[mutant.tests]): mutant for mutant in chosen}
            for future in as_completed(waiting):
                mutant = waiting[future]
                end, why = found[mutant.name] = future.result()
                progress.advance(bar)
                where = mutant.file.removeprefix("multiroute_core/")
                console.print(
                    f"[{COLOURS[end]}]{end:8}[/] {mutant.name} [dim]({where}): {escape(why)[:120]}", soft_wrap=True
                )
    ends = [end for end, _ in found.values()]
    console.print(
        f"{ends.count('killed')} of {len(ends)} killed, {ends.count('survived')} survived, "
        f"{ends.count('stale')} are stale; {time.perf_counter() - began:.0f} s."
    )
    return 0 if ends.count("killed") == len(ends) else 1


if __name__ == "__main__":
    sys.exit(main())
