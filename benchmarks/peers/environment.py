"""The environment of the peers: `.venv-peers`, beside ours, since what LiteLLM needs must not enter ours."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".venv-peers"
PACKAGES = ("litellm", "langchain-openai", "langchain-redis", "langchain-community", "fastapi", "soundfile")
"""The last two are for a hit in LiteLLM's cache, which imports its proxy."""

STAMP = HOME / "packages.txt"


def python() -> Path | None:
    """Its interpreter; the environment is made where it is not there yet. None where that cannot be done."""
    found = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if STAMP.exists() and STAMP.read_text(encoding="utf-8").split() == [*PACKAGES]:
        return found
    print(f"Making {HOME.name} with the newest {', '.join(PACKAGES)}; this takes a minute, once.", file=sys.stderr)
    try:
        _make(found)
    except (OSError, subprocess.CalledProcessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        print(f"The peers cannot be installed, so only MultiRoute is measured: {told[-1]}", file=sys.stderr)
        return None
    STAMP.write_text(" ".join(PACKAGES), encoding="utf-8")
    return found


def _make(found: Path) -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    if importlib.util.find_spec("uv") is not None:
        uv = (sys.executable, "-m", "uv")
        commands = [
            [*uv, "venv", "--quiet", "--python", sys.executable, str(HOME)],
            [*uv, "pip", "install", "--quiet", "--python", str(found), *PACKAGES],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(HOME)],
            [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
        ]
    for command in commands:
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
