"""Breaks the flow and its rules in known ways, one at a time, in a copy, and sees whether the tests notice."""

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
COPIED = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute", "tests", "pyproject.toml", "examples")
PATIENCE = 120.0
"""Seconds until a mutant counts as noticed because its tests do not end."""

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


def tests(where: Path, names: str) -> tuple[bool, str]:
    """Whether these tests pass there, and the line that says why not."""
    environment = {**os.environ, "PYTHONPATH": str(where), "MULTIROUTE_WORLDS": WORLDS, "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.unshrunk", "--hypothesis-profile=unshrunk"]
    command = [sys.executable, "-m", "pytest", *options, *shlex.split(names)]
    try:
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"the tests did not end within {PATIENCE:g} s"
    wrong = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(("FAILED", "ERROR"))), "")
    return done.returncode == 0, wrong or done.stdout.strip().rpartition("\n")[2]


def noticed(mutant: Mutant, where: Path) -> tuple[str, str]:
    """`"killed"`, `"survived"` or `"stale"`, and why."""
    path = where / mutant.file
    text = path.read_text() if path.exists() else ""
    if text.count(mutant.old) != 1:
        return "stale", f"{mutant.file} has {text.count(mutant.old)} places like it"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        passed, why = tests(where, mutant.tests)
    finally:
        path.write_text(text)
    return ("survived", mutant.tests) if passed else ("killed", why)


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
            for future in as_completed(
                [pool.submit(lent, lambda names, where: (names, *tests(where, names)), s) for s in suites]
            ):
                names, passed, why = future.result()
                progress.advance(bar)
                if not passed:
                    console.print(f"[red]{names} fails without any mutant[/]: {why}", soft_wrap=True)
                    pool.shutdown(cancel_futures=True)
                    return 1
            bar = progress.add_task("mutants", total=len(chosen))
            waiting = {pool.submit(lent, noticed, mutant): mutant for mutant in chosen}
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
