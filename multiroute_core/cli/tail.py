"""Command: `multiroute tail`, one line for each request of a ledger, as it ends."""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import sys
import time
from collections.abc import Callable
from typing import Any

from multiroute_core.cli.arguments import LEDGER
from multiroute_core.display import numbers
from multiroute_core.display.text import printable
from multiroute_core.errors import MultiRouteError
from multiroute_core.report import formats
from multiroute_core.report.following import QUIET_SECONDS, FinishedRequest, Follower, find_start
from multiroute_core.report.source import Source, source

BEAT_SECONDS = 1.0
"""Seconds between two looks at the ledger."""

PERIODS = tuple(60.0 * 8**power for power in range(8))
"""How far back the last requests are searched for, in seconds: a minute to four years, and then the whole ledger."""

LONGEST_REQUEST = 900.0
"""How long before the end of a request its first attempt may have ended, in seconds."""


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "tail",
        help="one line for each request, as it ends",
        description="Print the last requests of a ledger, and then each one as it ends, as `tail -f` does: time (UTC), "
        "route, outcome, seconds, cost, tenant, and the attempts that failed before. Ctrl-C stops it.",
    )
    parser.add_argument("ledger", help=LEDGER)
    parser.add_argument(
        "-n", "--lines", type=_count, default=10, metavar="COUNT", help="earlier requests (default: 10)"
    )
    parser.add_argument("--once", action="store_true", help="print the earlier requests and exit")
    parser.add_argument("--json", action="store_true", help="one JSON object on each line")
    parser.set_defaults(run=_tail)


def _tail(options: argparse.Namespace) -> int:
    write = _write_json if options.json else _write_line
    with contextlib.closing(source(options.ledger)) as ledger:
        try:
            follow(ledger, write, lines=options.lines, is_endless=not options.once, pause=_pause)
        except KeyboardInterrupt:
            return 0
    return 0


def follow(
    ledger: Source,
    write: Callable[[FinishedRequest], object],
    *,
    lines: int,
    is_endless: bool,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Write the last requests of a ledger, and then each one as it ends.

    Args:
        ledger: The source of the records.
        write: Writes one request.
        lines: How many earlier requests.
        is_endless: Whether to go on after them.
        now: Returns the time in seconds since 1970.
        pause: Sleeps for a number of seconds.

    Raises:
        MultiRouteError: The first read fails. Later failures are written to stderr once, and the read is retried.
    """
    follower, earlier = _read_earlier(ledger, lines, now() if is_endless else now() + QUIET_SECONDS)
    for request in earlier:
        write(request)
    problem = ""
    while is_endless:
        pause(BEAT_SECONDS)
        try:
            finished = follower.collect(ledger.read(since=find_start(now())), now())
        except MultiRouteError as error:
            if str(error) != problem:
                problem = str(error)
                print(printable(f"multiroute: {problem} Trying again."), file=sys.stderr)  # noqa: T201
            continue
        problem = ""
        for request in finished:
            write(request)


def _read_earlier(ledger: Source, lines: int, now: float) -> tuple[Follower, list[FinishedRequest]]:
    """Return the last requests, and what was read of them; only as much of a large ledger is read as they need."""
    for seconds in PERIODS:
        start = now - seconds
        follower = Follower()
        requests = follower.collect(ledger.read(since=start - LONGEST_REQUEST), now)
        requests = [one for one in requests if one.last.ended_at >= start]  # of others, attempts may be missing
        if len(requests) >= lines:
            return follower, requests[len(requests) - lines :]
    follower = Follower()
    requests = follower.collect(ledger.read(), now)
    return follower, requests[max(0, len(requests) - lines) :]


def _pause(seconds: float) -> None:
    """Sleep until the next look at the ledger.

    Raises:
        BrokenPipeError: The reader of the output has closed it, as `head` does; the next line may never come.
    """
    time.sleep(seconds)
    try:
        output = sys.stdout.fileno()
        poll = select.poll()
    except (AttributeError, OSError, ValueError):  # no file, or no `poll` on this system
        return
    poll.register(output, 0)
    if any(events & select.POLLERR for _, events in poll.poll(0)):
        raise BrokenPipeError


def describe_request(request: FinishedRequest) -> str:
    """Return a request as one line."""
    last = request.last
    before = [f"{one.route} {one.outcome}" for one in request.attempts if one is not last]
    cost = "$?" if request.cost is None else numbers.usd(request.cost)
    facts = [
        formats.clock(last.ended_at),
        last.route or "–",
        last.outcome,
        numbers.seconds(last.seconds),
        cost,
        f"tenant={last.tenant}" if last.tenant else "",
        f"task={last.task}" if last.task else "",
        f"labels={','.join(last.labels)}" if last.labels else "",
        f"after {', '.join(before)}" if before else "",
    ]
    return printable("  ".join(filter(None, facts)))


def _write_line(request: FinishedRequest) -> None:
    print(describe_request(request), flush=True)  # noqa: T201


def _write_json(request: FinishedRequest) -> None:
    last = request.last
    members = {
        "ended_at": last.ended_at,
        "request_id": last.request_id,
        "route": last.route,
        "model": last.model,
        "outcome": last.outcome,
        "seconds": last.seconds,
        "cost": request.cost,
        "tenant": last.tenant,
        "task": last.task,
        "labels": list(last.labels),
        "attempts": [{"route": one.route, "outcome": one.outcome, "seconds": one.seconds} for one in request.attempts],
    }
    print(json.dumps(members, ensure_ascii=False), flush=True)  # noqa: T201


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a whole number of at least 0")
    return int(text)
