"""Command: `multiroute ask`, one question to the routes: the answer goes to stdout, what it took to stderr."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multiroute_core.cli.arguments import FILE_SUFFIXES, ROUTES, build_router, parse_count, parse_seconds
from multiroute_core.display import numbers
from multiroute_core.display.text import printable, printable_lines
from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.types import Attempt, Response

if TYPE_CHECKING:
    from multiroute_core.router import Router


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "ask",
        help="one question to the routes",
        description="Ask the routes one question. The answer goes to stdout; route, cost and attempts go to "
        "stderr. Exit code 0: answered, 1: no route answered, 2: wrong arguments.",
    )
    add_question(parser)
    parser.add_argument("--stream", action="store_true", help="print the answer as it comes")
    parser.add_argument("--system", metavar="TEXT", help="a system message")
    parser.add_argument("--max-tokens", type=parse_count, metavar="COUNT", help="the most tokens of the answer")
    parser.add_argument("--timeout", type=parse_seconds, metavar="SECONDS", help="for the answer, all in all")
    parser.set_defaults(run=_ask)


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the question and the routes, which `explain` takes as well."""
    parser.add_argument("question", nargs="?", help="the question; - reads it from stdin")
    parser.add_argument("--routes", nargs="+", action="extend", default=[], metavar="FILE | ROUTE", help=ROUTES)
    parser.add_argument("--model", metavar="NAME", help="only routes with this name or model")
    parser.add_argument("--strategy", metavar="NAME", help="how the routes are ranked, such as cheapest")
    parser.add_argument("--tenant", metavar="NAME", help="the tenant, for budgets and limits")


def read_question(options: argparse.Namespace) -> str:
    """Return the question, and take it out of the routes if it stands behind them.

    Raises:
        ConfigurationError: It is missing or empty.
    """
    question = options.question
    if question is None:
        question = _take_question(options.routes)
    if question == "-":
        question = "" if sys.stdin is None else sys.stdin.read()  # pyright: ignore[reportUnnecessaryComparison]
    if not question.strip():
        raise ConfigurationError("The question is empty; write it in quotes, or give - to read it from stdin.")
    return question


def _take_question(words: list[str]) -> str:
    """Take the question out of the words of `--routes`, which takes all that follow, the question too."""
    is_route = words and (re.fullmatch(r"\w+[:/]\S+", words[-1]) or words[-1].lower().endswith(FILE_SUFFIXES))
    if not words or is_route:
        raise ConfigurationError('There is no question; write it in quotes: multiroute ask "Why is the sky blue?"')
    return words.pop()


def read_call_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the call that are given."""
    names = {"model": "model", "strategy": "strategy", "tenant": "tenant", "system": "system"}
    names |= {"max_tokens": "max_tokens", "timeout": "deadline"}
    pairs = ((name, getattr(options, argument, None)) for argument, name in names.items())
    return {name: value for name, value in pairs if value is not None}


def _ask(options: argparse.Namespace) -> int:
    question = read_question(options)
    call_options = read_call_options(options)
    with build_router(options.routes) as router:
        try:
            response = _answer(router, question, call_options, is_streamed=options.stream)
        except ConfigurationError:
            raise
        except MultiRouteError as error:
            sys.stdout.flush()
            _print_attempts(error.attempts)
            print(f"multiroute: {printable_lines(str(error))}", file=sys.stderr)  # noqa: T201
            return 1
    _print_attempts(response.attempts)
    print(_describe(response), file=sys.stderr)  # noqa: T201
    return 0


def _answer(router: Router, question: str, call_options: dict[str, Any], *, is_streamed: bool) -> Response:
    if not is_streamed:
        response = router.generate(question, **call_options)
        print(_for_terminal(response.text))  # noqa: T201
        return response
    last: Response | None = None
    try:
        for chunk in router.stream(question, **call_options):
            if chunk.text:
                sys.stdout.write(_for_terminal(chunk.text))
                sys.stdout.flush()
            last = chunk.response or last
    finally:
        print(flush=True)  # noqa: T201
    if last is None:
        raise MultiRouteError("The stream ended without a response; ask again.")
    return last


def _for_terminal(text: str) -> str:
    """Return an answer without what controls a terminal; for a pipe or a file it stays as it is."""
    if not sys.stdout.isatty():
        return text
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def _print_attempts(attempts: Sequence[Attempt]) -> None:
    """Print the attempts that gave no answer."""
    for attempt in attempts:
        if attempt.outcome != "success" or attempt.error:
            reason = f": {attempt.error}" if attempt.error else ""
            line = f"{attempt.route}  {attempt.outcome} after {numbers.seconds(attempt.seconds)}{reason}"
            print(printable(line), file=sys.stderr)  # noqa: T201


def _describe(response: Response) -> str:
    """Return where an answer comes from, and what it took."""
    success = next((one for one in reversed(response.attempts) if one.outcome == "success"), None)
    usage = response.usage
    facts = [
        response.route,
        "from the cache" if response.cached else "",
        numbers.usd(response.cost),
        "" if success is None else numbers.seconds(success.seconds),
        "" if usage is None else f"{usage.input_tokens or 0:,} tokens in, {usage.output_tokens or 0:,} out",
        numbers.format_count(len(response.attempts), "attempt"),
        "" if response.finish_reason in ("stop", None) else f"finish reason {response.finish_reason}",
    ]
    return printable("  ".join(filter(None, facts)))
