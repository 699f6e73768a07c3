"""Build the wheel and the source distribution, test what they hold, and use them in clean environments.

Each extra is installed alone, and `all` at once, with the newest packages that it admits; a program of
`tests/packaging/programs` then shows that the extra does what it is for, with scripted routes or servers on this machine.
The exit code is 1 if there is a problem.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests import redis_servers
from tests.packaging import contents
from tests.packaging.documents import extras_of, imports_of
from tests.packaging.environments import Environment, Failure, find_python, uv
from tests.packaging.extras import ALL, NO_EXTRA, NOT_IN_ALL, PROGRAMS, QUICK, TRIALS

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
PAGES = ("README.md", "docs/index.md")
NO_DATABASE = ("could not be audited", "ConnectionError")
"""What pip-audit prints where its database does not answer."""

COLOURS = {"ok": "green", "problem": "red", "not run": "yellow"}


@dataclass(frozen=True)
class Row:
    """A line of the table: where, what, `"ok"`, `"problem"` or `"not run"`, and the details."""

    where: str
    what: str
    result: str
    detail: str = ""


class Check:
    """One run of all checks.

    Args:
        folder: Where distributions and environments are built.
        quick: Whether only the quick ones are run.
        chosen: The extras that are tried; none: all of them.
        versions: The versions of Python; the first one has the checks that need one only.
    """

    def __init__(self, folder: Path, *, quick: bool, chosen: Sequence[str], versions: Sequence[str]) -> None:
        self._folder = folder
        self._quick = quick
        self._chosen = chosen
        self._versions = versions
        self.wheel = Path()
        self.sdist = Path()

    def rows(self) -> Iterator[Row]:
        """The rows, as they come."""
        uv("build", "--quiet", "--out-dir", self._folder / "dist", contents.ROOT)
        (self.wheel,) = (self._folder / "dist").glob("*.whl")
        (self.sdist,) = (self._folder / "dist").glob("*.tar.gz")
        yield self._judge("", "wheel", lambda: _say(contents.check_wheel(self.wheel), self.wheel))
        yield self._judge("", "sdist", lambda: _say(contents.check_sdist(self.sdist), self.sdist))
        yield self._judge("", "metadata", self._metadata)
        if not self._quick:
            yield self._audit()
        pythons = {version: find_python(version) for version in self._versions}
        tasks = [task for version, base in pythons.items() if base for task in self._tasks(version, base)]
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(lambda task: self._judge(*task), tasks)
        for version in (version for version, base in pythons.items() if base is None):
            yield Row(version, "all of it", "not run", "no such Python here, and uv cannot download it")

    def _judge(self, where: str, what: str, check: Callable[[], str]) -> Row:
        try:
            return Row(where, what, "ok", check())
        except Failure as failure:
            return Row(where, what, "problem", str(failure))

    def _tasks(self, version: str, base: Path) -> Iterator[tuple[str, str, Callable[[], str]]]:
        names = list(QUICK if self._quick else TRIALS)
        for name in self._chosen or names:
            if name != ALL:
                yield version, name, lambda name=name: self._try(version, base, name)
        if ALL in self._chosen or not (self._quick or self._chosen):
            yield version, ALL, lambda: self._try_all(version, base)
        if version == self._versions[0] and not self._chosen:
            for page in PAGES:
                yield version, page, lambda page=page: self._imports(base, page)

    def _metadata(self) -> str:
        problems = contents.check_metadata(self.wheel)
        # The renderer of the package index itself.
        uv("tool", "run", "--quiet", "twine", "check", "--strict", self.wheel, self.sdist)
        return _say(problems, None) or "twine check --strict; no dead link in the index's page"

    def _audit(self) -> Row:
        lines = (contents.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if "==" in line and not line.startswith("#")]
        what = f"pip-audit of {len(pins)} pins"
        try:
            # One package first: where the database is not to be had, the others would be asked for in vain.
            if any(sign in self._run_audit(pins[:1]) for sign in NO_DATABASE):
                return Row(
                    "", what, "not run", "needs the JSON API of pypi.org: https://pypi.org/pypi/NAME/VERSION/json"
                )
            printed = self._run_audit(pins)
        except Failure as failure:
            if any(sign in str(failure) for sign in NO_DATABASE):
                return Row("", what, "not run", "the connection to pypi.org failed")
            return Row("", what, "problem", str(failure))
        skipped = printed.count(NO_DATABASE[0])
        return Row(
            "", what, "ok", printed.strip().partition("\n")[0] + f"; {skipped} are not in the database" * bool(skipped)
        )

    def _run_audit(self, pins: Sequence[str]) -> str:
        path = self._folder / "pins.txt"
        path.write_text("\n".join(pins), encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--requirement", path]
        return uv("tool", "run", "--quiet", "pip-audit", *options)

    def _try(self, version: str, base: Path, name: str) -> str:
        trial = TRIALS[name]
        extras = [] if name == NO_EXTRA else [name, *trial.beside]
        with self._environment(f"{version}-{name}") as environment:
            environment.build(base, self.wheel, extras, trial.packages)
            seconds = self._run(environment, name)
        beside = f", beside {', '.join(trial.beside)}" if trial.beside else ""
        return f"installed in {environment.seconds:.0f} s, {trial.program}.py ran in {seconds:.1f} s{beside}"

    def _try_all(self, version: str, base: Path) -> str:
        names = [name for name in TRIALS if name not in NOT_IN_ALL]
        packages = [package for name in names for package in TRIALS[name].packages]
        with self._environment(f"{version}-all") as environment:
            environment.build(base, self.wheel, [ALL], packages)
            began = time.perf_counter()
            for name in names:
                try:
                    self._run(environment, name)
                except Failure as failure:
                    raise Failure(f"{name}: {failure}") from failure
        seconds = time.perf_counter() - began
        return f"installed in {environment.seconds:.0f} s, {len(names)} programs ran in {seconds:.0f} s"

    def _run(self, environment: Environment, name: str) -> float:
        trial = TRIALS[name]
        program = PROGRAMS / f"{trial.program}.py"
        if trial.argument != "redis":
            return environment.run_program(program, *filter(None, [trial.argument]))
        with redis_servers.running() as server:
            return environment.run_program(program, server.url)

    def _imports(self, base: Path, page: str) -> str:
        """Each block must find its imports after one of the page's install commands, or after all of them."""
        text = (contents.ROOT / page).read_text(encoding="utf-8")
        commands = extras_of(text)
        if not commands:
            raise Failure("the page has no install command")
        together = tuple(dict.fromkeys(extra for command in commands for extra in command))
        blocks = imports_of(text)
        waiting = set(range(len(blocks)))
        gaps: list[str] = []
        for extras in dict.fromkeys((*commands, together)):
            with self._environment(f"{Path(page).stem}-{'-'.join(extras)}") as environment:
                environment.build(base, self.wheel, extras)
                gaps = environment.missing(sorted({module for number in waiting for module in blocks[number]}))
            waiting = {number for number in waiting if set(gaps).intersection(blocks[number])}
        if waiting:
            raise Failure(f"not installed by the page's commands: {', '.join(gaps)}")
        return f"the imports of {len(blocks)} blocks come with: {'; '.join(','.join(each) for each in commands)}"

    @contextlib.contextmanager
    def _environment(self, name: str) -> Iterator[Environment]:
        """An environment that is removed afterwards: all of them together are gigabytes."""
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=self._folder, ignore_cleanup_errors=True) as folder:
            yield Environment(Path(folder) / "venv")


