"""Command line: `multiroute report` and `multiroute watch`."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiroute_core._util.display import printable, printable_lines
from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.report import report, terminal, watch
from multiroute_core.report.moments import moment
from multiroute_core.report.source import source

PLACE = "a ledger: its file, sqlite:///its/file, or redis://host:6379/0"
MOMENT = "7d, 12h or 30m ago, or a date or time in UTC such as 2026-11-01 or 2026-11-01T12:00"

EXAMPLES = """examples:
  multiroute report ledger.db
  multiroute report ledger.db --since 7d --html week.html
  multiroute report redis://10.0.0.5/0 --since 2026-11-01 --until 2026-12-01
  multiroute watch ledger.db

A ledger is what Router(ledger="sqlite:///ledger.db") writes. Here it is only
read, and routers may go on to write it meanwhile.
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
        description="What the calls of MultiRoute's routers came to, and what happens now.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="{report,watch}")

    report_parser = commands.add_parser(
        "report",
        help="what was spent on which models, tenants and labels; latencies, failovers, errors, the cache",
        description="Print what the calls came to, or write it as one HTML page that needs nothing else.",
    )
    report_parser.add_argument("ledger", help=PLACE)
    report_parser.add_argument("--since", metavar="WHEN", help=f"from this moment on: {MOMENT}; all by default")
    report_parser.add_argument("--until", metavar="WHEN", help="before this moment, written in the same way")
    report_parser.add_argument("--html", metavar="FILE", type=Path, help="write the page there instead of printing")
    report_parser.add_argument("--open", action="store_true", help="show the page in the browser; it needs --html")
    report_parser.set_defaults(run=_report)

    live = commands.add_parser(
        "watch",
        help="the last minutes, anew every second",
        description="Show the last minutes, anew every second: requests, spending, routes, errors. Ctrl-C ends it.",
    )
    live.add_argument("ledger", help=PLACE)
    live.add_argument("--minutes", type=_minutes, default=15.0, help="how many minutes to look back (15)")
    live.add_argument("--once", action="store_true", help="print it once and end, as is done where no terminal is")
    live.set_defaults(run=_watch)
    return parser


def _report(options: argparse.Namespace) -> int:
    if options.open and options.html is None:
        raise ConfigurationError("--open needs --html FILE: a page must be written before a browser can show it.")
    now = time.time()
    since = None if options.since is None else moment("--since", options.since, now)
    until = None if options.until is None else moment("--until", options.until, now)
    with contextlib.closing(source(options.ledger)) as ledger:
        usage_report = report.of(ledger.read(since, until), since=since, until=until)
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
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of minutes above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
