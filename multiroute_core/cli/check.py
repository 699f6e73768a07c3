"""Command: `multiroute check`, what is wrong with routes before the first request."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Generator
from typing import Any

from multiroute_core.cli.arguments import ROUTES, find_file, parse_seconds
from multiroute_core.display import numbers
from multiroute_core.errors import ConfigurationError
from multiroute_core.report import terminal

TIMEOUT = 10.0
"""Default time limit of each request, in seconds."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "check",
        help="what is wrong with routes, before the first request",
        description="Check packages, keys, addresses, models, prices, retirement dates, budgets and stores of all "
        "routes at once. Nothing is spent without --ask. Exit code 0: good, 1: a problem, 2: wrong arguments.",
    )
    parser.add_argument("routes", nargs="*", metavar="FILE | PROVIDER:MODEL", help=ROUTES)
    parser.add_argument("--ask", action="store_true", help="also ask each route for one token, which costs something")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--timeout", type=parse_seconds, default=TIMEOUT, metavar="SECONDS", help="for each request (default: 10)"
    )
    parser.set_defaults(run=_check)


def ignore_progress(done: int, total: int) -> None:
    """Do nothing: where no terminal is."""


def _check(options: argparse.Namespace) -> int:
    from multiroute_core.cli.checks.rendering import print_result
    from multiroute_core.cli.checks.route_check import CheckContext
    from multiroute_core.cli.checks.whole import check_file, check_names

    path = find_file(options.routes)
    context = CheckContext(timeout=options.timeout, ask=options.ask)
    with _show_progress() as on_done:
        if path is not None:
            result = check_file(path, context, on_done)
        else:
            result = check_names(options.routes, context, on_done)
    if options.json:
        print(json.dumps(result.to_json(), ensure_ascii=False, indent=2))  # noqa: T201
    else:
        print_result(result)
    return 0 if result.is_good else 1


@contextlib.contextmanager
def _show_progress() -> Generator[Callable[[int, int], object], None, None]:
    """Show how many routes are done, on a terminal."""
    console: Any = None
    if sys.stderr.isatty():
        with contextlib.suppress(ConfigurationError):  # rich is not installed
            console = terminal.module("console").Console(stderr=True)
    if console is None:
        yield ignore_progress
        return
    with console.status("Checking the routes …") as status:

        def on_done(done: int, total: int) -> None:
            status.update(f"{min(done, total):,} of {numbers.format_count(total, 'route')} checked …")

        yield on_done
