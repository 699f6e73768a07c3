"""Candidate selection: which routes may answer a request, and why the others are excluded. Pure.

Candidates are selected before the call starts: by what the caller requires (a model, tags, a region) and by the
capabilities the request needs (tools, images, a context window that is large enough).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from multiroute_core.options import Options, unknown
from multiroute_core.parsing import token_count
from multiroute_core.providers import capabilities
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.route import Route
from multiroute_core.routing import expected_usage
from multiroute_core.types import Request

Drops = Callable[[Route], Sequence[str]]
"""Returns the parameters that a route would drop."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The routes that may answer.

    Attributes:
        routes: In the given order.
        excluded: The first reason for each excluded route, by its name.
        tokens: The estimated tokens of the request.
        problem: Why no route may answer, in one sentence; None if some route may.
    """

    routes: tuple[Route, ...]
    excluded: Mapping[str, str]
    tokens: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Filter:
    """One requirement for a route.

    Attributes:
        lacks: Returns why a route does not meet it, by the names of those that do not.
        problem: Returns the sentence for the case that none of the remaining routes meets it.
    """

    lacks: Callable[[Sequence[Route]], dict[str, str]]
    problem: Callable[[Sequence[Route]], str]


def candidates(
    request: Request,
    routes: Sequence[Route],
    options: Options,
    facts: Mapping[str, RouteCapabilities],
    drops: Drops | None = None,
) -> Candidates:
    """Return the routes that may answer, and why the others are excluded.

    A route is excluded if it is not the requested `model`, lacks one of the `route_tags`, is not in the `region`, does
    not support something in the request, or would drop a parameter where that is not allowed.

    It is also excluded if its context window is smaller than the prompt plus `max_tokens` (by default a typical
    answer), as estimated, and another route's is not. For a `backup` only the prompt counts: a short answer is better
    than none, and a backup does not exclude a route that is not one. If all windows are too small, the largest ones
    stay, because estimates are inexact.

    Args:
        request: The request.
        routes: In the given order.
        options: The caller's options.
        facts: The capabilities by route name.
        drops: Returns the parameters that a route would drop; None if dropping is allowed.
    """
    size = token_count.estimate(request)
    left = tuple(routes)
    excluded = dict[str, str]()
    if _undemanding(request, options, facts, drops, size):
        return Candidates(left, excluded, size)
    for one in _filters(request, options, facts, drops, size):
        if reasons := one.lacks(left):
            excluded |= reasons
            remaining = tuple(r for r in left if r.name not in reasons)
            if not remaining:
                return Candidates((), excluded, size, one.problem(left))
            left = remaining
    return Candidates(left, excluded, size)


def _undemanding(
    request: Request, options: Options, facts: Mapping[str, RouteCapabilities], drops: Drops | None, size: int
) -> bool:
    """Whether no requirement applies, as for most requests."""
    if drops is not None or capabilities.required(request):
        return False
    if options.model is not None or options.route_tags is not None or options.region is not None:
        return False
    least = size + expected_usage.answer(request)
    return not any(fact.window is not None and fact.window < least for fact in facts.values())


def _filters(
    request: Request, options: Options, facts: Mapping[str, RouteCapabilities], drops: Drops | None, size: int
) -> Iterator[_Filter]:
    """Yield the requirements of this call."""
    if (model := options.model) is not None:
        yield _Filter(
            lambda routes: {
                r.name: f"it is not the requested model {model!r}"
                for r in routes
                if model not in (r.name, r.model, f"{r.provider}:{r.model}")
            },
            lambda routes: str(unknown("model", model, sorted({n for r in routes for n in (r.name, r.model)}))),
        )
    if (tags := options.route_tags) is not None:
        yield _Filter(
            lambda routes: {
                r.name: f"it does not have the tags {_listed(tags - r.tags)}" for r in routes if not tags <= r.tags
            },
            lambda routes: (
                f"No route has all of route_tags={sorted(tags)}; "
                f"the routes' tags are {sorted({tag for r in routes for tag in r.tags}) or 'none'}."
            ),
        )
    if (region := options.region) is not None:
        yield _Filter(
            lambda routes: {
                r.name: f"it is in {'no region' if r.region is None else f'region {r.region!r}'}, not {region!r}"
                for r in routes
                if r.region != region
            },
            lambda routes: (
                f"No route is in region={region!r}; "
                f"the routes' regions are {sorted({r.region for r in routes if r.region is not None}) or 'none'}."
            ),
        )
    if needed := capabilities.required(request):

        def incapable(routes: Sequence[Route]) -> dict[str, str]:
            lacks = {r.name: capabilities.lacking(needed, facts[r.name].offers) for r in routes}
            return {
                name: f"it does not support {_listed(map(_describe, words))}" for name, words in lacks.items() if words
            }

        yield _Filter(
            incapable,
            lambda routes: (
                "No route supports everything that this request needs: "
                + "; ".join(f"{name!r}: {reason}" for name, reason in incapable(routes).items())
                + "."
            ),
        )
    if drops is not None:
        dropped = drops

        def choosy(routes: Sequence[Route]) -> dict[str, str]:
            return {r.name: f"it does not support {_listed(those)}" for r in routes if (those := dropped(r))}

        yield _Filter(
            choosy,
            lambda routes: (
                "With strict_params=True, no route supports all parameters ("
                + "; ".join(f"{name}: {reason}" for name, reason in choosy(routes).items())
                + ")."
            ),
        )
    answer = expected_usage.answer(request)
    if any(fact.window is not None and fact.window < size + answer for fact in facts.values()):
        # it never excludes all routes
        yield _Filter(lambda routes: _too_small(routes, facts, size, answer), lambda _: "")


def _too_small(
    routes: Sequence[Route], facts: Mapping[str, RouteCapabilities], size: int, answer: int
) -> dict[str, str]:
    """Return the routes whose context window is too small, as long as others remain."""
    windows = {r.name: math.inf if (window := facts[r.name].window) is None else window for r in routes}
    small = {r.name for r in routes if windows[r.name] < (size if r.backup else size + answer)}
    first = [r.name for r in routes if not r.backup] or [r.name for r in routes]
    if small.issuperset(first):
        largest = max(windows[name] for name in first)
        small = {name for name in small if windows[name] < largest}
    return {
        r.name: (
            f"its context window of {windows[r.name]:,} tokens is too small for about {size:,}"
            + ("" if r.backup else f" and an answer of {answer:,}")
        )
        for r in routes
        if r.name in small
    }


def _listed(words: Sequence[str] | Iterator[str] | frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _describe(ability: str) -> str:
    """Return the description of a capability for an error message."""
    kind, _, whose = ability.partition(":")
    if whose:
        return f"a file stored at {whose}" if kind == "file" else f"content that only {whose} supports"
    return f"{kind.removesuffix('_url')} by URL" if kind.endswith("_url") else kind
