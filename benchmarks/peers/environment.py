"""The environments of the peers, beside ours, since what LiteLLM needs must not enter ours: `.venv-peers`, and
`.venv-proxy` for LiteLLM's proxy.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".venv-peers"
PACKAGES = ("litellm", "langchain-openai", "langchain-redis", "langchain-community", "fastapi", "soundfile")
"""The last two are for a hit in LiteLLM's cache, which imports its proxy."""

PROXY_HOME = ROOT / ".venv-proxy"
PROXY_PACKAGES = ("litellm[proxy]",)


def python(home: Path = HOME, packages: Sequence[str] = PACKAGES) -> Path | None:
    """The interpreter of an environment, which is made where it is not there yet. None where that cannot be done."""
    interpreter = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "packages.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8").split() == [*packages]:
        return interpreter
    print(f"Making {home.name} with the newest {', '.join(packages)}; this takes a minute, once.", file=sys.stderr)
    try:
        _make(home, interpreter, packages)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        print(f"The peers cannot be installed, so only MultiRoute is measured: {lines[-1]}", file=sys.stderr)
        return None
    stamp.write_text(" ".join(packages), encoding="utf-8")
    return interpreter


def _make(home: Path, interpreter: Path, packages: Sequence[str]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    if importlib.util.find_spec("uv") is not None:
        uv = (sys.executable, "-m", "uv")
        commands = [
            [*uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [*uv, "pip", "install", "--quiet", "--python", str(interpreter), *packages],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(home)],
            [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
        ]
    for command in commands:
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
