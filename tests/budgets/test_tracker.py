"""Budgets: what is refused, what is told, and that no two callers spend the same money."""

import asyncio
import logging
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import multiroute_core
from multiroute_core import (
    AllRoutesFailedError,
    Budget,
    BudgetAlert,
    BudgetExceededError,
    ConfigurationError,
    Ledger,
    Router,
    ServerError,
    StreamInterruptedError,
    Usage,
)
from multiroute_core.events import AttemptEnded, RouteSkipped
from multiroute_core.testing import (
    Answer,
    DropConnection,
    Fail,
    Script,
    SlowAnswer,
    VirtualClock,
    provider_of,
    rate_limited,
    run_in_virtual_time,
    scripted_route,
)
from tests.chat_server import FACES, ask

EVERY = pytest.mark.parametrize("face", FACES)
DAY = 86_400.0
TEN = Usage(input_tokens=0, output_tokens=10)
ANSWER = Answer("Well.", usage=TEN)


def dear(name="dear", script: Script = ANSWER, **options):
    """A route on which ten tokens of output cost 0.001 USD, and input nothing."""
    return scripted_route(name, script, prices={"input": 0.0, "output": 100.0}, **options)


def cheap(name="cheap", script=ANSWER, **options):
    """One that costs a hundredth of it."""
    return scripted_route(name, script, prices={"input": 0.0, "output": 1.0}, **options)


def asked(router, face="generate", **options):
    return ask(router, face, max_tokens=10, **options)


def calls(route):
    return len(provider_of(route).takes)


@EVERY
class TestHard:
    def test_it_refuses_what_it_cannot_pay_for_and_sends_nothing(self, face):
        route = dear()
        router = Router([route], budget=Budget(usd=0.003, hard=True))
        for _ in range(3):
            assert asked(router, face).cost == pytest.approx(0.001)
        with pytest.raises(BudgetExceededError, match=r"0 USD left of 0\.003 USD.*may cost 0\.001 USD.*resets") as e:
            asked(router, face)
        assert calls(route) == 3
        error = e.value
        assert (error.budget, error.scope_value, error.remaining) == ("usd/day", "", 0.0)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= DAY
        assert error.resets_at == pytest.approx(time.time() + error.retry_after, abs=60)

    def test_it_passes_over_a_route_that_is_too_dear(self, face):
        first, second, heard = dear(), cheap(), []
        router = Router([first, second], budget=Budget(usd=0.0015, hard=True), on_event=[heard.append])
        assert [asked(router, face).route for _ in range(3)] == ["dear", "cheap", "cheap"]
        skipped = [event for event in heard if isinstance(event, RouteSkipped)]
        assert {event.reason for event in skipped} == {"budget"} and "left of 0.0015 USD" in skipped[0].message

    def test_what_failed_costs_nothing_and_its_reserve_is_free_again(self, face):
        broken = dear("broken", Fail(ServerError))
        router = Router([broken, cheap()], budget=Budget(usd=0.001 + 3 * 0.00001, hard=True), max_retries=0)
        assert [asked(router, face).route for _ in range(3)] == ["cheap"] * 3
        assert calls(broken) == 3
        with pytest.raises(AllRoutesFailedError, match="budget"):
            router = Router(
                [broken, dear()], budget=Budget(usd=0.0009, hard=True, scope_values={"dear"}, scope="route")
            )
            asked(router, face)

    def test_tokens(self, face):
        router = Router([dear()], budget=Budget(tokens=60, hard=True))
        asked(router, face)
        with pytest.raises(BudgetExceededError, match=r"50 tokens left of 60 tokens") as e:
            ask(router, face, max_tokens=50)
        assert e.value.remaining == 50


class TestCalls:
    @EVERY
    def test_each_has_its_own(self, face):
        router = Router([dear()], budget=Budget(usd=0.001, per="call", hard=True))
        for _ in range(3):
            asked(router, face)
        with pytest.raises(BudgetExceededError, match=r"'usd/call' has 0\.001 USD left"):
            ask(router, face, max_tokens=11)

    @pytest.mark.parametrize("face", ["stream", "astream"])
    def test_its_tries_share_it(self, face):
        """What broke off has cost something, and then too little is left for another one."""
        broken, second = dear("broken", DropConnection(6, Answer(["word "] * 8))), dear("second")
        budget = Budget(usd=0.001, per="call", hard=True)
        with pytest.raises(StreamInterruptedError) as e:
            asked(Router([broken, second], on_stream_error="restart", budget=budget), face)
        assert "usd/call" in "".join(e.value.__notes__)
        assert (calls(broken), calls(second)) == (1, 0)
        router = Router([broken, second], on_stream_error="restart", budget=Budget(usd=0.002, per="call", hard=True))
        assert list(router.stream("Hi", max_tokens=10))[-1].response.route == "second"


