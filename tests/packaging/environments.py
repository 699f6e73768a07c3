"""Pythons, and clean environments with a built wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.packaging.contents import PACKAGES

MINUTES = 60.0
"""Seconds of a minute."""

_IMPORTED = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)"
_MISSING = """
import importlib.util, sys
def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(*(name for name in sys.argv[1:] if not is_there(name)))
"""


class Failure(Exception):
    """A command did not end well; the text has its last lines."""


def run(command: Sequence[str | Path], *, folder: Path | None = None, minutes: float = 10.0) -> str:
    """What a command prints, on either stream.

    No variable reaches it that would make it find the checkout, a vendor's key or a service on another machine.

    Raises:
        Failure: It exits with another code than 0, or does not end in this time.
    """
    hidden = ("PYTHON", "MULTIROUTE_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "VIRTUAL_ENV")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
    environment |= {"UV_LINK_MODE": "copy", "PYTHONWARNINGS": "ignore", "UV_NO_PROGRESS": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=minutes * MINUTES,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure(f"did not end within {minutes:.0f} minutes") from error
    if done.returncode:
        raise Failure(done.stdout.strip()[-2000:] or f"exit code {done.returncode}")
    return done.stdout


def uv(*arguments: str | Path, minutes: float = 10.0) -> str:
    """What uv prints, the one beside this Python."""
    program = Path(sys.executable).with_name("uv")
    return run([program if program.exists() else "uv", *arguments], minutes=minutes)


def find_python(version: str) -> Path | None:
    """An interpreter of a version such as `"3.12"`: of uv, on the path, of pyenv, or downloaded by uv. None: none."""
    return _find(version) or _download(version)


def _find(version: str) -> Path | None:
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [Path(sys.executable)] if sys.version_info[:2] == tuple(map(int, version.split("."))) else []
    if named := shutil.which(f"python{version}"):
        candidates.append(Path(named))
    candidates += sorted(home.glob(f"versions/{version}.*/bin/python"), reverse=True)
    for candidate in candidates:
        try:
            # A shim of pyenv exists for every version, but runs only those that are chosen.
            text = run([candidate, "-I", "-c", "import sys; print(*sys.version_info[:2], sep='.')"])
        except (Failure, OSError):
            continue
        if text.strip() == version:
            return candidate
    return None


def _download(version: str) -> Path | None:
    try:
        uv("python", "install", "--quiet", version, minutes=3)
        return Path(uv("python", "find", "--quiet", "--managed-python", version).strip())
    except Failure:
        return None


@dataclass
class Environment:
    """A clean virtual environment with the built wheel.

    Attributes:
        folder: Where it is; programs run in a folder beside it.
        python: Its interpreter.
        seconds: How long it took to install.
    """

    folder: Path
    python: Path = field(init=False)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.python = self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def build(self, base: Path, wheel: Path, extras: Sequence[str], packages: Sequence[str] = ()) -> None:
        """Create it, and install the wheel with these extras as a user would: the newest of what they admit.

        Raises:
            Failure: Something cannot be installed, or the packages are not those of the wheel.
        """
        began = time.perf_counter()
        uv("venv", "--quiet", "--clear", "--python", base, self.folder)
        chosen = f"[{','.join(extras)}]" if extras else ""
        uv("pip", "install", "--quiet", "--python", self.python, f"multiroute-llm{chosen} @ {wheel.as_uri()}")
        uv("pip", "check", "--quiet", "--python", self.python)
        if packages:
            uv("pip", "install", "--quiet", "--no-deps", "--python", self.python, *packages)
        self.seconds = time.perf_counter() - began
        for package in PACKAGES:
            origin = run([self.python, "-I", "-c", _IMPORTED, package]).strip()
            if not Path(origin).is_relative_to(self.folder.resolve()):
                raise Failure(f"{package} comes from {origin}")

    def run_program(self, program: Path, *arguments: str) -> float:
        """Run a program in an empty folder; returns the seconds that it took.

        Raises:
            Failure: It fails.
        """
        folder = Path(tempfile.mkdtemp(prefix=f"{program.stem}-", dir=self.folder.parent))
        began = time.perf_counter()
        run([self.python, "-I", program, *arguments], folder=folder, minutes=3)
        return time.perf_counter() - began

    def missing(self, modules: Sequence[str]) -> list[str]:
        """Those modules that cannot be found here."""
        return run([self.python, "-I", "-c", _MISSING, *modules]).split()
