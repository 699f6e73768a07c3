"""Command: `multiroute import`, LiteLLM's configuration file as ours."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from multiroute_core.display.text import printable


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "import",
        help="LiteLLM's configuration file as a routes.toml",
        description="Read a configuration file of LiteLLM's proxy, or the arguments of its Router, and print a "
        "routes.toml. What has no counterpart is named on stderr. Keys that stand in the file become variables. Exit "
        "code 0: converted, 1: no route could be converted, 2: wrong arguments.",
    )
    parser.add_argument("file", metavar="FILE", help="a file of LiteLLM: .yaml, .yml or .json")
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> int:
    from multiroute_core.configuration.reading import read_document
    from multiroute_core.configuration.writing import write_toml
    from multiroute_core.migration.litellm_config import convert_config

    document = read_document(Path(options.file).expanduser())
    conversion = convert_config(document.data)
    name = printable(Path(options.file).name)
    for where, sentence in conversion.notes:
        print(printable(f"{name}: {where}: {sentence}"), file=sys.stderr)  # noqa: T201
    if not conversion.arguments["routes"]:
        print(f"multiroute: {name} has no model that can be a route.", file=sys.stderr)  # noqa: T201
        return 1
    print(f"# From {name}, by `multiroute import`. Check it: multiroute check routes.toml\n")  # noqa: T201
    print(write_toml(conversion.arguments), end="")  # noqa: T201
    return 0