def test_a_session_does_not_begin_anew():
    clock = VirtualClock()
    router = Router([dear()], budget=Budget(usd=0.001, per="session", hard=True))
    run_in_virtual_time(router, clock)
    asked(router)
    clock.sleep(40 * DAY)
    with pytest.raises(BudgetExceededError) as e:
        asked(router)
    assert e.value.resets_at is None and e.value.retry_after is None


class TestPeriods:
    @pytest.mark.parametrize(("per", "seconds"), [("day", DAY), ("month", 31 * DAY)])
    def test_they_begin_anew(self, per, seconds):
        clock = VirtualClock()
        router = Router([dear()], budget=Budget(usd=0.001, per=per, hard=True))
        run_in_virtual_time(router, clock)
        for _ in range(3):
            asked(router)
            with pytest.raises(BudgetExceededError) as e:
                asked(router)
            assert e.value.retry_after == pytest.approx(e.value.resets_at - clock.time())
            clock.sleep(e.value.retry_after or 0.0)

    def test_of_a_time_zone(self):
        berlin = Budget(usd=1, timezone="Europe/Berlin")
        noon = 1_774_695_600.0  # 2026-03-28 11:00 UTC; the day after has 23 hours there
        before, start, end = berlin.starts(noon)
        assert (start - before, end - start) == (DAY, DAY)
        assert [b - a for a, b in zip(berlin.starts(end), berlin.starts(end)[1:], strict=False)] == [DAY, DAY - 3600]
        month = Budget(usd=1, per="month", timezone="Europe/Berlin").starts(noon)
        assert [b - a for a, b in zip(month, month[1:], strict=False)] == [28 * DAY, 31 * DAY - 3600]


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "one", "other"),
        [
            ("tenant", {"tenant": "a"}, {"tenant": "b"}),
            ("label", {"labels": {"a"}}, {"labels": {"b", "c"}}),
            ("task", {"task": "a"}, {"task": "b"}),
        ],
    )
    def test_each_has_its_own(self, scope, one, other):
        router = Router([dear()], budget=Budget(usd=0.001, scope=scope, hard=True))
        for whose in (one, other, {}):
            asked(router, **whose)
            with pytest.raises(BudgetExceededError, match=f"of {scope} '[abc]' has" if whose else "has 0 USD left"):
                asked(router, **whose)

    def test_each_route(self):
        routes = [dear("one"), dear("two")]
        router = Router(routes, budget=Budget(usd=0.001, scope="route", hard=True))
        assert [asked(router).route for _ in range(2)] == ["one", "two"]
        with pytest.raises(BudgetExceededError, match="route 'one'"):
            asked(router)

    def test_several_labels_are_all_counted(self):
        router = Router([dear()], budget=Budget(usd=0.002, scope="label", hard=True))
        asked(router, labels={"a", "b"})
        asked(router, labels={"b"})
        with pytest.raises(BudgetExceededError, match="label 'b'"):
            asked(router, labels={"a", "b"})
        asked(router, labels={"a"})  # what was refused has taken nothing of it

    def test_only_some(self):
        router = Router([dear()], budget=Budget(usd=0.0, scope="tenant", scope_values={"a"}, hard=True))
        asked(router, tenant="b")
        with pytest.raises(BudgetExceededError):
            asked(router, tenant="a")

    def test_several_budgets(self):
        per_tenant, everyone = Budget(usd=0.002, scope="tenant", hard=True), Budget(usd=0.003, per="month", hard=True)
        router = Router([dear()], budget=[per_tenant, everyone])
        for tenant in ("a", "a", "b"):
            asked(router, tenant=tenant)
        for tenant, whose in (("a", "usd/day/tenant"), ("b", "usd/month")):
            with pytest.raises(BudgetExceededError) as e:
                asked(router, tenant=tenant)
            assert e.value.budget == whose

    def test_options_around_a_chain(self):
        router = Router([dear()], budget=Budget(usd=0.001, scope="tenant", hard=True))
        with multiroute_core.options(tenant="a"):
            asked(router)
            with pytest.raises(BudgetExceededError):
                asked(router)


