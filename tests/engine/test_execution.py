"""What the flow does besides asking the next route: declined answers, races, limits, and who pays."""

import asyncio
import time

import pytest

from multiroute_core import (
    AllRoutesFailedError,
    ConfigurationError,
    ContentFilterError,
    ContextOverflowError,
    QuotaExhaustedError,
    Router,
    ServerError,
    Usage,
)
from multiroute_core.ledger.totals import Totals
from multiroute_core.providers.models import Model
from multiroute_core.resilience import retry_budget
from multiroute_core.testing import (
    Answer,
    EnforceContextWindow,
    Fail,
    SlowAnswer,
    VirtualLoop,
    provider_of,
    rate_limited,
    run_in_virtual_time,
    scripted_route,
)
from tests.chat_server import FACES, ask


def takes(*routes):
    return [len(provider_of(route).takes) for route in routes]


@pytest.mark.parametrize("face", FACES)
class TestDeclined:
    """Content filters and refusals are answers, and failures only if asked."""

    def routes(self, *behaviours):
        return [scripted_route(name, behaviour) for name, behaviour in zip("abc", behaviours, strict=False)]

    def test_a_refusal_is_an_answer(self, face):
        routes = self.routes(Answer((), finish_reason="refusal"), Answer())
        assert ask(Router(routes), face).finish_reason == "refusal"
        assert takes(*routes) == [1, 0]

    @pytest.mark.parametrize("reason", ["refusal", "content_filter"])
    def test_it_falls_back_if_asked(self, face, reason):
        routes = self.routes(Answer((), finish_reason=reason), Answer("Gladly."))
        response = ask(Router(routes, fallback_on={reason}), face)
        assert (response.text, response.route, takes(*routes)) == ("Gladly.", "b", [1, 1])
        assert [a.outcome for a in response.attempts] == ["success", "success"]
        assert [a.error for a in response.attempts] == [f"The model declined to answer ({reason}).", None]
        totals = Totals()
        totals.record_answer(response.model, response.usage, response.summary())
        total = totals.total
        assert (total.fallbacks, total.hedges, total.failed_attempts) == (1, 0, 0)

    def test_the_first_one_is_given_where_nobody_does_better(self, face):
        routes = self.routes(Answer((), finish_reason="refusal"), Answer((), finish_reason="refusal"), Fail())
        response = ask(Router(routes, max_retries=0), face, fallback_on="refusal")
        assert (response.finish_reason, response.route) == ("refusal", "a")
        assert [a.route for a in response.attempts] == ["a", "b", "c"]

    def test_a_blocked_prompt_moves_on(self, face):
        """A filter or policy is its vendor's: another one's may let the prompt pass. No breaker counts it."""
        routes = self.routes(Fail(ContentFilterError), Answer("Gladly."))
        router = Router(routes)
        for calls in range(1, 5):
            assert ask(router, face).text == "Gladly."
            assert takes(*routes) == [calls, calls]
        assert router.health()["a"].breaker == "closed"
        with pytest.raises(ContentFilterError):
            ask(Router(routes, fallback=False), face)

    def test_where_all_block_it_the_error_says_so(self, face):
        routes = self.routes(Fail(ContentFilterError), Fail(ContentFilterError))
        with pytest.raises(ContentFilterError) as caught:
            ask(Router(routes, fallback_on={"content_filter"}), face)
        assert [a.route for a in caught.value.attempts] == ["a", "b"]


def test_a_refusal_in_the_middle_of_a_stream_is_an_answer_unless_it_may_be_taken_back():
    routes = [
        scripted_route("a", Answer(["Well, ", "no."], finish_reason="refusal")),
        scripted_route("b", Answer("Yes.")),
    ]
    assert list(Router(routes, fallback_on="refusal").stream("Hi"))[-1].finish_reason == "refusal"
    chunks = list(Router(routes, fallback_on="refusal", on_stream_error="restart").stream("Hi"))
    assert [(c.text, c.restarted) for c in chunks[:-1]] == [
        ("Well, ", False),
        ("no.", False),
        ("", True),
        ("Yes.", False),
    ]


