"""Command: `multiroute watch`, a live view of a ledger, and of the circuit breakers of a fleet."""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from multiroute_core.cli.arguments import LEDGER, find_file, parse_number
from multiroute_core.cli.keyboard import reading_keys
from multiroute_core.display import numbers
from multiroute_core.errors import ConfigurationError
from multiroute_core.report import terminal, watch
from multiroute_core.report.source import REMOTE, source
from multiroute_core.routing.route_health import RouteHealth


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "watch",
        help="live view of the last minutes",
        description="Show the last minutes, refreshed every second: requests, spending, routes, tenants, errors. q or "
        "Ctrl-C stops it.",
    )
    parser.add_argument("ledger", help=LEDGER)
    parser.add_argument("--minutes", type=_minutes, default=15.0, help="number of minutes to show (default: 15)")
    parser.add_argument(
        "--routes",
        metavar="FILE",
        default="",
        help="a configuration file with state on Redis: shows the breakers there",
    )
    parser.add_argument("--once", action="store_true", help="print once and exit; the default without a terminal")
    parser.set_defaults(run=_watch)


def _watch(options: argparse.Namespace) -> int:
    console = terminal.module("console").Console(highlight=False)
    with contextlib.closing(source(options.ledger)) as ledger, _open_breakers(options.routes) as read_breakers:
        if options.once or not console.is_terminal or console.is_dumb_terminal:
            console.print(watch.frame(ledger, options.minutes, time.time(), console.width, read_breakers()))
            return 0
        with _ending_on_sigterm(), reading_keys("qQ") as pause:
            watch.watch(ledger, console, options.minutes, pause=pause, read_breakers=read_breakers)
    return 0


@contextlib.contextmanager
def _ending_on_sigterm() -> Generator[None, None, None]:
    """End on SIGTERM, as `timeout` sends it, by an exception, so that the terminal is restored on the way."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    try:
        earlier = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


@contextlib.contextmanager
def _open_breakers(file: str) -> Generator[Callable[[], Mapping[str, str]], None, None]:
    """Yield a function that returns the breakers of the routes of a configuration file.

    Raises:
        ConfigurationError: The file has no state on Redis: what a process keeps in its memory, no other one can see.
    """
    if not file:
        yield watch.no_breakers
        return
    from multiroute_core.configuration.inspection import inspect_file
    from multiroute_core.router import Router
    from multiroute_core.runtime.run_sync import run
    from multiroute_core.runtime.sync_io import SyncIO
    from multiroute_core.state.redis import RedisState

    path = find_file([file])
    if path is None:
        raise ConfigurationError(f"--routes={file!r} is not valid; expected a configuration file.")
    inspection = inspect_file(path, Router, Router._check_arguments)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    place = inspection.data.get("state")
    if not isinstance(place, str) or not place.startswith(REMOTE):
        raise ConfigurationError(
            f"{file} has no state on Redis; the breakers in the memory of another process cannot be shown."
        )
    routes = [one.route for one in inspection.routes if one.route is not None]
    state = RedisState(str(place), timeout=1.0)
    state.know(routes)

    def read_breakers() -> Mapping[str, str]:
        io = SyncIO()
        return {route.name: describe_health(run(state.standing(io, route, io.now()))) for route in routes}

    try:
        yield read_breakers
    finally:
        state.close()


def describe_health(health: RouteHealth) -> str:
    """Return the state of a circuit breaker in words: for how long it is open, and why."""
    wait = f" for {numbers.seconds(health.retry_in)}" if health.retry_in > 0 else ""
    reason = f": {health.reason.replace('_', ' ')}" if health.reason not in (None, "open") else ""
    return f"{health.breaker.replace('_', ' ')}{wait}{reason}"


def _minutes(text: str) -> float:
    return parse_number(text, "a number of minutes greater than 0")