class TestSoft:
    def test_it_tells_and_then_the_cheapest_route_comes_first(self, caplog):
        alerts, heard = [], []
        budget = Budget(usd=0.002, on_alert=alerts.append, alerts=(0.5, 1.0))
        router = Router([dear(), cheap()], budget=budget, on_event=[heard.append])
        with caplog.at_level(logging.WARNING, "multiroute_core"):
            assert [asked(router).route for _ in range(5)] == ["dear", "dear", "cheap", "cheap", "cheap"]
        assert [(alert.threshold, alert.spent, alert.limit) for alert in alerts] == [
            (0.5, 0.001, 0.002),
            (1.0, 0.002, 0.002),
        ]
        assert alerts == [event for event in heard if isinstance(event, BudgetAlert)]
        assert [record.getMessage() for record in caplog.records] == [
            "Budget 'usd/day': 0.001 USD of 0.002 USD spent.",
            "Budget 'usd/day': 0.002 USD of 0.002 USD spent.",
        ]

    def test_two_shares_that_one_call_passes_are_one_line(self, caplog):
        alerts = []
        router = Router([dear()], budget=Budget(usd=0.001, on_alert=alerts.append))
        with caplog.at_level(logging.WARNING, "multiroute_core"):
            asked(router)
        assert [alert.threshold for alert in alerts] == [0.8, 1.0]
        assert [record.getMessage() for record in caplog.records] == ["Budget 'usd/day': 0.001 USD of 0.001 USD spent."]

    def test_a_new_day_is_a_new_chance(self):
        clock, alerts = VirtualClock(), []
        router = Router([dear(), cheap()], budget=Budget(usd=0.001, on_alert=[alerts.append]))
        run_in_virtual_time(router, clock)
        assert [asked(router).route for _ in range(2)] == ["dear", "cheap"]
        clock.sleep(DAY)
        assert [asked(router).route for _ in range(2)] == ["dear", "cheap"]
        assert [alert.threshold for alert in alerts] == [0.8, 1.0, 0.8, 1.0]

    def test_who_is_told_cannot_break_anything(self, caplog):
        router = Router([dear()], budget=Budget(usd=0.0001, on_alert=lambda _: 1 / 0))
        assert asked(router).text == "Well."
        assert "ZeroDivisionError" in caplog.text


class TestReserve:
    def test_callers_who_come_at_once_cannot_spend_the_same_money(self):
        route = dear(script=SlowAnswer(0.02, ANSWER))
        router = Router([route], budget=Budget(usd=0.010, hard=True))

        def one(_):
            try:
                return asked(router).text
            except BudgetExceededError:
                return None

        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(one, range(64)))
        assert sum(answer is not None for answer in answers) == calls(route) == 10

    def test_an_answer_that_is_given_up_gives_its_reserve_back(self):
        router = Router([dear(script=SlowAnswer(30.0, ANSWER))], budget=Budget(usd=0.001, hard=True))

        async def given_up():
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(router.agenerate("Hi", max_tokens=10), 0.05)
            stream = router.astream("Hi", max_tokens=10)
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(router.agenerate("Hi", max_tokens=10), 0.05)

        asyncio.run(given_up())

    def test_a_stream_that_is_left_is_paid_for_by_estimate(self):
        pieces = Answer(["word "] * 40, usage=Usage(0, 40))
        ledger, events = Ledger(), []
        router = Router([dear(script=pieces)], budget=Budget(usd=1, hard=True), ledger=ledger, on_event=[events.append])
        stream = router.stream("Hi", max_tokens=40)
        for _ in range(20):
            next(stream)
        stream.close()
        (attempt,) = [event.attempt for event in events if isinstance(event, AttemptEnded)]
        assert attempt.estimated_cost is not None
        assert 0 < attempt.estimated_cost < 0.004
        assert ledger.spent(since=0).usd == attempt.estimated_cost
        with pytest.raises(BudgetExceededError) as e:
            ask(router, "generate", max_tokens=10_000)
        assert e.value.remaining == pytest.approx(1 - attempt.estimated_cost, abs=1e-8)

    def test_a_count_of_the_beginning_is_none_of_what_was_said(self):
        """Anthropic tells the prompt's tokens at once, and one token of output."""
        broken = dear("broken", DropConnection(30, Answer(["word "] * 40), usage=Usage(7, 1)))
        with pytest.raises(StreamInterruptedError) as e:
            list(Router([broken], ledger=Ledger()).stream("Hi", max_tokens=40))
        (attempt,) = e.value.attempts
        assert (attempt.usage.output_tokens, attempt.cost) == (1, None)
        assert attempt.estimated_usage.input_tokens == 7 and attempt.estimated_usage.output_tokens >= 30
        assert attempt.estimated_cost == pytest.approx(attempt.estimated_usage.output_tokens / 10_000)

    def test_a_route_that_is_shut_takes_nothing(self):
        limited = dear("limited", rate_limited(600.0))
        router = Router([limited, cheap()], budget=Budget(usd=0.00103, hard=True))
        assert [asked(router).route for _ in range(3)] == ["cheap"] * 3
        assert calls(limited) == 1
        assert ask(router, "generate", max_tokens=950).route == "cheap"  # nothing of it is held for the other one

    def test_both_tries_of_a_hedge_are_paid_for(self):
        usual, quick = dear("usual", [ANSWER] * 30 + [SlowAnswer(5.0, ANSWER)]), dear("quick")
        budget = Budget(usd=0.0325, hard=True)
        router = Router([usual, quick], hedge_budget=1.0, budget=budget)
        for _ in range(30):
            asked(router)
        assert asked(router).route == "quick"
        with pytest.raises(BudgetExceededError) as e:
            ask(router, "generate", max_tokens=100)
        assert e.value.remaining == pytest.approx(0.0015)  # who was called off has told no usage

    def test_a_hit_of_the_cache_costs_nothing(self):
        router = Router([dear()], budget=Budget(usd=0.001, hard=True), cache="memory")
        assert [asked(router).cached for _ in range(3)] == [False, True, True]


