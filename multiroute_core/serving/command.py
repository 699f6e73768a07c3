"""Commands: `multiroute serve` and `multiroute key`. `cli/main.py` adds them."""

from __future__ import annotations

import argparse
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.serving.keys import create_key, hash_key

_HIGHEST_PORT = 65_535


def add_commands(commands: Any) -> None:
    """Add the commands to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "serve",
        help="a server that speaks OpenAI's and Anthropic's APIs",
        description="Serve the models of a router under OpenAI's and Anthropic's APIs. API keys of providers come from "
        "the environment.",
    )
    parser.add_argument("config", nargs="?", default="", metavar="FILE", help="a configuration file of a router")
    parser.add_argument(
        "--route",
        action="append",
        default=[],
        metavar="PROVIDER:MODEL",
        help="a route, in order of preference; repeat it for more (default: the providers whose keys are set)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind to (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="the port, 0 for a free one (default: 8000)")
    parser.add_argument("--workers", type=_count, default=1, help="the number of processes (default: 1)")
    parser.add_argument("--keys", default="", metavar="FILE", help="hashes of the clients' keys; see `multiroute key`")
    parser.add_argument(
        "--drain", type=_count, default=300, metavar="SECONDS", help="time for calls in flight after SIGTERM (300)"
    )
    parser.add_argument("--max-body-bytes", type=_count, default=20_000_000, help="the largest request (20000000)")
    parser.add_argument("--max-concurrency", type=_count, default=1000, help="calls in flight per process (1000)")
    parser.set_defaults(run=_serve)

    key = commands.add_parser(
        "key",
        help="a new API key for a client of `multiroute serve`",
        description="Print a new key, which is shown only now, and its line for the file of --keys.",
    )
    key.add_argument("tenant", help="the tenant of the calls with this key")
    key.set_defaults(run=_create_key)


def _serve(options: argparse.Namespace) -> int:
    from multiroute_core.serving.server import ServerSettings, configure_logging, serve

    if options.config and options.route:
        raise ConfigurationError("Give a configuration file or --route, not both.")
    configure_logging()
    serve(
        ServerSettings(
            routes=options.route,
            config=options.config,
            keys=options.keys,
            host=options.host,
            port=options.port,
            workers=options.workers,
            drain=options.drain,
            max_body_bytes=options.max_body_bytes,
            max_concurrency=options.max_concurrency,
        )
    )
    return 0


def _create_key(options: argparse.Namespace) -> int:
    tenant = options.tenant.strip()
    if not tenant or not tenant.isprintable():
        raise ConfigurationError("The tenant is not valid; expected a name of printable characters.")
    key = create_key()
    print(f"key, for the client: {key}")  # noqa: T201
    print(f"line, for the file of --keys: {hash_key(key)} {tenant}")  # noqa: T201
    return 0


def _port(text: str) -> int:
    return _number(text, 0, _HIGHEST_PORT)


def _count(text: str) -> int:
    return _number(text, 1, 10**12)


def _number(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        expected = f"from {low} to {high}" if high <= _HIGHEST_PORT else f"of at least {low}"
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a whole number {expected}")
    return int(text)
