"""What `explain` says of every route is what then happens."""

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import AllRoutesFailedError, ConfigurationError, Message, RouteError, Router, Text, Usage
from multiroute_core.messages import Raw
from multiroute_core.providers.models import Model
from multiroute_core.routing.strategies import STRATEGIES
from multiroute_core.testing import (
    Answer,
    Fail,
    SlowAnswer,
    VirtualLoop,
    provider_of,
    rate_limited,
    run_in_virtual_time,
    scripted_route,
)
from multiroute_core.testing.scripted import PROVIDER
from tests.examples import examples

kinds = st.fixed_dictionaries(
    {
        "region": st.sampled_from(["eu", "eu", "us", None]),
        "tasks": st.sets(st.sampled_from(["code", "talk"]), max_size=1),
        "weight": st.sampled_from([1.0, 4.0]),
        "backup": st.sampled_from([False, False, False, True]),
        "rpm": st.sampled_from([None, None, 3]),
        "tpm": st.sampled_from([None, None, 700]),
        "prices": st.sampled_from([None, {"input": 1, "output": 3}, {"input": 2, "output": 1}]),
        "past": st.sampled_from(["answers", "answers", "slow", "fails", "limited"]),
        "window": st.sampled_from([None, 200, 10_000]),
    }
)
PAST = {"answers": SlowAnswer(0.2), "slow": SlowAnswer(2.0), "fails": Fail(), "limited": rate_limited(40.0)}
calls = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from([*STRATEGIES, lambda request, routes, standings: routes[::-1][:3]]),
        "task": st.just("code"),
        "region": st.just("eu"),
        "max_tokens": st.sampled_from([10, 400]),
        "fallback": st.just(False),
    },
)


def lived(drawn, loop, seed, before):
    """A router with a past: some of its routes are shut, some are measured, some have used up their minute."""
    routes = []
    for n, kind in enumerate(drawn):
        more = {key: kind[key] for key in ("region", "tasks", "weight", "backup", "rpm", "tpm", "prices")}
        model = Model(PROVIDER, "*", window=kind["window"])
        routes.append(scripted_route(f"r{n}", PAST[kind["past"]], model=model, **more))
    router = Router(routes, max_retries=0)
    run_in_virtual_time(router, loop, seed)
    for number in range(before):
        name = f"r{number % len(routes)}"
        try:
            loop.run_until_complete(router.agenerate("Hello", model=name, deadline=3))
        except (RouteError, AllRoutesFailedError):
            pass
    return router, routes


@pytest.mark.slow
@given(st.lists(kinds, min_size=1, max_size=5), calls, st.integers(0, 40), st.integers(0, 99))
@settings(max_examples=examples(200), deadline=None)
def test_every_row_is_true(drawn, call, before, seed):
    loop = VirtualLoop()
    try:
        every_row_is_true(loop, *lived(drawn, loop, seed, before), call, seed)
    finally:
        loop.close()


