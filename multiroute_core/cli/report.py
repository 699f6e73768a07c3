"""Command: `multiroute report`, a usage report in the terminal or as an HTML page."""

from __future__ import annotations

import argparse
import contextlib
import webbrowser
from pathlib import Path
from typing import Any

from multiroute_core.cli.arguments import LEDGER, MOMENT
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.report import report, terminal
from multiroute_core.report.source import source


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "report",
        help="spending by model, tenant and label; latencies, fallbacks, errors, cache",
        description="Print a report, or write it as one self-contained HTML page. The ledger is only read; routers may "
        "keep writing to it.",
    )
    parser.add_argument("ledger", help=LEDGER)
    parser.add_argument("--since", metavar="WHEN", help=f"start of the period: {MOMENT}; by default all records")
    parser.add_argument("--until", metavar="WHEN", help="end of the period, in the same format")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write an HTML page to this file instead of printing")
    parser.add_argument("--open", action="store_true", help="open the page in the browser; requires --html")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    if options.open and options.html is None:
        raise ConfigurationError("--open requires --html FILE.")
    since, until = report.parse_period(options.since, options.until, ("--since", "--until"))
    with contextlib.closing(source(options.ledger)) as ledger:
        usage_report = report.build(ledger.summarize(since, until), since=since, until=until)
    if options.html is None:
        _print_report(usage_report)
        return 0
    try:
        usage_report.save(options.html)
    except OSError as error:
        raise ConfigurationError(f"The page cannot be written to {str(options.html)!r}: {error.strerror}.") from error
    print(f"Written: {printable(str(options.html))}")  # noqa: T201
    if options.open:
        webbrowser.open(options.html.resolve().as_uri())
    return 0


def _print_report(usage_report: report.Report) -> None:
    """Print with colours if rich is installed, and without otherwise."""
    try:
        console: Any = terminal.module("console").Console(highlight=False)
    except ConfigurationError:
        print(usage_report)  # noqa: T201
        return
    console.print(usage_report)
