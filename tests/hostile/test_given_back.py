"""A place, a reservation and a flight are given back whatever breaks: hooks, prices, decoders, interrupts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import pytest

from multiroute_core import Budget, Route, Router
from multiroute_core.budgets.accounts import MemoryAccounts
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import AttemptEnded, AttemptStarted, FirstToken, RequestEnded, RequestStarted
from multiroute_core.pricing import charges
from multiroute_core.testing import Answer, rate_limited, scripted_route
from tests.providers.faces import FACES, STREAMED

every_face = pytest.mark.parametrize("face", FACES)


class Interrupt(BaseException):
    """What Ctrl-C raises, in a form that no test runner takes for its own."""


def left(router: Router) -> tuple[Any, ...]:
    """What is held: places in flight, reservations, flights."""
    shared = router._parts.spending.accounts
    assert isinstance(shared, MemoryAccounts)
    held = [
        (kept.account.held, len(kept.places)) for kept in shared._accounts.values() if kept.account.held or kept.places
    ]
    places = {name: one.in_flight for name, one in router.health().routes.items() if one.in_flight}
    return places, held, dict(router._parts.cache._flights._flights)


NOTHING: tuple[Any, ...] = ({}, [], {})


def routed(routes: list[Route], **settings: Any) -> Router:
    budget = Budget(usd=5, per="day", hard=True)
    return Router(routes, deadline=10, max_retries=0, budget=budget, cache="memory", **settings)


def priced(name: str, script: Any) -> Route:
    return scripted_route(name, script, prices={"input": 1, "output": 1})


def ask(router: Router, face: str) -> str:
    """Ask, and read to the end; the text."""

    async def native() -> str:
        if face == "agenerate":
            return (await router.agenerate("Hello")).text
        async with contextlib.aclosing(router.astream("Hello")) as chunks:
            return "".join([chunk.text async for chunk in chunks])

    if face == "generate":
        return router.generate("Hello").text
    if face == "stream":
        with contextlib.closing(router.stream("Hello")) as chunks:
            return "".join([chunk.text for chunk in chunks])
    return asyncio.run(native())


@every_face
@pytest.mark.parametrize("event", [RequestStarted, AttemptStarted, FirstToken, AttemptEnded, RequestEnded])
def test_an_interrupt_inside_a_hook_leaves_nothing_held(face, event):
    calls = itertools.count()

    def hook(heard: object) -> None:
        if isinstance(heard, event) and next(calls) == 0:
            raise Interrupt

    router = routed([priced("a", [Answer("Hello")] * 5)], on_event=[hook])
    expected = event is not FirstToken or face in STREAMED
    if expected:
        with pytest.raises(Interrupt):
            ask(router, face)
    assert left(router) == NOTHING
    assert ask(router, face) == "Hello"
    assert left(router) == NOTHING


@every_face
def test_prices_that_cannot_be_calculated_cost_no_answer(face, monkeypatch):
    router = routed([priced("a", [Answer("Hello")] * 5)])

    def fail(*_: object, **__: object) -> None:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr(charges, "charge", fail)
    assert ask(router, face) == "Hello"
    assert left(router) == NOTHING


@every_face
@pytest.mark.parametrize("error", [Interrupt, MemoryError, RecursionError, ValueError, TypeError, KeyError])
@pytest.mark.parametrize("method", ["decode", "decoder", "classify"])
def test_whatever_a_decoder_raises_leaves_nothing_held(face, error, method):
    first = priced("a", [rate_limited()] * 5 if method == "classify" else [Answer("Hello")] * 5)

    def fail(*_: object, **__: object) -> None:
        raise error("broken")

    setattr(first.llm, method, fail)
    router = routed([first, priced("b", [Answer("second")] * 5)])
    with contextlib.suppress(Interrupt, MultiRouteError, error):
        ask(router, face)
    assert left(router) == NOTHING


@pytest.mark.parametrize("face", STREAMED)
@pytest.mark.parametrize("chunks", [1, 2])
def test_a_stream_that_its_reader_leaves_gives_everything_back(face, chunks):
    router = routed([priced("a", [Answer("one two three four")] * 5)])

    async def native() -> None:
        async with contextlib.aclosing(router.astream("Hello")) as stream:
            for _ in range(chunks):
                await anext(stream)

    if face == "astream":
        asyncio.run(native())
    else:
        with contextlib.closing(router.stream("Hello")) as stream:
            for _ in range(chunks):
                next(stream)
    assert left(router) == NOTHING