def every_row_is_true(loop, router, routes, call, seed):
    asked = {route.name: len(provider_of(route).takes) for route in routes}

    run_in_virtual_time(router, loop, seed)
    told = router.explain("Hello", **call)
    assert asked == {route.name: len(provider_of(route).takes) for route in routes}, "nothing is asked"
    rows = {row.route: row for row in told.rows}
    assert list(rows) == [row.route for row in sorted(told.rows, key=lambda row: row.position or len(routes) + 1)]
    assert [row.position for row in told.rows if row.position] == list(
        range(1, 1 + sum(r.position is not None for r in told.rows))
    )
    assert all(row.reasons and all(row.reasons) for row in told.rows if told.problem is None or not row.candidate)
    health = router.health()
    for row in told.rows:
        standing = health[row.route]
        assert (row.breaker, row.retry_in, row.in_flight, row.latency) == (
            standing.breaker,
            standing.retry_in,
            standing.in_flight,
            standing.latency,
        )

    # The same moment, the same chance: everybody fails, so that everybody's turn comes.
    for route in routes:
        provider_of(route).script = Fail()
    run_in_virtual_time(router, loop, seed)
    if told.problem is not None:
        with pytest.raises(ConfigurationError) as error:
            loop.run_until_complete(router.agenerate("Hello", **call))
        assert str(error.value) == told.problem
        assert not any(row.position or row.candidate for row in told.rows)
        return
    with pytest.raises((RouteError, AllRoutesFailedError)) as failed:
        loop.run_until_complete(router.agenerate("Hello", deadline=0.01, **call))
    tried = [attempt.route for attempt in failed.value.attempts]
    in_turn = [row.route for row in told.rows if row.position and not row.reasons[0].startswith("skipped for now")]
    assert [row.route for row in told.rows][: len(in_turn)] == in_turn, "a skipped route comes after the others"
    assert tried[: len(in_turn)] == in_turn
    for name in tried[len(in_turn) :]:  # none was left, so one that is shut was probed
        assert rows[name].position is not None
    assert not {row.route for row in told.rows if row.position is None}.intersection(tried)


@given(st.lists(kinds, min_size=1, max_size=4), st.integers(1, 3_000), st.sampled_from([None, 30]))
@settings(max_examples=examples(40), deadline=None)
def test_the_expected_cost_is_the_bill_of_an_answer_of_the_expected_length(drawn, words, most):
    def script(asked):
        written = min(asked.request.max_tokens or 256, 256)
        read = 4 + -(-len(asked.text) // 4) + 1
        return Answer(usage=Usage(read, written))

    routes = [scripted_route(f"r{n}", script, prices=kind["prices"]) for n, kind in enumerate(drawn)]
    router, more = Router(routes), {"max_tokens": most} if most else {}
    question = "word " * words
    for row in router.explain(question, **more).rows:
        cost = router.generate(question, model=row.route, **more).cost
        assert row.expected_cost == (None if cost is None else pytest.approx(cost))


def test_tokens_in_a_prompt_cache_are_shown_where_they_are():
    routes = [scripted_route("a", Answer()), scripted_route("b", Answer())]
    answered = Message("assistant", [Text("Well.", raw=Raw("openai.chat", {}, "b"))])
    told = Router(routes).explain([Message("user", "word " * 2_000), answered, Message("user", "And?")])
    assert [row.cached_tokens for row in told.rows] == [0, 2_504]


def test_a_strict_router_says_whom_a_parameter_excludes():
    routes = [scripted_route("a", Answer())]
    told = Router(routes, strict_params=True).explain("Hello", seed=7)
    assert told.problem is None
    assert told.rows[0].position == 1


HOSTILE = "<img src=x onerror=alert(1)>&\"'"


def test_it_prints_as_a_table_and_names_cannot_break_out_of_the_markup():
    routes = [scripted_route(HOSTILE, Answer(), region=HOSTILE), scripted_route("plain", Answer(), region="eu")]
    told = Router(routes).explain("Hello", region="eu")
    page = told._repr_html_()
    assert "<img" not in page
    assert html.escape(HOSTILE) in page
    assert re.findall(r"<(/?[a-z]+)", page.replace("</", "<")).count("tr") == 6
    text = str(told).splitlines()
    assert text[0] == "About 7 tokens; 1 of 2 routes, strategy priority."
    assert [line.split()[0] for line in text[2:]] == ["1", "–"]
    assert HOSTILE in text[3]
    nobody = Router(routes).explain("Hello", region=HOSTILE + "!")
    assert str(nobody).startswith("No route is in region=")
    assert "<img" not in nobody._repr_html_()


def test_an_order_function_that_gives_nonsense_is_an_error_here_too():
    with pytest.raises(ConfigurationError, match="each once"):
        Router([scripted_route("a", Answer())]).explain("Hello", strategy=lambda q, r, s: None)
