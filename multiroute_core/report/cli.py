"""Command line: `multiroute report` and `multiroute watch`; other packages add their commands."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import os
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiroute_core.display.text import printable, printable_lines
from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.report import report, terminal, watch
from multiroute_core.report.source import source

PLACE = "a ledger: a file, sqlite:///path, or redis://host:6379/0"
MOMENT = "7d, 12h or 30m ago, or a date or time in UTC such as 2026-11-01 or 2026-11-01T12:00"

_COMMANDS = ("multiroute_core.serving.command",)
"""Modules with further commands; they are in higher layers, so they are imported by name."""

EXAMPLES = """examples:
  multiroute report ledger.db
  multiroute report ledger.db --since 7d --html week.html
  multiroute report redis://10.0.0.5/0 --since 2026-11-01 --until 2026-12-01
  multiroute watch ledger.db
  multiroute serve --route openai:gpt-6.1-sol --port 8000

A ledger is what Router(ledger="sqlite:///ledger.db") writes. These commands
only read it; routers may keep writing to it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments after the program's name; None for the process's own.

    Returns:
        The exit code: 0, 2 if an argument cannot be used, or 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    try:
        return options.run(options)
    except MultiRouteError as error:
        print(f"multiroute: {printable_lines(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    except BrokenPipeError:
        # The reader closed the pipe; at exit, Python would still try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="multiroute",
        description="Reports of the calls of MultiRoute's routers, a live view, and a server.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    report_parser = commands.add_parser(
        "report",
        help="spending by model, tenant and label; latencies, fallbacks, errors, cache",
        description="Print a report, or write it as one self-contained HTML page.",
    )
    report_parser.add_argument("ledger", help=PLACE)
    report_parser.add_argument("--since", metavar="WHEN", help=f"start of the period: {MOMENT}; by default all records")
    report_parser.add_argument("--until", metavar="WHEN", help="end of the period, in the same format")
    report_parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write an HTML page to this file instead of printing"
    )
    report_parser.add_argument("--open", action="store_true", help="open the page in the browser; requires --html")
    report_parser.set_defaults(run=_report)

    live = commands.add_parser(
        "watch",
        help="live view of the last minutes",
        description="Show the last minutes, refreshed every second: requests, spending, "
        "routes, errors. Ctrl-C stops it.",
    )
    live.add_argument("ledger", help=PLACE)
    live.add_argument("--minutes", type=_minutes, default=15.0, help="number of minutes to show (default: 15)")
    live.add_argument("--once", action="store_true", help="print once and exit; the default without a terminal")
    live.set_defaults(run=_watch)
    for module in _COMMANDS:
        importlib.import_module(module).add_commands(commands)
    return parser


def _report(options: argparse.Namespace) -> int:
    if options.open and options.html is None:
        raise ConfigurationError("--open requires --html FILE.")
    since, until = report.parse_period(options.since, options.until, ("--since", "--until"))
    with contextlib.closing(source(options.ledger)) as ledger:
        usage_report = report.build(ledger.summarize(since, until), since=since, until=until)
    if options.html is None:
        _console(usage_report)
        return 0
    try:
        usage_report.save(options.html)
    except OSError as error:
        raise ConfigurationError(f"The page cannot be written to {str(options.html)!r}: {error.strerror}.") from error
    print(f"Written: {printable(str(options.html))}")  # noqa: T201
    if options.open:
        webbrowser.open(options.html.resolve().as_uri())
    return 0


def _watch(options: argparse.Namespace) -> int:
    console = terminal.module("console").Console(highlight=False)
    with contextlib.closing(source(options.ledger)) as ledger:
        if options.once or not console.is_terminal:
            console.print(watch.frame(ledger, options.minutes, time.time()))
        else:
            watch.watch(ledger, console, options.minutes)
    return 0


def _console(usage_report: report.Report) -> None:
    """Prints with colours if rich is installed, and without otherwise."""
    try:
        console: Any = terminal.module("console").Console(highlight=False)
    except ConfigurationError:
        print(usage_report)  # noqa: T201
        return
    console.print(usage_report)


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a number of minutes greater than 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
