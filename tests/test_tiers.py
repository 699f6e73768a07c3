"""The marks that `scripts/test --fast` leaves out: each is explained, and what starts a Redis bears its mark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SCRIPT = TESTS.parent / "scripts" / "test"


def test_what_the_fast_tests_leave_out_is_registered_and_explained(request: pytest.FixtureRequest) -> None:
    marks = re.findall(r"not (\w+)", SCRIPT.read_text(encoding="utf-8"))
    lines = dict(line.split(": ", 1) for line in request.config.getini("markers") if ": " in line)
    assert sorted(marks) == ["notebook", "notebook", "redis", "slow", "standard", "wire"]
    for mark in set(marks):
        assert re.fullmatch(r"[a-z].{30,}\.", lines[mark]), mark


def test_the_files_of_notebooks_and_long_examples_are_named() -> None:
    files = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    marked = [path for path in files if "pytest.mark.notebook" in path.read_text(encoding="utf-8")]
    named = re.findall(r"tests/[\w/]+\.py", SCRIPT.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(str(path.relative_to(TESTS.parent)) for path in marked)


def test_what_starts_a_redis_is_marked() -> None:
    starting = re.compile(r"^from tests\.redis_servers import .*\brunning\b|\bredis_server\b", re.MULTILINE)
    texts = {path: path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py") if path != Path(__file__)}
    files = [path for path, text in texts.items() if starting.search(text)]
    assert len(files) > 10
    assert [str(path) for path in files if "pytest.mark.redis" not in texts[path]] == []
