"""The code of README.md and docs/: Python runs, files of settings are read, commands exist; every page is in the site."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from multiroute_core import Router
from tests.documents import ROOT, blocks, pages

ALL = [(page, block) for page in pages() for block in blocks(page.read_text(encoding="utf-8"))]


def of(*languages):
    """The blocks in these languages, as a test's parameters."""
    chosen = [(page, block) for page, block in ALL if block.language in languages]
    return pytest.mark.parametrize("block", [pytest.param(b, id=f"{p.relative_to(ROOT)}:{b.line}") for p, b in chosen])


@pytest.mark.slow
@pytest.mark.notebook
def test_the_python_of_every_page_runs():
    """In a process of its own: pages start servers and change the working directory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    ran = re.findall(r"^(\S+): ran", done.stdout, re.MULTILINE)
    assert ran == [str(page.relative_to(ROOT)) for page in pages()]


@of("toml", "yaml")
def test_files_of_settings_are_read(block, tmp_path, monkeypatch):
    for variable in re.findall(r"\$\{(\w+)\}", block.code):
        monkeypatch.setenv(variable, "real")
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(variable, "real")
    monkeypatch.chdir(tmp_path)
    if block.language == "toml" and "routes" not in tomllib.loads(block.code):
        return  # a part of a file, which is TOML
    path = tmp_path / f"routes.{block.language}"
    path.write_text(block.code)
    with Router.from_file(path) as router:
        assert router.routes


@of("json")
def test_json_is_json(block):
    json.loads(block.code)


@of("sh", "console")
def test_commands_exist(block):
    text = block.code
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, timeout=20).stderr == ""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "multiroute":
            command = [sys.executable, "-c", f"from {entry_point()[0]} import {entry_point()[1]}; {entry_point()[1]}()"]
            help_text = subprocess.run(
                [*command, words[1], "--help"], capture_output=True, text=True, timeout=60
            ).stdout
            for word in words[2:]:
                assert not word.startswith("--") or word.partition("=")[0] in help_text, line
        elif words and words[0].startswith("scripts/"):
            assert os.access(ROOT / words[0], os.X_OK), line
        elif words[:2] == ["python", "-m"] and words[2].startswith(("benchmarks", "tests")):
            assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file() or (
                ROOT / words[2].replace(".", "/")
            ).is_dir()


def entry_point():
    """Module and function of the command `multiroute`."""
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["multiroute"]
    return script.split(":")


def test_every_page_is_in_the_site():
    listed = re.findall(r"^ +- (?:[\w ]+: )?([\w/.-]+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    docs = ROOT / "docs"
    here = {str(page.relative_to(docs)) for page in pages() if page.name != "README.md"}
    notebooks = {f"notebooks/{path.name}" for path in Path(ROOT, "notebooks").glob("*.ipynb")}
    assert {name for name in listed if not name.startswith("repository/")} == here | notebooks
