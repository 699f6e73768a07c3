"""docs/troubleshooting.md has every error class and every line of the log, and its blocks print what stands under them."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import re
from collections.abc import Iterator

import pytest

import multiroute_core
from multiroute_core.errors import MultiRouteError
from tests.documents import ROOT, blocks, stand_in

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
PACKAGES = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
BUILT_ELSEWHERE = {
    "state/breaker_log.py": "Route …: circuit breaker opened for …: ….",
    "budgets/tracker.py": "The price of route … is unknown, so the budget … cannot count it; ….",
    "cache/trouble.py": "A cache lookup failed: …",
    "telemetry/outbox.py": "…: … dropped (… in total): ….",
}
"""Modules whose format is only placeholders, and the line that they write."""


def as_line(text: str) -> str:
    """A format, or the pieces of an f-string, as the page writes it."""
    return re.sub(r"…+", "…", re.sub(r"%[-+#\d.]*[a-z]", "…", text))


def literal(node: ast.expr) -> str | None:
    """The text of a string or an f-string in the source; None for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return as_line(text)
        case ast.JoinedStr(values=values):
            return as_line("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in values))
        case _:
            return None


def lines_of(source: str) -> Iterator[str]:
    """What a module logs at WARNING or above, or at a level that it chooses while it runs."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        function, arguments = ast.unparse(call.func), call.args
        if re.fullmatch(r"_?log(ger)?\.(warning|error|exception|critical)", function):
            first = arguments[0]
        elif re.fullmatch(r"_?log(ger)?\.log|self\.warn", function):
            first = arguments[1]
        elif function == "self._failures.log":
            first = arguments[0]
        elif function in ("self._write", "self._write_now") and len(arguments) > 1:
            first = arguments[-2]
        elif function == "tell" and "logger.warning" in source:
            first = arguments[0]
        else:
            continue
        if (line := literal(first)) is not None:
            yield f"{line}: …" if function.startswith(("self._failures", "self._write")) else line


MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
LINES = [(str(path.relative_to(ROOT)), line) for path in MODULES for line in lines_of(path.read_text(encoding="utf-8"))]


def test_every_error_has_a_row():
    cells = re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE)
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    errors = {name for name in multiroute_core.__all__ if name.endswith("Error")}
    assert all(issubclass(getattr(multiroute_core, name), MultiRouteError) for name in errors)
    assert errors <= names, errors - names


def test_the_modules_that_log_are_read():
    assert len(LINES) > 30
    assert {line for _, line in LINES} >= {
        "Budget …: … of … spent.",
        "The cache … cannot be written; it is used read-only.",
    }


@pytest.mark.parametrize(("module", "line"), LINES)
def test_every_line_of_the_log_has_a_row(module, line):
    if not re.search(r"[A-Za-z]", line):  # the sentence is built elsewhere
        name = next(name for name in BUILT_ELSEWHERE if module.endswith(name))
        line = BUILT_ELSEWHERE[name]
    cells = "\n".join(re.findall(r"^\| (`.*?) \| ", PAGE, re.MULTILINE))
    assert f"`{line}`" in cells.replace("`` ", "`").replace(" ``", "`")


def plain(text: str) -> str:
    """Text without what differs from run to run: numbers, and where lines end."""
    return " ".join(re.sub(r"\d[\d.,]*", "0", text).split())


def test_blocks_print_what_stands_under_them(tmp_path):
    logger = logging.getLogger("multiroute_core")
    handlers = [*logger.handlers]
    namespace = {"__name__": "__main__"}
    printed = ""
    compared = 0
    try:
        with stand_in(), contextlib.chdir(tmp_path):
            for block in blocks(PAGE):
                if block.language == "python":
                    output = io.StringIO()
                    with contextlib.redirect_stdout(output):
                        exec(compile(block.code, f"line {block.line}", "exec"), namespace)
                    printed = output.getvalue()
                elif block.language == "text":
                    assert plain(block.code) == plain(printed), f"line {block.line}"
                    compared += 1
    finally:
        logger.handlers[:] = handlers
    assert compared == 5
