"""Which packages the examples of a page import, and which extras the page tells the reader to install."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from tests.documents import blocks

_INSTALLED = re.compile(r"pip install '(?:multiroute-llm|\.)\[([\w,-]+)\]'")


def extras_of(text: str) -> list[tuple[str, ...]]:
    """The extras of each install command of a page, in order and once each."""
    return list(dict.fromkeys(tuple(match[1].split(",")) for match in _INSTALLED.finditer(text)))


def imports_of(text: str) -> list[tuple[str, ...]]:
    """The modules that each Python block of a page imports, without the standard library."""
    shown = [block for block in blocks(text) if block.language == "python" and block.is_shown]
    return [tuple(dict.fromkeys(_modules(block.code))) for block in shown]


def _modules(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.partition(".")[0] not in sys.stdlib_module_names)
