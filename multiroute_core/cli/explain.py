"""Command: `multiroute explain`, which routes a request would take, and why; no request is sent."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import Any

from multiroute_core.cli.arguments import build_router
from multiroute_core.cli.ask import add_question, read_call_options, read_question
from multiroute_core.display import numbers
from multiroute_core.display.text import display_width, printable
from multiroute_core.routing.explain import ExplainedRoute, Explanation


def add_command(commands: Any) -> None:
    """Add the command to the subparsers of `multiroute`."""
    parser = commands.add_parser(
        "explain",
        help="which routes a request would take, and why",
        description="Show the order in which the routes would be asked now, and why others are left out. No request is "
        "sent. Exit code 0: some route may answer, 1: none may, 2: wrong arguments.",
    )
    add_question(parser)
    parser.add_argument("--stream", action="store_true", help="as for a stream")
    parser.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> int:
    question = read_question(options)
    with build_router(options.routes) as router:
        explanation = router.explain(question, stream=options.stream, **read_call_options(options))
    print(render(explanation, shutil.get_terminal_size((100, 24)).columns))  # noqa: T201
    return 0 if explanation.problem is None else 1


def render(explanation: Explanation, width: int) -> str:
    """Return an explanation as a table where it fits into a width, and as a paragraph for each route elsewhere."""
    text = str(explanation)
    if max(map(display_width, text.splitlines()), default=0) <= width:
        return text
    head = text.partition("\n")[0]
    return "\n".join((head, *(_render_route(row, width) for row in explanation.rows)))


def _render_route(row: ExplainedRoute, width: int) -> str:
    facts = [
        numbers.usd(row.expected_cost),
        "" if row.latency is None else f"latency {numbers.seconds(row.latency)}",
        f"breaker {row.breaker.replace('_', '-')}",
        "" if row.window is None else f"window {row.window:,}",
        *row.reasons,
    ]
    indent = "   "
    wrapped = textwrap.wrap(
        printable("; ".join(filter(None, facts))),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join((f"{'–' if row.position is None else row.position}  {printable(row.route)}", *wrapped))
