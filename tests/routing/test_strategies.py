"""In which order routes are asked: a property for each order, and what the router then does."""

import itertools
import logging
import math
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from multiroute_core import AllRoutesFailedError, ConfigurationError, Message, Route, Router, Text, Usage
from multiroute_core.messages import Api, Raw, ToolCall, ToolCallResponse
from multiroute_core.options import Options
from multiroute_core.parsing import token_count
from multiroute_core.parsing.arguments import build
from multiroute_core.pricing.prices import Prices
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.routing.strategies import EXPLORE, NEARLY, STRATEGIES, LiveStats, rank_routes
from multiroute_core.testing import (
    Answer,
    Fail,
    SlowAnswer,
    VirtualClock,
    provider_of,
    run_in_virtual_time,
    scripted_route,
)
from tests.examples import examples

HELLO, _ = build("Hello", {})
WIRES: dict[str, Api] = {"anthropic": "anthropic", "openai": "openai.chat", "google": "google", "local": "openai.chat"}
NO_EXPLORING = EXPLORE + 0.1


def free(route, usage):
    return 0.0


def live(routes, standings=(), cost_on=free, draws=None, *, request=HELLO, stream=False, seed=0):
    facts = {r.name: RouteCapabilities(WIRES[r.provider], frozenset()) for r in routes}
    chance = random.Random(seed).random if draws is None else iter(draws).__next__
    return LiveStats(facts, dict(standings), cost_on, chance, token_count.estimate(request), stream)


def names(routes):
    return [route.name for route in routes]


def put(
    routes, order: Any = "priority", request=HELLO, standings=(), cost_on=free, draws=None, *, stream=False, **wanted
):
    """The names of `routes` in their order."""
    state = live(routes, standings, cost_on, draws, request=request, stream=stream)
    return names(rank_routes(request, routes, Options(strategy=order, **wanted), state))


def plain(count, **each):
    """So many routes, with a list of values for each setting."""
    return [
        Route(f"openai:m{n}", name=f"r{n}", **{key: values[n] for key, values in each.items()}) for n in range(count)
    ]