@pytest.mark.parametrize("face", FACES)
class TestOverflow:
    def test_a_larger_window_is_asked(self, face):
        routes = [
            scripted_route("small", EnforceContextWindow(10, Answer())),
            scripted_route("large", EnforceContextWindow(10_000, Answer())),
        ]
        response = ask(Router(routes), face, "word " * 100)
        assert [a.outcome for a in response.attempts] == ["context_overflow", "success"]

    def test_what_is_known_to_be_too_small_is_not_asked(self, face):
        routes = [
            scripted_route("small", EnforceContextWindow(100, Answer()), model=Model("scripted", "*", window=100)),
            scripted_route(
                "large", EnforceContextWindow(10_000, Answer()), model=Model("scripted", "*", window=10_000)
            ),
        ]
        assert ask(Router(routes), face, "word " * 200).route == "large"
        assert takes(*routes) == [0, 1]

    def test_where_it_fits_nowhere_the_error_says_so(self, face):
        routes = [scripted_route(name, EnforceContextWindow(10, Answer())) for name in "ab"]
        with pytest.raises(ContextOverflowError) as caught:
            ask(Router(routes), face, "word " * 100)
        assert [a.outcome for a in caught.value.attempts] == ["context_overflow"] * 2


@pytest.mark.parametrize("face", FACES)
class TestRaces:
    """On real time and real threads: who is slow is overtaken, closed, and told of."""

    def router(self, *routes, quick=25, face="generate", **settings):
        router = Router(routes, hedge_budget=0.2, **settings)
        for _ in range(quick):
            ask(router, face)
        return router

    def test_who_begins_first_answers(self, face):
        usage = Usage(input_tokens=3, output_tokens=4)
        first = scripted_route("a", [*[Answer("quick")] * 25, SlowAnswer(20.0)])
        second = scripted_route("b", Answer(["from ", "b"], usage=usage))
        router = self.router(first, second, face=face)
        began = time.monotonic()
        response = ask(router, face)
        assert time.monotonic() - began < 10
        assert (response.text, response.route, response.usage) == ("from b", "b", usage)
        assert [(a.route, a.outcome) for a in response.attempts] == [("a", "cancelled"), ("b", "success")]
        assert not provider_of(first).in_flight
        assert all(standing.in_flight == 0 for standing in router.health().routes.values())
        assert router.health()["a"].breaker == "closed"

    def test_the_slow_one_may_still_win(self, face):
        first = scripted_route("a", [*[Answer("quick")] * 25, SlowAnswer(0.5, Answer("at last"))])
        second = scripted_route("b", SlowAnswer(20.0))
        response = ask(self.router(first, second, face=face), face)
        assert (response.text, response.route) == ("at last", "a")
        assert {(a.route, a.outcome) for a in response.attempts} == {("a", "success"), ("b", "cancelled")}
        assert not provider_of(second).in_flight

    def test_who_fails_leaves_the_race_to_the_other(self, face):
        first = scripted_route("a", [*[Answer("quick")] * 25, SlowAnswer(0.5, Answer("at last"))])
        second = scripted_route("b", Fail(ServerError))
        response = ask(self.router(first, second, face=face), face)
        assert [(a.route, a.outcome) for a in response.attempts] == [("b", "server_error"), ("a", "success")]

    def test_a_backup_is_no_rival(self, face):
        first = scripted_route("a", [*[Answer("quick")] * 25, SlowAnswer(0.3)])
        second = scripted_route("b", Answer(), backup=True)
        assert ask(self.router(first, second, face=face), face).route == "a"
        assert takes(second) == [0]


