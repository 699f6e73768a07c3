"""Command: `multiroute watch`, a live view of a ledger."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from typing import Any

from multiroute_core.cli.arguments import LEDGER
from multiroute_core.report import terminal, watch
from multiroute_core.report.source import source


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "watch",
        help="live view of the last minutes",
        description="Show the last minutes, refreshed every second: requests, spending, "
        "routes, errors. Ctrl-C stops it.",
    )
    parser.add_argument("ledger", help=LEDGER)
    parser.add_argument("--minutes", type=_minutes, default=15.0, help="number of minutes to show (default: 15)")
    parser.add_argument("--once", action="store_true", help="print once and exit; the default without a terminal")
    parser.set_defaults(run=_watch)


def _watch(options: argparse.Namespace) -> int:
    console = terminal.module("console").Console(highlight=False)
    with contextlib.closing(source(options.ledger)) as ledger:
        if options.once or not console.is_terminal:
            console.print(watch.frame(ledger, options.minutes, time.time()))
        else:
            watch.watch(ledger, console, options.minutes)
    return 0


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a number of minutes greater than 0")
    return value