def warm_request(model, tokens=2_000, wire: Api = "openai.chat", end="And now?"):
    """A conversation that `model` has read before, up to its last turn."""
    return build(
        [
            Message("user", "word " * (tokens * 4 // 5)),
            Message("assistant", [Text("Well.", raw=Raw(wire, {"type": "text"}, model))]),
            Message("user", end),
        ],
        {},
    )[0]


standings = st.builds(
    RouteHealth,
    breaker=st.sampled_from(["closed", "open", "half_open"]),
    retry_in=st.sampled_from([0.0, 0.0, 1.0, 5.0]),
    in_flight=st.integers(0, 6),
    limit=st.sampled_from([None, 1.0, 2.5, 5.0]),
    time_to_first_token=st.sampled_from([None, 0.1, 0.2, 0.24, 3.0]),
    latency=st.sampled_from([None, 0.5, 1.0, 1.2, 9.0]),
)
kinds = st.fixed_dictionaries(
    {
        "route": st.sampled_from(
            ["anthropic:claude-sonnet-5-5", "openai:gpt-6-luna", "google:gemini-3.8-flash", "local:x"]
        ),
        "weight": st.sampled_from([0.5, 1.0, 2.0, 7.0]),
        "tasks": st.sets(st.sampled_from(["code", "talk"]), max_size=2),
        "backup": st.sampled_from([False, False, True]),
    }
)
fleets = st.lists(st.tuples(kinds, st.none() | standings), min_size=1, max_size=6)


def fleet(drawn):
    routes = []
    for n, (kind, _) in enumerate(drawn):
        more = {key: value for key, value in kind.items() if key != "route"}
        routes.append(Route(kind["route"], name=f"r{n}", **more))
    return routes, {f"r{n}": standing for n, (_, standing) in enumerate(drawn) if standing is not None}


class TestEveryOrder:
    @given(
        fleets,
        st.sampled_from(tuple(STRATEGIES)),
        st.sampled_from([None, "code", "other"]),
        st.integers(0, 9),
        st.booleans(),
    )
    def test_all_are_asked_and_stronger_reasons_hold(self, drawn, order, task, seed, stream):
        routes, standing = fleet(drawn)
        options = Options(strategy=order, task=task)
        found = rank_routes(HELLO, routes, options, live(routes, standing, seed=seed, stream=stream))
        assert sorted(names(found)) == sorted(names(routes))
        assert found == rank_routes(HELLO, routes, options, live(routes, standing, seed=seed, stream=stream))
        strong = [(r.backup, bool(task) and (0 if task in r.tasks else 1 if not r.tasks else 2)) for r in found]
        assert strong == sorted(strong)

    @pytest.mark.slow
    @given(fleets, st.sampled_from(["weighted", "least_busy", "fastest"]), st.integers(0, 9))
    def test_who_cannot_be_asked_now_is_behind_its_equals(self, drawn, order, seed):
        routes, standing = fleet(drawn)
        found = rank_routes(HELLO, routes, Options(strategy=order), live(routes, standing, seed=seed))
        shut = [(r.backup, standing.get(r.name, RouteHealth()).retry_in > 0) for r in found]
        assert shut == sorted(shut)

    @given(fleets, st.sampled_from(["least_busy", "fastest", "cheapest", "priority"]))
    def test_routes_that_nothing_sets_apart_stay_as_listed(self, drawn, order):
        routes = [Route("openai:same", name=f"r{n}") for n in range(len(drawn))]
        same = {r.name: RouteHealth(in_flight=2, time_to_first_token=1.0, latency=2.0) for r in routes}
        found = put(routes, order, standings=same, draws=[NO_EXPLORING, 0.0, 0.0])
        assert found == names(routes)

    @given(fleets, st.sampled_from(tuple(STRATEGIES)), st.integers(0, 9))
    def test_without_fallback_it_is_the_first_of_them_alone(self, drawn, order, seed):
        routes, standing = fleet(drawn)
        whole = rank_routes(HELLO, routes, Options(strategy=order), live(routes, standing, seed=seed))
        one = rank_routes(HELLO, routes, Options(strategy=order, fallback=False), live(routes, standing, seed=seed))
        assert one == whole[:1]

    @pytest.mark.parametrize("order", STRATEGIES)
    def test_an_open_tool_loop_stays_with_its_model_then_with_its_vendor(self, order):
        routes = [
            Route("openai:gpt-6-luna"),
            Route("anthropic:claude-haiku-5-5"),
            Route("google:gemini-3.8-flash"),
            Route("anthropic:claude-sonnet-5-5"),
        ]
        call = ToolCall("c", "look", {}, raw=Raw("anthropic", {}, "claude-sonnet-5-5"))
        request, _ = build(
            [Message("user", "Look."), Message("assistant", [call]), Message("tool", [ToolCallResponse("c", "Seen.")])],
            {},
        )
        assert put(routes, order, request)[:2] == ["anthropic:claude-sonnet-5-5", "anthropic:claude-haiku-5-5"]


@pytest.mark.slow
@given(fleets, st.sampled_from([None, "code"]))
def test_priority_is_the_list_but_for_stronger_reasons(drawn, task):
    routes, standing = fleet(drawn)
    expected = sorted(
        routes, key=lambda r: (r.backup, bool(task) and (0 if task in r.tasks else 1 if not r.tasks else 2))
    )
    assert put(routes, standings=standing, task=task) == names(expected)


class TestWeighted:
    @pytest.mark.slow
    @given(st.floats(0.1, 10), st.floats(0.1, 10))
    @settings(max_examples=examples(20))
    def test_of_two_the_share_of_all_draws_is_that_of_the_weights(self, one, other):
        """No sample: all pairs of draws, on a grid."""
        fine = 40
        grid = [(n + 0.5) / fine for n in range(fine)]
        routes = plain(2, weight=[one, other])
        first = sum(put(routes, "weighted", draws=pair)[0] == "r0" for pair in itertools.product(grid, grid))
        assert first / fine**2 == pytest.approx(one / (one + other), abs=2 / fine)

    @pytest.mark.slow
    @given(st.lists(st.sampled_from([0.25, 1, 2, 3.5, 10]), min_size=2, max_size=5), st.integers(0, 2**32))
    @settings(max_examples=examples(12), deadline=None)
    def test_shares_are_met_in_the_long_run_by_the_first_and_by_the_second(self, weights, seed):
        routes, many, total = plain(len(weights), weight=weights), 4_000, sum(weights)
        state = live(routes, seed=seed)
        drawn = [tuple(names(rank_routes(HELLO, routes, Options(strategy="weighted"), state))[:2]) for _ in range(many)]
        for n, weight in enumerate(weights):
            share = weight / total
            near(sum(first == f"r{n}" for first, _ in drawn), many, share)
            # Whoever is second has its share of what the first leaves.
            second = sum(w / total * weight / (total - w) for m, w in enumerate(weights) if m != n)
            near(sum(after == f"r{n}" for _, after in drawn), many, second)

    def test_the_router_keeps_the_shares(self):
        routes = [scripted_route(f"r{n}", Answer(), weight=weight) for n, weight in enumerate((1, 2, 5))]
        router = Router(routes, strategy="weighted")
        run_in_virtual_time(router, VirtualClock(), seed=7)
        for _ in range(800):
            router.generate("Hello")
        for route in routes:
            near(len(provider_of(route).takes), 800, route.weight / 8)

    @given(st.integers(0, 99))
    def test_a_warm_route_goes_first_while_it_is_well(self, seed):
        routes, request = plain(3), warm_request("m2")
        state = live(routes, seed=seed)
        assert names(rank_routes(request, routes, Options(strategy="weighted"), state))[0] == "r2"
        ill = {"r2": RouteHealth(breaker="open", retry_in=3.0)}
        state = live(routes, ill, seed=seed)
        assert names(rank_routes(request, routes, Options(strategy="weighted"), state))[-1] == "r2"


def near(count, many, share):
    """Within five standard deviations."""
    assert abs(count - many * share) <= 5 * math.sqrt(many * share * (1 - share)) + 1


class TestLeastBusy:
    @given(fleets)
    def test_the_least_load_for_its_size_is_first(self, drawn):
        routes, standing = fleet(drawn)
        found = rank_routes(HELLO, routes, Options(strategy="least_busy"), live(routes, standing))
        doing = {r.name: standing.get(r.name, RouteHealth()) for r in routes}
        by_limit = all(s.limit for s in doing.values())

        def load(route):
            state = doing[route.name]
            full = state.limit is not None and state.in_flight + 1 > state.limit
            size = state.limit if by_limit else route.weight
            return route.backup, state.retry_in > 0, full, state.in_flight / size, routes.index(route)

        assert found == sorted(routes, key=load)

    @given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=5), st.integers(1, 60))
    def test_load_spreads_by_weight(self, weights, calls):
        routes, busy = plain(len(weights), weight=weights), dict.fromkeys(range(len(weights)), 0)
        for _ in range(calls):
            first = put(routes, "least_busy", standings={f"r{n}": RouteHealth(in_flight=b) for n, b in busy.items()})[0]
            busy[int(first[1:])] += 1
        for (n, one), (m, other) in itertools.permutations(busy.items(), 2):
            # Nobody was given more while another had less for its size.
            assert one == 0 or (one - 1) / weights[n] <= other / weights[m] + 1e-9

    def test_a_maximum_of_its_own_makes_it_full(self):
        routes = [Route("openai:a", name="a", weight=9), Route("openai:b", name="b")]
        assert (
            put(
                routes, "least_busy", standings={"a": RouteHealth(in_flight=1, limit=2), "b": RouteHealth(in_flight=3)}
            )[0]
            == "a"
        )
        assert (
            put(
                routes, "least_busy", standings={"a": RouteHealth(in_flight=2, limit=2), "b": RouteHealth(in_flight=3)}
            )[0]
            == "b"
        )

    def test_a_warm_route_counts_one_less_and_wins_a_tie(self):
        routes, request = plain(2), warm_request("m1")
        for warm, first in ((0, "r1"), (1, "r1"), (2, "r1"), (3, "r0")):
            busy = {"r0": RouteHealth(in_flight=1), "r1": RouteHealth(in_flight=warm)}
            assert put(routes, "least_busy", request, busy)[0] == first


