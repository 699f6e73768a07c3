"""Command: `multiroute drill`, what an outage of a vendor does to requests, in virtual time and without any call."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from typing import Any

from multiroute_core.cli.arguments import ROUTES, parse_number


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "drill",
        help="what an outage of a vendor does to requests",
        description="Send requests through the routes and settings of a configuration file before, during and after "
        "an outage. Vendors are simulated and time is virtual: nothing is sent and nothing is spent. Exit code 0: all "
        "requests are answered, 1: some are not, 2: wrong arguments.",
    )
    parser.add_argument("routes", nargs="*", metavar="FILE | PROVIDER:MODEL", help=ROUTES)
    parser.add_argument(
        "--outage",
        action="append",
        required=True,
        metavar="NAME",
        help="a provider or a route; repeatable",
    )
    parser.add_argument(
        "--kind",
        choices=("errors", "hang", "slow", "rate_limit"),
        default="errors",
        help="how it is down: HTTP 500, no answer at all, answers ten times as slow, or HTTP 429 (default: errors)",
    )
    parser.add_argument("--requests", type=_count, default=1000, metavar="COUNT", help="all in all (default: 1000)")
    parser.add_argument("--rate", type=_rate, default=2.0, metavar="NUMBER", help="requests a second (default: 2)")
    parser.add_argument(
        "--latency", type=parse_number, default=1.0, metavar="SECONDS", help="of a healthy answer (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_drill)


def _drill(options: argparse.Namespace) -> int:
    from multiroute_core.cli.drills import DrillPlan, read_arguments, render, run_drill

    plan = DrillPlan(
        outage=tuple(options.outage),
        kind=options.kind,
        requests=options.requests,
        rate=options.rate,
        latency=options.latency,
    )
    logger = logging.getLogger("multiroute_core")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # the breakers of a drill are no news
    try:
        result = run_drill(read_arguments(options.routes), plan)
    finally:
        logger.setLevel(level)
    if options.json:
        print(json.dumps(result.to_json(), ensure_ascii=False, indent=2))  # noqa: T201
    else:
        print(render(result, shutil.get_terminal_size((100, 24)).columns))  # noqa: T201
    return 0 if all(phase.answered == phase.requests for phase in result.phases) else 1


def _rate(text: str) -> float:
    expected = "a number from 0.000001 to 1000000"
    value = parse_number(text, expected)
    if not 1e-6 <= value <= 1e6:  # a drill has an end, also in virtual time
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected {expected}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or not 3 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a whole number from 3 to 1000000")
    return int(text)