def _say(problems: list[str], path: Path | None) -> str:
    if problems:
        raise Failure("\n".join(problems[:20]))
    return f"{path.name}, {path.stat().st_size:,} bytes" if path else ""


def main() -> int:
    """Run the checks and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/packaging", description=__doc__)
    parser.add_argument("extras", nargs="*", help=f"only these: {NO_EXTRA}, {ALL}, or names of extras")
    parser.add_argument("--quick", action="store_true", help=f"Python {VERSIONS[0]}, {', '.join(QUICK)} only")
    parser.add_argument("--python", action="append", choices=VERSIONS, help="only this version; may be repeated")
    arguments = parser.parse_args()
    if unknown := set(arguments.extras) - {*TRIALS, ALL}:
        parser.error(f"no such extra: {', '.join(sorted(unknown))}; expected {', '.join((*TRIALS, ALL))}")
    versions = arguments.python or list(VERSIONS[:1] if arguments.quick else VERSIONS)
    table = Table("Python", "what", "result", title="Packaging", title_justify="left")
    table.add_column("detail", overflow="fold")
    console = Console()
    results: list[str] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="multiroute-packaging-") as folder:
        check = Check(Path(folder), quick=arguments.quick, chosen=arguments.extras, versions=versions)
        try:
            for row in check.rows():
                results.append(row.result)
                print(f"{row.where:5} {row.what}: {row.result}", file=sys.stderr, flush=True)
                colour = COLOURS[row.result]
                table.add_row(row.where, escape(row.what), f"[{colour}]{row.result}", escape(row.detail))
        except Failure as failure:
            results.append("problem")
            table.add_row("", "build", "[red]problem", escape(str(failure)))
    console.print(table)
    counts = ", ".join(f"{results.count(result)} {result}" for result in COLOURS)
    console.print(f"{counts}; {time.perf_counter() - began:.0f} s.")
    return 1 if "problem" in results else 0


if __name__ == "__main__":
    sys.exit(main())