class TestFastest:
    SPEEDS = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.5, 2.0]), min_size=2, max_size=5)

    @given(SPEEDS, st.booleans())
    def test_the_first_is_the_faster_of_every_two(self, speeds, stream):
        """All pairs that can be drawn, each once."""
        routes, many = plain(len(speeds)), len(speeds)
        doing = {f"r{n}": measured(speed, stream=stream) for n, speed in enumerate(speeds)}
        firsts = []
        for one, other in itertools.product(range(many), range(many - 1)):
            draws = [NO_EXPLORING, (one + 0.5) / many, (other + 0.5) / (many - 1)]
            found = put(routes, "fastest", standings=doing, draws=draws, stream=stream)
            rest = [n for n in range(many) if n != one]
            firsts.append(int(found[0][1:]))
            assert firsts[-1] == min(one, rest[other], key=lambda n: (speeds[n], n))
            others = [n for n in range(many) if n != firsts[-1]]
            assert found[1:] == [f"r{n}" for n in sorted(others, key=lambda n: (speeds[n], n))]
        ranked = sorted(range(many), key=lambda n: (speeds[n], n))
        # So the fastest is the first for two requests in n, the next one for a little less, the slowest for none.
        assert [firsts.count(n) for n in ranked] == [2 * (many - 1 - place) for place in range(many)]

    @given(st.integers(1, 3), st.integers(0, 3), st.floats(0, EXPLORE, exclude_max=True))
    def test_exploring_draws_evenly_among_the_unmeasured_or_else_among_all(self, known, unknown, small):
        routes = plain(known + unknown)
        doing = {f"r{n}": measured(1.0) for n in range(known)}
        pool = names(routes)[known:] or names(routes)
        firsts = [
            put(routes, "fastest", standings=doing, draws=[small, (n + 0.5) / len(pool)])[0] for n in range(len(pool))
        ]
        assert firsts == pool

    def test_one_request_in_twenty_explores(self):
        routes, many = plain(2), 4_000
        state = live(routes, {"r0": measured(1.0)}, seed=3)
        firsts = [rank_routes(HELLO, routes, Options(strategy="fastest"), state)[0].name for _ in range(many)]
        near(firsts.count("r1"), many, EXPLORE)

    def test_backups_and_shut_routes_are_not_drawn(self):
        routes = [*plain(3), Route("openai:b", name="b", backup=True)]
        doing = {
            "r0": measured(9.0),
            "r1": RouteHealth(breaker="open", retry_in=1, time_to_first_token=0.1, latency=0.1),
            "b": measured(0.1),
        }
        for draws in itertools.product((0.0, NO_EXPLORING), (0.0, 0.5, 0.999), (0.0, 0.5, 0.999)):
            found = put(routes, "fastest", standings=doing, draws=draws)
            assert found[0] in ("r0", "r2")
            assert found[2:] == ["r1", "b"]

    @given(st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(0, 0.999), st.floats(0, 0.999))
    def test_a_warm_route_goes_first_if_it_is_nearly_as_fast(self, zero, one, two, first, second):
        speeds, request = (zero, one, two), warm_request("m2")
        doing = {f"r{n}": measured(speed) for n, speed in enumerate(speeds)}
        draws = [NO_EXPLORING, first, second]
        cold = int(put(plain(3), "fastest", standings=doing, draws=draws)[0][1:])
        found = put(plain(3), "fastest", request, doing, draws=draws)[0]
        assert found == ("r2" if two <= speeds[cold] * NEARLY else f"r{cold}")

    def test_the_router_learns_who_is_fast(self):
        clock = VirtualClock()
        routes = [
            scripted_route(f"r{n}", SlowAnswer(seconds), sleep=clock.sleep) for n, seconds in enumerate((3.0, 2.0, 0.5))
        ]
        router = Router(routes, strategy="fastest")
        run_in_virtual_time(router, clock, seed=11)
        for _ in range(400):
            router.generate("Hello")
        asked = [len(provider_of(route).takes) for route in routes]
        assert asked[2] > asked[1] > asked[0] > 0, "two choices, and nobody is forgotten"
        assert sum(asked) == 400


