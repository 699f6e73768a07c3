"""Which routes may answer a request, and in which order they are asked. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from multiroute_core import abilities
from multiroute_core.abilities import Facts
from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Raw, ToolCall
from multiroute_core.options import Options, unknown
from multiroute_core.route import Route
from multiroute_core.types import Request, Usage

EXPECTED_OUTPUT_TOKENS = 256
"""What an answer is expected to cost where the caller sets no `max_tokens`."""

CHARACTERS_PER_TOKEN = 4

CostOf = Callable[[Route, Usage], float | None]
"""The cost of a usage on a route, in USD; None for unknown."""


def candidates(
    request: Request, routes: Sequence[Route], wanted: Options, facts: Mapping[str, Facts], cost_of: CostOf
) -> list[Route]:
    """The routes that may answer, in the order in which they are asked.

    Filters come first (`model`, `route_tags`, what the request needs), then the order, then routes good at the task
    before the others, then those of the vendor with whom a tool loop is open, and backups last. Sorting is stable: what
    says nothing leaves the routes as they are listed.

    Args:
        facts: By the routes' names.

    Raises:
        ConfigurationError: no route is left; the sentence says which option or which content excludes them.
    """
    left = list(routes)
    if (model := wanted.model) is not None:
        left = [r for r in left if model in (r.name, r.model, f"{r.provider}:{r.model}")]
        if not left:
            raise unknown("model", model, sorted({n for r in routes for n in (r.name, r.model)}))
    if (tags := wanted.route_tags) is not None:
        left = [r for r in left if tags <= r.tags]
        if not left:
            known = sorted({tag for r in routes for tag in r.tags})
            raise ConfigurationError(
                f"No route carries all of route_tags={sorted(tags)}; the routes' tags are {known or 'none'}."
            )
    left = _able(request, left, facts)
    if wanted.order == "cheapest":
        usage = expected_usage(request)
        left.sort(key=lambda r: math.inf if (cost := cost_of(r, usage)) is None else cost)
    if (task := wanted.task) is not None:
        left.sort(key=lambda r: 0 if task in r.tasks else 1 if not r.tasks else 2)
    if (asked := open_call(request)) is not None:
        left.sort(key=lambda r: 2 if facts[r.name].wire != asked.wire else 0 if r.model == asked.model else 1)
    left.sort(key=lambda r: r.backup)
    return left[:1] if wanted.fallback is False else left


def open_call(request: Request) -> Raw | None:
    """The call whose answer the last message brings, as its vendor wrote it: that vendor should go on if it can."""
    if request.messages[-1].role != "tool":
        return None
    turns = (message.parts for message in reversed(request.messages) if message.role == "assistant")
    return next((part.raw for part in next(turns, ()) if isinstance(part, ToolCall) and part.raw is not None), None)


def _able(request: Request, routes: list[Route], facts: Mapping[str, Facts]) -> list[Route]:
    """The routes that can carry all that the request needs."""
    needed = abilities.needed(request)
    if not needed:
        return routes
    left = [route for route in routes if needed <= facts[route.name].offers]
    if not left:
        lacks = "; ".join(
            f"{r.name!r} lacks {', '.join(_told(word) for word in sorted(needed - facts[r.name].offers))}"
            for r in routes
        )
        raise ConfigurationError(f"No route can carry all that this request needs: {lacks}.")
    return left


def _told(ability: str) -> str:
    """An ability, as a sentence names it."""
    kind, _, whose = ability.partition(":")
    if whose:
        return f"a file in the store of {whose}" if kind == "file" else f"what only {whose} understands"
    return f"{kind.removesuffix('_url')} by its address" if kind.endswith("_url") else kind


def expected_usage(request: Request) -> Usage:
    """What `request` will use, by its length; good enough to rank prices, not to bill."""
    characters = sum(len(message.text) for message in request.messages)
    return Usage(
        input_tokens=characters // CHARACTERS_PER_TOKEN + 1,
        output_tokens=request.max_tokens or EXPECTED_OUTPUT_TOKENS,
    )