class TestLedger:
    def test_what_was_spent_before_is_looked_up(self, tmp_path):
        settings = {"ledger": f"sqlite:///{tmp_path}/ledger.db", "budget": Budget(usd=0.003, scope="tenant", hard=True)}
        with Router([dear()], **settings) as router:
            asked(router, tenant="a")
            asked(router, tenant="a")
            asked(router, tenant="b")
        with Router([dear()], **settings) as router:
            asked(router, tenant="a")
            with pytest.raises(BudgetExceededError):
                asked(router, tenant="a")
            asked(router, tenant="b")
            asyncio.run(router.agenerate("Hi", max_tokens=10, tenant="b"))
            with pytest.raises(BudgetExceededError):
                asked(router, tenant="b")

    @pytest.mark.parametrize("scope", ["tenant", "label", "task", "route"])
    def test_of_each_and_of_the_nameless(self, tmp_path, scope):
        settings = {"ledger": f"sqlite:///{tmp_path}/ledger.db", "budget": Budget(usd=0.002, scope=scope, hard=True)}
        spends = {"tenant": {"tenant": "a"}, "label": {"labels": {"a", "b"}}, "task": {"task": "a"}, "route": {}}[scope]
        for _ in range(2):
            with Router([dear()], **settings) as router:
                asked(router, **spends)
                if scope != "route":
                    asked(router)
        with Router([dear()], **settings) as router:
            for whose in (spends, {}):
                with pytest.raises(BudgetExceededError):
                    asked(router, **whose)

    def test_one_that_cannot_be_read_stops_a_hard_one(self, caplog):
        class Broken:
            dropped, quick = 0, True

            def append(self, records, first):
                pass

            def read(self, which):
                raise OSError("the disk is gone")

            def read_spending(self, which):
                raise OSError("the disk is gone")

            def forked(self):
                pass

            def close(self):
                pass

        router = Router([dear()], ledger=Ledger(Broken()), budget=Budget(usd=1, hard=True))
        with pytest.raises(BudgetExceededError, match="cannot be read now: the ledger cannot be read .*disk is gone"):
            asked(router)
        assert asked(Router([dear()], ledger=Ledger(Broken()), budget=Budget(usd=1))).text == "Well."
        assert "cannot be read from the ledger" in caplog.text


def test_how_they_stand():
    clock = VirtualClock()
    clock.sleep(3 * DAY)
    budgets = [Budget(usd=0.002, scope="tenant"), Budget(tokens=100, per="session", hard=True)]
    router = Router([dear()], budget=budgets)
    run_in_virtual_time(router, clock)
    assert list(router.budgets()) == []
    for tenant in ("a", "a", "<b>"):
        asked(router, tenant=tenant)
    told = [(one.budget, one.scope_value, one.spent, one.remaining) for one in router.budgets()]
    assert told == [
        ("usd/day/tenant", "a", 0.002, 0.0),
        ("usd/day/tenant", "<b>", 0.001, 0.001),
        ("tokens/session", "", 30, 70),
    ]
    text = str(router.budgets()).splitlines()
    assert text[1].split() == [
        "usd/day/tenant",
        "a",
        "$0.00200",
        "$0.00200",
        "$0",
        "█" * 12,
        "100",
        "%",
        *text[1].split()[-3:],
    ]
    assert text[1].endswith("1970-01-05 00:00 UTC") and "tokens/session (hard)" in text[3]
    assert "&lt;b&gt;" in router.budgets()._repr_html_()
    clock.sleep(DAY)
    assert [one.budget for one in router.budgets()] == ["tokens/session"]


