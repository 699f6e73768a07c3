"""Follow README's section "Try it" as a new user does, and print how long each step takes.

The wheel is built first; from then on only what the section says is done, by pip and without its cache, in an empty
folder. The exit code is 1 if a step fails, the output is not the one that the section shows, or it takes five minutes.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.documents import Block, blocks
from tests.packaging.contents import ROOT
from tests.packaging.environments import Failure, find_python, run, uv

MAX_SECONDS = 300.0
_REQUIREMENT = re.compile(r"^multiroute-llm(\[[\w,-]+\])?$")


@dataclass(frozen=True)
class Section:
    """What the section says.

    Attributes:
        commands: What to type, in order.
        program: The text of the program.
        name: The program's file.
        output: What the last command prints.
    """

    commands: tuple[str, ...]
    program: str
    name: str
    output: str


def read_section(text: str) -> Section:
    """The commands, the program and its output, from the text of README.

    Raises:
        ValueError: The section has no such blocks.
    """
    section = text.partition("\n## Try it\n")[2].partition("\n## ")[0]
    shell, python, output = _first(section, "sh"), _first(section, "python"), _first(section, "text")
    commands = tuple(line for line in shell.code.splitlines() if line.strip())
    return Section(commands, python.code, shlex.split(commands[-1])[-1], output.code)


def _first(section: str, language: str) -> Block:
    for block in blocks(section):
        if block.language == language and block.is_shown:
            return block
    raise ValueError(f"README's section 'Try it' has no block of {language!r}.")


def follow(section: Section, wheel: Path, folder: Path, python: Path) -> str:
    """Do what the section says, in this folder; returns what the last command prints.

    Raises:
        Failure: A step fails.
    """
    (folder / section.name).write_text(section.program, encoding="utf-8")
    printed = ""
    for command in section.commands:
        words = shlex.split(command)
        # The index has no release yet, or an older one.
        words = [_REQUIREMENT.sub(lambda match: f"{wheel}{match[1] or ''}", word) for word in words]
        if words[0] == "python3":
            words[0] = str(python)
        if "pip" in words[0]:
            words.append("--no-cache-dir")
        began = time.perf_counter()
        printed = run(words, folder=folder)
        print(f"{time.perf_counter() - began:6.1f} s  {command}", flush=True)
    return printed


def main() -> int:
    """Follow the section; returns the exit code."""
    python = find_python("3.11") or Path(shutil.which("python3") or sys.executable)
    section = read_section((ROOT / "README.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="multiroute-quickstart-") as folder:
        uv("build", "--quiet", "--wheel", "--out-dir", Path(folder) / "dist", ROOT)
        (wheel,) = (Path(folder) / "dist").glob("*.whl")
        home = Path(folder) / "new"
        home.mkdir()
        began = time.perf_counter()
        try:
            printed = follow(section, wheel, home, python)
        except Failure as failure:
            print(f"failed: {failure}")
            return 1
    seconds = time.perf_counter() - began
    print(f"{seconds:6.1f} s  in all, until this was seen:\n{printed}", end="")
    if not printed.endswith(section.output):
        print(f"expected:\n{section.output}", end="")
        return 1
    return int(seconds > MAX_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
