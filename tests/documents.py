"""Runs the Python of README.md and docs/: `python -m tests.documents [page …]`.

The blocks of a page run one after another in one namespace, in an empty folder, against the vendors' stand-in
(`tests.vendors`), to which the SDKs' environment variables lead. What a block needs and a reader does not, stands before
it in a comment that the pages do not show:

    <!-- setup
    router = Router(["openai:gpt-6-luna"])
    -->

A setup may fill `replacements`: what a later block has to be run with, such as another port.

`<!-- needs llm_guard -->` before a block leaves it out where that package is not installed, and
`<!-- text -->` where it is no program but an outline.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiroute_core.provider_table import PROVIDERS
from tests.vendors.server import VendorServer

ROOT = Path(__file__).parent.parent
_PIECE = re.compile(
    r"^<!-- setup\n(?P<setup>.*?)^-->$"
    r"|^<!-- needs (?P<needs>[\w.]+) -->$"
    r"|^<!-- (?P<text>text) -->$"
    r"|^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """Code of a page.

    Attributes:
        language: `"python"`, `"toml"`, `"sh"`, …
        code: Its text.
        line: Its first line in the page.
        needs: The package without which it is left out; None: it always runs.
        is_shown: Whether readers see it.
    """

    language: str
    code: str
    line: int
    needs: str | None = None
    is_shown: bool = True


def pages() -> list[Path]:
    """The pages whose blocks run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("[!_]*/*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page, in order; outlines are left out."""
    needs = None
    is_outline = False
    for match in _PIECE.finditer(text):
        line = text[: match.start()].count("\n") + 2
        if match["setup"] is not None:
            yield Block("python", match["setup"], line, is_shown=False)
        elif match["needs"]:
            needs = match["needs"]
        elif match["text"]:
            is_outline = True
        else:
            if not is_outline:
                lines = match["code"].splitlines(keepends=True)
                code = "".join(each.removeprefix(match["indent"]) for each in lines)
                yield Block(match["language"], code, line, needs)
            needs, is_outline = None, False


def run(page: Path) -> list[str]:
    """Run the Python of a page; returns the packages without which a block was left out.

    Raises:
        Exception: Whatever a block raises; the traceback names the page and the line.
    """
    missing: list[str] = []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), asyncio.Runner() as runner:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language != "python":
                continue
            if block.needs and not is_installed(block.needs):
                missing.append(block.needs)
                continue
            source = "\n" * (block.line - 1) + block.code
            for shown, real in namespace.get("replacements", {}).items() if block.is_shown else ():
                source = source.replace(shown, real)
            code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, namespace))
            else:
                exec(code, namespace)
    return missing


def is_installed(name: str) -> bool:
    """Whether a module can be imported, by its dotted name."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its package
        return False


@contextlib.contextmanager
def stand_in() -> Iterator[VendorServer]:
    """The vendors on this machine, to which the environment variables of their SDKs lead."""
    with VendorServer() as server:
        addresses = {"OPENAI": server.base_url("openai"), "ANTHROPIC": server.url, "GOOGLE_GEMINI": server.url}
        variables = {f"{name}_BASE_URL": address for name, address in addresses.items()}
        variables |= {name: "real" for spec in PROVIDERS.values() for name in spec.key_variables[:1]}
        before = dict(os.environ)
        os.environ.update(variables, NO_PROXY="127.0.0.1")
        try:
            yield server
        finally:
            os.environ.clear()
            os.environ.update(before)


def main(names: list[str]) -> int:
    """Run pages; prints what failed, and returns how many did."""
    failed = 0
    with stand_in():
        for page in pages():
            title = str(page.relative_to(ROOT))
            if names and not any(name in title for name in names):
                continue
            output = io.StringIO()
            try:
                with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                    missing = run(page)
            except Exception:
                failed += 1
                print(f"{title}: failed\n{traceback.format_exc()}\n{output.getvalue()[-2000:]}", flush=True)
                continue
            left_out = f" (without {', '.join(missing)}, which is not installed)" if missing else ""
            print(f"{title}: ran{left_out}", flush=True)
    return failed


if __name__ == "__main__":
    status = min(main(sys.argv[1:]), 100)
    sys.stdout.flush()
    os._exit(status)  # a page that failed may have left a server running