class TestEstimate:
    def test_what_a_call_would_cost_and_may_cost(self):
        routes = [dear(), cheap(), scripted_route("own", ANSWER)]
        found = Router(routes).estimate("Hi", max_tokens=10)
        assert [(one.route, one.output_tokens, one.most_output_tokens) for one in found] == [
            ("dear", 10, 10),
            ("cheap", 10, 10),
            ("own", 10, 10),
        ]
        assert [one.cost for one in found] == [pytest.approx(0.001), pytest.approx(0.00001), None]
        assert found.cost == found[0].most_cost == pytest.approx(0.001)
        assert "unknown" in str(found) and "<table" in found._repr_html_()

    def test_of_an_answer_whose_length_nobody_knows(self):
        (found,) = Router([dear()]).estimate("Hi")
        assert (found.output_tokens, found.most_output_tokens) == (256, 1024)
        assert found.most_cost == pytest.approx(0.1024)

    def test_only_of_those_that_may_answer(self):
        assert [one.route for one in Router([dear(), cheap()]).estimate("Hi", model="cheap")] == ["cheap"]
        with pytest.raises(ConfigurationError, match="There are no messages"):
            Router([dear()]).estimate([])


class TestBadInput:
    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({}, "takes usd or tokens"),
            ({"usd": 1, "tokens": 1}, "takes usd or tokens"),
            ({"usd": -1}, "usd=-1 is not valid; expected a number of at least 0"),
            ({"usd": float("nan")}, "expected a number"),
            ({"usd": "20"}, "usd='20' is not valid; expected a number"),
            ({"tokens": 1.5}, "tokens=1.5 is not valid"),
            ({"usd": 1, "per": "days"}, "Unknown per 'days': did you mean 'day'"),
            ({"usd": 1, "scope": "tenants"}, "did you mean 'tenant'"),
            ({"usd": 1, "scope_values": {"a"}}, "scope_values= needs scope="),
            ({"usd": 1, "hard": 1}, "hard=1 is not valid; expected True or False"),
            ({"usd": 1, "timezone": "Europe/Berln"}, "timezone='Europe/Berln' is not a valid time zone"),
            ({"usd": 1, "timezone": "../etc/passwd"}, "is not a valid time zone"),
            ({"usd": 1, "alerts": [0]}, "expected shares greater than 0"),
            ({"usd": 1, "on_alert": "me"}, "on_alert='me' is not valid; expected functions"),
            ({"usd": 1, "name": ""}, "name='' is not valid; expected a non-empty string"),
        ],
    )
    def test_is_told_at_once(self, given, told):
        with pytest.raises(ConfigurationError, match=told):
            Budget(**given)

    def test_of_the_router(self):
        with pytest.raises(ConfigurationError, match="expected a Budget, such as"):
            Router([dear()], budget=[20])  # pyright: ignore[reportArgumentType]  # refused
        with pytest.raises(ConfigurationError, match="Two budgets are named 'usd/day'"):
            Router([dear()], budget=[Budget(usd=1), Budget(usd=2)])

    def test_a_price_that_nobody_knows(self, caplog):
        unknown = scripted_route("own", ANSWER)
        with pytest.raises(ConfigurationError, match=r"price of route 'own' is unknown.*give Route\(prices"):
            Router([unknown], budget=Budget(usd=1, hard=True))
        assert asked(Router([unknown], budget=Budget(usd=1))).text == "Well."
        assert "price of route 'own' is unknown" in caplog.text
        assert asked(Router([unknown], budget=Budget(tokens=100, hard=True))).text == "Well."


def test_a_router_with_a_budget_is_pickled(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    budget = Budget(usd=5, per="month", scope="tenant", hard=True)
    router = Router(["openai:gpt-6-luna"], budget=budget)
    assert pickle.loads(pickle.dumps(router))._settings.budgets == (budget,)  # noqa: S301