class TestLimits:
    """On virtual time."""

    def run(self, routes, work, **settings):
        loop = VirtualLoop()
        router = Router(routes, **settings)
        run_in_virtual_time(router, loop)
        try:
            return loop.run_until_complete(work(router, loop))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def test_rpm_moves_on_and_is_waited_for_where_nobody_else_is(self):
        routes = [scripted_route("a", Answer(), rpm=2), scripted_route("b", Answer(), rpm=1)]

        async def work(router, loop):
            answers = [await router.agenerate("Hi") for _ in range(4)]
            return [response.route for response in answers], loop.time()

        asked, seconds = self.run(routes, work)
        assert asked == ["a", "a", "b", "a"]
        assert seconds == pytest.approx(30.0, abs=0.01)

    def test_one_quota_for_two_routes(self):
        routes = [scripted_route(name, Answer(), rpm=1, rate_limit_group="team") for name in "ab"]

        async def work(router, loop):
            for _ in range(2):
                await router.agenerate("Hi")
            return loop.time()

        assert self.run(routes, work) == pytest.approx(60.0, abs=0.01)

    def test_a_rate_limit_closes_all_routes_of_its_quota(self):
        routes = [
            scripted_route("a", [rate_limited(7.0), Answer()], rate_limit_group="team"),
            scripted_route("b", Answer(), rate_limit_group="team"),
            scripted_route("c", Answer()),
        ]

        async def work(router, loop):
            response = await router.agenerate("Hi")
            return response.route, loop.time()

        assert self.run(routes, work) == ("c", 0.0)
        assert takes(*routes) == [1, 0, 1]

    def test_spent_credit_opens_all_routes_of_its_quota(self):
        routes = [
            scripted_route("a", Fail(QuotaExhaustedError), rate_limit_group="team"),
            scripted_route("b", Answer(), rate_limit_group="team"),
            scripted_route("c", Answer()),
        ]

        async def work(router, loop):
            await router.agenerate("Hi")
            return [standing.breaker for standing in router.health().routes.values()]

        assert self.run(routes, work) == ["open", "open", "closed"]

    def test_no_more_at_once_than_it_takes(self):
        route = scripted_route("a", SlowAnswer(1.0), max_concurrency=2)

        async def work(router, loop):
            await asyncio.gather(*(router.agenerate("Hi") for _ in range(6)))
            takes = provider_of(route).takes
            return max(sum(t.asked.at <= take.asked.at < (t.ended or 0.0) for t in takes) for take in takes)

        assert self.run([route], work) == 2

    def test_retries_are_paid_for_by_all_requests_together(self):
        """Of a crowd that meets a dead provider, no more ask it again than the reserve and a fifth of the requests."""
        route = scripted_route("a", Fail(ServerError, after=0.1))
        crowd = 200

        async def work(router, loop):
            return await asyncio.gather(*(router.agenerate("Hi") for _ in range(crowd)), return_exceptions=True)

        ends = self.run([route], work, max_retries=2)
        assert all(isinstance(end, ServerError | AllRoutesFailedError) for end in ends)
        assert takes(route)[0] - crowd <= retry_budget.RETRIES.reserve + retry_budget.RETRIES.share * crowd

    def test_fifty_callers_after_the_break_send_one_probe(self):
        route = scripted_route("a", Fail(ServerError, after=0.2))

        async def work(router, loop):
            for _ in range(3):
                with pytest.raises(ServerError):
                    await router.agenerate("Hi")
            assert router.health()["a"].breaker == "open"
            await asyncio.sleep(7.0)
            before = takes(route)[0]
            await asyncio.gather(*(router.agenerate("Hi") for _ in range(50)), return_exceptions=True)
            return takes(route)[0] - before

        assert self.run([route], work, max_retries=0) == 1


@pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "much"])
def test_a_share_is_a_share(share):
    with pytest.raises(ConfigurationError, match="expected a share greater than 0"):
        Router([scripted_route("a", Answer())], hedge_budget=share)


def test_an_unknown_reason_is_refused():
    with pytest.raises(ConfigurationError, match="did you mean 'refusal'"):
        Router([scripted_route("a", Answer())], fallback_on={"refusals"})