def measured(seconds, *, stream=False):
    """A route of that speed; what it does otherwise is far from it."""
    return RouteHealth(time_to_first_token=seconds if stream else 50.0, latency=50.0 if stream else seconds, samples=9)


MODELS = (
    "google:gemini-2.5-pro",
    "openai:gpt-5.4",
    "anthropic:claude-sonnet-4-5",
    "anthropic:claude-haiku-5-5",
    "openai:gpt-6-luna",
    "google:gemini-3.8-flash",
    "openai:nobody-knows-its-price",
)
money = st.floats(0.01, 50)
price_lists = st.builds(
    lambda fresh, out, read, write: {"input": fresh, "output": out, "cache_read": read, "cache_write": write},
    money,
    money,
    st.none() | money,
    st.none() | money,
)


class TestCheapest:
    @pytest.mark.slow
    @given(
        st.permutations(MODELS),
        st.sampled_from([10, 900, 5_000, 150_000, 199_000, 205_000, 280_000]),
        st.sampled_from([None, 20, 4_000]),
        st.sampled_from([None, *MODELS[:5]]),
    )
    @settings(deadline=None, max_examples=examples(60))
    def test_by_the_prices_of_this_request_long_inputs_and_prompt_caches_included(self, models, size, most, warm):
        routes, prices = [Route(model) for model in models], Prices()
        provider, _, model = (warm or ":").partition(":")
        request = warm_request(model, size, WIRES.get(provider, "google"))
        request = build(request.messages, {"max_tokens": most} if most else {})[0]
        found = put(routes, "cheapest", request, cost_on=prices.cost_on)

        tokens = sum(len(message.text) for message in request.messages) / 4  # by hand: English, four to a token
        kept = len(request.messages[0].text) / 4
        costs = []
        for name in found:
            read = kept if name == warm and kept >= 1_030 else 0
            written = tokens - read if name.startswith("anthropic") and tokens >= 1_030 else 0
            usage = Usage(
                input_tokens=round(tokens),
                output_tokens=min(most or 256, 256),
                cache_read_tokens=round(read),
                cache_write_tokens=round(written),
            )
            costs.append(prices.cost_on(Route(name), usage))
        assert costs[-1] is None, "an unknown price comes last"
        for one, other in itertools.pairwise(costs[:-1]):
            assert one <= other * 1.05

    def test_a_long_input_and_a_warm_cache_each_change_who_is_the_cheapest(self):
        routes, prices = [Route("openai:gpt-5"), Route("google:gemini-2.5-pro")], Prices()
        # Equal prices, until Google's double above 200,000 tokens.
        assert put(routes[::-1], "cheapest", build("x" * 4_000, {})[0], cost_on=prices.cost_on)[0] == routes[1].name
        assert put(routes[::-1], "cheapest", build("x" * 900_000, {})[0], cost_on=prices.cost_on)[0] == routes[0].name
        dear, cheap = Route("openai:gpt-5"), Route("google:gemini-3.8-flash")
        cold = build("word " * 8_000, {})[0]
        assert put([dear, cheap], "cheapest", cold, cost_on=prices.cost_on)[0] == cheap.name
        warm = warm_request("gpt-5", 10_000)
        assert put([dear, cheap], "cheapest", warm, cost_on=prices.cost_on)[0] == dear.name

    @given(st.lists(price_lists, min_size=2, max_size=4), st.integers(1, 20_000), st.booleans(), st.integers(0, 3))
    @settings(deadline=None, max_examples=examples(40))
    def test_the_one_that_is_asked_costs_least_by_what_the_answers_then_carry(self, lists, size, warm, which):
        """Every route is made to answer the same request; the one that goes first by order has the lowest bill."""
        which %= len(lists)

        def script(asked):
            # What a vendor with a prompt cache counts. The tokens are a multiple of four characters.
            whole = sum(4 + -(-len(message.text) // 4) for message in asked.request.messages) + 1
            first = asked.request.messages[0]
            kept = 4 + -(-len(first.text) // 4)
            read = kept if warm and asked.route == f"r{which}" and kept >= 1_024 else 0
            return Answer("Yes.", usage=Usage(whole, min(asked.request.max_tokens or 256, 256), read, 0))

        routes = [scripted_route(f"r{n}", script, prices=each) for n, each in enumerate(lists)]
        router, request = Router(routes), warm_request(f"r{which}" if warm else "another", size)
        bills = {r.name: router.generate(request.messages, model=r.name).cost for r in routes}
        told = {row.route: row.expected_cost for row in router.explain(request.messages, strategy="cheapest").rows}
        assert told == pytest.approx(bills)
        first = router.generate(request.messages, strategy="cheapest")
        assert None not in bills.values()
        assert first.cost == pytest.approx(min(bill for bill in bills.values() if bill is not None))

    def test_a_backup_stays_last_though_it_is_free(self):
        routes = [Route("local:x", backup=True), Route("openai:gpt-6-luna")]
        assert put(routes, "cheapest", cost_on=Prices().cost_on) == ["openai:gpt-6-luna", "local:x"]

    def test_prices_of_its_own_go_before_those_of_the_table(self):
        routes = [
            Route("openai:gpt-6-luna"),
            Route("openai:gpt-6-luna", name="mine", prices={"input": 0.0, "output": 0.0}),
        ]
        assert put(routes, "cheapest", cost_on=Prices().cost_on) == ["mine", "openai:gpt-6-luna"]


class TestFunctions:
    @pytest.mark.slow
    @given(fleets, st.randoms(use_true_random=False))
    def test_any_of_the_candidates_in_any_order(self, drawn, dice):
        routes, standing = fleet(drawn)
        wanted = dice.sample(routes, dice.randint(1, len(routes)))
        heard = []

        def mine(*args):
            heard.append(args)
            return (r for r in wanted)

        assert put(routes, mine, standings=standing) == names(sorted(wanted, key=lambda r: r.backup))
        ((request, candidates, told),) = heard
        assert request is HELLO
        assert candidates == tuple(routes)
        assert {name: told[name] for name in names(routes)} == {
            n: standing.get(n, RouteHealth()) for n in names(routes)
        }
        with pytest.raises(TypeError):
            told["r0"] = RouteHealth()

    BAD = (
        lambda q, r, s: None,
        lambda q, r, s: [],
        lambda q, r, s: 7,
        lambda q, r, s: "r0",
        lambda q, r, s: [route.name for route in r],
        lambda q, r, s: [*r, r[0]],
        lambda q, r, s: [*r, Route("openai:stranger")],
        lambda q, r, s: [None],
    )

    @pytest.mark.parametrize("bad", range(len(BAD)))
    def test_anything_else_is_refused_and_nobody_is_asked(self, bad):
        routes = [scripted_route("r0", Answer()), scripted_route("r1", Answer())]
        with pytest.raises(ConfigurationError, match=r"one or more of the candidates, each once"):
            Router(routes).generate("Hello", strategy=self.BAD[bad])
        assert not any(provider_of(route).takes for route in routes)

    def test_a_coroutine_is_refused_and_closed(self, recwarn):
        async def mine(request, routes, standings):
            return routes

        with pytest.raises(ConfigurationError, match="'mine' returned <coroutine"):
            put(plain(2), mine)
        assert not recwarn.list

    @pytest.mark.parametrize("late", [False, True], ids=["at once", "while it is read"])
    def test_one_that_fails_is_logged_and_changes_nothing(self, caplog, late):
        def mine(request, routes, standings):
            if not late:
                raise ValueError("Sorry.")
            return (route for route in [1 / 0])

        routes = [scripted_route("r0", Answer()), scripted_route("r1", Answer())]
        with caplog.at_level(logging.ERROR):
            assert Router(routes).generate("Hello", strategy=mine).route == "r0"
        assert "'mine' failed" in caplog.text

    def test_the_router_asks_as_it_says(self):
        routes = [scripted_route(f"r{n}", Fail()) for n in range(4)]
        router = Router(routes, strategy=lambda q, r, s: (r[2], r[0]), max_retries=0)
        with pytest.raises(AllRoutesFailedError) as error:
            router.generate("Hello")
        assert [attempt.route for attempt in error.value.attempts] == ["r2", "r0"]


@pytest.mark.slow
@given(fleets, st.sampled_from(tuple(STRATEGIES)), st.integers(0, 9))
@settings(deadline=None, max_examples=examples(60))
def test_the_router_asks_all_in_this_order(drawn, order, seed):
    kinds = [{key: value for key, value in kind.items() if key != "route"} for kind, _ in drawn]
    assume(len(kinds) > 1)
    routes = [scripted_route(f"r{n}", Fail(), **kind) for n, kind in enumerate(kinds)]
    router = Router(routes, strategy=order, max_retries=0)
    run_in_virtual_time(router, VirtualClock(), seed)
    told = [row.route for row in router.explain("Hello").rows]
    run_in_virtual_time(router, VirtualClock(), seed)
    with pytest.raises(AllRoutesFailedError) as error:
        router.generate("Hello")
    assert [attempt.route for attempt in error.value.attempts] == told
